//! A place in the beginning of a line, with its column: tabs stand for the spaces up to the next multiple of four, and
//! a container may take some of these (CommonMark 2.2).

use super::scan::{Edge, More, Scan};

/// The distance between tab stops, in columns.
const TAB: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    scan: Scan<'a>,
    column: usize,
    /// Columns of a tab that has been stepped over which nothing has taken.
    spare: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of a line, of which rules may look at `window` bytes.
    pub(super) fn new(line: &'a str, edge: Edge, window: usize) -> Self {
        Self {
            scan: Scan::within(line, edge, window),
            column: 0,
            spare: 0,
        }
    }

    /// A scan from here; white space that is left of a tab is not in it.
    pub(super) fn scan(&self) -> Scan<'a> {
        self.scan
    }

    pub(super) fn at(&self) -> usize {
        self.scan.at()
    }

    pub(super) fn spare(&self) -> usize {
        self.spare
    }

    /// How many columns of white space come next, up to `enough`.
    pub(super) fn indent(&self, enough: usize) -> Result<usize, More> {
        let mut ahead = *self;
        ahead.skip(enough)
    }

    /// Steps over white space of at most so many columns, and says how many they were.
    pub(super) fn skip(&mut self, columns: usize) -> Result<usize, More> {
        let mut taken = self.spare.min(columns);
        self.spare -= taken;
        while taken < columns {
            let width = match self.scan.peek()? {
                Some(b' ') => 1,
                Some(b'\t') => TAB - self.column % TAB,
                _ => break,
            };
            self.scan.bump();
            self.column += width;
            let used = width.min(columns - taken);
            taken += used;
            self.spare = width - used;
        }
        Ok(taken)
    }

    /// Whether nothing but white space is left of the line.
    pub(super) fn is_blank(&self) -> Result<bool, More> {
        self.scan.only_blanks()
    }

    /// Steps over so many bytes, each a column wide.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.scan.advance(bytes);
        self.column += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_taken_in_parts() {
        let mut cursor = Cursor::new("\t\tx", Edge::End, 100);
        assert_eq!(cursor.indent(100), Ok(8));
        assert_eq!(cursor.skip(2), Ok(2));
        assert_eq!((cursor.at(), cursor.spare()), (1, 2));
        assert_eq!(cursor.indent(100), Ok(6));
        assert_eq!(cursor.skip(3), Ok(3));
        assert_eq!((cursor.at(), cursor.spare()), (2, 3));
    }

    #[test]
    fn enough_is_known_before_the_line_is() {
        let cursor = Cursor::new("    ", Edge::Open, 100);
        assert_eq!(cursor.indent(4), Ok(4));
        assert_eq!(cursor.indent(5), Err(More));
        assert_eq!(cursor.is_blank(), Err(More));
        assert_eq!(Cursor::new("    ", Edge::Cut, 100).is_blank(), Ok(false));
    }
}
