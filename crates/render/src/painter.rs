//! Rows on a screen: those that are final are written once, those that are not are drawn over.
//!
//! The painter knows what it has drawn and how many rows that takes. So it needs no answer from the terminal, no
//! absolute place and no clearing of the screen: it moves relative to the cursor, which stands where the last frame
//! ended, and writes from the first cell that is different. Nothing that is final is ever touched again.
//!
//! Between frames the cursor stands behind the last row that is not final, or at the beginning of an empty row, and
//! nothing has a style. Where all rows are final and one goes on in the next, it stands behind that one; so whoever draws
//! final rows only never moves it, and the terminal may be narrower than the rows are.

use std::fmt::Write as _;

use crate::measure::Widths;
use crate::row::Row;
use crate::style::Pen;

/// Begins and ends what the terminal shows at once (mode 2026, synchronized output).
const SYNC: (&str, &str) = ("\u{1b}[?2026h", "\u{1b}[?2026l");

/// A frame of so many bytes arrives in one piece, and is shown at once without being told.
const SHORT: usize = 128;

/// Draws rows.
#[derive(Debug)]
pub(crate) struct Painter {
    columns: usize,
    widths: Widths,
    pen: Pen,
    /// What is drawn and not final.
    shown: Vec<Row>,
    /// The cursor's row within the rows of the frame, and whether it stands at that row's end.
    at: usize,
    at_end: bool,
    /// The last row is final, and the next one goes on with it: the cursor stands at its end.
    goes_on: bool,
}

/// Up to where a row stays as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    bytes: usize,
    columns: usize,
}

impl Painter {
    pub(crate) const fn new(columns: usize, widths: Widths, color: bool) -> Self {
        Self {
            columns,
            widths,
            pen: Pen::new(color),
            shown: Vec::new(),
            at: 0,
            at_end: true,
            goes_on: false,
        }
    }

    /// Draws what is final from now on, and what is not.
    pub(crate) fn paint(&mut self, mut rows: Vec<Row>, tail: &[Row], out: &mut String) {
        let settled = rows.len();
        rows.extend_from_slice(tail);
        let mut old = std::mem::take(&mut self.shown);
        (self.at, self.at_end) = (old.len().saturating_sub(1), true);
        let mut frame = String::new();
        let same = old.iter().zip(&rows).take_while(|(old, new)| old == new).count();
        let mut moved = false;
        if rows.len() < old.len() {
            // What goes away is cleared before anything is drawn, so the end of the frame leaves nothing behind.
            let kept = rows
                .get(same)
                .map_or_else(Kept::default, |new| self.common(same, &old[same], new));
            moved |= self.go(same, kept, &old, &mut frame);
            frame.push_str("\u{1b}[J");
            old.truncate(same);
            if let Some(new) = rows.get(same) {
                self.write(new, kept.bytes, &mut frame);
                old.push(new.clone());
            }
        }
        for n in same..rows.len() {
            // The terminal joins two rows only if what is written runs over from one into the other.
            let runs_over = n > 0 && rows[n - 1].joined && old.get(n - 1) != Some(&rows[n - 1]);
            match old.get(n) {
                Some(drawn) if *drawn == rows[n] && !runs_over => {}
                Some(drawn) if !runs_over => {
                    let kept = self.common(n, drawn, &rows[n]);
                    moved |= self.go(n, kept, &old, &mut frame);
                    if drawn.joined {
                        // So that the terminal forgets that the row went on.
                        frame.push_str("\u{1b}[K");
                    }
                    self.write(&rows[n], kept.bytes, &mut frame);
                    if rows[n].columns < drawn.columns {
                        frame.push_str("\u{1b}[K");
                    }
                }
                drawn => {
                    if n > 0 {
                        moved |= self.go_to_end(n - 1, &rows, &mut frame);
                        if !rows[n - 1].joined {
                            frame.push_str("\r\n");
                        }
                    }
                    self.at = n;
                    self.write(&rows[n], 0, &mut frame);
                    if drawn.is_some_and(|drawn| drawn.joined && !rows[n].joined) {
                        let kept = self.all_but_last(&rows[n]);
                        self.go(n, kept, &rows, &mut frame);
                        frame.push_str("\u{1b}[K");
                        self.write(&rows[n], kept.bytes, &mut frame);
                    } else if drawn.is_some_and(|drawn| rows[n].columns < drawn.columns) {
                        frame.push_str("\u{1b}[K");
                    }
                }
            }
        }
        if let Some(last) = rows.len().checked_sub(1) {
            moved |= self.go_to_end(last, &rows, &mut frame);
        }
        self.shown = rows.split_off(settled);
        if self.shown.is_empty() && settled > 0 {
            self.goes_on = rows.last().is_some_and(|last| last.joined);
            if !self.goes_on {
                frame.push_str("\r\n");
            }
        }
        if moved && frame.len() > SHORT {
            let _ = write!(out, "{}{frame}{}", SYNC.0, SYNC.1);
        } else {
            out.push_str(&frame);
        }
    }

    /// Takes away what is not final. The cursor stands at the beginning of an empty row.
    pub(crate) fn clear(&mut self, out: &mut String) {
        let old = std::mem::take(&mut self.shown);
        if !old.is_empty() {
            (self.at, self.at_end) = (old.len() - 1, true);
            self.up(old.len() - 1, out);
            out.push_str("\r\u{1b}[J");
        }
        if std::mem::take(&mut self.goes_on) {
            out.push_str("\r\n");
        }
    }

