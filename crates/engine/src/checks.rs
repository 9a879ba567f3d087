//! What the engine does not do is refused by name, instead of answered as if it had not been asked.

use aurora_chat::{ChatRequest, RequestError};
use serde_json::Value;

use crate::error::refuse;
use crate::text::check_extra;

const UNSUPPORTED: &str = "the local model does not support this";
const FORMAT: &str = "the local model takes a grammar as 'response_format' only";

/// Fields that change an answer and are not honoured: of OpenAI's reference, and of other servers, whose callers would not
/// notice. With each, why, and the number besides 0 that means nothing.
const REFUSED: [(&str, &str, i64); 33] = [
    ("audio", UNSUPPORTED, 0),
    ("prediction", UNSUPPORTED, 0),
    ("web_search_options", UNSUPPORTED, 0),
    ("functions", "the local model calls 'tools', not functions", 0),
    ("suffix", UNSUPPORTED, 0),
    ("echo", UNSUPPORTED, 0),
    ("best_of", UNSUPPORTED, 1),
    ("use_beam_search", UNSUPPORTED, 0),
    ("length_penalty", UNSUPPORTED, 1),
    ("min_tokens", UNSUPPORTED, 0),
    ("ignore_eos", UNSUPPORTED, 0),
    ("stop_token_ids", UNSUPPORTED, 0),
    ("bad_words", UNSUPPORTED, 0),
    ("allowed_token_ids", UNSUPPORTED, 0),
    ("prompt_logprobs", UNSUPPORTED, 0),
    (
        "n_probs",
        "the local model reports 'logprobs' and 'top_logprobs'",
        0,
    ),
    ("typical_p", UNSUPPORTED, 1),
    ("tfs_z", UNSUPPORTED, 1),
    ("top_a", UNSUPPORTED, 0),
    ("top_n_sigma", UNSUPPORTED, -1),
    ("mirostat", UNSUPPORTED, 0),
    ("dry_multiplier", UNSUPPORTED, 0),
    ("xtc_probability", UNSUPPORTED, 0),
    ("dynatemp_range", UNSUPPORTED, 0),
    (
        "repeat_penalty",
        "the local model calls it 'repetition_penalty'",
        1,
    ),
    ("guided_json", FORMAT, 0),
    ("guided_regex", FORMAT, 0),
    ("guided_choice", FORMAT, 0),
    ("guided_grammar", FORMAT, 0),
    ("structured_outputs", FORMAT, 0),
    ("grammar", FORMAT, 0),
    ("json_schema", FORMAT, 0),
    ("regex", FORMAT, 0),
];

/// Refuses a request that the engine cannot answer as it is, for a model of so many tokens.
///
/// # Errors
/// The first field that cannot be honoured.
pub(crate) fn check(request: &ChatRequest, vocabulary: usize) -> Result<(), RequestError> {
    let given = |name: &str| request.extra.get(name).filter(|value| !value.is_null());
    for (name, why, neutral) in REFUSED {
        if given(name).is_some_and(|value| asks(value, neutral)) {
            return Err(refuse(name, why));
        }
    }
    if given("function_call").is_some_and(|call| *call != "none" && *call != "auto") {
        return Err(refuse("function_call", "the local model takes 'tool_choice'"));
    }
    if given("modalities").is_some_and(|value| *value != serde_json::json!(["text"])) {
        return Err(refuse("modalities", "the local model answers in text only"));
    }
    if let Some(id) = request.logit_bias.keys().find(|&&id| id as usize >= vocabulary) {
        let why = format!("the model's tokens are 0 to {}", vocabulary - 1);
        return Err(refuse(&format!("logit_bias.{id}"), &why));
    }
    check_extra(request)
}

/// Whether a value asks for anything.
fn asks(value: &Value, neutral: i64) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            #[expect(clippy::cast_precision_loss, reason = "they are -1, 0 and 1")]
            let neutral = neutral as f64;
            number != 0.0 && number != neutral
        }
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Bool(true) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(name: &str, value: Value) -> ChatRequest {
        let mut request = ChatRequest::default();
        request.extra.insert(name.to_owned(), value);
        request
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (name, value) in [
            ("functions", json!([{"name": "f"}])),
            ("function_call", json!({"name": "f"})),
            ("modalities", json!(["text", "audio"])),
            ("audio", json!({"voice": "v"})),
            ("best_of", json!(2)),
            ("ignore_eos", json!(true)),
            ("grammar", json!("root ::= x")),
            ("repeat_penalty", json!(1.1)),
            ("min_p", json!("much")),
        ] {
            let error = check(&with(name, value), 10).expect_err("it is not honoured");
            assert_eq!(error.param.as_deref(), Some(name));
        }
        let mut biased = ChatRequest::default();
        biased.logit_bias.insert(10, 1.0);
        assert_eq!(
            check(&biased, 10).unwrap_err().param.as_deref(),
            Some("logit_bias.10")
        );
    }

    #[test]
    fn what_asks_for_nothing_is_let_pass() {
        for (name, value) in [
            ("functions", json!([])),
            ("function_call", json!("none")),
            ("modalities", json!(["text"])),
            ("best_of", json!(1)),
            ("typical_p", json!(1.0)),
            ("ignore_eos", json!(false)),
            ("grammar", json!("")),
            ("mirostat", json!(0)),
            ("audio", Value::Null),
            ("min_p", json!(0.05)),
            ("user", json!("u")),
        ] {
            assert_eq!(check(&with(name, value), 10), Ok(()), "{name}");
        }
    }
}
