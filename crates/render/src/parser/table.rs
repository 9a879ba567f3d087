//! Tables (GFM, "Tables"): the row of delimiters, and where the cells of a row lie.

use crate::event::Alignment;

use super::scan::{More, Scan};

/// The alignments that a row of delimiters gives its columns; `None` if the line is no such row or has more columns
/// than `limit`. A pipe is asked for, so that `---` stays an underline.
pub(super) fn delimiters(mut scan: Scan<'_>, limit: usize) -> Result<Option<Vec<Alignment>>, More> {
    let mut columns = Vec::new();
    let mut piped = scan.eat(b'|')?;
    loop {
        scan.blanks()?;
        let left = scan.eat(b':')?;
        if scan.eat_while(usize::MAX, |byte| byte == b'-')? == 0 || columns.len() == limit {
            return Ok(None);
        }
        let right = scan.eat(b':')?;
        columns.push(match (left, right) {
            (false, false) => Alignment::None,
            (true, false) => Alignment::Left,
            (false, true) => Alignment::Right,
            (true, true) => Alignment::Center,
        });
        scan.blanks()?;
        let pipe = scan.eat(b'|')?;
        piped |= pipe;
        if scan.only_blanks()? {
            return Ok(piped.then_some(columns));
        }
        if !pipe {
            return Ok(None);
        }
    }
}

/// Whether a pipe in the row parts cells.
pub(super) fn has_pipe(row: &str) -> bool {
    let mut before = b' ';
    row.bytes()
        .any(|byte| std::mem::replace(&mut before, byte) != b'\\' && byte == b'|')
}

/// How many cells a row has.
pub(super) fn count(row: &str) -> usize {
    let mut cells = Cells::default();
    let mut count = 0;
    cells.eat(row, |step| count += usize::from(matches!(step, Step::Begin)));
    count
}

/// What the text of a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The next cell begins.
    Begin,
    /// Text of the cell, escaped pipes resolved.
    Text(&'a str),
    /// The cell ends.
    End,
}

/// Finds the cells of one row, in pieces. A pipe that is not escaped parts them wherever it stands, in code too; one at
/// either end of the row is none's border.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cells {
    /// The first pipe of the row, which may stand before all cells, is behind.
    begun: bool,
    /// A cell is open.
    open: bool,
    /// A backslash came last; whether it is part of the text depends on what comes next.
    escape: bool,
}

impl Cells {
    pub(super) fn eat<'a>(&mut self, mut piece: &'a str, mut sink: impl FnMut(Step<'a>)) {
        while let Some(&byte) = piece.as_bytes().first() {
            if std::mem::take(&mut self.escape) {
                if byte == b'|' {
                    sink(Step::Text("|"));
                    piece = &piece[1..];
                    continue;
                }
                sink(Step::Text("\\"));
            }
            match byte {
                b'|' => {
                    if !self.open && self.begun {
                        sink(Step::Begin);
                    }
                    if std::mem::take(&mut self.open) || self.begun {
                        sink(Step::End);
                    }
                    self.begun = true;
                    piece = &piece[1..];
                }
                b' ' | b'\t' if !self.open => piece = &piece[1..],
                _ => {
                    if !std::mem::replace(&mut self.open, true) {
                        self.begun = true;
                        sink(Step::Begin);
                    }
                    self.escape = byte == b'\\';
                    if self.escape {
                        piece = &piece[1..];
                        continue;
                    }
                    let end = memchr::memchr2(b'|', b'\\', piece.as_bytes()).unwrap_or(piece.len());
                    sink(Step::Text(&piece[..end]));
                    piece = &piece[end..];
                }
            }
        }
    }

    /// The row ends: tells what is left of it.
    pub(super) fn finish<'a>(&mut self, mut sink: impl FnMut(Step<'a>)) {
        if self.escape {
            sink(Step::Text("\\"));
        }
        if self.open {
            sink(Step::End);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::Edge;
    use super::*;

    fn cells(row: &str, size: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = 0;
        let mut take = |step: Step<'_>| match step {
            Step::Begin => {
                open += 1;
                found.push(String::new());
            }
            Step::Text(text) => found.last_mut().unwrap().push_str(text),
            Step::End => open -= 1,
        };
        let mut cells = Cells::default();
        for piece in row.as_bytes().chunks(size) {
            cells.eat(std::str::from_utf8(piece).unwrap(), &mut take);
        }
        cells.finish(&mut take);
        assert_eq!(open, 0);
        found.iter().map(|cell| cell.trim_end().to_owned()).collect()
    }

    #[test]
    fn rows() {
        for (row, expected) in [
            ("| a | b |", &["a", "b"] as &[&str]),
            ("a|b", &["a", "b"]),
            ("|a|", &["a"]),
            ("||", &[""]),
            ("| a || b", &["a", "", "b"]),
            ("a", &["a"]),
            ("|", &[]),
            ("", &[]),
            (r"a \| b | c", &["a | b", "c"]),
            (r"`a\|b`|\*", &["`a|b`", r"\*"]),
            (r"a\", &[r"a\"]),
        ] {
            for size in 1..=row.len().max(1) {
                assert_eq!(cells(row, size), expected, "{row:?} by {size}");
            }
            assert_eq!(count(row), expected.len(), "{row:?}");
        }
    }

    #[test]
    fn delimiter_rows() {
        use Alignment::{Center, Left, None as Natural, Right};
        let whole = |row| delimiters(Scan::new(row, Edge::End), 4).unwrap();
        assert_eq!(whole("|---|:-:|"), Some(vec![Natural, Center]));
        assert_eq!(whole(":- | -:"), Some(vec![Left, Right]));
        for row in ["---", ":-:", "|", "| |", "|-a|", "|-|-|-|-|-|", "|--|x"] {
            assert_eq!(whole(row), None, "{row}");
        }
        assert_eq!(delimiters(Scan::new("|--", Edge::Open), 4), Err(More));
    }
}
