//! The text of a paragraph, a heading or a cell.

use crate::event::{Attributes, Event};

use super::Sink;
use super::definition::Definitions;

/// What a text is read against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outside<'a> {
    #[expect(dead_code, reason = "the links and tags within text are read next")]
    pub(super) window: usize,
    #[expect(dead_code, reason = "the links and tags within text are read next")]
    pub(super) definitions: &'a Definitions,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inline;

impl Inline {
    pub(super) fn push(&mut self, text: &str, _outside: Outside<'_>, sink: Sink<'_>) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                sink(Event::SoftBreak);
            }
            if !line.is_empty() {
                sink(Event::Text {
                    text: line,
                    attributes: Attributes::default(),
                    link: None,
                });
            }
        }
    }

    pub(super) fn finish(&mut self, _outside: Outside<'_>, _sink: Sink<'_>) {}

    pub(super) fn pretend(&mut self, _outside: Outside<'_>, _sink: Sink<'_>) {}
}
