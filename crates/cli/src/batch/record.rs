//! One line of the output: OpenAI's batch result with what is known here besides, and what of it is read again.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aurora_chat::dialect::{openai, responses};
use aurora_chat::{Delta, Failure, FinishReason, Transcript, Update, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::item::{Api, Bad};
use super::key::Key;
use crate::many::Outcome;

/// How every line that is written here begins.
pub(crate) const BEGINNING: &str = "{\"id\":\"batch_req_";

/// Which item a result is of, and how it came.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// What makes the ids of this result unlike any other's.
    pub(crate) unique: u128,
    pub(crate) key: &'a Key,
    /// The number of the item's line.
    pub(crate) line: u64,
    /// The print of the item's line.
    pub(crate) print: u64,
    /// How many requests were sent for it.
    pub(crate) attempts: u32,
    /// How long the item had been asked for when the attempt began of which this came.
    pub(crate) before: Duration,
}

/// A result as it was read.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) key: Key,
    /// The kind of its error; `None` if it has none.
    pub(crate) error: Option<Cow<'a, str>>,
    /// Its verdict; `complete` where it has none, as OpenAI's own results.
    pub(crate) verdict: Cow<'a, str>,
    /// The print of its item's line, where it has one.
    pub(crate) print: Option<u64>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: &'a RawValue,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<StoredError<'a>>,
    #[serde(borrow, default)]
    verdict: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    print: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct StoredError<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
}

impl Told<'_> {
    /// The line of an item that could not be asked for, or of which nothing came.
    pub(crate) fn refused(&self, bad: &Bad) -> Vec<u8> {
        let error = error(bad.kind, &bad.failure);
        self.line("null", &error, &json!("failed"), None, None, None, Duration::ZERO)
    }

    /// The line of an item that was asked for. `model` is what was asked for, where the source says nothing else.
    pub(crate) fn answered(&self, outcome: &Outcome, api: &Api, model: &str) -> Vec<u8> {
        let said = outcome.start.as_ref().map(|start| start.model.as_str());
        let model = said.filter(|said| !said.is_empty()).unwrap_or(model);
        let failure = outcome.end.failure.as_ref();
        let request_id = outcome.start.as_ref().and_then(|start| start.stream.as_deref());
        let response = match failure {
            Some(failure) if outcome.answer.is_empty() => failure.status.map(|status| {
                (
                    status,
                    json!({"error": {
                        "message": failure.message, "type": failure.error_type,
                        "param": failure.param, "code": failure.code,
                    }})
                    .to_string(),
                )
            }),
            _ => Some((200, self.body(outcome, api, model))),
        };
        let response = response.map_or_else(
            || "null".to_owned(),
            |(status, body)| {
                format!(
                    "{{\"status_code\":{status},\"request_id\":{},\"body\":{body}}}",
                    json!(request_id)
                )
            },
        );
        let error = failure.map_or(Value::Null, |failure| error(failure.kind.as_str(), failure));
        self.line(
            &response,
            &error,
            &json!(outcome.end.verdict.as_str()),
            outcome.end.finish_reason_str(),
            outcome.usage(),
            outcome.first.map(|first| self.before + first),
            self.before + outcome.elapsed,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a line, in their order")]
    fn line(
        &self,
        response: &str,
        error: &Value,
        verdict: &Value,
        finish: Option<&str>,
        usage: Option<Usage>,
        first: Option<Duration>,
        elapsed: Duration,
    ) -> Vec<u8> {
        let usage = usage.map(|usage| {
            json!({
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_input_tokens": usage.cached_input_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            })
        });
        let mut text = format!(
            "{BEGINNING}{:032x}\",\"custom_id\":{},\"response\":{response},\"error\":{error},\"verdict\":{verdict}",
            self.unique,
            self.key.to_json()
        );
        for (name, value) in [
            ("finish_reason", json!(finish)),
            ("usage", json!(usage)),
            ("attempts", json!(self.attempts)),
            ("ttft_ms", json!(first.map(millis))),
            ("elapsed_ms", json!(millis(elapsed))),
            ("line", json!(self.line)),
            ("print", json!(format!("{:016x}", self.print))),
        ] {
            // Writing to a text cannot fail.
            let _ = write!(text, ",\"{name}\":{value}");
        }
        text.push_str("}\n");
        text.into_bytes()
    }

    /// The answer as its API has it.
    fn body(&self, outcome: &Outcome, api: &Api, model: &str) -> String {
        let created = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        match api {
            Api::Chat => {
                let mut body = Vec::new();
                let id = format!("chatcmpl-{:032x}", self.unique);
                openai::Writer::new(id, model, created).completion(&outcome.answer, &mut body);
                String::from_utf8(body).unwrap_or_default()
            }
            Api::Responses(settings) => {
                let id = format!("resp_{:032x}", self.unique);
                let mut writer = responses::Writer::new(&id, model, created, (**settings).clone())
                    .starting_after(u64::MAX);
                for delta in deltas(&outcome.answer) {
                    writer.update(&Update::Delta(delta), &mut |_| {});
                }
                writer.update(&Update::End(outcome.end.clone()), &mut |_| {});
                let mut body = Vec::new();
                writer.response(&mut body);
                String::from_utf8(body).unwrap_or_default()
            }
        }
    }
}

/// The answer as the fewest deltas that it could have come as.
fn deltas(answer: &Transcript) -> Vec<Delta> {
    let texts = [
        (&answer.reasoning, Delta::Reasoning as fn(String) -> Delta),
        (&answer.text, Delta::Text),
        (&answer.refusal, Delta::Refusal),
    ];
    let mut deltas = Vec::new();
    if !answer.logprobs.is_empty() {
        deltas.push(Delta::Logprobs(answer.logprobs.clone()));
    }
    let said = texts.into_iter().filter(|(text, _)| !text.is_empty());
    deltas.extend(said.map(|(text, delta)| delta(text.clone())));
    let calls = answer.tool_calls.iter().zip(0..);
    deltas.extend(calls.map(|(call, index)| {
        Delta::ToolCall(aurora_chat::ToolCallDelta {
            index,
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        })
    }));
    deltas.extend(answer.usage.map(Delta::Usage));
    deltas.extend(
        answer
            .finish_reason
            .clone()
            .map(|reason: FinishReason| Delta::Finish(reason)),
    );
    deltas
}

/// An error as OpenAI has it, with its kind and what else the server said.
fn error(kind: &str, failure: &Failure) -> Value {
    json!({
        "code": failure.code.as_deref().unwrap_or(kind),
        "message": failure.message,
        "kind": kind,
        "status": failure.status,
        "type": failure.error_type,
        "param": failure.param,
    })
}

impl<'a> Stored<'a> {
    /// Reads a line; `None` if it is no result of a batch.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let line: Line<'a> = serde_json::from_slice(line).ok()?;
        if line.response.is_none() && line.error.is_none() {
            return None;
        }
        let error = line
            .error
            .map(|error| error.kind.or(error.code).unwrap_or("unknown".into()));
        let verdict = line.verdict.unwrap_or(match error {
            Some(_) => "failed".into(),
            None => "complete".into(),
        });
        Some(Self {
            key: Key::read(Some(line.custom_id)).ok()??,
            error,
            verdict,
            print: line.print.and_then(|print| u64::from_str_radix(&print, 16).ok()),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
