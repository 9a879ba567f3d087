//! The items an answer is made of, whole or as far as they have come.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::TokenLogprob;

/// One output item.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: ItemStatus,
    #[serde(flatten)]
    pub(super) body: ItemBody,
}

/// How far an item has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemStatus {
    InProgress,
    Completed,
    /// It was cut off: by a limit, a filter, or because the stream broke.
    Incomplete,
}

#[derive(Clone, Debug, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ItemBody {
    Message {
        role: &'static str,
        content: Vec<Part>,
    },
    /// What the model thought aloud. It is given as it was, so there is no summary.
    Reasoning {
        summary: [(); 0],
        content: Vec<Part>,
    },
    FunctionCall {
        call_id: String,
        name: String,
        arguments: String,
    },
}

/// A run of text of one kind within an item.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: TextKind,
    pub(super) text: String,
    /// Of output text only, and only where they were asked for.
    pub(super) logprobs: Vec<TokenLogprob>,
}

/// The kinds of text, each with its own part and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    Output,
    Refusal,
    Reasoning,
}

impl Item {
    /// The item's parts; a call has none.
    pub(super) fn parts(&self) -> &[Part] {
        match &self.body {
            ItemBody::Message { content, .. } | ItemBody::Reasoning { content, .. } => content,
            ItemBody::FunctionCall { .. } => &[],
        }
    }

    /// The parts, if the item is of the sort that has parts of this kind.
    pub(super) fn parts_of(&mut self, kind: TextKind) -> Option<&mut Vec<Part>> {
        match (&mut self.body, kind) {
            (ItemBody::Message { content, .. }, TextKind::Output | TextKind::Refusal)
            | (ItemBody::Reasoning { content, .. }, TextKind::Reasoning) => Some(content),
            _ => None,
        }
    }
}

impl TextKind {
    /// The first letters of the id of an item that has such parts.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Output | Self::Refusal => "msg",
            Self::Reasoning => "rs",
        }
    }

    /// An item for such parts, with none yet.
    pub(super) fn body(self) -> ItemBody {
        let content = Vec::new();
        match self {
            Self::Output | Self::Refusal => ItemBody::Message {
                role: "assistant",
                content,
            },
            Self::Reasoning => ItemBody::Reasoning { summary: [], content },
        }
    }

    /// The type of the event that adds to such a part.
    pub(super) fn delta_event(self) -> &'static str {
        match self {
            Self::Output => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
            Self::Reasoning => "response.reasoning_text.delta",
        }
    }

    /// The type of the event that ends such a part's text.
    pub(super) fn done_event(self) -> &'static str {
        match self {
            Self::Output => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
            Self::Reasoning => "response.reasoning_text.done",
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut part = serializer.serialize_struct("Part", 4)?;
        match self.kind {
            TextKind::Output => {
                part.serialize_field("type", "output_text")?;
                part.serialize_field("annotations", &[(); 0])?;
                part.serialize_field("logprobs", &self.logprobs)?;
                part.serialize_field("text", &self.text)?;
            }
            TextKind::Refusal => {
                part.serialize_field("type", "refusal")?;
                part.serialize_field("refusal", &self.text)?;
            }
            TextKind::Reasoning => {
                part.serialize_field("type", "reasoning_text")?;
                part.serialize_field("text", &self.text)?;
            }
        }
        part.end()
    }
}
