//! Texts cut into words, for the index and for what is searched in it.
//!
//! SQLite's `unicode61` takes a run of letters for one word, which a text in Chinese or Japanese has no end of. So each
//! such character is made a word of its own, and what is searched for is a phrase of them: any number of characters is
//! found, two included, wherever they stand next to each other. Words of other scripts are found by their beginnings,
//! whatever their case and accents.

/// What stands between two words that the text does not separate. It is no part of any word, and is taken out again of
/// what is shown.
pub(super) const JOINT: char = '\u{200b}';

/// The text as it goes into the index.
pub(super) fn cut(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut after_single = false;
    for c in text.chars() {
        let single = is_single(c);
        if (single || after_single) && !out.is_empty() {
            out.push(JOINT);
        }
        after_single = single;
        out.push(c);
    }
    out
}

/// The query that finds texts with all of these words; `None` if there is no word among them.
pub(super) fn query<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    joined(words, " AND ")
}

/// The query that finds texts with any of these words; `None` if there is no word among them.
pub(super) fn any<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    joined(words, " OR ")
}

fn joined<'a>(words: impl IntoIterator<Item = &'a str>, by: &str) -> Option<String> {
    let terms: Vec<String> = words
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(term)
        .collect();
    (!terms.is_empty()).then(|| terms.join(by))
}

/// A phrase in the query language of FTS5; its last word may go on, unless it is one character by itself.
fn term(word: &str) -> String {
    let phrase = cut(word).replace('"', "\"\"");
    let begins = word
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() && !is_single(c));
    let star = if begins { "*" } else { "" };
    format!("\"{phrase}\"{star}")
}

/// Whether this is a character of a script that sets no spaces between words, or of Korean, whose words are looked for
/// by their stems: the blocks from the CJK radicals to the Hangul syllables, the compatibility ideographs, half-width
/// kana, and the planes of rarer ideographs.
fn is_single(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2fdf}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}'
        | '\u{3031}'..='\u{3035}'
        | '\u{3041}'..='\u{318f}'
        | '\u{31a0}'..='\u{31bf}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        cut(text).replace(JOINT, "|")
    }

    #[test]
    fn characters_without_spaces_are_words_and_other_words_stay() {
        for (text, expected) in [
            ("", ""),
            ("one two", "one two"),
            ("数据库", "数|据|库"),
            ("用GPT模型 now", "用|GPT|模|型| now"),
            ("かな、カナ", "か|な|、|カ|ナ"),
            ("한국어", "한|국|어"),
            ("naïve", "naïve"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(cut(text).replace(JOINT, ""), text, "nothing else is changed");
        }
    }

    #[test]
    fn a_query_is_of_phrases_whose_last_word_may_go_on() {
        let query = |words: &[&str]| query(words.iter().copied()).map(|query| query.replace(JOINT, "|"));
        assert_eq!(query(&["stream"]).as_deref(), Some("\"stream\"*"));
        assert_eq!(
            query(&["two words", "x"]).as_deref(),
            Some("\"two\"* AND \"words\"* AND \"x\"*")
        );
        assert_eq!(query(&["数据"]).as_deref(), Some("\"数|据\""));
        assert_eq!(query(&["say\"so"]).as_deref(), Some("\"say\"\"so\"*"));
        assert_eq!(query(&["C++"]).as_deref(), Some("\"C++\""));
        assert_eq!(
            query(&["", "\" OR *", "NEAR("]).as_deref(),
            Some("\"OR\"* AND \"NEAR(\"")
        );
        assert_eq!(query(&["!", "*"]), None);
    }
}
