//! The subcommands of `aurora config`.

use std::path::PathBuf;

use clap::Subcommand;

/// `aurora config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting and where its value came from
    Show,
    /// Print the path of the configuration file
    Path {
        /// The folder of the system prompts that -s names instead, each a file NAME.md
        #[arg(long)]
        roles: bool,
    },
    /// Print what stands in the file for a server's key, read from standard input
    HashKey {
        /// The key; other users of this machine can see it here, so standard input is the better place
        key: Option<String>,
    },
    /// Check a configuration file; exit 3 if something is wrong with it
    Check {
        /// The file to check instead of the one in use
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Write a configuration file with every key explained
    Init {
        /// Overwrite a file that is there
        #[arg(long)]
        force: bool,
    },
}
