//! The short way for the chunks that make up nearly all of an answer.
//!
//! Within one answer chunks are byte-identical except for the string that holds the text (and a string of random
//! padding, `obfuscation`, where OpenAI sends it, and a `usage` that counts on, where every chunk has one). So the last
//! chunk that was parsed in full is kept as a template. If the next one is equal to it around those places, its delta is
//! the string between them, and nothing but the usage need be parsed.
//!
//! Why this is exact: JSON is read from left to right. After the template's head the parser is where a string begins;
//! whatever valid string stands there, after it the parser is where it was in the template, and the tail means what it
//! meant there. The same goes for a value that is parsed whole and is an object. The state of the reader is what it was after the template, since any other event drops it, and reading
//! the same fields twice changes nothing. What is not plainly so (an empty string, a bad escape) is left to the full
//! parser. The property tests compare the two on mutated chunks.
//!
//! `cargo bench -p aurora-chat` measures both ways.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::payload::usage;
use crate::{Delta, Usage};

/// The longest chunk that is kept as a template, in bytes. Real ones have a few hundred.
const TEMPLATE_MAX: usize = 16 << 10;

/// The longest `usage` that is read by itself, in bytes.
const USAGE_MAX: usize = 2 << 10;

/// How many objects and lists it may hold: far below the depth at which the parser gives up, which counts from the
/// outside of the chunk.
const USAGE_NESTING: usize = 16;

/// What a chunk that follows the template says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) delta: Delta,
    /// The counts, where they are not those of the template.
    pub(super) usage: Option<Usage>,
}

/// The last chunk that was parsed in full, if the short way can follow it.
#[derive(Clone, Debug, Default)]
pub(super) struct Fast {
    template: Option<Template>,
}

