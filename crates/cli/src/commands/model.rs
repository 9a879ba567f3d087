//! `aurora model`: list, pull, remove and measure local models.

#[cfg(feature = "engine")]
mod bench;
#[cfg(feature = "engine")]
mod listing;

use crate::args::{Common, ModelCommand};
use crate::problem::{Problem, Result};
use crate::settings::Settings;

/// Runs it; returns the exit code.
///
/// # Errors
/// The engine's, or this build has none (configuration).
#[cfg(not(feature = "engine"))]
pub(super) fn run(_command: &ModelCommand, _flags: &Common, _settings: &Settings) -> Result<u8> {
    Err(Problem::config(
        "this build of aurora has no engine for local models (feature \"engine\")",
    ))
}

/// Runs it; returns the exit code.
///
/// # Errors
/// The engine's (configuration).
#[cfg(feature = "engine")]
pub(super) fn run(command: &ModelCommand, flags: &Common, settings: &Settings) -> Result<u8> {
    use crate::console;
    use crate::source::local;

    let store = local::store(settings)?;
    let wrong = |error: aurora_local::Error| Problem::config(local::chain(&error));
    match command {
        ModelCommand::List => {
            let entries = store.list().map_err(wrong)?;
            if entries.is_empty() && !flags.json {
                console::tell("no local models yet; aurora model pull smollm2 fetches one");
            }
            console::print(&if flags.json {
                listing::json_lines(&entries)
            } else {
                listing::table(&entries)
            })?;
        }
        ModelCommand::Pull { source } => {
            let source = source.strip_prefix("local/").unwrap_or(source);
            let pulled = local::pull(&store, source).map_err(wrong)?;
            console::print(&format!("local/{}\t{}\n", pulled.name, pulled.path.display()))?;
        }
        ModelCommand::Remove { name } => {
            let name = name.strip_prefix("local/").unwrap_or(name);
            store.remove(name).map_err(wrong)?;
            console::tell(&format!("removed local/{name}"));
        }
        ModelCommand::Bench {
            name,
            streams,
            rounds,
            time,
        } => {
            let plan = bench::Asked {
                streams: (*streams).into(),
                rounds: (*rounds).into(),
                time: *time,
            };
            return bench::run(name.as_deref(), plan, flags, settings);
        }
    }
    Ok(0)
}
