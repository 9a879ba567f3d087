//! `aurora model`: list, pull and remove local models.

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
    }
    Ok(0)
}

#[cfg(feature = "engine")]
mod listing {
    use std::fmt::Write as _;

    use aurora_local::models::Entry;
    use serde_json::json;

    /// A line for each model, columns aligned.
    pub(super) fn table(entries: &[Entry]) -> String {
        let mut out = String::new();
        let width = entries
            .iter()
            .map(|entry| entry.name.chars().count())
            .max()
            .unwrap_or(0);
        for Entry {
            name,
            bytes,
            context,
            quantisation,
            path,
            ..
        } in entries
        {
            let mib = *bytes as f64 / f64::from(1 << 20);
            let path = path.display();
            let _ = writeln!(
                out,
                "local/{name:width$}  {mib:>8.1} MiB  {quantisation}  context {context}  {path}"
            );
        }
        out
    }

    /// One object a line.
    pub(super) fn json_lines(entries: &[Entry]) -> String {
        let mut out = String::new();
        for entry in entries {
            let line = json!({
                "name": format!("local/{}", entry.name),
                "bytes": entry.bytes,
                "context": entry.context,
                "quantisation": entry.quantisation,
                "path": entry.path.to_string_lossy(),
                "source": entry.source,
            });
            let _ = writeln!(out, "{line}");
        }
        out
    }
}
