//! The fold of an answer's updates into the events of a message, and into the whole message.
//!
//! The order of fields is fixed and nothing comes from outside but the updates, so the same updates give the same bytes.

use std::collections::BTreeMap;

use super::block::{Block, Kind, WireBlock};
use super::wire::{Body, Event, Sink, Stop, WireError, WireMessage, WireUsage, emit};
use crate::dialect::openai::ErrorBody;
use crate::{Delta, End, Failure, FailureKind, Limit, ToolCallDelta, Update, Usage, Verdict, transcript};

/// What a block counts for besides its text, so that an answer of many small ones meets the limit too.
const BLOCK_COST: usize = 256;

/// Folds one answer.
///
/// The events are `message_start`, then for each block `content_block_start`, `content_block_delta` and
/// `content_block_stop`, then `message_delta` with the stop reason and the token counts, and `message_stop`. An answer
/// that broke off, or that a caller stopped, ends with `error` instead: no block that is open is said to stop, and there
/// is no stop reason.
///
/// A block stops when the next one starts, except a call whose input is not whole: it may be one of several that come
/// interleaved, and stops with the message. A stop string is told as `end_turn`, since a chat does not say which reason
/// a natural end had; a refusal is text with the stop reason `refusal`.
#[derive(Clone, Debug)]
pub struct Writer {
    id: String,
    model: String,
    started: bool,
    blocks: Vec<Block>,
    /// Where the call with each index of the deltas is among the blocks.
    calls: BTreeMap<u32, usize>,
    /// The block that was added to last.
    current: Option<usize>,
    refused: bool,
    usage: Option<Usage>,
    verdict: Option<Verdict>,
    bytes: usize,
    limit: usize,
    /// The data of one event.
    data: Vec<u8>,
}

