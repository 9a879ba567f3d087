//! Reading an answer, event by event.
//!
//! The reader is told the type and data of every event and yields deltas. It remembers what the verdict needs: the last
//! finish reason, and whether `[DONE]` came. Payload quirks of real servers are read for what they mean; the tests name
//! where each was reported. It does no framing and knows no deadline.

use serde_json::{Map, Value};

use super::DONE;
use super::calls::Calls;
use super::error::{error_event, failure_in_event, failure_of_error_event};
use super::fast::Fast;
use super::likely::logprobs;
use super::payload::{Said, number, reasoning, usage};
use super::repair::mend;
use super::value::{Unread, parse, too_many};
use crate::redact::printable;
use crate::{Conclusion, Delta, Ending, Failure, FailureKind, FinishReason, Notice, Usage, conclude};

/// How much of something that cannot be read is shown, in bytes.
const EXCERPT_MAX: usize = 200;

/// How much of the model's name, the response's id and an unknown finish reason is kept, in bytes.
const NAME_MAX: usize = 256;

/// Reads one answer.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    id: Option<String>,
    model: Option<String>,
    finish: Option<FinishReason>,
    done: bool,
    usage: Option<Usage>,
    calls: Calls,
    /// Whether anything of the answer came in a `delta`, so that a `message` that repeats it whole is not read twice.
    streamed: bool,
    /// The last thing that could not be read: often the reason for what happens next.
    unreadable: Option<String>,
    /// The data of the events read since it was last taken, if anybody wants it.
    kept: Option<Vec<String>>,
    pub(super) fast: Fast,
}

/// What an event means for the reading that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Read on.
    Continue,
    /// Part of the event, or all of it, was wrong and was skipped. Read on.
    Warning(Notice),
    /// The server said that it is done. Stop reading: some keep the socket open.
    Done,
}

impl Reader {
    /// A reader for one answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the reader keep the data of every event that it could read, for [`take_events`](Self::take_events): a
    /// copy an event. Without it events cost nothing beyond their deltas.
    #[must_use]
    pub fn keeping_events(mut self) -> Self {
        self.kept = Some(Vec::new());
        self
    }

    /// The data of the events read since the last time, in order: one JSON object each, byte for byte as it was given,
    /// so that what no delta knows of is in it. Two mistakes are corrected, since nobody could read them: an event that
    /// holds several objects becomes several, and what had to be mended to be JSON is mended. Not in it are `[DONE]`,
    /// errors, pings and what could not be read. Nothing without [`keeping_events`](Self::keeping_events).
    pub fn take_events(&mut self) -> impl Iterator<Item = String> {
        self.kept.iter_mut().flat_map(|kept| kept.drain(..))
    }

    /// Reads one event. `event` is its type, empty or `message` for the default one. Its deltas are appended to `out`,
    /// also those that were read before an error was found.
    ///
    /// # Errors
    /// The failure that the server reports, or [`Limit::Event`](crate::Limit::Event) if the event's JSON holds some
    /// hundred thousand values. It ends the answer.
    pub fn read(&mut self, event: &str, data: &str, out: &mut Vec<Delta>) -> Result<Flow, Failure> {
        let trimmed = data.trim();
        if event.eq_ignore_ascii_case("error") && trimmed != DONE {
            return Err(failure_of_error_event(trimmed));
        }
        // Empty data is a ping (modelcontextprotocol/python-sdk#1670).
        if trimmed.is_empty() {
            return Ok(Flow::Continue);
        }
        if trimmed == DONE {
            self.done = true;
            return Ok(Flow::Done);
        }
        if let Some(hit) = self.fast.read(trimmed) {
            self.streamed = true;
            out.push(hit.delta);
            if let Some(usage) = hit.usage {
                self.push_usage(usage, out);
            }
            if let Some(kept) = &mut self.kept {
                kept.push(data.to_owned());
            }
            return Ok(Flow::Continue);
        }
        self.fast.forget();
        let before = out.len();
        match parse(trimmed.as_bytes()) {
            Ok(value) => {
                let flow = self.read_value(&value, out)?;
                self.keep(&value, data);
                if flow == Flow::Continue {
                    self.fast.learn(trimmed, &out[before..]);
                }
                Ok(flow)
            }
            Err(Unread::Json(error)) => self.read_broken(event, trimmed, &error, out),
            Err(Unread::TooMany) => Err(too_many()),
        }
    }

