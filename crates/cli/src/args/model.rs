//! The arguments of `aurora model`.

use std::time::Duration;

use clap::Subcommand;

use crate::settings::units;

/// `aurora model …`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// List the local models
    List,
    /// Fetch a model, so that the first answer need not wait for it
    Pull {
        /// A known name (smollm2), or the path or address of a .gguf file
        #[arg(value_name = "NAME")]
        source: String,
    },
    /// Delete a local model
    Remove {
        /// The name that `aurora model list` prints
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Measure a local model on this machine
    ///
    /// Each round takes: the time to the first token after a short question, after a long prompt that is new, after the
    /// same prompt again and after another question behind the same start; how fast a prompt is read and one answer is
    /// written; and how fast many answers are written at the same time. What is printed is the median of the rounds, with
    /// the lowest and the highest beside it. Ctrl-C stops and prints what there is.
    Bench {
        /// The name that `aurora model list` prints; the default model if none is given and it is a local one
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Answers at the same time
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
        streams: u16,
        /// Rounds, of which the median is taken
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
        rounds: u16,
        /// When to stop, with what has been measured by then
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::duration)]
        time: Duration,
    },
}
