//! Where a terminal's cursor stands in its row, as far as that can be known from what was written to it.
//!
//! Nobody is asked: terminals answer late, on standard input, or not at all. Instead widths are added up as Unicode
//! gives them (Annex 11), with two bounds, because terminals differ about ambiguous characters, emoji and joined
//! scripts. While both bounds agree, wrapping is followed from row to row. Once they differ, a wrap may or may not have
//! happened, and nothing is known until the next line begins.

use unicode_width::UnicodeWidthChar as _;

/// How far apart tab stops are, unless somebody has moved them.
const TAB: usize = 8;

/// A column, counted from 0; it may be the terminal's width while a wrap is pending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// The terminal's; 0 while it is unknown.
    width: usize,
    /// The least and the most the column can be.
    at: Option<(usize, usize)>,
    /// Whether ambiguous characters (Annex 11) may be wide here, as in fonts made for Chinese, Japanese and Korean.
    ambiguous: bool,
    /// Inside an escape sequence; there are none but those that set colours, which end with `m`.
    escape: bool,
}

impl Column {
    /// The beginning of a line, on a terminal of a width that is still to be told.
    pub(super) fn new(ambiguous: bool) -> Self {
        Self {
            width: 0,
            at: Some((0, 0)),
            ambiguous,
            escape: false,
        }
    }

    /// The terminal has this width now. Text that stood in another one may have moved.
    pub(super) fn resize(&mut self, width: usize) {
        if width != self.width && self.at != Some((0, 0)) {
            self.at = None;
        }
        self.width = width;
    }

    /// The cursor stands here, says who knows; `None` if nobody does.
    pub(super) fn set(&mut self, column: Option<usize>) {
        self.at = column.map(|column| (column, column));
    }

    /// This was written.
    pub(super) fn write(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\u{1b}' => self.escape = true,
                _ if self.escape => self.escape = c != 'm',
                '\n' => self.at = Some((0, 0)),
                '\t' => self.at = self.at.and_then(|at| self.after_tab(at)),
                c => self.at = self.at.and_then(|at| self.after(at, c)),
            }
        }
    }

    /// How many columns are certainly free to the right of the cursor, less one, since writing the last one may wrap.
    /// `None` if that is not known, or a wrap is pending.
    pub(super) fn free(&self) -> Option<usize> {
        let (_, most) = self.at?;
        self.width.checked_sub(most + 1)
    }

    /// Whether the cursor certainly stands where a line begins.
    pub(super) fn is_at_start(&self) -> bool {
        self.at == Some((0, 0))
    }

    fn after_tab(&self, (least, most): (usize, usize)) -> Option<(usize, usize)> {
        let stop = |at: usize| (at / TAB + 1) * TAB;
        // In the last columns terminals disagree about what a tab does.
        (stop(most) < self.width).then(|| (stop(least), stop(most)))
    }

    fn after(&self, (least, most): (usize, usize), c: char) -> Option<(usize, usize)> {
        let (narrow, wide) = self.widths(c);
        if most + wide <= self.width {
            return Some((least + narrow, most + wide));
        }
        // A character that does not fit begins the next row.
        let certain = least == most && narrow == wide && wide <= self.width;
        certain.then_some((wide, wide))
    }

    /// The least and the most columns that terminals give the character.
    fn widths(&self, c: char) -> (usize, usize) {
        let width = c.width().unwrap_or(0);
        match c {
            '\u{20}'..='\u{7e}' => (1, 1),
            // Combining marks that every terminal puts on the letter before.
            '\u{300}'..='\u{36f}' => (0, 0),
            // A soft hyphen is shown by some and not by others.
            '\u{ad}' => (0, 1),
            // Alphabets of Europe and their typography; arrows, mathematics, box drawing.
            '\u{a0}'..='\u{58f}'
            | '\u{1e00}'..='\u{1fff}'
            | '\u{2010}'..='\u{205e}'
            | '\u{2070}'..='\u{25ff}'
                if width == 1 =>
            {
                let wide = if self.ambiguous {
                    c.width_cjk().unwrap_or(2)
                } else {
                    1
                };
                (1, wide)
            }
            // The scripts of East Asia, whose characters stand alone.
            '\u{2e80}'..='\u{303e}'
            | '\u{3041}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff01}'..='\u{ff60}'
            | '\u{ffe0}'..='\u{ffe6}'
            | '\u{20000}'..='\u{3fffd}'
                if width == 2 =>
            {
                (2, 2)
            }
            // Emoji, which may be joined; scripts that are; what a terminal older than the character does not know.
            _ => (0, 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(width: usize, text: &str) -> Option<(usize, usize)> {
        let mut column = Column::new(false);
        column.resize(width);
        column.write(text);
        column.at
    }

    #[test]
    fn widths_are_added_and_rows_wrap() {
        for (text, expected) in [
            ("", 0),
            ("abc", 3),
            ("abc\n", 0),
            ("a\tb", 9),
            ("e\u{301}e\u{301}", 2),
            ("日本", 4),
            ("“ñ—ж” ≤ ─", 9),
            ("\u{1b}[2mdim\u{1b}[0m", 3),
            ("0123456789", 10),
            ("0123456789\u{301}", 10),
            ("0123456789a", 1),
            ("012345678日", 2),
            ("日本日本日本", 2),
            ("0123456789012345678901", 2),
        ] {
            assert_eq!(at(10, text), Some((expected, expected)), "{text:?}");
        }
    }

    #[test]
    fn what_terminals_differ_about_has_two_bounds_until_a_wrap_is_possible() {
        assert_eq!(at(10, "ab👩"), Some((2, 4)));
        assert_eq!(at(10, "ab👩c"), Some((3, 5)));
        assert_eq!(at(10, "ab👩cdefghi"), None);
        assert_eq!(at(10, "ab👩cdefghij\nk"), Some((1, 1)));
        assert_eq!(at(10, "ab\u{5d0}\u{915}\u{94d}\u{200d}"), Some((2, 10)));
        assert_eq!(at(10, "12345678\t"), None);
        let mut column = Column::new(true);
        column.resize(10);
        column.write("“a”");
        assert_eq!(column.at, Some((3, 5)), "ambiguous");
    }

    #[test]
    fn a_room_is_told_only_where_it_is_certain() {
        let free = |text| {
            let mut column = Column::new(false);
            column.resize(10);
            column.write(text);
            column.free()
        };
        assert_eq!((free(""), free("abc"), free("ab👩")), (Some(9), Some(6), Some(5)));
        assert_eq!((free("123456789"), free("1234567890")), (Some(0), None));
        let mut column = Column::new(false);
        assert_eq!(column.free(), None, "no width, no room");
        column.write("a");
        column.resize(10);
        assert_eq!(column.free(), None, "written before the width was known");
        column.write("\na");
        assert_eq!(column.free(), Some(8));
        column.resize(20);
        assert_eq!(column.free(), None, "what was written may have moved");
    }
}
