//! `aurora batch …`

use std::path::PathBuf;

use clap::Args;

/// The most items that can be asked for at once.
pub(crate) const MAX_JOBS: u64 = 1024;

/// What `aurora batch` takes besides the flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct BatchArgs {
    /// The items, one a line: OpenAI's batch format, {"id": …, "prompt": …}, or a prompt as it stands; - is standard input
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// Add the results to this file, one a line as JSON; what it holds already is done
    #[arg(short, long, value_name = "OUT", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// Ask for at most this many at once; fewer where a server says that it is too much
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=MAX_JOBS))]
    pub(crate) jobs: u64,
    /// Do the items again whose results are errors
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Begin no further item once this run has cost so many tokens, prompts and answers together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_total_tokens: Option<u64>,
    /// Let -m, -s, --temperature and the like hold for all items, also for those that say otherwise
    #[arg(long = "override")]
    pub(crate) override_: bool,
    /// Ask for nothing: tell how many items there are to do, and how many tokens their prompts are
    #[arg(long)]
    pub(crate) dry_run: bool,
}
