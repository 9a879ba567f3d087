//! What a response object repeats of its request.
//!
//! These are values, not behaviour: whoever answers acts on some of them (`background`, `store`), the model's part of the
//! request is in the [`ChatRequest`](crate::ChatRequest).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a response object repeats of its request, under the names of the API reference.
///
/// It can be written to a stream log and read again: a response object can then be made long after its request. Fields
/// that a log does not have are as in a request that did not set them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Whether the answer is made whether or not a client is there. Default false.
    pub background: bool,
    /// The system message that came before the input.
    pub instructions: Option<String>,
    /// At most this many tokens of answer, reasoning included. At least 1.
    pub max_output_tokens: Option<u32>,
    /// At most this many calls of built-in tools. At least 1. It holds by itself: there are no built-in tools here.
    pub max_tool_calls: Option<u32>,
    /// The caller's own pairs: at most 16, keys of at most 64 characters, values of at most 512.
    pub metadata: BTreeMap<String, String>,
    /// Whether the model may make several calls at once. Default true.
    pub parallel_tool_calls: bool,
    /// The response that this one goes on from. Whoever answers must honour or refuse it.
    pub previous_response_id: Option<String>,
    /// The caller's key for caches of prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// `effort` and `summary`.
    pub reasoning: Value,
    /// The caller's name for its own user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// Whether the response can be retrieved later. Default true.
    pub store: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// `format` and, if it was set, `verbosity`.
    pub text: Value,
    /// As given. Default `"auto"`.
    pub tool_choice: Value,
    /// As given.
    pub tools: Vec<Value>,
    /// How many alternatives to each token were asked for, 0 to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f32>,
    /// Always `disabled`: an input that is too long is refused.
    pub truncation: String,
    /// The caller's name for its own user, in the older field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Default for Settings {
    /// Those of a request that sets nothing.
    fn default() -> Self {
        Self {
            background: false,
            instructions: None,
            max_output_tokens: None,
            max_tool_calls: None,
            metadata: BTreeMap::new(),
            parallel_tool_calls: true,
            previous_response_id: None,
            prompt_cache_key: None,
            reasoning: json!({"effort": null, "summary": null}),
            safety_identifier: None,
            store: true,
            temperature: None,
            text: json!({"format": {"type": "text"}}),
            tool_choice: Value::from("auto"),
            tools: Vec::new(),
            top_logprobs: None,
            top_p: None,
            truncation: "disabled".to_owned(),
            user: None,
        }
    }
}
