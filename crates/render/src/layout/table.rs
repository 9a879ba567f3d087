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

/// How much text of a row waits for the row's end, in bytes: from the next space on, or after as much again, the row goes
/// on in another one, in the same cell. So what waits of a table is bounded, and with it what it costs to draw it.
const MAX_WAITING: usize = 1024;

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
    /// How much text the last row has, in bytes.
    waiting: usize,
    /// The first of the rows goes on with a row that was too long.
    goes_on: bool,
    /// How wide the columns would be; they are what they are once the head was written.
    natural: Option<Vec<usize>>,
    shape: Option<Shape>,
    hyperlinks: bool,
    inlines: Inlines,
    /// Whether a record was written.
    written: bool,
    /// The last of the rows may not be over.
    pauses: bool,
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
            goes_on: false,
            natural: None,
            shape: None,
            hyperlinks,
            inlines: Inlines::new(BOLD, hyperlinks),
            written: false,
            pauses: false,
        }
    }

    /// The window has another width, and the table this patience. The columns that are settled share the new room; of
    /// columns, records become nothing else, since their head was not written.
    pub(super) fn resize(&mut self, patience: usize) {
        self.patience = patience;
        self.shape = self.shape.take().filter(|shape| matches!(shape, Shape::Records));
    }

    /// A row begins, and the one before is over.
    pub(super) fn row(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        self.close_cell();
        if self.head.is_empty() && !self.rows.is_empty() {
            self.head = self.rows.remove(0);
        }
        if self.natural.is_some() || self.rows.len() > self.patience {
            self.write(page, rows);
        }
        self.rows.push(Vec::new());
        self.waiting = 0;
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

    pub(super) fn text(
        &mut self,
        text: &str,
        attributes: Attributes,
        link: Option<Link<'_>>,
        page: &mut Page,
        rows: &mut Vec<Row>,
    ) {
        let mut rest = text;
        while let Some(end) = self.too_long(rest) {
            let (now, later) = rest.split_at(end);
            self.put(now, attributes, link);
            self.go_on(page, rows);
            rest = later;
        }
        if !rest.is_empty() {
            self.put(rest, attributes, link);
        }
    }

    fn put(&mut self, text: &str, attributes: Attributes, link: Option<Link<'_>>) {
        self.waiting += text.len();
        let mut line = last_line(&mut self.rows);
        self.inlines.text(text, attributes, link, &mut |text, style| {
            append(&mut line, text, style)
        });
    }

    /// Where in its next text the row is too long, which depends on its text alone. A head is as long as the parser's
    /// window at most.
    fn too_long(&self, text: &str) -> Option<usize> {
        if self.head.is_empty() || self.waiting + text.len() <= MAX_WAITING {
            return None;
        }
        let from = text.ceil_char_boundary(MAX_WAITING.saturating_sub(self.waiting));
        let most = text.ceil_char_boundary((2 * MAX_WAITING).saturating_sub(self.waiting));
        let space = text[from..most].find(' ').map(|space| from + space + 1);
        space.or((most < text.len()).then_some(most))
    }

    /// The row is as long as it may be: what comes stands in another one, in the same cell.
    fn go_on(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        let cells = self.rows.last().map_or(0, Vec::len);
        self.write(page, rows);
        self.rows.push(vec![vec![Line::default()]; cells]);
        (self.waiting, self.goes_on) = (0, true);
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

    /// The table ends here, or `pauses`: then its last row stands at the left of its columns, so that what its cells
    /// still become does not move them.
    pub(super) fn end(&mut self, pauses: bool, page: &mut Page, rows: &mut Vec<Row>) {
        self.close_cell();
        if self.head.is_empty() && !self.rows.is_empty() {
            self.head = self.rows.remove(0);
        }
        self.pauses = pauses;
        self.write(page, rows);
    }

    fn close_cell(&mut self) {
        let mut line = last_line(&mut self.rows);
        self.inlines
            .close(&mut |text, style| append(&mut line, text, style));
    }

    /// Writes the rows that wait, and the head if nothing was written before.
    fn write(&mut self, page: &mut Page, rows: &mut Vec<Row>) {
        let mut waiting = std::mem::take(&mut self.rows);
        let goes_on = std::mem::take(&mut self.goes_on);
        let nothing = |row: &Vec<Cell>| row.iter().flatten().all(Line::is_empty);
        if goes_on && waiting.first().is_some_and(nothing) {
            waiting.remove(0);
        }
        let begins = self.natural.is_none();
        let natural = match self.natural.take() {
            Some(natural) => natural,
            None => self.measure(&waiting, page.widths()),
        };
        let shape = match self.shape.take() {
            Some(shape) => shape,
            None => share(&natural, page),
        };
        match &shape {
            Shape::Columns(columns) => {
                if begins {
                    self.write_columns(&self.head, columns, false, page, rows);
                    page.put(&underline(columns, page.widths()), rows);
                }
                for (n, row) in waiting.iter().enumerate() {
                    let open = self.pauses && n + 1 == waiting.len();
                    self.write_columns(row, columns, open, page, rows);
                }
            }
            Shape::Records => {
                if begins && waiting.is_empty() {
                    self.head.iter().flatten().for_each(|line| wrap(line, page, rows));
                }
                for (n, row) in waiting.iter().enumerate() {
                    let goes_on = goes_on && n == 0;
                    if std::mem::replace(&mut self.written, true) && !goes_on {
                        page.part();
                    }
                    self.write_record(row, goes_on, page, rows);
                }
            }
        }
        (self.natural, self.shape) = (Some(natural), Some(shape));
    }

    /// The columns that the cells of each column would take.
    fn measure(&self, waiting: &[Vec<Cell>], widths: Widths) -> Vec<usize> {
        let of_column = |n: usize| {
            let all = std::iter::once(&self.head).chain(waiting);
            let lines = all.filter_map(|row| row.get(n)).flatten();
            let columns = lines.map(|line| widths.of(line.text()));
            columns.max().unwrap_or(0).max(WIDE)
        };
        (0..self.alignments.len()).map(of_column).collect()
    }

    fn write_columns(
        &self,
        row: &[Cell],
        columns: &[usize],
        open: bool,
        page: &mut Page,
        rows: &mut Vec<Row>,
    ) {
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
                    _ if open => 0,
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

    /// Writes a row as a record. One that goes on with another begins within a cell, whose head was told.
    fn write_record(&self, row: &[Cell], goes_on: bool, page: &mut Page, rows: &mut Vec<Row>) {
        let told = |cell: &Cell| cell.iter().any(|line| !line.is_empty());
        for (place, (n, cell)) in row.iter().enumerate().filter(|(_, cell)| told(cell)).enumerate() {
            let mut line = Line::default();
            let head = self.head.get(n).filter(|_| !(goes_on && place == 0));
            for head in head.into_iter().flatten().filter(|head| !head.is_empty()) {
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

/// Columns that fit the room: the widest give way first.
fn share(natural: &[usize], page: &Page) -> Shape {
    let between = page.widths().of(BETWEEN) * natural.len().saturating_sub(1);
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
    let share = |columns: &usize| {
        let more = usize::from(*columns > most && left > 0);
        left -= more;
        (*columns).min(most) + more
    };
    Shape::Columns(natural.iter().map(share).collect())
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
