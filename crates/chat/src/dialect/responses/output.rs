//! The output of a response: its items, and the events that tell how they grow.
//!
//! Every text ends three times in this API (its own event, its part's, its item's) and a fourth time in the response.
//! So the whole answer is kept here, up to a limit.

use std::collections::BTreeMap;

use super::event::{Body, Pen, Piece};
use super::item::{Item, ItemBody, ItemStatus, Part, TextKind};
use crate::{Delta, Failure, FailureKind, Limit, TokenLogprob, ToolCallDelta};

/// What an item or a part counts for besides its text, so that an answer of many small ones meets the limit too.
const ITEM_COST: usize = 256;

/// The items of one answer.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// What the ids of the items have in common with the response's.
    suffix: String,
    items: Vec<Item>,
    /// Where the call with each index of the deltas is among the items.
    calls: BTreeMap<u32, usize>,
    /// The item that was added to last.
    current: Option<usize>,
    /// Those of the output text that comes next.
    logprobs: Vec<TokenLogprob>,
    bytes: usize,
    /// In bytes.
    pub(super) limit: usize,
}

impl Output {
    pub(super) fn new(suffix: &str, limit: usize) -> Self {
        Self {
            suffix: suffix.to_owned(),
            items: Vec::new(),
            calls: BTreeMap::new(),
            current: None,
            logprobs: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Adds the next delta.
    ///
    /// # Errors
    /// [`Limit::Answer`] if the answer would outgrow the limit; nothing of the delta is then added.
    pub(super) fn push(&mut self, delta: &Delta, pen: &mut Pen<'_>) -> Result<(), Failure> {
        self.charge(delta)?;
        match delta {
            Delta::Text(text) => self.text(TextKind::Output, text, pen),
            Delta::Reasoning(text) => self.text(TextKind::Reasoning, text, pen),
            Delta::Refusal(text) => self.text(TextKind::Refusal, text, pen),
            Delta::ToolCall(call) => self.call(call, pen),
            Delta::Logprobs(tokens) => self.logprobs.extend_from_slice(tokens),
            Delta::Usage(_) | Delta::Finish(_) => {}
        }
        Ok(())
    }

    /// Ends every item that is open. If the answer is not whole, the one that was added to last is where it was cut.
    pub(super) fn finish(&mut self, whole: bool, pen: &mut Pen<'_>) {
        let cut = self.current.filter(|_| !whole);
        for place in 0..self.items.len() {
            if self.items[place].status == ItemStatus::InProgress {
                let status = if cut == Some(place) {
                    ItemStatus::Incomplete
                } else {
                    ItemStatus::Completed
                };
                self.close(place, status, pen);
            }
        }
    }

    /// Leaves every open item as it is, without a word: none of them is done.
    pub(super) fn break_off(&mut self) {
        for item in &mut self.items {
            if item.status == ItemStatus::InProgress {
                item.status = ItemStatus::Incomplete;
            }
        }
    }

    /// Counts a delta towards the limit.
    fn charge(&mut self, delta: &Delta) -> Result<(), Failure> {
        let fresh = match delta {
            Delta::Text(_) => !self.continues(TextKind::Output),
            Delta::Reasoning(_) => !self.continues(TextKind::Reasoning),
            Delta::Refusal(_) => !self.continues(TextKind::Refusal),
            Delta::ToolCall(call) => !self.calls.contains_key(&call.index),
            Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => false,
        };
        let cost = delta.weight() + if fresh { ITEM_COST } else { 0 };
        let bytes = self.bytes.saturating_add(cost);
        if bytes > self.limit {
            let message = format!("the answer is longer than the limit of {} bytes", self.limit);
            return Err(Failure::new(FailureKind::Limit(Limit::Answer), message));
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Whether text of this kind goes on in the part that was added to last.
    fn continues(&self, kind: TextKind) -> bool {
        self.current
            .and_then(|place| self.items[place].parts().last())
            .is_some_and(|part| part.kind == kind)
    }

    fn text(&mut self, kind: TextKind, text: &str, pen: &mut Pen<'_>) {
        let place = match self.current {
            Some(place) if self.items[place].parts_of(kind).is_some() => place,
            _ => {
                self.leave_current(pen);
                self.add(kind.prefix(), kind.body(), pen)
            }
        };
        if !self.continues(kind) {
            self.close_part(place, pen);
            self.add_part(place, kind, pen);
        }
        let fresh = if kind == TextKind::Output {
            std::mem::take(&mut self.logprobs)
        } else {
            Vec::new()
        };
        if let Some(part) = self.items[place]
            .parts_of(kind)
            .and_then(|parts| parts.last_mut())
        {
            part.text.push_str(text);
            part.logprobs.extend_from_slice(&fresh);
        }
        let piece = Piece::of_last_part(place, &self.items[place]).with_delta(kind, text, &fresh);
        pen.emit(kind.delta_event(), &Body::Piece(piece));
    }

    fn call(&mut self, delta: &ToolCallDelta, pen: &mut Pen<'_>) {
        let place = match self.calls.get(&delta.index) {
            Some(place) => *place,
            None => {
                self.leave_current(pen);
                self.add_call(delta, pen)
            }
        };
        if self.current != Some(place) {
            self.leave_current(pen);
            self.current = Some(place);
        }
        let ItemBody::FunctionCall { name, arguments, .. } = &mut self.items[place].body else {
            return;
        };
        // The id was announced with the call and cannot change any more; a name that comes late is told at the end.
        if let Some(late) = delta.name.as_ref().filter(|_| name.is_empty()) {
            name.clone_from(late);
        }
        if delta.arguments.is_empty() {
            return;
        }
        arguments.push_str(&delta.arguments);
        let piece = Piece::of_item(place, &self.items[place]).with_arguments_delta(&delta.arguments);
        pen.emit("response.function_call_arguments.delta", &Body::Piece(piece));
    }

    fn add_call(&mut self, delta: &ToolCallDelta, pen: &mut Pen<'_>) -> usize {
        let made_up = || format!("call_{}_{}", self.suffix, self.items.len());
        let body = ItemBody::FunctionCall {
            call_id: delta.id.clone().unwrap_or_else(made_up),
            name: delta.name.clone().unwrap_or_default(),
            arguments: String::new(),
        };
        let place = self.add("fc", body, pen);
        self.calls.insert(delta.index, place);
        place
    }

    /// Adds an item to the output, the one to be added to from now on.
    fn add(&mut self, prefix: &str, body: ItemBody, pen: &mut Pen<'_>) -> usize {
        let place = self.items.len();
        self.items.push(Item {
            id: format!("{prefix}_{}_{place}", self.suffix),
            status: ItemStatus::InProgress,
            body,
        });
        self.current = Some(place);
        self.emit_item("response.output_item.added", place, pen);
        place
    }

    fn add_part(&mut self, place: usize, kind: TextKind, pen: &mut Pen<'_>) {
        if let Some(parts) = self.items[place].parts_of(kind) {
            parts.push(Part {
                kind,
                text: String::new(),
                logprobs: Vec::new(),
            });
        }
        self.emit_part("response.content_part.added", place, pen);
    }

    /// Another item is about to be added to: the one before ends, unless it is a call.
    fn leave_current(&mut self, pen: &mut Pen<'_>) {
        if let Some(place) = self.current
            && !matches!(self.items[place].body, ItemBody::FunctionCall { .. })
        {
            self.close(place, ItemStatus::Completed, pen);
        }
    }

    /// Ends an item.
    fn close(&mut self, place: usize, status: ItemStatus, pen: &mut Pen<'_>) {
        self.close_part(place, pen);
        self.items[place].status = status;
        if let ItemBody::FunctionCall { arguments, .. } = &self.items[place].body
            && status == ItemStatus::Completed
        {
            let piece = Piece::of_item(place, &self.items[place]).with_arguments(arguments);
            pen.emit("response.function_call_arguments.done", &Body::Piece(piece));
        }
        self.emit_item("response.output_item.done", place, pen);
    }

    /// Ends the last part of an item, if it has one.
    fn close_part(&mut self, place: usize, pen: &mut Pen<'_>) {
        let item = &self.items[place];
        if let Some(part) = item.parts().last() {
            let piece = Piece::of_last_part(place, item).with_text(part);
            pen.emit(part.kind.done_event(), &Body::Piece(piece));
            self.emit_part("response.content_part.done", place, pen);
        }
    }

    fn emit_item(&self, kind: &'static str, place: usize, pen: &mut Pen<'_>) {
        let body = Body::Item {
            output_index: place,
            item: &self.items[place],
        };
        pen.emit(kind, &body);
    }

    fn emit_part(&self, kind: &'static str, place: usize, pen: &mut Pen<'_>) {
        let item = &self.items[place];
        let piece = Piece::of_last_part(place, item).with_part(item.parts().last());
        pen.emit(kind, &Body::Piece(piece));
    }
}
