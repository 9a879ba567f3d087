//! The events of a stream: numbered from 0 without a gap, each with its type first.

use serde::Serialize;

use super::item::{Item, Part, TextKind};
use super::object::Object;
use crate::TokenLogprob;
use crate::dialect::openai::ErrorBody;

/// One event of a response's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its place in the stream, from 0 and without gaps: what `starting_after` names.
    pub sequence_number: u64,
    /// Its type, which is also the name of its frame (`event:`).
    pub kind: &'static str,
    /// Its data: one JSON object on one line.
    pub data: &'a str,
}

/// Counts the events of a stream, and knows which are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    pub(super) next: u64,
    /// Events up to this number are counted and not written.
    pub(super) after: Option<u64>,
    /// The data of one event. Kept, so that a stream of deltas costs no allocation each.
    data: Vec<u8>,
}

/// What writes events, in their order.
pub(super) struct Pen<'a> {
    pub(super) counter: &'a mut Counter,
    pub(super) sink: &'a mut dyn FnMut(Event<'_>),
}

/// What an event says beside its type and number.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Response {
        response: Object<'a>,
    },
    Item {
        output_index: usize,
        item: &'a Item,
    },
    Piece(Piece<'a>),
    /// The fields of the reference, and the object `error` that OpenAI's servers send in their place
    /// (openai-dotnet#881): the official clients raise an error for the object only.
    Error {
        code: &'a str,
        message: &'a str,
        param: Option<&'a str>,
        error: &'a ErrorBody,
    },
}

/// An event about a part of an item, or a call's arguments.
#[derive(Default, Serialize)]
pub(super) struct Piece<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    /// The reference has the list in every event about output text, be it empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [TokenLogprob]>,
}

#[derive(Serialize)]
struct Data<'a> {
    r#type: &'static str,
    sequence_number: u64,
    #[serde(flatten)]
    body: &'a Body<'a>,
}

impl Pen<'_> {
    /// Gives one event to the sink, unless it is one of those that are only counted.
    pub(super) fn emit(&mut self, kind: &'static str, body: &Body<'_>) {
        let Counter {
            next,
            after,
            data: out,
        } = &mut *self.counter;
        let sequence_number = *next;
        *next += 1;
        if after.is_some_and(|after| sequence_number <= after) {
            return;
        }
        let data = Data {
            r#type: kind,
            sequence_number,
            body,
        };
        out.clear();
        serde_json::to_writer(&mut *out, &data).expect(
            "strings, numbers and maps with string keys always serialise, and a Vec takes every byte",
        );
        let data = str::from_utf8(out).expect("serde_json writes UTF-8");
        (self.sink)(Event {
            sequence_number,
            kind,
            data,
        });
    }
}

impl<'a> Piece<'a> {
    /// About an item that has no parts.
    pub(super) fn of_item(output_index: usize, item: &'a Item) -> Self {
        Self {
            item_id: &item.id,
            output_index,
            ..Self::default()
        }
    }

    /// About the last part of an item.
    pub(super) fn of_last_part(output_index: usize, item: &'a Item) -> Self {
        Self {
            content_index: Some(item.parts().len().saturating_sub(1)),
            ..Self::of_item(output_index, item)
        }
    }

    /// With the next piece of the arguments.
    pub(super) fn with_arguments_delta(self, delta: &'a str) -> Self {
        Self {
            delta: Some(delta),
            ..self
        }
    }

    /// With the whole arguments.
    pub(super) fn with_arguments(self, arguments: &'a str) -> Self {
        Self {
            arguments: Some(arguments),
            ..self
        }
    }

    /// With the part itself.
    pub(super) fn with_part(self, part: Option<&'a Part>) -> Self {
        Self { part, ..self }
    }

    /// With the next piece of a text of this kind, and what is known of its tokens.
    pub(super) fn with_delta(self, kind: TextKind, delta: &'a str, logprobs: &'a [TokenLogprob]) -> Self {
        Self {
            delta: Some(delta),
            logprobs: (kind == TextKind::Output).then_some(logprobs),
            ..self
        }
    }

    /// With the whole text of this part.
    pub(super) fn with_text(self, part: &'a Part) -> Self {
        let text = Some(part.text.as_str());
        match part.kind {
            TextKind::Output => Self {
                text,
                logprobs: Some(&part.logprobs),
                ..self
            },
            TextKind::Reasoning => Self { text, ..self },
            TextKind::Refusal => Self {
                refusal: text,
                ..self
            },
        }
    }
}
