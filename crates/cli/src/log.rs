//! The log: none unless `-v` or `--log-file` asks for it.
//!
//! `-v` shows what happens, `-vv` details, `-vvv` everything. Prompts and answers are logged by nobody below `-vvv`,
//! keys never. Other people's libraries stay two steps quieter than ours, and never reach the level at which some of
//! them print headers.

use std::io;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, fmt};

use crate::args::Common;
use crate::private;
use crate::problem::{Problem, Result};

/// Starts the log that was asked for: JSON lines to the file if one is named, text to stderr otherwise.
///
/// # Errors
/// The file cannot be opened.
pub(crate) fn start(flags: &Common) -> Result<()> {
    let verbosity = match (flags.verbose, &flags.log_file) {
        (0, None) => return Ok(()),
        (0, Some(_)) => 1,
        (verbosity, _) => verbosity,
    };
    let filter = filter(verbosity);
    let set = if let Some(path) = &flags.log_file {
        // At -vvv prompts are in it.
        let file = private::options()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|error| Problem::usage(format!("--log-file {}: {error}", path.display())))?;
        let layer = fmt::layer()
            .json()
            .with_writer(Mutex::new(file))
            .with_filter(filter);
        tracing::subscriber::set_global_default(Registry::default().with(layer))
    } else {
        let layer = fmt::layer().with_writer(io::stderr).with_filter(filter);
        tracing::subscriber::set_global_default(Registry::default().with(layer))
    };
    set.map_err(|error| Problem::internal(format!("cannot start the log: {error}")))
}

fn filter(verbosity: u8) -> Targets {
    let (ours, others) = match verbosity {
        0 | 1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    Targets::new().with_default(others).with_target("aurora", ours)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn ours_are_louder_than_others_and_others_never_loud() {
        assert!(filter(1).would_enable("aurora_client::attempt", &Level::INFO));
        assert!(!filter(1).would_enable("aurora_client::attempt", &Level::DEBUG));
        assert!(filter(3).would_enable("aurora", &Level::TRACE));
        for verbosity in [1, 2, 3, 200] {
            assert!(!filter(verbosity).would_enable("hyper::proto", &Level::DEBUG));
        }
    }
}
