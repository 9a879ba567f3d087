//! Tables. A table waits for its end, since any row may widen a column; but only for so many rows. Then its columns
//! are what they are, the rows so far are final, and each later one is as it ends, wrapped within its cells.
//!
//! Where the screen is too narrow for columns, every row becomes a record: a line `head: text` for each cell.

use super::inline::Inlines;
use super::page::Page;
use crate::event::{Alignment, Attributes, Link};
use crate::flow::Flow;
use crate::measure::Widths;
use crate::row::{Line, Row};
use crate::style::{Attrs, Style};

/// How much text waits for a table's end, in bytes.
pub(crate) const MAX_WAITING: usize = 64 * 1024;

/// A column is not made narrower than this, unless its cells are.
const NARROW: usize = 6;

/// The least width of a column: one character of any script.
const WIDE: usize = 2;

const BETWEEN: &str = " │ ";
const CROSSING: &str = "─┼─";
const DIM: Style = Style::of(Attrs::DIM);
const BOLD: Style = Style::of(Attrs::BOLD);

/// A table that is not over.
#[derive(Clone, Debug)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    head: Vec<Cell>,
    /// The rows that wait; the last one may not be over.
    rows: Vec<Vec<Cell>>,
    /// How many rows of the body wait at most.
    patience: usize,
    waiting: usize,
    shape: Option<Shape>,
    hyperlinks: bool,
    inlines: Inlines,
    written: usize,
}

/// The lines of a cell.
type Cell = Vec<Line>;

#[derive(Clone, Debug)]
enum Shape {
    Columns(Vec<usize>),
    Records,
}

impl Table {
    pub(super) fn new(alignments: &[Alignment], patience: usize, hyperlinks: bool) -> Self {
        Self {
            alignments: alignments.to_vec(),
            head: Vec::new(),
            rows: Vec::new(),
            patience,
            waiting: 0,
            shape: None,
            hyperlinks,
            inlines: Inlines::new(BOLD, hyperlinks),
            written: 0,
        }
    }

    /// A row begins, and the one before is over.
    pub(super) fn row(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        self.close_cell();
        if self.head.is_empty() && !self.rows.is_empty() {
            self.head = self.rows.remove(0);
        }
        let waits = self.rows.len() <= self.patience && self.waiting <= MAX_WAITING;
        if self.shape.is_some() || !waits {
            self.write(page, rows);
        }
        self.rows.push(Vec::new());
        let base = if self.head.is_empty() {
            BOLD
        } else {
            Style::default()
        };
        self.inlines = Inlines::new(base, self.hyperlinks);
    }

    /// A cell of the row begins.
    pub(super) fn cell(&mut self) {
        self.close_cell();
        self.inlines.hard_break();
        if let Some(row) = self.rows.last_mut()
            && row.len() < self.alignments.len()
        {
            row.push(vec![Line::default()]);
        }
    }

    pub(super) fn text(&mut self, text: &str, attributes: Attributes, link: Option<Link<'_>>) {
        self.waiting += text.len();
        let mut line = last_line(&mut self.rows);
        self.inlines.text(text, attributes, link, &mut |text, style| {
            append(&mut line, text, style)
        });
    }

    pub(super) fn soft_break(&mut self) {
        self.inlines.soft_break();
    }

