//! Telling what a model thinks aloud from what it answers.
//!
//! Models trained to reason write `<think>…</think>` and then their answer; some templates write the opening tag
//! themselves. Whether a model does is read from its template. What is inside is reasoning, the tags and the empty lines
//! around them are nothing, all else is text; however the text is cut, the pieces are the same taken together.

use aurora_chat::Delta;

use super::stops::overlap;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// What of an answer is reasoning, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thoughts {
    place: Place,
    /// What may yet turn out to be a tag, or the empty lines beside one.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing that comes is looked at.
    #[default]
    Text,
    /// Before anything but blanks: a tag may open here.
    Start,
    /// Behind the opening tag, before anything else.
    Opened,
    Inside,
    /// Behind the closing tag, before anything but empty lines.
    Closed,
}

impl Thoughts {
    /// Those of an answer to a prompt, rendered with this template; `begun` is what the request gives of the answer.
    pub(crate) fn of(template: &str, rendered: &str, begun: Option<&str>) -> Self {
        let place = if !template.contains(OPEN) && !template.contains(CLOSE) {
            Place::Text
        } else if let Some(begun) = begun {
            match (begun.rfind(OPEN), begun.rfind(CLOSE)) {
                (Some(open), close) if close.is_none_or(|close| close < open) => Place::Inside,
                (None, None) if begun.trim().is_empty() => Place::Start,
                _ => Place::Text,
            }
        } else if rendered.trim_end().ends_with(OPEN) {
            Place::Opened
        } else if rendered.trim_end().ends_with(CLOSE) {
            Place::Closed
        } else {
            Place::Start
        };
        Self {
            place,
            held: String::new(),
        }
    }

    /// Whether what comes next is reasoning, as far as is known.
    pub(crate) fn is_inside(&self) -> bool {
        matches!(self.place, Place::Opened | Place::Inside)
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes a piece of the answer and gives out what is certain.
    pub(crate) fn push(&mut self, text: &str, mut out: impl FnMut(Delta)) {
        if self.place == Place::Text {
            return give(text, Delta::Text, &mut out);
        }
        self.held.push_str(text);
        while !self.held.is_empty() {
            match self.place {
                Place::Start => {
                    let begun = self.held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.place = Place::Opened;
                    } else if OPEN.starts_with(begun) {
                        return;
                    } else {
                        self.place = Place::Text;
                    }
                }
                Place::Opened => {
                    // One line's end belongs to the tag.
                    if let Some(rest) = self.held.strip_prefix('\n') {
                        self.held = rest.to_owned();
                    }
                    self.place = Place::Inside;
                }
                Place::Inside => {
                    if let Some(at) = self.held.find(CLOSE) {
                        give(self.held[..at].trim_end_matches('\n'), Delta::Reasoning, &mut out);
                        self.held.drain(..at + CLOSE.len());
                        self.place = Place::Closed;
                    } else {
                        let certain = self.held.len() - uncertain(&self.held);
                        give(&self.held[..certain], Delta::Reasoning, &mut out);
                        self.held.drain(..certain);
                        return;
                    }
                }
                Place::Closed => {
                    let rest = self.held.trim_start_matches(['\n', '\r']);
                    if rest.is_empty() {
                        self.held.clear();
                    } else {
                        self.held = rest.to_owned();
                        self.place = Place::Text;
                    }
                }
                Place::Text => {
                    give(&self.held, Delta::Text, &mut out);
                    self.held.clear();
                }
            }
        }
    }

    /// The answer is over: gives out what was held back.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(Delta)) {
        let held = std::mem::take(&mut self.held);
        let kind = if self.is_inside() {
            Delta::Reasoning
        } else {
            Delta::Text
        };
        give(&held, kind, &mut out);
    }
}

fn give(text: &str, kind: fn(String) -> Delta, out: &mut impl FnMut(Delta)) {
    if !text.is_empty() {
        out(kind(text.to_owned()));
    }
}

/// How many bytes at the end may belong to a closing tag: the lines' ends before it, and as much of it as is there.
fn uncertain(text: &str) -> usize {
    let before = &text[..text.len() - overlap(text, CLOSE)];
    text.len() - before.trim_end_matches('\n').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "{% … %}<think>{% … %}";

    fn split(mut thoughts: Thoughts, pieces: &[&str]) -> (String, String) {
        let (mut reasoning, mut text) = (String::new(), String::new());
        let mut take = |delta| match delta {
            Delta::Reasoning(piece) => reasoning.push_str(&piece),
            Delta::Text(piece) => text.push_str(&piece),
            other => panic!("{other:?}"),
        };
        for piece in pieces {
            thoughts.push(piece, &mut take);
        }
        thoughts.finish(&mut take);
        (reasoning, text)
    }

    #[test]
    fn every_cut_gives_the_same() {
        for (rendered, answer, expected) in [
            (
                "assistant\n",
                "<think>\nHm.\n\nSo.\n</think>\n\nIt is 4.",
                ("Hm.\n\nSo.", "It is 4."),
            ),
            (
                "assistant\n",
                "\n<think>\n\n</think>\n\nNo </think> here",
                ("", "No </think> here"),
            ),
            ("assistant\n", "<thin ice>", ("", "<thin ice>")),
            ("assistant\n", " \n<t", ("", " \n<t")),
            ("assistant\n<think>\n", "Hm</th\n\n</think>Ä", ("Hm</th", "Ä")),
            ("assistant\n<think>\n", "Hm.\n", ("Hm.\n", "")),
            ("assistant\n<think>\n\n</think>\n\n", "Ä<think>", ("", "Ä<think>")),
        ] {
            let thoughts = Thoughts::of(TEMPLATE, rendered, None);
            let whole = split(thoughts.clone(), &[answer]);
            assert_eq!((whole.0.as_str(), whole.1.as_str()), expected, "{answer:?}");
            let characters: Vec<String> = answer.chars().map(String::from).collect();
            let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
            assert_eq!(split(thoughts.clone(), &characters), whole, "{answer:?}");
            for (at, _) in answer.char_indices() {
                let (a, b) = answer.split_at(at);
                assert_eq!(split(thoughts.clone(), &[a, b]), whole, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_model_that_does_not_reason_may_write_what_it_likes() {
        let thoughts = Thoughts::of("{{ content }}", "assistant\n", None);
        let answer = "<think>literally</think>";
        assert_eq!(split(thoughts, &[answer]), (String::new(), answer.to_owned()));
    }

    #[test]
    fn an_answer_that_goes_on_is_where_it_stopped() {
        for (begun, inside) in [
            ("<think>\nHm", true),
            ("<think>a</think>b", false),
            ("so far", false),
        ] {
            assert_eq!(
                Thoughts::of(TEMPLATE, "", Some(begun)).is_inside(),
                inside,
                "{begun}"
            );
        }
    }
}