    /// Reads a line of the stream that is no SSE field. Only a bare JSON error (toolhive#6037) means anything.
    ///
    /// # Errors
    /// The failure that the line reports.
    pub fn read_stray_line(&mut self, line: &str) -> Result<Flow, Failure> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(Flow::Continue);
        }
        match parse(line.as_bytes()).ok().as_ref().and_then(failure_in_event) {
            Some(failure) => Err(failure),
            None => Ok(self.warn(
                "stray_line",
                "a line of the stream is no SSE field and was skipped",
                line,
            )),
        }
    }

    /// Reads the whole body of a 200 response that is no event stream (sourcegraph/cody#3479): a `chat.completion`, or
    /// an error.
    ///
    /// # Errors
    /// The failure that the body reports, [`FailureKind::Protocol`] if it is neither, or
    /// [`Limit::Event`](crate::Limit::Event) as for [`read`](Self::read).
    pub fn read_body(&mut self, body: &[u8], out: &mut Vec<Delta>) -> Result<Flow, Failure> {
        let value = parse(body).map_err(|error| match error {
            Unread::TooMany => too_many(),
            Unread::Json(error) => {
                let message = match excerpt(body).as_str() {
                    "" => "the response is empty".to_owned(),
                    excerpt => {
                        format!("the response is neither an event stream nor JSON ({error}): {excerpt}")
                    }
                };
                Failure::new(FailureKind::Protocol, message)
            }
        })?;
        if let Some(failure) = failure_in_event(&value) {
            return Err(failure);
        }
        if first_choice(&value).is_none() {
            let excerpt = excerpt(body);
            let message = format!("the response is JSON, but neither an answer nor an error: {excerpt}");
            return Err(Failure::new(FailureKind::Protocol, message));
        }
        self.fast.forget();
        let flow = self.read_value(&value, out)?;
        self.done = true;
        Ok(match flow {
            Flow::Continue => Flow::Done,
            other => other,
        })
    }

    /// The last finish reason, as the server wrote it.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&FinishReason> {
        self.finish.as_ref()
    }

    /// Whether the server said that it is done, or a whole body was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The model that answers, as the server names it.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The response's id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How the stream ended, given how its bytes did. If it did not end well and something could not be read before,
    /// the failure quotes it: it is likely the reason.
    #[must_use]
    pub fn end(&self, ending: Ending) -> Conclusion {
        let mut conclusion = conclude(self.finish.clone(), self.done, ending);
        let unexplained = conclusion.end.failure.as_mut().filter(|failure| {
            matches!(
                failure.kind,
                FailureKind::UnexpectedEnd | FailureKind::ConnectionLost | FailureKind::Deadline(_)
            )
        });
        if let (Some(failure), Some(unreadable)) = (unexplained, &self.unreadable) {
            failure
                .message
                .push_str("; the last thing that could not be read was: ");
            failure.message.push_str(unreadable);
        }
        conclusion
    }

    fn read_value(&mut self, value: &Value, out: &mut Vec<Delta>) -> Result<Flow, Failure> {
        if let Some(failure) = failure_in_event(value) {
            return Err(failure);
        }
        let Some(chunk) = value.as_object() else {
            return Ok(self.warn(
                "bad_event",
                "an event is JSON but no object and was skipped",
                &value.to_string(),
            ));
        };
        learn_name(&mut self.id, chunk.get("id"));
        learn_name(&mut self.model, chunk.get("model"));
        let choice = first_choice(value);
        let mut skipped = false;
        if let Some(choice) = choice {
            skipped = self.read_choice(chunk, choice, out)?;
        }
        // Groq and Moonshot put it elsewhere.
        let counts = [
            chunk.get("usage"),
            choice.and_then(|choice| choice.get("usage")),
            chunk.get("x_groq").and_then(|groq| groq.get("usage")),
        ];
        if let Some(usage) = counts.into_iter().flatten().find_map(usage) {
            self.push_usage(usage, out);
        }
        if skipped {
            return Ok(self.warn(
                "bad_event",
                "an event holds content of an unknown kind, which was skipped",
                &value.to_string(),
            ));
        }
        Ok(Flow::Continue)
    }

    /// Reads a choice; returns whether something in it had to be skipped.
    fn read_choice(
        &mut self,
        chunk: &Map<String, Value>,
        choice: &Map<String, Value>,
        out: &mut Vec<Delta>,
    ) -> Result<bool, Failure> {
        // OpenRouter reports an upstream's error inside the choice.
        if let Some(error) = choice.get("error") {
            let wrapped = Map::from_iter([("error".to_owned(), error.clone())]);
            if let Some(failure) = failure_in_event(&Value::Object(wrapped)) {
                return Err(failure);
            }
        }
        // Before the text they belong to.
        let is_repeated = is_whole(chunk) && self.streamed;
        if let Some(text) = choice.get("logprobs").and_then(Value::as_str)
            && !is_repeated
        {
            let read = logprobs(text)?;
            if !read.is_empty() {
                out.push(Delta::Logprobs(read));
            }
        }
        let delta = choice.get("delta").and_then(Value::as_object);
        let message = choice.get("message").and_then(Value::as_object);
        let mut skipped = false;
        match (delta, message) {
            (Some(delta), _) => skipped = self.read_delta(delta, out)?,
            // A last event may repeat the whole answer as a message; before that, a message is a delta.
            (None, Some(message)) => {
                if !is_repeated {
                    skipped = self.read_delta(message, out)?;
                }
            }
            // The legacy completions API has the text in the choice itself.
            (None, None) => {
                if let Some(Value::String(text)) = choice.get("text") {
                    self.push_text(Delta::Text, text.clone(), out);
                }
            }
        }
        let reason = choice
            .get("finish_reason")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(finish) = FinishReason::from_wire(&printable(reason, NAME_MAX)) {
            self.finish = Some(finish.clone());
            out.push(Delta::Finish(finish));
        }
        Ok(skipped)
    }

    fn read_delta(&mut self, delta: &Map<String, Value>, out: &mut Vec<Delta>) -> Result<bool, Failure> {
        let said = delta.get("content").map(Said::of).unwrap_or_default();
        let thought = match reasoning(delta) {
            thought if thought.is_empty() => said.reasoning,
            thought => thought,
        };
        let refusal = match delta.get("refusal") {
            Some(Value::String(refusal)) => refusal.clone(),
            _ => said.refusal,
        };
        self.push_text(Delta::Reasoning, thought, out);
        self.push_text(Delta::Text, said.text, out);
        self.push_text(Delta::Refusal, refusal, out);
        let before = out.len();
        if let Some(tool_calls) = delta.get("tool_calls").filter(|calls| !calls.is_null()) {
            self.calls.read(tool_calls, out)?;
        } else if let Some(Value::Object(function)) = delta.get("function_call") {
            self.calls.read_legacy(function, out)?;
        }
        self.streamed |= out.len() > before;
        Ok(said.skipped)
    }

    fn push_text(&mut self, kind: fn(String) -> Delta, text: String, out: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.streamed = true;
            out.push(kind(text));
        }
    }

    /// Usage on every chunk (opencode-cmd-provider#213) is news only when it changes.
    fn push_usage(&mut self, usage: Usage, out: &mut Vec<Delta>) {
        if self.usage.replace(usage) != Some(usage) {
            out.push(Delta::Usage(usage));
        }
    }

    /// Reads data that is no JSON value: several values in one event, an error in plain words, or something broken.
    fn read_broken(
        &mut self,
        event: &str,
        data: &str,
        error: &serde_json::Error,
        out: &mut Vec<Delta>,
    ) -> Result<Flow, Failure> {
        // Without blank lines between them, events arrive as one whose data has several lines; so does a `[DONE]` that
        // lacks its blank line.
        let lines = || data.lines().map(str::trim).filter(|line| !line.is_empty());
        if data.contains('\n') && lines().all(|line| line == DONE || is_json(line)) {
            let mut flow = Flow::Continue;
            for line in lines() {
                match self.read(event, line, out)? {
                    Flow::Continue => {}
                    Flow::Done => return Ok(Flow::Done),
                    warning @ Flow::Warning(_) => flow = warning,
                }
            }
            return Ok(flow);
        }
        // A framework that adds the field name which the application has written already: `data: data: {…}`.
        if let Some(inner) = data
            .strip_prefix("data:")
            .map(str::trim)
            .filter(|inner| *inner == DONE || is_json(inner))
        {
            return self.read(event, inner, out);
        }
        // Text that is almost JSON is worth more mended and read than skipped.
        if let Some(mended) = mend(data)
            && let Ok(value) = parse(mended.as_bytes())
        {
            let flow = self.read_value(&value, out)?;
            self.keep(&value, &mended);
            return Ok(match flow {
                Flow::Continue => self.warn(
                    "bad_json",
                    &format!("an event is no JSON ({error}) and was mended"),
                    data,
                ),
                other => other,
            });
        }
        // An error in plain words (mistral.rs#1874). A chunk, broken or not, does not begin so.
        let word = data.trim_start_matches('[');
        if word
            .get(..5)
            .is_some_and(|word| word.eq_ignore_ascii_case("error"))
        {
            return Err(error_event(data));
        }
        Ok(self.warn(
            "bad_json",
            &format!("an event is no JSON ({error}) and was skipped"),
            data,
        ))
    }

    /// Keeps an event's data, if that is wanted and it is an object: what else it may be, nobody can read.
    fn keep(&mut self, value: &Value, data: &str) {
        if let Some(kept) = self.kept.as_mut().filter(|_| value.is_object()) {
            kept.push(data.to_owned());
        }
    }

    fn warn(&mut self, kind: &'static str, what: &str, data: &str) -> Flow {
        let excerpt = excerpt(data.as_bytes());
        let message = format!("{what}: {excerpt}");
        self.unreadable = Some(excerpt);
        Flow::Warning(Notice::Warning { kind, message })
    }
}

