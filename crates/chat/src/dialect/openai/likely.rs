//! Reads the log probabilities of a choice. An honest answer may have a million of them, so they are never values of one
//! tree: what [`parse`] leaves of the field is its text, which is read entry by entry.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::value::parse;
use crate::transcript::DEFAULT_LIMIT;
use crate::{Failure, FailureKind, Likely, Limit, TokenLogprob};

/// Reads the list `content` of a choice's `logprobs`, given as JSON text. What is no such value is left out.
///
/// # Errors
/// [`Limit::Event`] if they count for more than a whole answer may, [`DEFAULT_LIMIT`].
pub(super) fn logprobs(text: &str) -> Result<Vec<TokenLogprob>, Failure> {
    #[derive(Deserialize)]
    struct Logprobs<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    let mut read = Entries {
        entries: Vec::new(),
        left: Some(DEFAULT_LIMIT),
    };
    if let Ok(Logprobs { content }) = serde_json::from_str(text) {
        // An error: it is no list, and what was read of it is all there is.
        let _ = serde_json::Deserializer::from_str(content.get()).deserialize_seq(&mut read);
    }
    read.left.map(|_| read.entries).ok_or_else(|| {
        let message =
            format!("the server sent log probabilities of more than the limit of {DEFAULT_LIMIT} bytes");
        Failure::new(FailureKind::Limit(Limit::Event), message)
    })
}

struct Entries {
    entries: Vec<TokenLogprob>,
    /// What more they may count for, in bytes; `None` once it was not enough.
    left: Option<usize>,
}

impl<'de> Visitor<'de> for &mut Entries {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            let Some(entry) = parse(item.get().as_bytes()).ok().as_ref().and_then(entry) else {
                continue;
            };
            self.left = self.left.and_then(|left| left.checked_sub(entry.cost()));
            if self.left.is_some() {
                self.entries.push(entry);
            }
        }
        Ok(())
    }
}

fn entry(value: &Value) -> Option<TokenLogprob> {
    let fields = value.as_object()?;
    let top = fields.get("top_logprobs").and_then(Value::as_array);
    Some(TokenLogprob {
        chosen: likely(fields)?,
        top_logprobs: top
            .into_iter()
            .flatten()
            .filter_map(|value| likely(value.as_object()?))
            .collect(),
    })
}

fn likely(fields: &Map<String, Value>) -> Option<Likely> {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes = fields.get("bytes").and_then(Value::as_array);
    Some(Likely {
        token: fields.get("token")?.as_str()?.to_owned(),
        logprob: fields.get("logprob")?.as_f64()?,
        bytes: bytes.and_then(|bytes| bytes.iter().map(byte).collect()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Delta;
    use crate::dialect::openai::Reader;

    #[test]
    fn what_is_read_is_written_again() {
        let content = json!([
            {"token": "é", "logprob": -0.25, "bytes": [195, 169], "top_logprobs": [
                {"token": "é", "logprob": -0.25, "bytes": [195, 169]},
                {"token": "e", "logprob": -9999.0, "bytes": null},
            ]},
            {"token": "", "logprob": 0.0, "bytes": null, "top_logprobs": []},
        ]);
        let read = logprobs(&json!({"refusal": null, "content": content}).to_string()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), content);
    }

    #[test]
    fn what_is_no_such_value_is_left_out() {
        for (text, expected) in [
            ("null", 0),
            ("7", 0),
            (r#"{"content":null}"#, 0),
            (r#"{"content":{"token":"a","logprob":-1}}"#, 0),
            (r#"{"tokens":["a"],"token_logprobs":[-1]}"#, 0),
            (
                r#"{"content":[1,{},{"token":"a"},{"token":"b","logprob":-1}]}"#,
                1,
            ),
        ] {
            assert_eq!(logprobs(text).unwrap().len(), expected, "{text}");
        }
        let half = r#"{"content":[{"token":"a","logprob":-1,"bytes":[300],"top_logprobs":[2]}]}"#;
        let read = logprobs(half).unwrap();
        assert_eq!(
            (read[0].chosen.bytes.as_ref(), read[0].top_logprobs.len()),
            (None, 0)
        );
    }

    #[test]
    fn a_long_answers_are_all_read_and_more_than_an_answer_may_have_are_an_error() {
        // As a tree it would hold more values than one may.
        let alternatives = vec![r#"{"token":" the","logprob":-1.5,"bytes":[32,116,104,101]}"#; 20].join(",");
        let token =
            format!(r#"{{"token":" the","logprob":-1.5,"bytes":null,"top_logprobs":[{alternatives}]}}"#);
        let content = vec![token.as_str(); 8192].join(",");
        let answer = |content: &str| {
            format!(
                r#"{{"object":"chat.completion","choices":[{{"index":0,"message":{{"content":"x"}},"logprobs":{{"content":[{content}]}},"finish_reason":"stop"}}]}}"#
            )
        };
        let mut deltas = Vec::new();
        Reader::new()
            .read_body(answer(&content).as_bytes(), &mut deltas)
            .map(drop)
            .unwrap();
        let [Delta::Logprobs(read), Delta::Text(_), ..] = &deltas[..] else {
            panic!("{} deltas", deltas.len())
        };
        assert_eq!((read.len(), read[8191].top_logprobs.len()), (8192, 20));

        let wide = format!(r#"{{"token":"{}","logprob":-1}}"#, "a".repeat(DEFAULT_LIMIT / 2));
        let refused = Reader::new().read_body(answer(&[&wide[..]; 3].join(",")).as_bytes(), &mut deltas);
        assert_eq!(refused.unwrap_err().kind, FailureKind::Limit(Limit::Event));
    }

    #[test]
    fn a_streams_come_before_the_text_they_belong_to() {
        let chunk = r#"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.5}]},"finish_reason":null}]}"#;
        let (mut reader, mut deltas) = (Reader::new(), Vec::new());
        for _ in 0..2 {
            reader.read("", chunk, &mut deltas).map(drop).unwrap();
        }
        let kinds: Vec<bool> = deltas
            .iter()
            .map(|delta| matches!(delta, Delta::Logprobs(_)))
            .collect();
        assert_eq!(kinds, [true, false, true, false]);
    }
}
