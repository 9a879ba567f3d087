//! The rest of a line, behind what its beginning says: it comes in pieces, and goes to the open block.

use crate::event::{Alignment, Event};

use super::Sink;
use super::blocks::{Blocks, verbatim};
use super::leaf::{Leaf, Table};
use super::marker::heading_text;
use super::table::{self, Step};
use super::text::Text;

/// How much text is taken at a time, in bytes.
const PIECE: usize = 4096;

impl Blocks {
    /// More of the line, without its end.
    pub(super) fn flow(&mut self, text: &str, sink: Sink<'_>) {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
            self.flow_piece(piece, sink);
            rest = after;
        }
    }

    /// A piece of the line. What is held of it is bounded by what has to be held and the piece.
    fn flow_piece(&mut self, piece: &str, sink: Sink<'_>) {
        let window = self.limits.window;
        match &mut self.leaf {
            Leaf::None => {}
            Leaf::Paragraph(paragraph) => {
                if !paragraph.holding {
                    return self.text.push(piece, sink);
                }
                paragraph.held.push_str(piece);
                if paragraph.held.len() > paragraph.patience(self.limits.heading, window) {
                    self.commit(sink);
                }
            }
            Leaf::Heading { long: true, .. } => self.text.push(piece, sink),
            Leaf::Heading { held, long } => {
                held.push_str(piece);
                if held.len() > window {
                    *long = true;
                    self.text.push(held.trim_start(), sink);
                    held.clear();
                }
            }
            Leaf::Fenced(_) | Leaf::Indented { .. } => sink(Event::Verbatim(piece)),
            Leaf::Html(html) => {
                html.look(piece);
                sink(Event::Verbatim(piece));
            }
            Leaf::Math { line, .. } => {
                line.push_str(piece);
                let told = line.floor_char_boundary(line.len().saturating_sub(window));
                verbatim(&line[..told], sink);
                line.drain(..told);
            }
            Leaf::Table(table) => {
                let Table {
                    columns,
                    cells,
                    column,
                } = table;
                cells.eat(piece, |step| {
                    tell_step(step, columns, column, &mut self.text, sink)
                });
            }
        }
    }

    /// The line ends; `fed` says whether by a line feed.
    pub(super) fn end_line(&mut self, fed: bool, sink: Sink<'_>) {
        if !std::mem::take(&mut self.flows) {
            return;
        }
        match &mut self.leaf {
            Leaf::None | Leaf::Paragraph(_) => {}
            Leaf::Heading { held, .. } => {
                self.text.push(heading_text(held), sink);
                self.close_leaf(sink);
            }
            Leaf::Fenced(_) | Leaf::Indented { .. } => verbatim(if fed { "\n" } else { "" }, sink),
            Leaf::Html(html) => {
                verbatim(if fed { "\n" } else { "" }, sink);
                if html.end_line() {
                    self.close_leaf(sink);
                }
            }
            Leaf::Math { close, line } => {
                let text = std::mem::take(line);
                match text.trim_end().strip_suffix(*close) {
                    Some(text) => {
                        verbatim(text.trim_end(), sink);
                        self.close_leaf(sink);
                    }
                    None => {
                        verbatim(&text, sink);
                        verbatim(if fed { "\n" } else { "" }, sink);
                    }
                }
            }
            Leaf::Table(_) => self.end_row(sink),
        }
    }

    /// The row ends: cells that it lacks are empty.
    pub(super) fn end_row(&mut self, sink: Sink<'_>) {
        let Leaf::Table(Table {
            columns,
            cells,
            column,
        }) = &mut self.leaf
        else {
            return;
        };
        cells.finish(|step| tell_step(step, columns, column, &mut self.text, sink));
        for _ in *column..columns.len() {
            sink(Event::Cell);
        }
        *column = 0;
    }

    /// Ends the open block.
    pub(super) fn close_leaf(&mut self, sink: Sink<'_>) {
        self.commit(sink);
        match std::mem::take(&mut self.leaf) {
            Leaf::None => return,
            Leaf::Paragraph(_) | Leaf::Heading { .. } => self.text.finish(sink),
            Leaf::Math { line, .. } => verbatim(&line, sink),
            Leaf::Fenced(_) => return sink(Event::End { closed: false }),
            Leaf::Indented { .. } | Leaf::Html(_) | Leaf::Table(_) => {}
        }
        sink(Event::End { closed: true });
    }

    /// Tells what the screen should show of the open blocks if no more came, and ends them. For a copy only.
    pub(super) fn pretend(&mut self, sink: Sink<'_>) {
        self.pretend_table(sink);
        match &mut self.leaf {
            Leaf::Paragraph(_) => self.commit(sink),
            Leaf::Heading { held, .. } => {
                self.text.push(heading_text(held), sink);
            }
            // Half of what closes it is not shown.
            Leaf::Math { close, line } => {
                let trimmed = line.trim_end();
                let text = trimmed.trim_end_matches(['$', '\\', ']']);
                let closes = trimmed.len() - text.len() <= close.len();
                verbatim(if closes { text.trim_end() } else { line }, sink);
                line.clear();
            }
            Leaf::None | Leaf::Fenced(_) | Leaf::Indented { .. } | Leaf::Html(_) | Leaf::Table(_) => {}
        }
        self.text.pretend(sink);
        match &mut self.leaf {
            Leaf::Fenced(_) => {
                self.leaf = Leaf::None;
                sink(Event::End { closed: true });
            }
            Leaf::Table(_) if self.flows => self.end_row(sink),
            _ => {}
        }
        self.close(sink);
    }

    /// A line that begins with a pipe is shown as the head of the table that it will most likely be.
    fn pretend_table(&mut self, sink: Sink<'_>) {
        if let Leaf::Paragraph(paragraph) = &self.leaf
            && paragraph.holding
            && paragraph.held.starts_with('|')
        {
            let columns = table::count(&paragraph.held).clamp(1, self.limits.columns);
            self.become_table(vec![Alignment::None; columns], sink);
        }
    }
}

/// Tells one step of a row. Cells that no column has are left out.
fn tell_step(step: Step<'_>, columns: &[Alignment], column: &mut usize, text: &mut Text, sink: Sink<'_>) {
    let exists = *column < columns.len();
    match step {
        Step::Begin if exists => sink(Event::Cell),
        Step::Text(piece) if exists => text.push(piece, sink),
        Step::End if exists => text.finish(sink),
        Step::Begin | Step::Text(_) | Step::End => {}
    }
    *column += usize::from(step == Step::End);
}
