//! A notice beside the answer that goes away again without a trace: how long nothing has come, and when that ends.
//!
//! It stands in the free part of the cursor's own row, and only if it fits there for certain, so it neither wraps nor
//! scrolls. The cursor goes back by as many columns as the notice has, to where it was, and everything that is written
//! goes on from there: erasing is clearing the rest of the row. Rows, which a program cannot know, do not matter. What
//! is not noticed is a person who presses Enter meanwhile: the terminal itself takes the cursor to the next row then.

use std::time::Duration;

use aurora_client::Prospect;

use super::column::Column;

/// Clears from the cursor to the end of its row.
const CLEAR_ROW: &str = "\u{1b}[K";

/// Clears from the cursor to the end of the screen: in a window that became narrower the notice takes several rows.
const CLEAR_SCREEN: &str = "\u{1b}[J";

/// Where there is a place for such a notice, as far as stdout and stderr tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: stderr is no terminal, or others write to it, or nobody wants it.
    #[default]
    Nowhere,
    /// stderr is a terminal and the answer goes elsewhere.
    Alone,
    /// stdout and stderr are the same terminal.
    BesideAnswer,
    /// The answer goes to another program, which may write to the terminal as soon as it gets something.
    BeforeAnswer,
}

/// The terminal, as far as the notice needs to know it.
#[derive(Debug)]
pub(super) struct Countdown {
    place: Place,
    column: Column,
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    No,
    Yes,
    /// Since the window had another width.
    Moved,
}

impl Countdown {
    /// `ambiguous` is whether ambiguous characters may be wide on this terminal.
    pub(super) fn new(place: Place, ambiguous: bool) -> Self {
        Self {
            place,
            column: Column::new(ambiguous),
            shown: Shown::No,
        }
    }

    /// The terminal has this many columns; 0 if that is not known.
    pub(super) fn resize(&mut self, width: usize) {
        let before = self.column;
        self.column.resize(width);
        if self.shown == Shown::Yes && before.free() != self.column.free() {
            self.shown = Shown::Moved;
        }
    }

    /// This was written to stdout.
    pub(super) fn wrote_out(&mut self, text: &str) {
        match self.place {
            Place::BesideAnswer => self.column.write(text),
            Place::BeforeAnswer if !text.is_empty() => self.place = Place::Nowhere,
            Place::BeforeAnswer | Place::Nowhere | Place::Alone => {}
        }
    }

    /// The answer has left the cursor here; `None` if that is not known.
    pub(super) fn stands_at(&mut self, column: Option<usize>) {
        if self.place == Place::BesideAnswer {
            self.column.set(column);
        }
    }

    /// This was written to stderr.
    pub(super) fn wrote_err(&mut self, text: &str) {
        self.column.write(text);
    }

    /// What takes the notice away; to be written to stderr before anything else is written anywhere.
    pub(super) fn clear(&mut self) -> &'static str {
        match std::mem::replace(&mut self.shown, Shown::No) {
            Shown::No => "",
            Shown::Yes => CLEAR_ROW,
            Shown::Moved => CLEAR_SCREEN,
        }
    }

    /// What puts a notice about silence in the place of the last one, for stderr. Empty where there is no room.
    pub(super) fn show(&mut self, silent: Duration, prospect: Option<Prospect>, dim: bool) -> String {
        self.note(forms(silent, prospect), dim)
    }

    /// As [`Countdown::show`], about something else: the longest of these forms for which there is room. They are ASCII.
    pub(super) fn note(&mut self, forms: Vec<String>, dim: bool) -> String {
        let mut bytes = self.clear().to_owned();
        if self.place == Place::Nowhere {
            return bytes;
        }
        let lead = if self.column.is_at_start() { "" } else { " " };
        let room = self.column.free().unwrap_or(0);
        let fitting = forms
            .into_iter()
            .map(|form| format!("{lead}({form})"))
            .find(|form| form.len() <= room);
        if let Some(form) = fitting {
            let (on, off) = if dim { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
            // In ASCII a byte is a column.
            bytes += &format!("{on}{form}{off}\u{1b}[{}D", form.len());
            self.shown = Shown::Yes;
        }
        bytes
    }
}

/// The notice, from its longest form to its shortest, in ASCII.
fn forms(silent: Duration, prospect: Option<Prospect>) -> Vec<String> {
    let silent = silent.as_secs();
    // Rounded up, so that both numbers add up to the deadline.
    let seconds = |left: Duration| left.as_secs() + u64::from(left.subsec_nanos() > 0);
    match prospect {
        Some(Prospect::GiveUp(_, left)) => {
            let left = seconds(left);
            vec![
                format!("waiting {silent} s, gives up in {left} s"),
                format!("gives up in {left} s"),
                format!("{left} s"),
            ]
        }
        Some(Prospect::Retry(left)) => {
            let left = seconds(left);
            vec![format!("tries again in {left} s"), format!("{left} s")]
        }
        Some(Prospect::Resume(left)) => {
            let left = seconds(left);
            vec![
                format!("waiting {silent} s, resumes in {left} s"),
                format!("resumes in {left} s"),
                format!("{left} s"),
            ]
        }
        Some(_) | None => vec![format!("waiting {silent} s"), format!("{silent} s")],
    }
}

#[cfg(test)]
mod tests;