    /// The terminal has this size now, and its rows, if it `reflows`, were wrapped anew. Rows that a lower window has lost
    /// at its top cannot be drawn over: what is shown is taken away as far as it can be.
    pub(crate) fn resize(&mut self, columns: usize, rows: usize, reflows: bool, out: &mut String) {
        if columns == self.columns && self.shown.len() < rows {
            return;
        }
        let above = if reflows {
            self.rows_reflowed(columns)
        } else {
            self.shown.len()
        };
        self.columns = columns;
        if !std::mem::take(&mut self.shown).is_empty() {
            self.up(above - 1, out);
            out.push_str("\r\u{1b}[J");
        }
    }

    /// The cursor's column, if all terminals agree about it and no wrap is pending.
    pub(crate) fn column(&self) -> Option<usize> {
        let Some(last) = self.shown.last() else {
            return (!self.goes_on).then_some(0);
        };
        let certain = self
            .widths
            .clusters(last.line.text(), 0)
            .all(|cluster| cluster.certain);
        (certain && last.columns < self.columns).then_some(last.columns)
    }

    /// How many rows what is shown takes at another width.
    fn rows_reflowed(&self, columns: usize) -> usize {
        let (mut rows, mut column) = (0, 0);
        for row in &self.shown {
            if column == 0 {
                rows += 1;
            }
            for cluster in self.widths.clusters(row.line.text(), 0) {
                if column + cluster.columns > columns {
                    (rows, column) = (rows + 1, 0);
                }
                column += cluster.columns;
            }
            if !row.joined {
                column = 0;
            }
        }
        rows.max(1)
    }

    /// What of a row that is drawn can stay, up to a cluster of both: cursor movements can rely on it.
    fn common(&self, row: usize, old: &Row, new: &Row) -> Kept {
        let same = old.line.common(&new.line);
        let mut kept = Kept::default();
        if same == old.line.text().len() && self.at == row && self.at_end && !old.joined {
            // Nothing has to be measured to go on where the cursor stands, but a cluster has to be whole.
            let whole = self
                .widths
                .clusters(new.line.text(), 0)
                .any(|cluster| cluster.start == same);
            if whole || same == new.line.text().len() {
                return Kept {
                    bytes: same,
                    columns: old.columns,
                };
            }
        }
        let pairs = self
            .widths
            .clusters(old.line.text(), 0)
            .zip(self.widths.clusters(new.line.text(), 0));
        for (a, b) in pairs {
            // A row that begins or ceases to go on in the next is drawn to its end: only a character that is written there
            // lets the terminal wrap, and takes its mark of that away.
            let loses = old.joined != new.joined && a.end == old.line.text().len();
            if a != b || b.end > same || !b.certain || loses {
                break;
            }
            kept.bytes = b.end;
            kept.columns += b.columns;
        }
        kept
    }

    /// Moves to a place within a row that is drawn; returns whether that was another row.
    fn go(&mut self, row: usize, kept: Kept, drawn: &[Row], out: &mut String) -> bool {
        let moved = row != self.at;
        let Row { line, columns, .. } = &drawn[row];
        if !moved && self.at_end && kept.bytes == line.text().len() {
            return false;
        }
        if row < self.at {
            self.up(self.at - row, out);
        } else if moved {
            let _ = write!(out, "\u{1b}[{}B", row - self.at);
        }
        let back = columns.saturating_sub(kept.columns);
        let certain = self
            .widths
            .clusters(line.text(), kept.bytes)
            .all(|cluster| cluster.certain);
        if kept.columns == 0 {
            out.push('\r');
        } else if !moved && self.at_end && certain && *columns < self.columns {
            match back {
                0..=3 => out.push_str(&"\u{8}".repeat(back)),
                _ => {
                    let _ = write!(out, "\u{1b}[{back}D");
                }
            }
        } else {
            let _ = write!(out, "\r\u{1b}[{}C", kept.columns);
        }
        (self.at, self.at_end) = (row, false);
        moved
    }

    /// Moves behind a row that is drawn: to where text goes on, by drawing its last cluster again.
    fn go_to_end(&mut self, row: usize, rows: &[Row], out: &mut String) -> bool {
        if self.at == row && self.at_end {
            return false;
        }
        let kept = self.all_but_last(&rows[row]);
        let moved = self.go(row, kept, rows, out);
        self.write(&rows[row], kept.bytes, out);
        moved
    }

    /// The row up to its last cluster, or to the first of uncertain width.
    fn all_but_last(&self, row: &Row) -> Kept {
        let text = row.line.text();
        let mut kept = Kept::default();
        for cluster in self.widths.clusters(text, 0) {
            if cluster.end == text.len() || !cluster.certain {
                break;
            }
            kept.bytes = cluster.end;
            kept.columns += cluster.columns;
        }
        kept
    }

    fn write(&mut self, row: &Row, from: usize, out: &mut String) {
        for (text, style) in row.line.pieces(from) {
            self.pen.set(style, out);
            out.push_str(text);
        }
        self.pen.rest(out);
        self.at_end = true;
    }

    fn up(&mut self, rows: usize, out: &mut String) {
        match rows {
            0 => {}
            1 => out.push_str("\u{1b}[A"),
            _ => {
                let _ = write!(out, "\u{1b}[{rows}A");
            }
        }
        self.at = self.at.saturating_sub(rows);
    }
}

#[cfg(test)]
mod tests;