impl Writer {
    /// A writer for the message with this id (`msg_…`), by this model. A source that names its model is believed more.
    #[must_use]
    pub fn new(id: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            model: model.into(),
            started: false,
            blocks: Vec::new(),
            calls: BTreeMap::new(),
            current: None,
            refused: false,
            usage: None,
            verdict: None,
            bytes: 0,
            limit: transcript::DEFAULT_LIMIT,
            data: Vec::new(),
        }
    }

    /// The same writer with a limit of this many bytes on the answer, instead of
    /// [`DEFAULT_LIMIT`](transcript::DEFAULT_LIMIT). An answer that outgrows it fails with [`Limit::Answer`].
    #[must_use]
    pub fn with_limit(self, bytes: usize) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Folds the next update and gives its events to the sink, in order. After the end it does nothing.
    pub fn update(&mut self, update: &Update, sink: &mut dyn FnMut(Event<'_>)) {
        if self.verdict.is_some() {
            return;
        }
        match update {
            Update::Start(start) => {
                if !start.model.is_empty() && !self.started {
                    self.model.clone_from(&start.model);
                }
                self.start(sink);
            }
            Update::Delta(delta) => {
                self.start(sink);
                self.delta(delta, sink);
            }
            Update::Notice(_) => {}
            Update::End(end) => self.end(end, sink),
        }
    }

    /// How the answer ended; `None` before that.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Appends the message as it is now, as JSON. A call that was cut off by a limit or a filter is left out,
    /// as the stop reason tells.
    ///
    /// # Errors
    /// [`FailureKind::Protocol`] if the answer is complete and has a call whose input is no JSON object: this API cannot
    /// express it. Nothing is then appended.
    pub fn message(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut content = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            match block.whole() {
                Some(whole) => content.push(whole),
                None if self.verdict == Some(Verdict::Complete) => {
                    let message = "the model called a tool with an input that is no JSON object";
                    return Err(Failure::new(FailureKind::Protocol, message));
                }
                None => {}
            }
        }
        let message = self.wire_message(content);
        serde_json::to_writer(out, &message)
            .expect("what goes into a message always serialises, and a Vec takes every byte");
        Ok(())
    }

    fn start(&mut self, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            let mut data = std::mem::take(&mut self.data);
            let message = self.wire_message(Vec::new());
            emit("message_start", &Body::MessageStart { message }, &mut data, sink);
            self.data = data;
        }
    }

    fn delta(&mut self, delta: &Delta, sink: &mut Sink<'_>) {
        let charged = self.charge(delta);
        match delta {
            _ if charged.is_err() => {}
            Delta::Text(text) => self.text(Kind::Text, text, sink),
            Delta::Reasoning(text) => self.text(Kind::Thinking, text, sink),
            Delta::Refusal(text) => {
                self.refused = true;
                self.text(Kind::Text, text, sink);
            }
            Delta::ToolCall(call) => self.call(call, sink),
            Delta::Usage(usage) => self.usage = Some(*usage),
            // The end has the finish reason that counts, and what it amounts to; this API has no log probabilities.
            Delta::Finish(_) | Delta::Logprobs(_) => {}
        }
        if let Err(failure) = charged {
            self.end(&End::of_failure(failure), sink);
        }
    }

    /// Counts a delta towards the limit.
    fn charge(&mut self, delta: &Delta) -> Result<(), Failure> {
        let fresh = match delta {
            Delta::Text(_) | Delta::Refusal(_) => !self.continues(&Kind::Text),
            Delta::Reasoning(_) => !self.continues(&Kind::Thinking),
            Delta::ToolCall(call) => !self.calls.contains_key(&call.index),
            Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => false,
        };
        let cost = delta.weight() + if fresh { BLOCK_COST } else { 0 };
        let bytes = self.bytes.saturating_add(cost);
        if bytes > self.limit {
            let message = format!("the answer is longer than the limit of {} bytes", self.limit);
            return Err(Failure::new(FailureKind::Limit(Limit::Answer), message));
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Whether text of this kind goes on in the block that was added to last.
    fn continues(&self, kind: &Kind) -> bool {
        self.current.is_some_and(|place| self.blocks[place].kind == *kind)
    }

    fn text(&mut self, kind: Kind, text: &str, sink: &mut Sink<'_>) {
        let place = match self.current {
            Some(place) if self.blocks[place].kind == kind => place,
            _ => self.add(kind, sink),
        };
        self.append(place, text, sink);
    }

    fn call(&mut self, delta: &ToolCallDelta, sink: &mut Sink<'_>) {
        let place = match self.calls.get(&delta.index) {
            Some(place) => *place,
            None => {
                let suffix = self.id.strip_prefix("msg_").unwrap_or(&self.id);
                let made_up = || format!("toolu_{suffix}_{}", self.blocks.len());
                let kind = Kind::ToolUse {
                    id: delta.id.clone().unwrap_or_else(made_up),
                    name: delta.name.clone().unwrap_or_default(),
                };
                let place = self.add(kind, sink);
                self.calls.insert(delta.index, place);
                place
            }
        };
        // The start of the block cannot be told again, but the message can have the name.
        if let (Kind::ToolUse { name, .. }, Some(late)) = (&mut self.blocks[place].kind, &delta.name)
            && name.is_empty()
        {
            name.clone_from(late);
        }
        // What comes for a call that stopped comes after a whole object, where only blanks may follow.
        if delta.arguments.is_empty() || !self.blocks[place].open {
            return;
        }
        if self.current != Some(place) {
            self.leave_current(sink);
            self.current = Some(place);
        }
        self.append(place, &delta.arguments, sink);
    }

    fn add(&mut self, kind: Kind, sink: &mut Sink<'_>) -> usize {
        self.leave_current(sink);
        let index = self.blocks.len();
        self.blocks.push(Block::new(kind));
        self.current = Some(index);
        let content_block = self.blocks[index].start();
        let body = Body::BlockStart { index, content_block };
        emit("content_block_start", &body, &mut self.data, sink);
        index
    }

    fn append(&mut self, index: usize, piece: &str, sink: &mut Sink<'_>) {
        let block = &mut self.blocks[index];
        block.push(piece);
        let delta = block.delta(piece);
        let body = Body::BlockDelta { index, delta };
        emit("content_block_delta", &body, &mut self.data, sink);
    }

    /// Another block is about to be added to.
    fn leave_current(&mut self, sink: &mut Sink<'_>) {
        if let Some(index) = self.current
            && self.blocks[index].may_end()
        {
            self.stop(index, sink);
        }
    }

    fn stop(&mut self, index: usize, sink: &mut Sink<'_>) {
        if std::mem::replace(&mut self.blocks[index].open, false) {
            emit(
                "content_block_stop",
                &Body::BlockStop { index },
                &mut self.data,
                sink,
            );
        }
    }

    fn end(&mut self, end: &End, sink: &mut Sink<'_>) {
        self.verdict = Some(end.verdict);
        if let Some(failure) = end.to_report() {
            let error = ErrorBody::from(&failure);
            emit(
                "error",
                &Body::Error {
                    error: WireError::of(&error),
                },
                &mut self.data,
                sink,
            );
            return;
        }
        self.start(sink);
        for index in 0..self.blocks.len() {
            self.stop(index, sink);
        }
        let delta = Stop {
            stop_reason: self.stop_reason(),
            stop_sequence: None,
        };
        let usage = WireUsage::of(self.usage.unwrap_or_default());
        emit(
            "message_delta",
            &Body::MessageDelta { delta, usage },
            &mut self.data,
            sink,
        );
        emit("message_stop", &Body::MessageStop {}, &mut self.data, sink);
    }

    /// Why the message stopped; `None` as long as it did not, and where it broke off.
    fn stop_reason(&self) -> Option<&'static str> {
        match self.verdict? {
            Verdict::Complete if self.refused => Some("refusal"),
            Verdict::Complete if !self.calls.is_empty() => Some("tool_use"),
            Verdict::Complete => Some("end_turn"),
            Verdict::Length => Some("max_tokens"),
            Verdict::Filtered => Some("refusal"),
            Verdict::Truncated
            | Verdict::Interrupted
            | Verdict::Failed(_)
            | Verdict::TimedOut(_)
            | Verdict::Cancelled => None,
        }
    }

    fn wire_message<'a>(&'a self, content: Vec<WireBlock<'a>>) -> WireMessage<'a> {
        WireMessage {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: &self.model,
            content,
            stop: Stop {
                stop_reason: self.stop_reason(),
                stop_sequence: None,
            },
            usage: WireUsage::of(self.usage.unwrap_or_default()),
        }
    }
}
