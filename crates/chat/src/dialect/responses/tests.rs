//! Tests of the Responses dialect: golden streams, endings, properties, requests.

mod endings;
mod events;
mod input;
mod input_items;
mod model;
mod properties;
mod request;

use super::*;
use crate::{Delta, End, FinishReason, Start, ToolCallDelta, Update, Usage};

/// A writer with fixed ids and times.
fn writer(settings: Settings) -> Writer {
    Writer::new("resp_1", "asked", 1_700_000_000, settings)
}

/// One event, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    sequence_number: u64,
    kind: &'static str,
    data: String,
}

/// The events of all these updates.
fn fold(writer: &mut Writer, updates: &[Update]) -> Vec<Kept> {
    let mut events = Vec::new();
    let mut keep = |event: Event<'_>| {
        events.push(Kept {
            sequence_number: event.sequence_number,
            kind: event.kind,
            data: event.data.to_owned(),
        });
    };
    for update in updates {
        writer.update(update, &mut keep);
    }
    events
}

/// The events as a golden file has them: their data, a line each.
fn lines(events: &[Kept]) -> String {
    events.iter().map(|event| format!("{}\n", event.data)).collect()
}

fn start() -> Update {
    Update::Start(Start {
        model: "m-1".into(),
        endpoint: "e".into(),
        stream: None,
    })
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.into()))
}

fn reasoning(text: &str) -> Update {
    Update::Delta(Delta::Reasoning(text.into()))
}

fn refusal(text: &str) -> Update {
    Update::Delta(Delta::Refusal(text.into()))
}

/// A fragment of a call; an empty id or name is none.
fn call(index: u32, id: &str, name: &str, arguments: &str) -> Update {
    let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    Update::Delta(Delta::ToolCall(ToolCallDelta {
        index,
        id: word(id),
        name: word(name),
        arguments: arguments.into(),
    }))
}

fn usage() -> Update {
    Update::Delta(Delta::Usage(Usage {
        input_tokens: 9,
        output_tokens: 4,
        cached_input_tokens: Some(2),
        reasoning_tokens: Some(1),
    }))
}

fn finished(reason: FinishReason) -> Update {
    Update::End(End::finished(Some(reason)))
}