/// Whether an event says that it is a whole answer and no chunk of one.
fn is_whole(chunk: &Map<String, Value>) -> bool {
    chunk.get("object").and_then(Value::as_str) == Some("chat.completion")
}

/// The first answer, the only one that is asked for: the choice whose index is 0 or missing.
fn first_choice(chunk: &Value) -> Option<&Map<String, Value>> {
    let is_first = |choice: &&Map<String, Value>| match choice.get("index") {
        None | Some(Value::Null) => true,
        Some(index) => number(index) == Some(0),
    };
    match chunk.get("choices")? {
        Value::Array(choices) => choices.iter().filter_map(Value::as_object).find(is_first),
        Value::Object(choice) => Some(choice).filter(is_first),
        _ => None,
    }
}

fn learn_name(known: &mut Option<String>, value: Option<&Value>) {
    if known.is_none() {
        let name = value.and_then(Value::as_str).filter(|name| !name.is_empty());
        *known = name.map(|name| printable(name, NAME_MAX));
    }
}

/// The beginning of what cannot be read, harmless to show. No more of it is looked at, however long it is.
fn excerpt(data: &[u8]) -> String {
    let beginning = &data[..data.len().min(4 * EXCERPT_MAX)];
    printable(&String::from_utf8_lossy(beginning), EXCERPT_MAX)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
