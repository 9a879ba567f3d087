//! What is seen of a batch while it runs: rows that are drawn anew on a terminal, lines at intervals elsewhere, events with
//! `--json`.
//!
//! Everything for a person goes to stderr. What single items fail of is told a few times and then only counted.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora_chat::{Delta, Update};
use serde_json::{Value, json};

use super::key::Key;
use super::tally::items;
use crate::console;
use crate::output::{Style, json_line};
use crate::problem::{Problem, Result};

mod screen;

use screen::Screen;

/// How far apart lines are where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(5);

/// How far apart frames are on a terminal.
const FRAME: Duration = Duration::from_millis(100);

/// How many failed items are told one by one.
const FAILURES_TOLD: u64 = 10;

/// How much of an answer's end is kept to be shown, in bytes.
const TAIL: usize = 1024;

/// How far a batch is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// All items.
    pub(crate) total: u64,
    /// Items that have a result.
    pub(crate) done: u64,
    /// Those of them that have one since this run began.
    pub(crate) done_now: u64,
    /// Results that are errors.
    pub(crate) failed: u64,
    pub(crate) running: usize,
    /// How many may run, where servers let fewer run than the caller does.
    pub(crate) at_most: Option<usize>,
    /// Tokens of answers since this run began.
    pub(crate) output_tokens: u64,
    /// Since this run began.
    pub(crate) elapsed: Duration,
    /// How long servers want to be left alone.
    pub(crate) held_for: Option<Duration>,
}

/// The items that run, and the latest words of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<u64, Tail>>>);

#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    key: String,
    text: String,
}

/// Shows how far a batch is.
#[derive(Debug)]
pub(crate) struct Progress {
    kind: Kind,
    failures_told: u64,
    last: Duration,
}

#[derive(Debug)]
enum Kind {
    Json,
    Lines,
    Screen(Box<Screen>),
}

impl Progress {
    /// As it suits this style. `rows_change` says whether a terminal that is understood is there to be drawn on.
    pub(crate) fn new(style: &Style, is_live: bool) -> Self {
        Self {
            kind: match (style.json, is_live) {
                (true, _) => Kind::Json,
                (false, true) => Kind::Screen(Box::new(Screen::new(style))),
                (false, false) => Kind::Lines,
            },
            failures_told: 0,
            last: Duration::ZERO,
        }
    }

    /// A board, where the latest words are shown.
    pub(crate) fn board(&self) -> Option<Board> {
        match self.kind {
            Kind::Screen(_) => Some(Board::default()),
            Kind::Json | Kind::Lines => None,
        }
    }

    /// How often [`Progress::tick`] is wanted.
    pub(crate) fn interval(&self) -> Duration {
        match self.kind {
            Kind::Screen(_) => FRAME,
            Kind::Json | Kind::Lines => INTERVAL,
        }
    }

