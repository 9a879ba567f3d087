//! What stands around blocks: quote bars, markers, hanging indents, and the blank rows between.

use crate::event::Container;
use crate::measure::Widths;
use crate::row::{Line, Row, cut};
use crate::style::{Attrs, Style};

const BAR: &str = "│ ";
const DIM: Style = Style::of(Attrs::DIM);
const PLAIN: Style = Style::of(Attrs::NONE);

/// The containers that are open, and what is due before the next row.
#[derive(Clone, Debug)]
pub(super) struct Page {
    columns: usize,
    widths: Widths,
    levels: Vec<Level>,
    /// A blank row is due, within so many of the containers.
    gap: Option<usize>,
    /// Whether anything was written.
    started: bool,
}

#[derive(Clone, Debug)]
struct Level {
    kind: Kind,
    /// What its rows begin with has this width, unless it is one of too many.
    columns: usize,
    /// Nothing of it was written.
    fresh: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Quote,
    /// A list, and the number of its next item.
    List(Option<u64>),
    /// An item, and its marker.
    Item(String),
}

impl Page {
    pub(super) fn new(columns: usize, widths: Widths) -> Self {
        Self {
            columns,
            widths,
            levels: Vec::new(),
            gap: None,
            started: false,
        }
    }

    pub(super) fn resize(&mut self, columns: usize) {
        self.columns = columns;
    }

    pub(super) fn widths(&self) -> Widths {
        self.widths
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// How many containers are open.
    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn enter(&mut self, container: Container) {
        let kind = match container {
            Container::Quote => Kind::Quote,
            Container::List { start } => Kind::List(start),
            Container::Item { task } => Kind::Item(self.marker(task)),
        };
        let columns = match &kind {
            Kind::Quote => self.widths.of(BAR),
            Kind::List(_) => 0,
            Kind::Item(marker) => self.widths.of(marker),
        };
        self.levels.push(Level {
            kind,
            columns,
            fresh: true,
        });
    }

    /// Leaves the innermost container; an item without content is a row all the same.
    pub(super) fn leave(&mut self, rows: &mut Vec<Row>) {
        if matches!(
            self.levels.last(),
            Some(Level {
                kind: Kind::Item(_),
                fresh: true,
                ..
            })
        ) {
            self.put(&Line::default(), rows);
        }
        self.levels.pop();
    }

    /// A blank row is due before what comes next, here.
    pub(super) fn part(&mut self) {
        let depth = self.levels.len();
        self.gap = Some(self.gap.map_or(depth, |gap| gap.min(depth)));
    }

    /// The columns that the next row has for its text.
    pub(super) fn room(&self) -> usize {
        let (mut line, mut stop) = self.lead_of(self.levels.len(), 0);
        while let Some(alone) = stop {
            // That marker gets a row of its own before.
            (line, stop) = self.lead_of(self.levels.len(), alone + 1);
        }
        self.columns.saturating_sub(self.widths.of(line.text())).max(1)
    }

    /// Writes a row, without spaces at its end.
    pub(super) fn put(&mut self, text: &Line, rows: &mut Vec<Row>) {
        let mut line = self.lead(rows);
        line.append(text);
        // Rows fit, but for a table's whose window has become narrower.
        let last = cut(line.trimmed(), self.columns, self.widths, rows);
        rows.push(last);
    }

    /// Begins a row: writes what is due before it, and returns what it begins with.
    pub(super) fn lead(&mut self, rows: &mut Vec<Row>) -> Line {
        if let Some(gap) = self.gap.take() {
            let gap = gap.min(self.levels.len());
            if self.started && self.levels[..gap].iter().all(|level| !level.fresh) {
                let (line, _) = self.lead_of(gap, gap);
                rows.push(Row::new(line.trimmed(), self.widths));
            }
        }
        self.started = true;
        loop {
            let (line, stop) = self.lead_of(self.levels.len(), 0);
            let Some(stop) = stop else {
                self.levels.iter_mut().for_each(|level| level.fresh = false);
                return line;
            };
            // A marker for which there is no room in the row of its text has one of its own.
            let (mut alone, _) = self.lead_of(stop, 0);
            if let Kind::Item(marker) = &self.levels[stop].kind {
                alone.push(marker, &PLAIN);
            }
            let last = cut(alone.trimmed(), self.columns, self.widths, rows);
            rows.push(last);
            self.levels[..=stop]
                .iter_mut()
                .for_each(|level| level.fresh = false);
        }
    }

    /// What a row within the first containers begins with, the markers that are due from the level `marked` on included,
    /// and the item whose marker found no room. Containers take half of the width at most; those deeper add nothing but their markers, as
    /// long as a quarter is left.
    fn lead_of(&self, depth: usize, marked: usize) -> (Line, Option<usize>) {
        let (mut line, mut used) = (Line::default(), 0);
        for (n, level) in self.levels[..depth].iter().enumerate() {
            let hangs = used + level.columns <= self.columns / 2;
            match &level.kind {
                Kind::Quote if hangs => line.push(BAR, &DIM),
                Kind::Item(marker) if level.fresh && n >= marked => {
                    if used + level.columns > self.columns * 3 / 4 {
                        return (line, Some(n));
                    }
                    line.push(marker, &PLAIN);
                    used += level.columns;
                    continue;
                }
                Kind::Item(_) if hangs => line.push(&" ".repeat(level.columns), &PLAIN),
                Kind::Quote | Kind::Item(_) | Kind::List(_) => continue,
            }
            used += level.columns;
        }
        (line, None)
    }

    fn marker(&mut self, task: Option<bool>) -> String {
        let number = match self.levels.last_mut() {
            Some(Level {
                kind: Kind::List(Some(next)),
                ..
            }) => {
                let number = *next;
                *next = next.saturating_add(1);
                Some(number)
            }
            _ => None,
        };
        let task = task.map(|done| if done { "☑ " } else { "☐ " });
        match number {
            Some(number) => format!("{number}. {}", task.unwrap_or_default()),
            None => task.unwrap_or("• ").to_owned(),
        }
    }
}
