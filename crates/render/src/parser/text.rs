//! The text of a block, with the definitions that its links refer to.

use super::Sink;
use super::definition::Definitions;
use super::inline::{Inline, Outside};

#[derive(Clone, Debug)]
pub(super) struct Text {
    inline: Inline,
    window: usize,
    pub(super) definitions: Definitions,
}

impl Text {
    pub(super) fn new(window: usize) -> Self {
        Self {
            inline: Inline::default(),
            window,
            definitions: Definitions::default(),
        }
    }

    /// Takes more text, and tells what is certain.
    pub(super) fn push(&mut self, text: &str, sink: Sink<'_>) {
        let outside = Outside {
            window: self.window,
            definitions: &self.definitions,
        };
        self.inline.push(text, outside, sink);
    }

    /// The text ends: tells the rest, and makes ready for another.
    pub(super) fn finish(&mut self, sink: Sink<'_>) {
        let outside = Outside {
            window: self.window,
            definitions: &self.definitions,
        };
        self.inline.finish(outside, sink);
    }

    /// Tells the rest as it should be shown if nothing came for a while. For a copy only.
    pub(super) fn pretend(&mut self, sink: Sink<'_>) {
        let outside = Outside {
            window: self.window,
            definitions: &self.definitions,
        };
        self.inline.pretend(outside, sink);
    }
}