    pub(super) fn hard_break(&mut self) {
        self.close_cell();
        self.inlines.hard_break();
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            cell.push(Line::default());
        }
    }

    /// The table ends here.
    pub(super) fn end(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        self.close_cell();
        if self.head.is_empty() && !self.rows.is_empty() {
            self.head = self.rows.remove(0);
        }
        self.write(page, rows);
    }

    fn close_cell(&mut self) {
        let mut line = last_line(&mut self.rows);
        self.inlines
            .close(&mut |text, style| append(&mut line, text, style));
    }

    /// Writes the rows that wait, and the head if nothing was written before.
    fn write(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        let waiting = std::mem::take(&mut self.rows);
        self.waiting = 0;
        let begins = self.shape.is_none();
        let shape = match self.shape.take() {
            Some(shape) => shape,
            None => self.decide(&waiting, page),
        };
        match &shape {
            Shape::Columns(columns) => {
                if begins {
                    self.write_columns(&self.head, columns, page, rows);
                    page.put(&underline(columns, page.widths()), rows);
                }
                for row in &waiting {
                    self.write_columns(row, columns, page, rows);
                }
            }
            Shape::Records => {
                if begins && waiting.is_empty() {
                    self.head.iter().flatten().for_each(|line| wrap(line, page, rows));
                }
                for row in &waiting {
                    if std::mem::replace(&mut self.written, 1) > 0 {
                        page.part();
                    }
                    self.write_record(row, page, rows);
                }
            }
        }
        self.shape = Some(shape);
    }

    /// Columns that fit the room: the widest give way first.
    fn decide(&self, waiting: &[Vec<Cell>], page: &Page) -> Shape {
        let widths = page.widths();
        let natural: Vec<usize> = (0..self.alignments.len())
            .map(|n| {
                let cells = std::iter::once(&self.head)
                    .chain(waiting)
                    .filter_map(|row| row.get(n));
                let columns = cells.flatten().map(|line| widths.of(line.text()));
                columns.max().unwrap_or(0).max(WIDE)
            })
            .collect();
        let between = widths.of(BETWEEN) * natural.len().saturating_sub(1);
        let room = page.room().saturating_sub(between);
        let least: usize = natural.iter().map(|columns| (*columns).min(NARROW)).sum();
        if least > room {
            return Shape::Records;
        }
        let taken = |most: usize| natural.iter().map(|columns| (*columns).min(most)).sum::<usize>();
        let (mut most, mut above) = (NARROW, room + 1);
        while most + 1 < above {
            let middle = usize::midpoint(most, above);
            if taken(middle) <= room {
                most = middle;
            } else {
                above = middle;
            }
        }
        let mut left = room.saturating_sub(taken(most));
        let share = |columns: usize| {
            let more = usize::from(columns > most && left > 0);
            left -= more;
            columns.min(most) + more
        };
        Shape::Columns(natural.into_iter().map(share).collect())
    }

    fn write_columns(&self, row: &[Cell], columns: &[usize], page: &mut Page, rows: &mut Vec<Row>) {
        let widths = page.widths();
        let cells: Vec<Vec<Line>> = columns
            .iter()
            .enumerate()
            .map(|(n, width)| row.get(n).map_or_else(Vec::new, |cell| fit(cell, *width, widths)))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        // What has no text yet, or none at all, has no line before it either.
        let used = cells
            .iter()
            .rposition(|cell| !cell.is_empty())
            .map_or(0, |last| last + 1);
        for n in 0..height {
            let mut line = Line::default();
            for (column, (cell, width)) in cells.iter().zip(columns).take(used).enumerate() {
                if column > 0 {
                    line.push(BETWEEN, &DIM);
                }
                let empty = Line::default();
                let text = cell.get(n).unwrap_or(&empty);
                let free = width.saturating_sub(widths.of(text.text()));
                let left = match self.alignments[column] {
                    Alignment::None | Alignment::Left => 0,
                    Alignment::Center => free / 2,
                    Alignment::Right => free,
                };
                line.push(&" ".repeat(left), &Style::default());
                line.append(text);
                line.push(&" ".repeat(free - left), &Style::default());
            }
            page.put(&line, rows);
        }
    }

    fn write_record(&self, row: &[Cell], page: &mut Page, rows: &mut Vec<Row>) {
        let told = |cell: &Cell| cell.iter().any(|line| !line.is_empty());
        for (n, cell) in row.iter().enumerate().filter(|(_, cell)| told(cell)) {
            let mut line = Line::default();
            for head in self
                .head
                .get(n)
                .into_iter()
                .flatten()
                .filter(|head| !head.is_empty())
            {
                line.append(head);
                line.push(" ", &BOLD);
            }
            if !line.is_empty() {
                line = line.trimmed();
                line.push(": ", &BOLD);
            }
            for text in cell {
                line.append(text);
                wrap(&std::mem::take(&mut line), page, rows);
            }
        }
    }
}

fn last_line(rows: &mut [Vec<Cell>]) -> Option<&mut Line> {
    rows.last_mut()?.last_mut()?.last_mut()
}

fn append(line: &mut Option<&mut Line>, text: &str, style: &Style) {
    if let Some(line) = line {
        line.push(text, style);
    }
}

/// The line under the head.
fn underline(columns: &[usize], widths: Widths) -> Line {
    let each = |width: &usize| "─".repeat(width / widths.of("─").max(1));
    let columns: Vec<String> = columns.iter().map(each).collect();
    Line::of(&columns.join(CROSSING), &DIM)
}

/// The rows of a cell of this width.
fn fit(cell: &[Line], width: usize, widths: Widths) -> Vec<Line> {
    let mut rows = Vec::new();
    for line in cell {
        let mut flow = Flow::default();
        let mut take = |row: Option<Line>| {
            rows.extend(row);
            width
        };
        for (text, style) in line.pieces(0) {
            flow.push(text, style, widths, &mut take);
        }
        flow.end(widths, &mut take);
    }
    rows
}

/// A line as running text.
fn wrap(line: &Line, page: &mut Page, rows: &mut Vec<Row>) {
    for row in fit(std::slice::from_ref(line), page.room(), page.widths()) {
        page.put(&row, rows);
    }
}
