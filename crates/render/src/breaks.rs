//! Where a row of running text may end (Unicode Annex 14), in every script without a dictionary.
//!
//! Thai, Lao, Khmer and Burmese have no spaces between words. Where the words are would take dictionaries of megabytes,
//! and without one the segmenter complains on stderr in builds with debug assertions, where an answer is being drawn. So
//! it never sees these scripts: each of their clusters is shown to it as a character of the same length that stands for
//! what is allowed around it. Between any two clusters a row may end, but not behind a vowel that is written before its
//! consonant, nor before one that is written behind it.

use std::borrow::Cow;

use icu_segmenter::options::LineBreakOptions;
use icu_segmenter::{LineSegmenter, LineSegmenterBorrowed};
use unicode_segmentation::UnicodeSegmentation as _;

/// A character of class ID, one of OP, one of CL and one of CM, of three bytes as all of those scripts.
const ANYWHERE: char = '\u{4e00}';
const NOT_BEHIND: char = '\u{2045}';
const NOT_BEFORE: char = '\u{3001}';
const NOWHERE: char = '\u{20d0}';

/// The places where a row may end, in order; the beginning and the end of the text are among them.
pub(crate) fn places(text: &str) -> Vec<usize> {
    segmenter().segment_str(&without_words(text)).collect()
}

fn segmenter() -> LineSegmenterBorrowed<'static> {
    LineSegmenter::new_for_non_complex_scripts(LineBreakOptions::default())
}

fn without_words(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_complex) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        let mut first = true;
        shown.extend(cluster.chars().map(|c| match (is_complex(c), first) {
            (false, _) => c,
            (true, false) => NOWHERE,
            (true, true) => {
                first = false;
                stand_in(c)
            }
        }));
    }
    Cow::Owned(shown)
}

/// Whether the segmenter asks for a dictionary: the blocks of those scripts, which have three bytes a character.
fn is_complex(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}')
}

fn stand_in(c: char) -> char {
    match c {
        // Thai and Lao: the vowels that come first, and those, and the marks, that come last.
        '\u{e40}'..='\u{e44}' | '\u{ec0}'..='\u{ec4}' => NOT_BEHIND,
        '\u{e2f}' | '\u{e30}' | '\u{e32}' | '\u{e33}' | '\u{e45}' | '\u{e46}' => NOT_BEFORE,
        '\u{eaf}' | '\u{eb0}' | '\u{eb2}' | '\u{eb3}' | '\u{ec6}' => NOT_BEFORE,
        // The full stops of Burmese and Khmer.
        '\u{104a}' | '\u{104b}' | '\u{17d4}' | '\u{17d5}' | '\u{17d6}' => NOT_BEFORE,
        _ => ANYWHERE,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the test below runs in a process of its own.
    const ALONE: &str = "AURORA_BREAKS_OF_ALL_SCRIPTS";

    #[test]
    fn clusters_of_scripts_without_spaces_are_never_broken() {
        for (text, expected) in [
            ("ภาษา", &[0, 6, 12][..]),
            ("เก่ง", &[0, 9, 12]),
            ("ကို", &[0, 9]),
            ("a ภ", &[0, 2, 5]),
            ("a b", &[0, 2, 3]),
        ] {
            assert_eq!(places(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_written_to_stderr_whatever_the_script() {
        if std::env::var_os(ALONE).is_some() {
            let all: String = ('\u{20}'..char::MAX).flat_map(|c| [c, c, ' ']).collect();
            assert!(places(&all).len() > 1000);
            return;
        }
        let name = "breaks::tests::nothing_is_written_to_stderr_whatever_the_script";
        let alone = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert!(alone.status.success());
        assert_eq!(String::from_utf8_lossy(&alone.stderr), "");
    }
}
