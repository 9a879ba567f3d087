//! Which runs of delimiters can open and which can close (CommonMark 6.2).
//!
//! By the rules of CommonMark alone, `**「重要」**的` is not strong: the closing run stands between punctuation and a letter,
//! as if it were to open something. Where words are not parted by spaces that is how text looks, so the rules are taken with
//! their CJK-friendly amendment (<https://github.com/tats-u/markdown-cjk-friendly>, `specification.md`): CJK
//! punctuation counts as a letter, and a CJK character beside a run as white space would. Variation
//! selectors are taken for letters.

use unicode_properties::{EmojiStatus, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};
use unicode_width::UnicodeWidthChar;

/// What a run of delimiters can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flanking {
    pub(super) opens: bool,
    pub(super) closes: bool,
}

impl Flanking {
    /// The run stands between these characters; `None` is the beginning or the end of the text.
    pub(super) fn new(mark: u8, before: Option<char>, after: Option<char>) -> Self {
        let (before, after) = (Side::new(before), Side::new(after));
        let left = !after.space && (!after.mark || before.space || before.mark || before.cjk);
        let right = !before.space && (!before.mark || after.space || after.mark || after.cjk);
        if mark != b'_' {
            return Self {
                opens: left,
                closes: right,
            };
        }
        // `_` does not part a word.
        Self {
            opens: left && (!right || before.punctuation),
            closes: right && (!left || after.punctuation),
        }
    }
}

/// What stands beside a run.
#[derive(Clone, Copy, Debug)]
struct Side {
    space: bool,
    punctuation: bool,
    cjk: bool,
    /// Punctuation that is not CJK.
    mark: bool,
}

impl Side {
    fn new(character: Option<char>) -> Self {
        let character = character.unwrap_or('\n');
        let punctuation = is_punctuation(character);
        let cjk = is_cjk(character);
        Self {
            space: is_space(character),
            punctuation,
            cjk,
            mark: punctuation && !cjk,
        }
    }
}

/// White space as Unicode's category `Zs`, and what ends lines.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() && !matches!(character, '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Unicode's categories `P` and `S` (CommonMark 2.1).
fn is_punctuation(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_punctuation();
    }
    let group = character.general_category_group();
    matches!(
        group,
        GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol
    )
}

/// A CJK character in the sense of the amendment: wide or half-wide and no emoji, or Hangul; and what selects a variant of one.
pub(super) fn is_cjk(character: char) -> bool {
    match character {
        '\0'..='\u{10ff}' => false,
        '\u{1100}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}' | '\u{20a9}' | '\u{ff61}'..='\u{ffee}' => true,
        '\u{e0100}'..='\u{e01ef}' => true,
        _ => character.width() == Some(2) && !is_emoji(character),
    }
}

/// Shown as an emoji unless a variant is asked for.
fn is_emoji(character: char) -> bool {
    matches!(
        character.emoji_status(),
        EmojiStatus::EmojiPresentation
            | EmojiStatus::EmojiPresentationAndModifierBase
            | EmojiStatus::EmojiPresentationAndEmojiComponent
            | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cjk_characters() {
        for character in "字。「」、！ｱ가힣ᄀ〈㈱𠀀\u{e0100}".chars() {
            assert!(is_cjk(character), "{character}");
        }
        for character in "aé“”…—😀✅→½\u{fe0f}".chars() {
            assert!(!is_cjk(character), "{character}");
        }
    }

    #[test]
    fn runs() {
        let run = |mark, before: char, after: char| {
            let Flanking { opens, closes } = Flanking::new(mark, Some(before), Some(after));
            (opens, closes)
        };
        assert_eq!(run(b'*', ' ', 'a'), (true, false));
        assert_eq!(run(b'*', 'a', ' '), (false, true));
        assert_eq!(run(b'*', 'a', 'a'), (true, true));
        assert_eq!(run(b'*', 'a', '"'), (false, true));
        assert_eq!(run(b'*', ' ', ' '), (false, false));
        assert_eq!(run(b'_', 'a', 'a'), (false, false));
        assert_eq!(run(b'_', '(', 'a'), (true, false));
        // The amendment.
        assert_eq!(run(b'*', '」', '的'), (true, true));
        assert_eq!(run(b'*', ')', '的'), (true, true));
        assert_eq!(run(b'*', '字', '“'), (true, true));
    }
}
