//! Code, math set apart and HTML: lines as they are, never broken into other lines.
//!
//! A line too long for the screen is left to the terminal to wrap; the rows it takes are counted as the terminal does.
//! Tabs become spaces up to the next stop: on a terminal a tab is a movement of the cursor, over whatever stands there, and
//! most terminals copy it as spaces anyway. Whoever needs them (a makefile) takes the text, not the screen.

use unicode_width::UnicodeWidthChar as _;

use super::page::Page;
use crate::highlight::Highlighter;
use crate::row::{Line, Row, cut};
use crate::style::Style;
use crate::visible;

/// The longest line that is highlighted, in bytes. Until it ends it is held back, and highlighted anew in each frame; one
/// that is longer is plain. Where nothing is highlighted, nothing is held back.
pub(crate) const MAX_LINE: usize = 512;

/// How far a line may stand from the margin in a list, in spaces: less is to be removed from what was copied.
const MARGIN: &str = "    ";

/// Every so many columns there is a tab stop.
const TAB: usize = 4;

/// Lines of a block that is not over.
#[derive(Clone, Debug)]
pub(super) struct Code {
    indent: &'static str,
    style: Style,
    highlighter: Option<Highlighter>,
    /// The line that has not ended.
    line: String,
    /// The last row of a line that is not held back, and the column it has reached.
    long: Option<(Line, usize)>,
}

impl Code {
    pub(super) fn new(indent: &'static str, style: Style, highlighter: Option<Highlighter>) -> Self {
        Self {
            indent,
            style,
            highlighter,
            line: String::new(),
            long: None,
        }
    }

    /// The next piece, line feeds included.
    pub(super) fn push(&mut self, text: &str, page: &mut Page, rows: &mut Vec<Row>) {
        for piece in text.split_inclusive('\n') {
            let (piece, ends) = match piece.strip_suffix('\n') {
                Some(piece) => (piece.strip_suffix('\r').unwrap_or(piece), true),
                None => (piece, false),
            };
            self.grow(piece, page, rows);
            if ends {
                self.end_line(page, rows);
            }
        }
    }

    /// The block ends here.
    pub(super) fn end(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        if !self.line.is_empty() || self.long.is_some() {
            self.end_line(page, rows);
        }
    }

    fn grow(&mut self, piece: &str, page: &mut Page, rows: &mut Vec<Row>) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.floor_char_boundary(MAX_LINE));
            rest = later;
            visible::within_code(now, &mut self.line);
            let held = self.highlighter.is_some() && self.line.len() <= MAX_LINE;
            if self.long.is_none() && !held && !self.line.is_empty() {
                let mut line = lead(page, rows);
                line.push(self.indent, &Style::default());
                self.long = Some((line, 0));
            }
            if let Some((line, column)) = &mut self.long {
                set(&self.line, &self.style, column, line);
                self.line.clear();
                *line = cut(std::mem::take(line), page.columns(), page.widths(), rows).line;
            }
        }
    }

    fn end_line(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        let line = match self.long.take() {
            Some((line, _)) => line,
            None => self.set_line(page, rows),
        };
        let last = cut(line, page.columns(), page.widths(), rows);
        rows.push(last);
    }

    fn set_line(&mut self, page: &mut Page, rows: &mut Vec<Row>) -> Line {
        let lead = lead(page, rows);
        let text = std::mem::take(&mut self.line);
        if text.is_empty() {
            if let Some(highlighter) = &mut self.highlighter {
                highlighter.line(&text, |_, _| {});
            }
            return lead.trimmed();
        }
        let (mut line, mut column) = (lead, 0);
        line.push(self.indent, &Style::default());
        match &mut self.highlighter {
            Some(highlighter) => {
                highlighter.line(&text, |text, style| set(text, style, &mut column, &mut line))
            }
            None => set(&text, &self.style, &mut column, &mut line),
        }
        line
    }
}

/// What a line begins with.
fn lead(page: &mut Page, rows: &mut Vec<Row>) -> Line {
    let lead = page.lead(rows);
    let far = lead.text().len() > MARGIN.len() && lead.text().bytes().all(|byte| byte == b' ');
    if far {
        Line::of(MARGIN, &Style::default())
    } else {
        lead
    }
}

/// Appends text whose tabs become as many spaces as they stand for.
fn set(text: &str, style: &Style, column: &mut usize, line: &mut Line) {
    let mut pieces = text.split('\t').peekable();
    while let Some(piece) = pieces.next() {
        line.push(piece, style);
        *column += piece.chars().filter_map(|c| c.width()).sum::<usize>();
        if pieces.peek().is_some() {
            let spaces = TAB - *column % TAB;
            line.push(&"    "[..spaces], style);
            *column += spaces;
        }
    }
}