    /// The batch begins.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn begin(&mut self, input: &str, output: &str, snapshot: &Snapshot) -> Result<()> {
        if let Kind::Json = self.kind {
            return event(
                "start",
                &[
                    ("input", json!(input)),
                    ("output", json!(output)),
                    ("items", json!(snapshot.total)),
                    ("done", json!(snapshot.done)),
                ],
            );
        }
        self.note(&format!(
            "{} in {input}, {} done; results go to {output}",
            items(snapshot.total),
            snapshot.done
        ));
        Ok(())
    }

    /// An item has its result. `error` is its kind and message.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn item(
        &mut self,
        key: &Key,
        line: u64,
        verdict: &str,
        error: Option<(&str, &str)>,
        output_tokens: Option<u64>,
    ) -> Result<()> {
        if let Some((kind, message)) = error {
            self.failures_told += 1;
            if self.failures_told <= FAILURES_TOLD {
                let about = if message.starts_with(&format!("line {line}: ")) {
                    String::new()
                } else {
                    format!("line {line}: ")
                };
                self.note(&format!("{about}{message} ({key}, {kind})"));
            } else if self.failures_told == FAILURES_TOLD + 1 {
                self.note("more items fail; they are counted at the end, and each says why in the output");
            }
        }
        if let Kind::Json = self.kind {
            let error = error.map(|(kind, message)| json!({"kind": kind, "message": message}));
            return event(
                "item",
                &[
                    ("custom_id", key.to_value()),
                    ("line", json!(line)),
                    ("verdict", json!(verdict)),
                    ("error", json!(error)),
                    ("output_tokens", json!(output_tokens)),
                ],
            );
        }
        Ok(())
    }

    /// Tells something.
    pub(crate) fn note(&mut self, message: &str) {
        match &mut self.kind {
            Kind::Screen(screen) => screen.above(|| console::tell(message)),
            Kind::Json | Kind::Lines => console::tell(message),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, snapshot: &Snapshot, board: Option<&Board>) {
        match &mut self.kind {
            Kind::Json => {}
            Kind::Screen(screen) => screen.draw(snapshot, board),
            Kind::Lines if snapshot.elapsed.saturating_sub(self.last) >= INTERVAL => {
                self.last = snapshot.elapsed;
                console::tell(&snapshot.to_line());
            }
            Kind::Lines => {}
        }
    }

    /// Nothing more comes: what goes away again goes away.
    pub(crate) fn clear(&mut self) {
        if let Kind::Screen(screen) = &mut self.kind {
            screen.clear();
        }
    }

    /// The batch has ended.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn end(&mut self, fields: &[(&str, Value)]) -> Result<()> {
        self.clear();
        match self.kind {
            Kind::Json => event("end", fields),
            Kind::Lines | Kind::Screen(_) => Ok(()),
        }
    }
}

impl Snapshot {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.done_now as f64 / seconds
        } else {
            0.0
        }
    }

    /// Tokens of answers a second.
    fn tokens_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.output_tokens as f64 / seconds
        } else {
            0.0
        }
    }

    /// What is left at this rate, in the words of a person; empty if that cannot be said.
    fn left(&self) -> String {
        let left = self.total.saturating_sub(self.done);
        let rate = self.rate();
        if left == 0 || rate <= 0.0 {
            return String::new();
        }
        format!("about {} left", clock(left as f64 / rate))
    }

    fn to_line(self) -> String {
        let mut line = format!("{} of {} done", self.done, self.total);
        if self.failed > 0 {
            line += &format!(", {} failed", self.failed);
        }
        line += &format!(", {} running", self.running);
        if let Some(most) = self.at_most {
            line += &format!(" (at most {most}, as the server bears)");
        }
        line += &format!(", {:.0} tokens/s", self.tokens_per_second());
        if let Some(wait) = self.held_for {
            line += &format!(", waiting {} as asked", clock(wait.as_secs_f64()));
        }
        match self.left() {
            left if left.is_empty() => line,
            left => format!("{line}, {left}"),
        }
    }
}

impl Board {
    /// An item runs.
    pub(crate) fn begin(&self, number: u64, key: &Key) {
        let key = match key {
            Key::Text(text) | Key::Number(text) => text.chars().take(64).collect(),
        };
        let text = String::new();
        self.lock().insert(number, Tail { key, text });
    }

    /// Something of its answer has come.
    pub(crate) fn see(&self, number: u64, update: &Update) {
        let Update::Delta(Delta::Text(text) | Delta::Reasoning(text)) = update else {
            return;
        };
        if let Some(tail) = self.lock().get_mut(&number) {
            tail.text.push_str(text);
            if tail.text.len() > 2 * TAIL {
                let cut = tail.text.len() - TAIL;
                let cut = (cut..tail.text.len()).find(|at| tail.text.is_char_boundary(*at));
                tail.text.drain(..cut.unwrap_or(0));
            }
        }
    }

    /// It runs no more.
    pub(crate) fn end(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// The first items that run.
    fn tails(&self, most: usize) -> Vec<Tail> {
        self.lock().values().take(most).cloned().collect()
    }

    /// Nothing that is done under the lock can leave a value half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time for a person: `42 s`, `3 min`, `2 h 5 min`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round().min(1e9) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Writes an event.
fn event(kind: &str, fields: &[(&str, Value)]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(json_line(kind, fields).as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Problem::stdout(&error))
}

#[cfg(test)]
#[path = "progress/tests.rs"]
mod tests;
