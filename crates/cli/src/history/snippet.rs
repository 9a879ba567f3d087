//! The piece of a text that shows what was found in it.
//!
//! The index holds no text, so the piece is indexed once more, in memory: what is marked is exactly what was matched. Only
//! pieces are, never a whole text, since SQLite's `snippet` takes a time that is the square of the matches in it: for one
//! Chinese character in a long answer that would be hours.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::store::MATCH;
use super::words;

/// How long a piece may be, in bytes.
const WINDOW: usize = 2048;

/// How much of a piece is seen again in the next one, so that nothing is found in neither, in bytes.
const OVERLAP: usize = 256;

/// How many pieces of one text are looked into by SQLite. Those that have the words as they were typed come first, so more
/// than one are rarely needed.
const TRIES: usize = 64;

/// Makes snippets for one search.
pub(super) struct Snippets {
    connection: Connection,
    /// The query that finds any of the words.
    query: String,
    /// The words in small letters.
    literals: Vec<String>,
}

impl Snippets {
    /// For what is searched for with these words; `None` if there is no word among them.
    ///
    /// # Errors
    /// SQLite has no memory.
    pub(super) fn new(words: &[String]) -> rusqlite::Result<Option<Self>> {
        let Some(query) = words::any(words.iter().map(String::as_str)) else {
            return Ok(None);
        };
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE VIRTUAL TABLE shown USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')",
        )?;
        let words = words.iter().flat_map(|words| words.split_whitespace());
        Ok(Some(Self {
            connection,
            query,
            literals: words.map(str::to_lowercase).collect(),
        }))
    }

    /// A piece of the text with every match between the two characters of [`MATCH`]; the beginning of it where none is
    /// found in the pieces that are looked into.
    ///
    /// # Errors
    /// SQLite has no memory.
    pub(super) fn of(&self, text: &str) -> rusqlite::Result<String> {
        let mut tries = 0;
        for literally in [true, false] {
            for (at, window) in windows(text) {
                if tries == TRIES {
                    break;
                }
                if self.has_literal(window) != literally {
                    continue;
                }
                tries += 1;
                if let Some(snippet) = self.within(window)? {
                    let is_whole = (at == 0, at + window.len() == text.len());
                    return Ok(with_ellipses(snippet, is_whole));
                }
            }
        }
        let (_, first) = windows(text).next().unwrap_or_default();
        Ok(with_ellipses(first.to_owned(), (true, first.len() == text.len())))
    }

    fn has_literal(&self, window: &str) -> bool {
        let window = window.to_lowercase();
        self.literals.iter().any(|word| window.contains(word))
    }

    fn within(&self, window: &str) -> rusqlite::Result<Option<String>> {
        self.connection.execute("DELETE FROM shown", [])?;
        let cut = words::cut(window);
        self.connection
            .execute("INSERT INTO shown (text) VALUES (?1)", [cut])?;
        let sql = "SELECT snippet(shown, 0, ?2, ?3, '…', 24) FROM shown WHERE shown MATCH ?1";
        let (before, after) = (MATCH.0.to_string(), MATCH.1.to_string());
        let snippet: Option<String> = self
            .connection
            .query_row(sql, params![self.query, before, after], |row| row.get(0))
            .optional()?;
        Ok(snippet.map(|snippet| snippet.replace(words::JOINT, "")))
    }
}

fn with_ellipses(snippet: String, (begins, ends): (bool, bool)) -> String {
    let mark = |is_there: bool| if is_there { "" } else { "…" };
    let (before, after) = (
        mark(begins || snippet.starts_with('…')),
        mark(ends || snippet.ends_with('…')),
    );
    format!("{before}{snippet}{after}")
}

/// The text in pieces and where each begins. They begin and end between words where there is white space in reach: half a
/// word may be found where the whole would not.
fn windows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = Some(0).filter(|_| !text.is_empty());
    std::iter::from_fn(move || {
        let start = next?;
        let mut end = text.floor_char_boundary(start + WINDOW);
        next = None;
        if end < text.len() {
            let last = text.floor_char_boundary(end - OVERLAP);
            end = text[last..end]
                .rfind(char::is_whitespace)
                .map_or(end, |space| last + space);
            let again = text.floor_char_boundary(end - OVERLAP);
            let space = text[again..end].char_indices().find(|(_, c)| c.is_whitespace());
            next = Some(space.map_or(again, |(space, c)| again + space + c.len_utf8()));
        }
        Some((start, &text[start..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_short_cover_the_text_and_overlap() {
        let words = "one two three, ".repeat(1000);
        for text in [
            "",
            "short",
            &words,
            &"数".repeat(5000),
            &"x".repeat(10_000),
            &" ".repeat(5000),
        ] {
            let mut covered = 0;
            for (at, window) in windows(text) {
                assert!(window.len() <= WINDOW && at <= covered, "{at} {covered}");
                assert!(at + window.len() > covered, "it goes on");
                assert_eq!(&text[at..at + window.len()], window);
                covered = at + window.len();
            }
            assert_eq!(covered, text.len());
        }
        let cut_words = windows(&words).filter(|(_, window)| !window.starts_with(char::is_alphabetic));
        assert_eq!(cut_words.count(), 0);
    }

    #[test]
    fn what_is_found_far_behind_is_shown_and_what_is_found_everywhere_takes_no_longer() {
        let search = |words: &str, text: &str| {
            let snippets = Snippets::new(&[words.to_owned()]).unwrap().unwrap();
            snippets
                .of(text)
                .unwrap()
                .replace(MATCH.0, "[")
                .replace(MATCH.1, "]")
        };
        let far = "nothing here, ".repeat(50_000) + "but a naïve needle";
        assert!(search("needle", &far).ends_with("but a naïve [needle]"));
        assert!(search("needle", &far).starts_with('…'));
        // An instance of a million, of which the square is a lifetime.
        let all = "的".repeat(350_000);
        let shown = search("的", &all);
        assert!(
            shown.starts_with("[的") && shown.ends_with("…") && shown.len() < WINDOW,
            "{shown}"
        );
        // Written otherwise than it was typed, and too far to be looked for.
        let shown = search("naive", &far);
        assert!(
            shown.starts_with("nothing here") && shown.len() <= WINDOW + 3,
            "{shown}"
        );
        assert_eq!(search("naive", "so naïve"), "so [naïve]");
    }
}
