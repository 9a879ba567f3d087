//! The blocks a message is made of, whole or as far as they have come.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::progress::Progress;

/// One block of content.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The text; of a call, the JSON of its input as the model wrote it.
    pub(super) text: String,
    pub(super) open: bool,
    /// How far the input of a call has come.
    progress: Progress,
    /// Whether it once seemed whole and was no JSON. It is then never looked at again, so that time stays linear.
    broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    ToolUse { id: String, name: String },
}

/// A block as the reference has it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireBlock<'a> {
    Text {
        text: &'a str,
    },
    /// A signature is how Anthropic knows its own thinking again; there is none here.
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
}

/// What is added to a block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum WireDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

impl Block {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            text: String::new(),
            open: true,
            progress: Progress::default(),
            broken: false,
        }
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        if matches!(self.kind, Kind::ToolUse { .. }) {
            self.progress.advance(piece);
        }
    }

    /// The block as it begins: with nothing in it.
    pub(super) fn start(&self) -> WireBlock<'_> {
        match &self.kind {
            Kind::Text => WireBlock::Text { text: "" },
            Kind::Thinking => WireBlock::Thinking {
                thinking: "",
                signature: "",
            },
            Kind::ToolUse { id, name } => WireBlock::ToolUse {
                id,
                name,
                input: empty_object(),
            },
        }
    }

    /// The block as it is; `None` for a call whose input is no JSON object, which this API cannot express.
    pub(super) fn whole(&self) -> Option<WireBlock<'_>> {
        Some(match &self.kind {
            Kind::Text => WireBlock::Text { text: &self.text },
            Kind::Thinking => WireBlock::Thinking {
                thinking: &self.text,
                signature: "",
            },
            Kind::ToolUse { id, name } => WireBlock::ToolUse {
                id,
                name,
                input: self.input()?,
            },
        })
    }

    /// What is written when this piece is added.
    pub(super) fn delta<'a>(&self, piece: &'a str) -> WireDelta<'a> {
        match self.kind {
            Kind::Text => WireDelta::Text { text: piece },
            Kind::Thinking => WireDelta::Thinking { thinking: piece },
            Kind::ToolUse { .. } => WireDelta::Input { partial_json: piece },
        }
    }

    /// Whether another block may begin and this one is then over. A call that is not whole may be one of several that
    /// come interleaved.
    pub(super) fn may_end(&mut self) -> bool {
        if !matches!(self.kind, Kind::ToolUse { .. }) {
            return true;
        }
        if self.broken || !self.progress.is_complete() {
            return false;
        }
        self.broken = self.input().is_none();
        !self.broken
    }

    /// The input of a call, if it is whole. No text at all is a call without input.
    fn input(&self) -> Option<&RawValue> {
        if self.text.is_empty() {
            return Some(empty_object());
        }
        let input: &RawValue = serde_json::from_str(&self.text).ok()?;
        input.get().starts_with('{').then_some(input)
    }
}

fn empty_object() -> &'static RawValue {
    serde_json::from_str("{}").expect("an empty object is JSON")
}
