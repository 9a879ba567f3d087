//! Going on from a partial answer, where the server cannot replay it: the request that asks for the rest, and the seam at
//! which the rest is joined to what was there.
//!
//! The partial answer is sent as the beginning of the assistant's turn. A server that takes it goes on in mid-word; one
//! that takes it for a finished turn may repeat some of it, or all. What is repeated is dropped: the longest end of the
//! partial answer that is a beginning of the rest. Nothing can tell a repetition from text that happens to be the same,
//! so the seam is told, and short or blank overlaps, which text is full of, stay.

use aurora_chat::{ChatRequest, Delta, Message, Notice, Role};
use serde_json::Value;

use crate::reading::Found;

/// How much of the partial answer's end is compared, and with it how much of the rest is held back at most, in bytes.
const LOOK_BACK: usize = 64 << 10;

/// Fewer repeated characters than this are no repetition.
const MIN_OVERLAP: usize = 3;

/// The field that says that the last message is one to go on with.
const CONTINUES: &str = "continue_final_message";

/// How often one answer is continued. Each time is a request that is paid for.
pub(crate) const MAX_CONTINUED: u32 = 4;

/// The request for the rest of an answer to this one, of which this much has come, sent as the beginning of the
/// assistant's turn: what [`OnDrop::Continue`](crate::OnDrop::Continue) sends by itself. What the server repeats of it is
/// found by a [`Seam`].
///
/// The two fields are those of vLLM and SGLang; llama.cpp goes on from a last assistant message without them. If the
/// request is itself one for the rest of an answer, its beginning becomes longer.
#[must_use]
pub fn prefixed(request: &ChatRequest, partial: &str) -> ChatRequest {
    let mut rest = request.clone();
    let goes_on = rest.extra.get(CONTINUES) == Some(&Value::Bool(true));
    let begun = rest
        .messages
        .pop_if(|last| goes_on && last.role == Role::Assistant);
    let begun = begun.map_or_else(String::new, |begun| begun.plain_text().into_owned());
    rest.messages
        .push(Message::text(Role::Assistant, begun + partial));
    for (name, value) in [(CONTINUES, true), ("add_generation_prompt", false)] {
        rest.extra.insert(name.to_owned(), Value::Bool(value));
    }
    rest
}

/// What has come of an answer that is to be continued if its connection is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partial {
    text: String,
    /// It thought, refused or called a tool too: no prefix could say that.
    mixed: bool,
    /// Where the rest begins, until that is known.
    seam: Option<Seam>,
    /// The rest has brought text.
    advanced: bool,
}

impl Partial {
    /// The text so far; `None` if there is nothing to go on from.
    pub(crate) fn text(&self) -> Option<&str> {
        (!self.mixed && !self.text.is_empty()).then_some(self.text.as_str())
    }

    /// What comes from now on is the rest.
    pub(crate) fn go_on(&mut self) {
        self.seam = Some(Seam::new(&self.text));
        self.advanced = false;
    }

    /// Whether the rest has brought text.
    pub(crate) fn has_advanced(&self) -> bool {
        self.advanced
    }

    /// Takes what was found, and drops what the rest repeats.
    pub(crate) fn take(&mut self, found: &mut Found) {
        if self.seam.is_some() {
            for delta in std::mem::take(&mut found.deltas) {
                match (delta, &mut self.seam) {
                    (Delta::Text(text), Some(seam)) => {
                        if let Some(joined) = seam.push(&text) {
                            self.join(joined, found);
                        }
                    }
                    (said @ (Delta::Usage(_) | Delta::Logprobs(_)), _) => found.deltas.push(said),
                    (other, _) => {
                        self.settle(found);
                        found.deltas.push(other);
                    }
                }
            }
        }
        for delta in &found.deltas {
            match delta {
                Delta::Text(text) => self.text.push_str(text),
                Delta::Reasoning(_) | Delta::Refusal(_) | Delta::ToolCall(_) => self.mixed = true,
                Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => {}
            }
        }
    }

