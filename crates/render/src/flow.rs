//! Running text, broken into rows by Unicode Annex 14 with the rules of East Asian typography.
//!
//! Where a row ends is decided once, from the text between its beginning and [`LOOKAHEAD`] characters behind what no
//! longer fits, and from nothing else: so it does not depend on how the text came.

use crate::breaks;
use crate::measure::{MAX_ROW, Widths};
use crate::row::Line;
use crate::style::{Attrs, Style};

/// How many characters behind a break its place may depend on: the rules look at three at most, and at combining marks.
const LOOKAHEAD: usize = 16;

/// How much text is taken in before rows are taken out.
const PIECE: usize = 1024;

/// Text whose rows are not decided yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    line: Line,
    /// Up to which cluster the row was measured, and its columns: all of it fits.
    measured: usize,
    columns: usize,
}

impl Flow {
    /// The window has another width: the row that waits is measured anew.
    pub(crate) fn resize(&mut self) {
        (self.measured, self.columns) = (0, 0);
    }

    /// Adds text; `row` is given every row that is decided by it, and tells how wide the next one may be. It is called
    /// with `None` at first.
    pub(crate) fn push(
        &mut self,
        text: &str,
        style: &Style,
        widths: Widths,
        mut room: impl FnMut(Option<Line>) -> usize,
    ) {
        let mut width = room(None);
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE.max(4)));
            self.line.push(piece, style);
            rest = after;
            while let Some(row) = self.row(width, false, widths) {
                width = room(Some(row));
            }
        }
    }

    /// The text ends here, or its line does.
    pub(crate) fn end(&mut self, widths: Widths, mut room: impl FnMut(Option<Line>) -> usize) {
        let mut width = room(None);
        while let Some(row) = self.row(width, true, widths) {
            width = room(Some(row));
        }
        if !self.line.is_empty() {
            self.resize();
            room(Some(std::mem::take(&mut self.line).trimmed()));
        }
    }

    /// The next row, if it is certain.
    fn row(&mut self, width: usize, ends: bool, widths: Widths) -> Option<Line> {
        let full = self.measure(width.max(1), widths)?;
        let text = self.line.text();
        let window = match text[full..].char_indices().nth(LOOKAHEAD) {
            Some((more, _)) => &text[..full + more],
            None if ends => text,
            None => return None,
        };
        let end = self.last_break(window, full).unwrap_or_else(|| {
            // Nowhere to break: where the row is full, or within a cluster that is wider than any row.
            if full > 0 { full } else { widths.fits(text, width) }
        });
        self.resize();
        Some(self.line.split(end).trimmed())
    }

    /// Where the first cluster that no longer fits begins. Spaces always fit: they hang over the edge.
    fn measure(&mut self, width: usize, widths: Widths) -> Option<usize> {
        let text = self.line.text();
        for cluster in widths.clusters(text, self.measured) {
            let is_space = &text[cluster.start..cluster.end] == " ";
            if self.columns + cluster.columns > width && !is_space {
                return Some(cluster.start);
            }
            if cluster.end > MAX_ROW {
                return Some(text.floor_char_boundary(MAX_ROW));
            }
            if cluster.end == text.len() {
                // More text may belong to it.
                break;
            }
            self.measured = cluster.end;
            self.columns += cluster.columns;
        }
        None
    }

    /// The last place up to `full` where a row may end.
    fn last_break(&self, window: &str, full: usize) -> Option<usize> {
        breaks::places(window)
            .into_iter()
            .skip(1)
            .take_while(|place| *place <= full)
            .filter(|place| *place < window.len() && !self.is_inside(*place))
            .last()
    }

    /// Whether the place is within text that breaks at spaces only.
    fn is_inside(&self, place: usize) -> bool {
        let solid = |byte| {
            self.line
                .style_at(byte)
                .is_some_and(|style| style.attrs.has(Attrs::SOLID))
        };
        !self.line.text()[..place].ends_with(' ') && solid(place - 1) && solid(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(pieces: &[&str], width: usize) -> Vec<String> {
        let (mut flow, mut rows) = (Flow::default(), Vec::new());
        let mut take = |row: Option<Line>| {
            rows.extend(row.map(|row| row.text().to_owned()));
            width
        };
        for piece in pieces {
            flow.push(piece, &Style::default(), Widths::default(), &mut take);
        }
        flow.end(Widths::default(), &mut take);
        rows
    }

    #[test]
    fn rows_break_where_the_rules_of_the_script_allow() {
        for (text, width, expected) in [
            ("one two three", 8, &["one two", "three"][..]),
            ("one two three", 7, &["one two", "three"]),
            ("one two  three", 7, &["one two", "three"]),
            ("well-known (really)", 9, &["well-", "known", "(really)"]),
            ("你好，世界。再见", 6, &["你好，", "世界。", "再见"]),
            ("你好，世界。再见", 5, &["你", "好，", "世", "界。", "再见"]),
            ("他说「这是」的", 6, &["他说", "「这", "是」的"]),
            ("カップのテスト", 4, &["カッ", "プの", "テス", "ト"]),
            ("abcdefghij", 4, &["abcd", "efgh", "ij"]),
            ("日本", 1, &["日", "本"]),
            ("ᄀᄀᄀᄀᄀ", 5, &["ᄀᄀ", "ᄀᄀ", "ᄀ"]),
            ("เก่งมาก", 3, &["เก่ง", "มาก"]),
            ("👩\u{200d}👩\u{200d}👧👍🏽", 6, &["👩\u{200d}👩\u{200d}👧", "👍🏽"]),
            ("3.14 % 10,000.5", 8, &["3.14 %", "10,000.5"]),
        ] {
            assert_eq!(rows(&[text], width), expected, "{text}");
        }
    }

    #[test]
    fn code_breaks_at_spaces() {
        let (mut flow, mut rows) = (Flow::default(), Vec::new());
        let mut take = |row: Option<Line>| {
            rows.extend(row.map(|row| row.text().to_owned()));
            20
        };
        flow.push("use the flag ", &Style::default(), Widths::default(), &mut take);
        flow.push(
            "--max-tokens 5",
            &Style::of(Attrs::SOLID),
            Widths::default(),
            &mut take,
        );
        flow.end(Widths::default(), &mut take);
        assert_eq!(rows, ["use the flag", "--max-tokens 5"]);
    }

    #[test]
    fn what_has_no_width_ends_a_row_too() {
        let marks = format!("a{}", "\u{301}".repeat(MAX_ROW));
        let rows = rows(&[&marks], 20);
        assert!(rows.len() > 1 && rows.iter().all(|row| row.len() <= MAX_ROW + 4));
        assert_eq!(rows.concat(), marks);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_rows(
            text in "([a-z]{1,9}[ -/(),.]|[日本語、。（）「」ー]{1,5}|👩\u{200d}👧|ᄀ{1,30}|(👩\u{200d}){1,20}|ภ?เก่งา|❤\u{fe0f}|e\u{301}|🇩🇪|[0-9 %$]{1,4}){0,60}",
            cuts in proptest::collection::vec(0_usize..400, 0..40),
            width in 1_usize..40,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let whole = rows(&[&text], width);
            prop_assert_eq!(&rows(&pieces, width), &whole);
            for row in &whole {
                prop_assert!(Widths::default().of(row) <= width.max(2));
            }
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&whole.concat()), bare(&text));
        }
    }
}
