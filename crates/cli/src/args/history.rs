//! The subcommands of `aurora history`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `aurora history …`
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// List conversations, the latest first: id, when, model, prompts, title
    List {
        /// At most this many; 0 is all
        #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 20)]
        number: usize,
    },
    /// Show a conversation
    Show {
        /// The id that the list prints, or enough of its beginning [default: the latest]
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    /// Find the messages that have all of these words in them, or words that begin like them
    Search {
        /// Words; of Chinese, Japanese and Korean any characters that stand together
        #[arg(value_name = "WORD", required = true)]
        words: Vec<String>,
        /// At most this many messages; 0 is all
        #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 20)]
        number: usize,
    },
    /// Write conversations as Markdown or JSON
    Export {
        /// The ids that the list prints, or enough of their beginnings [default: the latest]
        #[arg(value_name = "ID", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of them, the latest first
        #[arg(long)]
        all: bool,
        /// In which form; JSON is an object for one conversation, and a list of them for several
        #[arg(long, value_name = "FORMAT", default_value = "markdown")]
        format: ExportFormat,
        /// The file to write instead of standard output; one that is there is replaced
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove conversations for good
    #[command(visible_alias = "remove")]
    Rm {
        /// The ids that the list prints, or enough of their beginnings
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Do not ask before all of them are removed
        #[arg(short, long)]
        yes: bool,
    },
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// For people.
    #[value(alias = "md")]
    Markdown,
    /// For programs: everything that is kept.
    Json,
}