    /// Nothing more comes: what is held back is told.
    pub(crate) fn finish(&mut self, found: &mut Found) {
        let before = found.deltas.len();
        self.settle(found);
        for delta in &found.deltas[before..] {
            if let Delta::Text(text) = delta {
                self.text.push_str(text);
            }
        }
    }

    fn settle(&mut self, found: &mut Found) {
        if let Some(seam) = &mut self.seam {
            let joined = seam.finish();
            self.join(joined, found);
        }
    }

    fn join(&mut self, joined: Joined, found: &mut Found) {
        self.seam = None;
        self.advanced |= !joined.text.is_empty();
        found.notices.push(joined.notice());
        if !joined.text.is_empty() {
            found.deltas.push(Delta::Text(joined.text));
        }
    }
}

/// The place where the rest of an answer is joined to its beginning. It holds the rest back until it differs from the
/// beginning, 64 KiB of it at most, and drops what is a repetition: the longest end of the beginning with which the rest
/// begins, if that is 3 characters or more with a letter or digit among them.
///
/// ```
/// use aurora_client::Seam;
///
/// let mut seam = Seam::new("The quick br");
/// assert_eq!(seam.push("ick"), None);
/// let joined = seam.push(" brown fox").expect("it differs now");
/// assert_eq!((joined.overlap, joined.text.as_str()), (6, "own fox"));
/// ```
#[derive(Clone, Debug)]
pub struct Seam {
    tail: String,
    held: String,
}

/// What follows the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// How many bytes were repeated and dropped.
    pub overlap: usize,
    /// What is new.
    pub text: String,
}

impl Seam {
    /// The place after this beginning.
    #[must_use]
    pub fn new(partial: &str) -> Self {
        let mut from = partial.len().saturating_sub(LOOK_BACK);
        while !partial.is_char_boundary(from) {
            from += 1;
        }
        Self {
            tail: partial[from..].to_owned(),
            held: String::new(),
        }
    }

    /// Takes the next text of the rest. `Some` once it is known where it belongs; the seam is then done.
    pub fn push(&mut self, text: &str) -> Option<Joined> {
        self.held.push_str(text);
        // As long as it may be read as a part of the tail that ends before the tail does, a longer overlap is possible.
        let last = self.tail.chars().next_back().map_or(0, char::len_utf8);
        let undecided = self.tail[..self.tail.len() - last].contains(&self.held);
        (!undecided).then(|| self.finish())
    }

    /// What is known when nothing more comes.
    pub fn finish(&mut self) -> Joined {
        let mut text = std::mem::take(&mut self.held);
        let overlap = longest_overlap(self.tail.as_bytes(), text.as_bytes());
        let repeated = &text[..overlap];
        let is_text = repeated.chars().count() >= MIN_OVERLAP && repeated.chars().any(char::is_alphanumeric);
        let overlap = if is_text { overlap } else { 0 };
        text.drain(..overlap);
        Joined { overlap, text }
    }
}

impl Joined {
    /// The seam, told.
    pub(crate) fn notice(&self) -> Notice {
        let dropped = match self.overlap {
            0 => "nothing of it was repeated".to_owned(),
            n => format!("{n} bytes that it repeated were dropped"),
        };
        Notice::Warning {
            kind: "continued",
            message: format!(
                "the connection was lost, and from here on the answer is another one's continuation of it; {dropped}"
            ),
        }
    }
}

/// The length of the longest end of `tail` that is a beginning of `rest`, in linear time: the state in which the automaton
/// of Knuth, Morris and Pratt for `rest` has read `tail`.
fn longest_overlap(tail: &[u8], rest: &[u8]) -> usize {
    // A longer beginning could not be an end of the tail.
    let rest = &rest[..rest.len().min(tail.len())];
    let mut borders = vec![0; rest.len()];
    for at in 1..rest.len() {
        borders[at] = step(rest, &borders, borders[at - 1], rest[at]);
    }
    tail.iter()
        .fold(0, |matched, byte| step(rest, &borders, matched, *byte))
}