#[derive(Clone, Debug)]
struct Template {
    kind: Kind,
    /// The bytes before the first string's content, its opening quote included.
    head: String,
    /// The bytes after the last string's content and its closing quote; up to the usage, if there is one after it.
    tail: String,
    /// Where there is a usage after the strings: the bytes after it.
    after_usage: Option<String>,
    /// Where there is padding: the bytes between the two strings' contents, and whether the padding comes first.
    between: Option<(String, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl Fast {
    /// What a chunk says that follows the template. `None` says nothing about the chunk: parse it.
    pub(super) fn read(&self, data: &str) -> Option<Hit> {
        let template = self.template.as_ref()?;
        let rest = data.strip_prefix(template.head.as_str())?;
        let (first, rest) = string(rest)?;
        let (content, rest) = match &template.between {
            None => (first, rest),
            Some((between, padding_first)) => {
                let (second, rest) = string(rest.strip_prefix(between.as_str())?)?;
                let (content, padding) = if *padding_first {
                    (second, first)
                } else {
                    (first, second)
                };
                (!padding.contains('\\')).then_some((content, rest))?
            }
        };
        let usage = match &template.after_usage {
            None => (rest == template.tail).then_some(None)?,
            Some(after) => Some(counts(
                rest.strip_prefix(template.tail.as_str())?
                    .strip_suffix(after.as_str())?,
            )?),
        };
        let text = unescape(content)?;
        if text.is_empty() {
            return None;
        }
        let delta = match template.kind {
            Kind::Text => Delta::Text(text.into_owned()),
            Kind::Reasoning => Delta::Reasoning(text.into_owned()),
        };
        Some(Hit { delta, usage })
    }

    /// Forgets the template: the reader's state is about to change.
    pub(super) fn forget(&mut self) {
        self.template = None;
    }

    /// Makes a chunk the template, given all the deltas the full parser found in it.
    pub(super) fn learn(&mut self, data: &str, deltas: &[Delta]) {
        self.template = match deltas {
            [Delta::Text(text)] | [Delta::Text(text), Delta::Usage(_)] if data.len() <= TEMPLATE_MAX => {
                Template::of(data, Kind::Text, text)
            }
            [Delta::Reasoning(text)] | [Delta::Reasoning(text), Delta::Usage(_)]
                if data.len() <= TEMPLATE_MAX =>
            {
                Template::of(data, Kind::Reasoning, text)
            }
            _ => None,
        };
    }
}

/// The strings of a chunk that may differ from one to the next, as they stand in its bytes. Deriving refuses duplicate
/// keys, so what is found here is what counts.
#[derive(Deserialize)]
struct Places<'a> {
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
    #[serde(borrow)]
    obfuscation: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Payload<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
}

impl Template {
    fn of(data: &str, kind: Kind, text: &str) -> Option<Self> {
        let Places {
            choices: [Choice { delta }],
            obfuscation,
            usage,
        } = serde_json::from_str(data).ok()?;
        let source = match kind {
            Kind::Text => delta.content?,
            // The name that is read first hides the others, so the second can be the source only if the first is empty.
            Kind::Reasoning => match delta
                .reasoning_content
                .filter(|raw| !matches!(raw.get(), "null" | "\"\""))
            {
                Some(raw) => raw,
                None => delta.reasoning?,
            },
        };
        let content = inside(data, source)?;
        if unescape(&data[content.clone()])? != text {
            return None;
        }
        let padding = match obfuscation.filter(|raw| raw.get() != "null") {
            Some(raw) => Some(inside(data, raw)?),
            None => None,
        };
        let (first, last) = match &padding {
            None => (content.clone(), content.clone()),
            Some(padding) if padding.start < content.start => (padding.clone(), content.clone()),
            Some(padding) => (content.clone(), padding.clone()),
        };
        // `string` eats the closing quote, so the pieces after a string begin behind it.
        let behind = last.end + 1;
        // One that stands before the strings is part of the head.
        let counting = usage
            .filter(|raw| raw.get().starts_with('{'))
            .and_then(|raw| place(data, raw))
            .filter(|usage| usage.start >= behind);
        Some(Self {
            kind,
            head: data[..first.start].to_owned(),
            tail: data[behind..counting.as_ref().map_or(data.len(), |usage| usage.start)].to_owned(),
            after_usage: counting.map(|usage| data[usage.end..].to_owned()),
            between: padding.map(|padding| {
                (
                    data[first.end + 1..last.start].to_owned(),
                    padding.start < content.start,
                )
            }),
        })
    }
}

/// Where the content of a raw string stands in the data it was borrowed from; `None` if it is no string.
fn inside(data: &str, raw: &RawValue) -> Option<Range<usize>> {
    if !raw.get().starts_with('"') || raw.get().len() < 2 {
        return None;
    }
    let whole = place(data, raw)?;
    Some(whole.start + 1..whole.end - 1)
}

/// Where a raw value stands in the data it was borrowed from.
fn place(data: &str, raw: &RawValue) -> Option<Range<usize>> {
    let raw = raw.get();
    let start = (raw.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let range = start..start + raw.len();
    data.get(range.clone()).is_some().then_some(range)
}

/// The counts of a usage that is a whole value and gives some.
fn counts(text: &str) -> Option<Usage> {
    let nested = || text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if text.len() > USAGE_MAX || nested() > USAGE_NESTING {
        return None;
    }
    usage(&serde_json::from_str::<Value>(text).ok()?)
}

/// Splits at the quote that closes a string: its content, still escaped, and what comes after the quote. `None` if there
/// is none, or a control character that JSON does not allow before it.
fn string(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' => at += 2,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The text that an escaped content stands for; `None` if an escape is bad.
fn unescape(content: &str) -> Option<Cow<'_, str>> {
    if !content.contains('\\') {
        return Some(Cow::Borrowed(content));
    }
    serde_json::from_str(&format!("\"{content}\""))
        .ok()
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{Flow, Reader};

    /// Shapes of chunks, with `@` for the text (its quotes included), `#` for padding and `%` for the padding's length.
    const SHAPES: [&str; 12] = [
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":@},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"choices":[{"delta":{"content":@}}],"obfuscation":"\#"}"#,
        r#"{"obfuscation":"\#","choices":[{"index":0,"delta":{"role":"assistant","content":@}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":@,"content":null}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":@,"reasoning_content":"","content":""}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"x","reasoning_content":@}}]}"#,
        r#"{"choices":[{"delta":{"content":@,"content":"last"}}]}"#,
        r#"{"choices":[{"delta":{"content":@}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":[{"delta":{"content":@},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":@}}],"usage":{"prompt_tokens":1,"completion_tokens":%,"details":[{}]},"x":0}"#,
        r#"{"choices":[{"delta":{"reasoning":@}}],"obfuscation":"\#","usage": {"prompt_tokens":%} }"#,
        r#"{"usage":{"prompt_tokens":%},"choices":[{"delta":{"content":@}}]}"#,
    ];

    fn fill(shape: &str, text: &str, padding: &str) -> String {
        let length = padding.len().to_string();
        shape
            .replace("\\#", padding)
            .replace('%', &length)
            .replacen('@', text, 1)
    }

    /// Reads the same events with and without the short way, and asserts that everything observable is the same.
    fn compare(events: &[String]) -> usize {
        let (mut short, mut full) = (Reader::new(), Reader::new());
        let mut hits = 0;
        for data in events {
            hits += usize::from(short.fast.read(data.trim()).is_some());
            full.fast.forget();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            assert_eq!(
                short.read("", data, &mut a),
                full.read("", data, &mut b),
                "{data}"
            );
            assert_eq!(a, b, "{data}");
            let (mut a, mut b) = (short.clone(), full.clone());
            a.fast.forget();
            b.fast.forget();
            assert_eq!(format!("{a:?}"), format!("{b:?}"), "{data}");
        }
        hits
    }

    #[test]
    fn follows_real_chunks() {
        for (shape, expected) in SHAPES.iter().zip([4, 4, 4, 4, 4, 4, 0, 4, 0, 4, 4, 0]) {
            let events = ["a", "b\\n\\\"", "\\ud83d\\ude00", "{\\\"x\\\":[]}", "é"];
            let events: Vec<_> = events
                .iter()
                .map(|text| fill(shape, &format!("\"{text}\""), &"p".repeat(text.len())))
                .collect();
            assert_eq!(compare(&events), expected, "{shape}");
        }
    }

    #[test]
    fn leaves_what_is_not_plain_to_the_full_parser() {
        for text in [
            "\"\"",
            "\"\\x\"",
            "\"\\ud83d\"",
            "\"a\u{1}\"",
            "null",
            "[\"a\"]",
            "\"a\",\"content\":\"b\"",
            "\"a",
            "\"a\\",
        ] {
            let events = [fill(SHAPES[0], "\"x\"", ""), fill(SHAPES[0], text, "")];
            assert_eq!(compare(&events), 0, "{text}");
        }
    }

    #[test]
    fn a_usage_is_followed_only_where_it_is_an_object_with_counts() {
        let chunk = |usage: &str| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"a"}}}}],"usage":{usage},"x_groq":{{"usage":{{"prompt_tokens":9}}}}}}"#
            )
        };
        let deep = format!(
            r#"{{"prompt_tokens":1,"x":{}{}}}"#,
            "[".repeat(126),
            "]".repeat(126)
        );
        for (usage, hits) in [
            (r#"{"prompt_tokens":2,"completion_tokens":"3"}"#, 1),
            ("\n{\"prompt_tokens\" : 2 }\n", 1),
            (r#"{"prompt_tokens":1,"prompt_tokens":2}"#, 1),
            ("{}", 0),
            ("null", 0),
            ("5", 0),
            (r#"[{"prompt_tokens":2}]"#, 0),
            (r#"{"prompt_tokens":1e999}"#, 0),
            (r#"{"prompt_tokens":NaN}"#, 0),
            (r#"{"prompt_tokens":2},"usage":{"prompt_tokens":3}"#, 0),
            (r#"{"prompt_tokens":2}}"#, 0),
            (deep.as_str(), 0),
        ] {
            let events = [
                chunk(r#"{"prompt_tokens":1}"#),
                chunk(usage),
                chunk(r#"{"prompt_tokens":1}"#),
            ];
            assert_eq!(compare(&events[..2]), hits, "{usage}");
            compare(&events);
        }
    }

    #[test]
    fn any_other_event_ends_the_following() {
        let chunk = |text: &str| fill(SHAPES[7], text, "");
        for other in [
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":9}}"#,
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":9},"choices":[{"delta":{"content":5}}]}"#,
            "no JSON",
            "{}",
        ] {
            let mut reader = Reader::new();
            for text in ["\"a\"", "\"b\"", "\"c\""] {
                assert_eq!(reader.read("", &chunk(text), &mut Vec::new()), Ok(Flow::Continue));
            }
            assert!(reader.fast.read(&chunk("\"d\"")).is_some());
            assert!(reader.read("", other, &mut Vec::new()).is_ok());
            assert!(
                reader.fast.read(&chunk("\"d\"")).is_none(),
                "{other}: its usage may be news again"
            );
        }
    }

    /// A JSON string for the text, with everything escaped or only what must be.
    fn literal(text: &str, escape_all: bool) -> String {
        if escape_all {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{units}\"")
        } else {
            Value::from(text).to_string()
        }
    }

    fn any_event() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            any::<String>(),
            "[a-z ]{0,6}",
            Just("\"},\"finish_reason\":\"stop\"".to_owned()),
            Just("\\\"}]}".to_owned()),
        ];
        let edit = prop::option::weighted(
            0.3,
            (
                any::<prop::sample::Index>(),
                "[\"\\\\{}\\[\\],:0a\n]{0,2}",
                0_usize..3,
            ),
        );
        (0..SHAPES.len(), text, any::<bool>(), "[a-z]{0,4}", edit).prop_map(
            |(shape, text, all, padding, edit)| {
                let mut chunk = fill(SHAPES[shape], &literal(&text, all), &padding);
                if let Some((at, with, remove)) = edit {
                    let start = chunk.floor_char_boundary(at.index(chunk.len()));
                    let end = chunk.ceil_char_boundary((start + remove).min(chunk.len()));
                    chunk.replace_range(start..end, &with);
                }
                chunk
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn reads_what_the_full_parser_reads(events in prop::collection::vec(any_event(), 1..8)) {
            // Each event twice in a row, so that the second one has a template to follow.
            let twice: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
            compare(&events);
            compare(&twice);
        }

        #[test]
        fn a_mutant_of_the_template_reads_the_same(
            shape in 0..SHAPES.len(),
            text in any::<String>(),
            at in any::<prop::sample::Index>(),
            with in "[\"\\\\{}\\[\\],:0au\n]{0,3}",
            remove in 0_usize..4,
        ) {
            let template = fill(SHAPES[shape], "\"x\"", "p");
            let mut mutant = fill(SHAPES[shape], &literal(&text, false), "q");
            let start = mutant.floor_char_boundary(at.index(mutant.len()));
            let end = mutant.ceil_char_boundary((start + remove).min(mutant.len()));
            mutant.replace_range(start..end, &with);
            compare(&[template.clone(), template, mutant]);
        }
    }
}
