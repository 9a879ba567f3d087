//! How many columns text takes.
//!
//! Terminals differ about emoji that are joined, coloured or made emoji by a selector, and about scripts that are
//! shaped: some add up the characters (as Unicode Annex 11 gives them), some take the cluster as one picture. Here a
//! cluster is as wide as the wider of both, so that no row wraps where we do not know of it; and whoever moves the cursor
//! can ask whether a cluster is of that kind.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The longest row, in bytes: what has no width would never fill one.
pub(crate) const MAX_ROW: usize = 4096;

/// What a terminal does with widths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widths {
    /// Characters of ambiguous width (Annex 11) are wide, as in fonts made for Chinese, Japanese and Korean.
    pub(crate) ambiguous_wide: bool,
}

/// A grapheme cluster (Unicode Annex 29) within a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Where it begins and ends, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) columns: usize,
    /// Whether all terminals agree about its width.
    pub(crate) certain: bool,
}

impl Widths {
    /// The clusters from a boundary on.
    pub(crate) fn clusters(self, text: &str, from: usize) -> Clusters<'_> {
        Clusters {
            widths: self,
            text,
            at: from,
        }
    }

    /// The columns of a text.
    pub(crate) fn of(self, text: &str) -> usize {
        self.clusters(text, 0).map(|cluster| cluster.columns).sum()
    }

    /// How many bytes of a cluster at the text's beginning fit: one character at least, and what has no width behind it.
    /// Any text may make a cluster that is wider than every row, and a terminal wraps within it.
    pub(crate) fn fits(self, text: &str, width: usize) -> usize {
        let mut columns = 0;
        let over = text.char_indices().find(|(start, c)| {
            columns += self.char(*c);
            *start > 0 && columns > width || *start > MAX_ROW
        });
        over.map_or(text.len(), |(start, _)| start)
    }

    /// The columns of a character by itself.
    pub(crate) fn char(self, c: char) -> usize {
        let width = if self.ambiguous_wide {
            c.width_cjk()
        } else {
            c.width()
        };
        width.unwrap_or(0)
    }

    fn cluster(self, start: usize, text: &str) -> Cluster {
        let end = start + text.len();
        let sum: usize = text.chars().map(|c| self.char(c)).sum();
        if text.chars().nth(1).is_none() {
            return Cluster {
                start,
                end,
                columns: sum,
                certain: true,
            };
        }
        let whole = if self.ambiguous_wide {
            text.width_cjk()
        } else {
            text.width()
        };
        Cluster {
            start,
            end,
            columns: sum.max(whole),
            certain: sum == whole,
        }
    }
}

/// An iterator over clusters.
#[derive(Debug)]
pub(crate) struct Clusters<'a> {
    widths: Widths,
    text: &'a str,
    at: usize,
}

impl Iterator for Clusters<'_> {
    type Item = Cluster;

    fn next(&mut self) -> Option<Cluster> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let printable = |at: usize| bytes.get(at).is_none_or(|byte| (0x20..0x7f).contains(byte));
        // Nearly all text is of this kind, and nothing joins two characters of ASCII but CR LF.
        if start < bytes.len() && printable(start) && printable(start + 1) {
            self.at = start + 1;
            return Some(Cluster {
                start,
                end: start + 1,
                columns: 1,
                certain: true,
            });
        }
        let rest = self.text.get(start..)?;
        let cluster = self.widths.cluster(start, rest.graphemes(true).next()?);
        self.at = cluster.end;
        Some(cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_have_the_most_columns_that_a_terminal_gives_them() {
        let widths = Widths::default();
        for (text, columns, clusters, certain) in [
            ("", 0, 0, true),
            ("abc", 3, 3, true),
            ("日本", 4, 2, true),
            ("e\u{301}", 1, 1, true),
            ("✅", 2, 1, true),
            ("⚠\u{fe0f}", 2, 1, false),
            ("🇩🇪", 2, 1, true),
            ("👍🏽", 4, 1, false),
            ("👩\u{200d}👩\u{200d}👧", 6, 1, false),
            ("a日\u{301}“", 4, 3, true),
        ] {
            assert_eq!(widths.of(text), columns, "{text}");
            assert_eq!(widths.clusters(text, 0).count(), clusters, "{text}");
            assert_eq!(
                widths.clusters(text, 0).all(|cluster| cluster.certain),
                certain,
                "{text}"
            );
        }
        assert_eq!(Widths { ambiguous_wide: true }.of("“─"), 4);
    }
}
