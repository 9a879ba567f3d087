//! The rows of a batch on a terminal: the items that run with their latest words, and a bar.
//!
//! indicatif makes the bar's row and knows how long the rest takes. Rows are drawn here, because a terminal that is
//! narrowed wraps what stands on it: the rows of the last frame are counted anew at the width there is now before they are
//! taken back. No row fills its line, widths are taken at their widest, and nothing of an answer reaches the terminal but
//! characters that draw something.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use unicode_width::UnicodeWidthChar as _;

use super::{Board, Snapshot, Tail};
use crate::console;
use crate::output::{Size, Style, visible};

/// The most items that are shown while they run.
const ITEMS: usize = 8;

/// The columns that an item's id may take.
const KEY: usize = 20;

/// The width where it is not known.
const COLUMNS: usize = 80;

/// What is on the terminal, and what makes it.
#[derive(Debug)]
pub(super) struct Screen {
    bar: ProgressBar,
    row: Captured,
    /// The widths of the rows that are on the terminal.
    drawn: Vec<usize>,
    reflows: bool,
    dim: bool,
    /// The rows as they were drawn, to be drawn again below what is told.
    frame: Vec<String>,
}

/// Where the bar's row is left instead of being written.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<(String, u16)>>);

impl Screen {
    pub(super) fn new(style: &Style) -> Self {
        let row = Captured::default();
        let target = ProgressDrawTarget::term_like(Box::new(row.clone()));
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(
            ProgressStyle::with_template("[{bar:20}] {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        Self {
            bar,
            row,
            drawn: Vec::new(),
            reflows: style.reflows,
            dim: style.err_color,
            frame: Vec::new(),
        }
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, snapshot: &Snapshot, board: Option<&Board>) {
        let size = console::err_size();
        let rows = self.rows(size, snapshot, board);
        let text = self.replace(rows, size);
        console::tell_raw(&text);
    }

    /// Lets something be told above the rows.
    pub(super) fn above(&mut self, tell: impl FnOnce()) {
        let frame = std::mem::take(&mut self.frame);
        self.clear();
        tell();
        let text = self.replace(frame, console::err_size());
        console::tell_raw(&text);
    }

    /// Takes all rows back.
    pub(super) fn clear(&mut self) {
        let text = self.replace(Vec::new(), console::err_size());
        console::tell_raw(&text);
    }

    /// The rows of a frame, none as wide as the terminal.
    fn rows(&self, size: Size, snapshot: &Snapshot, board: Option<&Board>) -> Vec<String> {
        let room = room(size);
        // One row for the bar, and one so that the first row cannot leave the terminal.
        let items = size.rows.saturating_sub(2).min(ITEMS);
        let tails = board.map(|board| board.tails(items)).unwrap_or_default();
        let mut rows: Vec<String> = tails.iter().map(|tail| item_row(tail, room)).collect();
        self.row.set_width(room);
        self.bar.set_length(snapshot.total);
        self.bar.set_message(snapshot.to_line());
        self.bar.set_position(snapshot.done);
        self.bar.tick();
        rows.push(head(&self.row.take(), room));
        rows
    }

    /// What takes the last frame back and writes this one.
    fn replace(&mut self, rows: Vec<String>, size: Size) -> String {
        let columns = if size.columns == 0 { COLUMNS } else { size.columns };
        let up: usize = self
            .drawn
            .iter()
            .map(|width| match self.reflows {
                true => width.div_ceil(columns).max(1),
                false => 1,
            })
            .sum();
        let mut text = String::new();
        if up > 0 {
            text += &format!("\r\u{1b}[{up}A\u{1b}[J");
        }
        self.drawn = rows.iter().map(|row| width(row)).collect();
        let last = rows.len().saturating_sub(1);
        for (at, row) in rows.iter().enumerate() {
            match self.dim && at < last {
                true => text += &format!("\u{1b}[2m{row}\u{1b}[0m\r\n"),
                false => text += &format!("{row}\r\n"),
            }
        }
        self.frame = rows;
        text
    }
}

/// An item's id and its latest words.
fn item_row(tail: &Tail, room: usize) -> String {
    let key = head(&visible::line(&tail.key), KEY.min(room));
    let left = room.saturating_sub(width(&key) + 2);
    let words = visible::line(&tail.text);
    head(&format!("{key}  {}", end(&words, left)), room)
}

/// How many columns a row may take: the last one stays empty, since writing it may wrap.
fn room(size: Size) -> usize {
    match size.columns {
        0 => COLUMNS - 1,
        columns => columns - 1,
    }
}

/// The beginning of a text that fits.
fn head(text: &str, room: usize) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += column(*c);
            used <= room
        })
        .collect()
}

/// The end of a text that fits.
fn end(text: &str, room: usize) -> &str {
    let mut used = 0;
    let fits = text.char_indices().rev().take_while(|(_, c)| {
        used += column(*c);
        used <= room
    });
    fits.last().map_or("", |(at, _)| &text[at..])
}

fn width(text: &str) -> usize {
    text.chars().map(column).sum()
}

/// The most columns that a character takes on any terminal.
fn column(c: char) -> usize {
    c.width_cjk().unwrap_or(0)
}

impl Captured {
    fn set_width(&self, width: usize) {
        self.with(|row| row.1 = u16::try_from(width).unwrap_or(u16::MAX));
    }

    fn take(&self) -> String {
        self.with(|row| std::mem::take(&mut row.0)).trim_end().to_owned()
    }

    /// Nothing that is done under the lock can leave a value half changed.
    fn with<T>(&self, change: impl FnOnce(&mut (String, u16)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").finish_non_exhaustive()
    }
}

/// A terminal of one row, which is written anew with every frame.
impl TermLike for Captured {
    fn width(&self) -> u16 {
        self.with(|row| row.1).max(1)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.with(|row| match text {
            "\r" => row.0.clear(),
            text => row.0.push_str(text),
        });
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.with(|row| row.0.clear());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "screen/tests.rs"]
mod tests;
