//! Log probabilities of an answer's tokens, as the chat completions API has them (`logprobs`, `top_logprobs`).

use serde::Serialize;
use serde_json::{Map, Value};

/// What one value counts for besides its text, where the size of an answer is limited.
const COST: usize = 32;

/// One token of the answer's text, how likely it was, and what else was likely in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// The token and its log probability.
    #[serde(flatten)]
    pub chosen: Likely,
    /// The likeliest tokens at this place, the best first: as many as were asked for, 0 to 20.
    pub top_logprobs: Vec<Likely>,
}

/// A token and its log probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likely {
    /// The token's text. Bytes that are no whole character are U+FFFD here.
    pub token: String,
    /// The natural logarithm of the probability that the model gave it; 0 or less.
    pub logprob: f64,
    /// The token's bytes, where the source tells them: a character may be spread over several tokens.
    pub bytes: Option<Vec<u8>>,
}

impl TokenLogprob {
    /// Reads the list `logprobs.content` of a choice. What is no such value is left out.
    pub(crate) fn list(logprobs: &Value) -> Vec<Self> {
        let content = logprobs.get("content").and_then(Value::as_array);
        content.into_iter().flatten().filter_map(Self::of).collect()
    }

    fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let top = fields.get("top_logprobs").and_then(Value::as_array);
        Some(Self {
            chosen: Likely::of(fields)?,
            top_logprobs: top
                .into_iter()
                .flatten()
                .filter_map(|value| Likely::of(value.as_object()?))
                .collect(),
        })
    }

    /// How much of an answer's limit it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.chosen.cost() + self.top_logprobs.iter().map(Likely::cost).sum::<usize>()
    }
}

impl Likely {
    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
        let bytes = fields.get("bytes").and_then(Value::as_array);
        Some(Self {
            token: fields.get("token")?.as_str()?.to_owned(),
            logprob: fields.get("logprob")?.as_f64()?,
            bytes: bytes.and_then(|bytes| bytes.iter().map(byte).collect()),
        })
    }

    fn cost(&self) -> usize {
        COST + self.token.len() + self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// What the values of a delta count for, where the size of an answer is limited, in bytes.
#[must_use]
pub fn cost(logprobs: &[TokenLogprob]) -> usize {
    logprobs.iter().map(TokenLogprob::cost).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let content = json!([
            {"token": "é", "logprob": -0.25, "bytes": [195, 169], "top_logprobs": [
                {"token": "é", "logprob": -0.25, "bytes": [195, 169]},
                {"token": "e", "logprob": -9999.0, "bytes": null},
            ]},
            {"token": "", "logprob": 0.0, "bytes": null, "top_logprobs": []},
        ]);
        let read = TokenLogprob::list(&json!({"content": content}));
        assert_eq!(serde_json::to_value(&read).unwrap(), content);
    }

    #[test]
    fn what_is_no_such_value_is_left_out() {
        for logprobs in [
            json!(null),
            json!({"content": null}),
            json!({"content": [1, {}, {"token": "a"}]}),
        ] {
            assert_eq!(TokenLogprob::list(&logprobs), []);
        }
        let half = json!({"content": [{"token": "a", "logprob": -1, "bytes": [300], "top_logprobs": [2]}]});
        let read = TokenLogprob::list(&half);
        assert_eq!(
            (read[0].chosen.bytes.as_ref(), read[0].top_logprobs.len()),
            (None, 0)
        );
    }
}