/// How much of `rest` ends at this byte, if `matched` of it ended before.
fn step(rest: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && rest.get(matched) != Some(&byte) {
        matched = borders[matched - 1];
    }
    if rest.get(matched) == Some(&byte) {
        matched += 1;
    }
    matched
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rest, pushed in pieces of `n` characters.
    fn join(partial: &str, rest: &str, n: usize) -> Joined {
        let mut seam = Seam::new(partial);
        let chars: Vec<char> = rest.chars().collect();
        let mut pieces = chars.chunks(n);
        for piece in &mut pieces {
            let piece: String = piece.iter().collect();
            if let Some(mut joined) = seam.push(&piece) {
                joined.text.extend(pieces.flatten());
                return joined;
            }
        }
        seam.finish()
    }

    #[test]
    fn the_longest_repetition_is_dropped_and_the_rest_is_kept() {
        for (partial, rest, text) in [
            ("The quick br", "own fox", "own fox"),
            ("The quick br", "ick brown fox", "own fox"),
            ("The quick br", "The quick brown fox", "own fox"),
            ("The quick br", "The quick br", ""),
            ("abcabc", "abcabcabd", "abd"),
            ("日本語の", "本語の文", "文"),
            ("to", "o", "o"),
            ("x\n\n\n", "\n\n\ny", "\n\n\ny"),
            ("| --- ", "| --- |", "| --- |"),
            ("Hello", "", ""),
            ("Hello", "Goodbye", "Goodbye"),
            ("Hello, how", "Hello! What", "Hello! What"),
        ] {
            for n in 1..=rest.len().max(1) {
                assert_eq!(join(partial, rest, n).text, text, "{partial:?} + {rest:?} by {n}");
            }
        }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut seam = Seam::new(&"a".repeat(10 * LOOK_BACK));
        let pushed = (1..).find(|_| seam.push(&"a".repeat(1000)).is_some());
        assert!(pushed.is_some_and(|n| n * 1000 <= LOOK_BACK + 1000), "{pushed:?}");
    }

    #[test]
    fn the_request_ends_with_the_partial_answer_and_says_that_it_goes_on() {
        let asked = ChatRequest {
            messages: vec![Message::text(Role::User, "Hello?")],
            ..ChatRequest::default()
        };
        let rest = prefixed(&asked, "Hi, I");
        assert_eq!(rest.messages.len(), 2);
        assert_eq!(rest.messages[1], Message::text(Role::Assistant, "Hi, I"));
        assert_eq!(rest.extra["continue_final_message"], true);
        assert_eq!(rest.extra["add_generation_prompt"], false);
        let again = prefixed(&rest, " am");
        assert_eq!((again.messages.len(), &again.extra), (2, &rest.extra));
        assert_eq!(again.messages[1], Message::text(Role::Assistant, "Hi, I am"));
    }

    proptest! {
        #[test]
        fn any_pieces_give_what_the_plain_definition_gives(
            partial in "[abß ]{0,12}",
            rest in "[abß ]{0,12}",
            n in 1_usize..5,
        ) {
            let overlap = (0..=rest.len())
                .filter(|&k| rest.is_char_boundary(k) && partial.ends_with(&rest[..k]))
                .max()
                .unwrap_or(0);
            prop_assert_eq!(longest_overlap(partial.as_bytes(), rest.as_bytes()), overlap);
            let joined = join(&partial, &rest, n);
            prop_assert_eq!(joined.overlap + joined.text.len(), rest.len());
            prop_assert!(rest.ends_with(&joined.text));
            prop_assert!(joined.overlap == 0 || joined.overlap == overlap);
        }
    }
}
