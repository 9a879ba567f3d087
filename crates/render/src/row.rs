//! Text with a style on every part of it, and rows made of such text.

use crate::measure::{MAX_ROW, Widths};
use crate::style::Style;

/// Styled text within one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// In order; neighbours differ in style, none is empty, the last one ends where the text does.
    runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    end: usize,
    style: Style,
}

impl Line {
    pub(crate) fn of(text: &str, style: &Style) -> Self {
        let mut line = Self::default();
        line.push(text, style);
        line
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn push(&mut self, text: &str, style: &Style) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let end = self.text.len();
        match self.runs.last_mut() {
            Some(run) if run.style == *style => run.end = end,
            _ => self.runs.push(Run {
                end,
                style: style.clone(),
            }),
        }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        for (text, style) in other.pieces(0) {
            self.push(text, style);
        }
    }

    /// The text from a byte on, in pieces of one style.
    pub(crate) fn pieces(&self, from: usize) -> impl Iterator<Item = (&str, &Style)> {
        let mut start = 0;
        self.runs.iter().filter_map(move |run| {
            let begin = start.max(from);
            start = run.end;
            (begin < run.end).then(|| (&self.text[begin..run.end], &run.style))
        })
    }

    /// The style of the byte.
    pub(crate) fn style_at(&self, byte: usize) -> Option<&Style> {
        let run = self.runs.partition_point(|run| run.end <= byte);
        self.runs.get(run).map(|run| &run.style)
    }

    /// Takes the first bytes away as a line of their own.
    pub(crate) fn split(&mut self, at: usize) -> Self {
        let rest = Self {
            text: self.text.split_off(at),
            runs: self.runs_from(at),
        };
        let mut head = std::mem::replace(self, rest);
        head.cut_runs();
        head
    }

    /// Without the spaces at its end.
    pub(crate) fn trimmed(mut self) -> Self {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.cut_runs();
        self
    }

    /// How many bytes both begin with that also look the same.
    pub(crate) fn common(&self, other: &Self) -> usize {
        let (a, b) = (self.text.as_bytes(), other.text.as_bytes());
        let most = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let mut same = 0;
        while same < most {
            if self.style_at(same) != other.style_at(same) {
                break;
            }
            let end = |line: &Self| {
                line.runs
                    .get(line.runs.partition_point(|run| run.end <= same))
                    .map_or(0, |run| run.end)
            };
            same = end(self).min(end(other)).min(most);
        }
        same
    }

    fn runs_from(&self, at: usize) -> Vec<Run> {
        let moved = |run: &Run| Run {
            end: run.end - at,
            style: run.style.clone(),
        };
        self.runs.iter().filter(|run| run.end > at).map(moved).collect()
    }

    fn cut_runs(&mut self) {
        let end = self.text.len();
        let needed = self.runs.partition_point(|run| run.end < end);
        self.runs.truncate(if end == 0 { 0 } else { needed + 1 });
        if let Some(last) = self.runs.last_mut() {
            last.end = end;
        }
    }
}

/// One row of the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: Line,
    pub(crate) columns: usize,
    /// The next row goes on with the same line: the terminal itself wraps, and copying joins both again.
    pub(crate) joined: bool,
}

impl Row {
    pub(crate) fn new(line: Line, widths: Widths) -> Self {
        Self {
            columns: widths.of(line.text()),
            line,
            joined: false,
        }
    }
}

/// Cuts what is too long for a row as a terminal does that wraps; the last row may still grow.
pub(crate) fn cut(mut line: Line, width: usize, widths: Widths, rows: &mut Vec<Row>) -> Row {
    let width = width.max(2);
    loop {
        let (mut columns, text) = (0, line.text());
        let over = widths.clusters(text, 0).find(|cluster| {
            let fits = columns + cluster.columns <= width && cluster.start <= MAX_ROW;
            columns += if fits { cluster.columns } else { 0 };
            !fits
        });
        let Some(over) = over else {
            return Row {
                line,
                columns,
                joined: false,
            };
        };
        let end = if over.start > 0 {
            over.start
        } else {
            widths.fits(text, width)
        };
        if end == text.len() {
            return Row::new(line, widths);
        }
        let head = Row::new(line.split(end), widths);
        // The terminal wraps where the next character finds no room. That is not so for one without width, nor for an
        // emoji of several characters, of which some terminals would put the first ones here.
        let next = line.text().chars().next().map_or(0, |c| widths.char(c));
        rows.push(Row {
            joined: head.columns + next > width,
            ..head
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Attrs;

    fn line() -> Line {
        let mut line = Line::of("ab", &Style::default());
        line.push("cd", &Style::of(Attrs::BOLD));
        line.push("  ", &Style::of(Attrs::BOLD));
        line
    }

    #[test]
    fn a_line_is_cut_anywhere() {
        for at in 0..=6 {
            let mut rest = line();
            let mut head = rest.split(at);
            assert_eq!((head.text(), rest.text()), (&"abcd  "[..at], &"abcd  "[at..]));
            head.append(&rest);
            assert_eq!(head, line(), "{at}");
        }
        assert_eq!(line().trimmed().text(), "abcd");
        assert_eq!(Line::of("  ", &Style::default()).trimmed(), Line::default());
    }

    #[test]
    fn a_cluster_wider_than_the_row_is_cut_as_a_terminal_wraps() {
        for (text, width, expected) in [
            (
                "ᄀᄀᄀᄀᄀ",
                5,
                &[("ᄀᄀ", true), ("ᄀᄀ", true), ("ᄀ", false)][..],
            ),
            ("aᄀᄀᄀ", 5, &[("a", false), ("ᄀᄀ", true), ("ᄀ", false)]),
            ("abcde", 3, &[("abc", true), ("de", false)]),
            ("ab日", 3, &[("ab", true), ("日", false)]),
            ("abc👍🏽", 5, &[("abc", false), ("👍🏽", false)]),
        ] {
            let mut rows = Vec::new();
            let last = cut(
                Line::of(text, &Style::default()),
                width,
                Widths::default(),
                &mut rows,
            );
            rows.push(last);
            let rows: Vec<(&str, bool)> = rows.iter().map(|row| (row.line.text(), row.joined)).collect();
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn what_is_common_looks_the_same() {
        let plain = Line::of("abcd  ", &Style::default());
        assert_eq!(line().common(&plain), 2);
        assert_eq!(line().common(&line()), 6);
        assert_eq!(line().common(&line().trimmed()), 4);
        assert_eq!(Line::default().common(&line()), 0);
        assert_eq!(
            line().pieces(3).map(|(text, _)| text).collect::<Vec<_>>(),
            ["d  "]
        );
    }
}
