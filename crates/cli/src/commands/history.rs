//! `aurora history`: the conversations that were kept.
//!
//! What is printed goes to stdout: shown on a terminal it is harmless, into a pipe the texts go as they are. That there
//! is nothing to print is told on stderr, and is no failure.

use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use crate::args::{Common, ExportFormat, HistoryCommand};
use crate::console;
use crate::history::entry::Heading;
use crate::history::{History, Store};
use crate::output::Style;
use crate::private;
use crate::problem::{Problem, Result};
use crate::settings::{self, Env};

pub(super) mod export;
mod listing;
mod transcript;

/// Runs it; returns the exit code.
///
/// # Errors
/// There is no such conversation, or several (usage); the history cannot be read or written (configuration).
pub(super) fn run(command: HistoryCommand, flags: &Common, env: Env) -> Result<u8> {
    let look = Look {
        json: flags.json,
        reasoning: flags.show_reasoning,
        is_terminal: io::stdout().is_terminal(),
        color: console::out_color(flags, &env)?,
        columns: console::out_columns(),
        style: console::style(flags, &env)?,
    };
    let settings = settings::load(flags, None, env)?;
    let history = History::of(&settings);
    let folder = history.folder()?;
    let store = match Store::open_existing(folder) {
        // To open the file takes a little space, to remove it does not.
        Err(error)
            if error.is_full()
                && matches!(
                    command,
                    HistoryCommand::Rm {
                        all: true,
                        yes: true,
                        ..
                    }
                ) =>
        {
            Store::erase(folder)?;
            console::tell("removed all conversations");
            return Ok(0);
        }
        store => store?,
    };
    match command {
        HistoryCommand::List { number } => list(store, number, look)?,
        HistoryCommand::Show { id } => {
            let store = store.ok_or_else(|| nothing(id.as_deref()))?;
            let heading = store.find(id.as_deref())?;
            let entries = store.messages(&heading)?;
            console::print(&if look.json {
                format!("{}\n", export::object(&heading, &entries))
            } else {
                transcript::show(&heading, &entries, look)
            })?;
        }
        HistoryCommand::Search { words, number } => search(store, &words, number, look)?,
        HistoryCommand::Export {
            ids,
            all,
            format,
            output,
        } => {
            let store = store.ok_or_else(|| nothing(ids.first().map(String::as_str)))?;
            let headings = match ids.is_empty() {
                true if all => store.list(usize::MAX)?,
                true => vec![store.find(None)?],
                false => find(&store, &ids)?,
            };
            let is_list = all || headings.len() > 1;
            export(&store, &headings, is_list, format, output)?;
        }
        HistoryCommand::Rm { ids, all, yes } => {
            let Some(mut store) = store else {
                // To have nothing is what is wanted by whoever removes all.
                return if all {
                    Ok(0)
                } else {
                    Err(nothing(ids.first().map(String::as_str)))
                };
            };
            let headings = if all {
                store.list(usize::MAX)?
            } else {
                find(&store, &ids)?
            };
            if all && !headings.is_empty() && !yes {
                confirm(headings.len())?;
            }
            let untidy = match store.remove(&headings) {
                Err(error) if all && error.is_full() => {
                    drop(store);
                    Store::erase(folder)?;
                    None
                }
                removed => removed?,
            };
            match headings.as_slice() {
                [one] => console::tell(&format!("removed {} ({})", one.id, one.title)),
                several => console::tell(&format!("removed {} conversations", several.len())),
            }
            if let Some(error) = untidy {
                console::tell(&format!(
                    "warning: traces may be left in the file, and its space is not given back yet: {error}"
                ));
            }
        }
    }
    Ok(0)
}

/// How things are shown.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    json: bool,
    reasoning: bool,
    is_terminal: bool,
    color: bool,
    /// Of the terminal; 0 where there is none.
    columns: usize,
    /// Of answers.
    style: Style,
}

impl Look {
    /// The text in this rendition (SGR), where colours are allowed.
    fn paint(self, sgr: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{sgr}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn list(store: Option<Store>, number: usize, look: Look) -> Result<()> {
    let headings = match store {
        Some(store) => store.list(limit(number))?,
        None => Vec::new(),
    };
    if headings.is_empty() && !look.json {
        console::tell("no conversation has been kept yet; aurora PROMPT begins one");
    }
    console::print(&if look.json {
        listing::json_lines(&headings)
    } else {
        listing::table(&headings, look)
    })
}

fn search(store: Option<Store>, words: &[String], number: usize, look: Look) -> Result<()> {
    let hits = match store {
        Some(mut store) => store.search(words, limit(number))?,
        None => Vec::new(),
    };
    if hits.is_empty() && !look.json {
        console::tell("nothing was found");
    }
    console::print(&if look.json {
        listing::hits_json(&hits)
    } else {
        listing::hits(&hits, look)
    })
}

fn find(store: &Store, ids: &[String]) -> Result<Vec<Heading>> {
    let mut found: Vec<Heading> = Vec::with_capacity(ids.len());
    for id in ids {
        let heading = store.find(Some(id))?;
        if !found.contains(&heading) {
            found.push(heading);
        }
    }
    Ok(found)
}

fn export(
    store: &Store,
    headings: &[Heading],
    is_list: bool,
    format: ExportFormat,
    output: Option<PathBuf>,
) -> Result<()> {
    let Some(path) = output.filter(|path| path != Path::new("-")) else {
        let mut out = BufWriter::new(io::stdout().lock());
        return export::write(store, headings, is_list, format, &mut out, |error| {
            Problem::stdout(&error)
        });
    };
    let wrong = |error: io::Error| Problem::usage(format!("--output {}: {error}", path.display()));
    let file = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .map_err(wrong)?;
    let mut file = BufWriter::new(file);
    export::write(store, headings, is_list, format, &mut file, wrong)?;
    file.flush().map_err(wrong)
}

/// Asks whether all is to go.
fn confirm(conversations: usize) -> Result<()> {
    let refused = || Problem::usage("nothing was removed");
    if !io::stdin().is_terminal() {
        return Err(Problem::usage(format!(
            "--all would remove {conversations} conversations for good; --yes does it without asking"
        )));
    }
    console::tell_raw(&format!("remove {conversations} conversations for good? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|_| refused())?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused()),
    }
}

/// As many as were asked for; 0 is all.
fn limit(number: usize) -> usize {
    if number == 0 { usize::MAX } else { number }
}

/// That there is nothing, or nothing of this id.
fn nothing(id: Option<&str>) -> Problem {
    crate::history::nothing(id).into()
}
