//! What is kept of sequences that have ended, for those who begin with the same tokens.

use super::sequence::{AfterPrompt, Sequence};
use crate::model::Shape;

/// How many of those kept last have the logits after their prompt: 200 KB each for SmolLM2, 600 for Qwen.
const WITH_LOGITS: usize = 16;

/// The sequences that are kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The longest unused first.
    entries: Vec<Entry>,
}

/// A sequence that has ended.
#[derive(Debug)]
pub(super) struct Entry {
    /// The model's sequence.
    pub(super) slot: usize,
    /// Its tokens, of which the model holds the first `read`.
    pub(super) tokens: Vec<u32>,
    pub(super) read: usize,
    /// How many of the first took the way of many: all, or none where there is but one way.
    pub(super) bulk: usize,
    /// The logits after its prompt, of those that were kept last.
    pub(super) after_prompt: Option<AfterPrompt>,
}

impl Entry {
    /// What can be kept of a sequence: what another one would have read the same way.
    ///
    /// An answer was read a token at a time. In the conversation's next prompt its tokens take the way of many, which
    /// rounds differently; so they are kept as tokens, to be read again when there is time.
    pub(super) fn of(sequence: Sequence, shape: &Shape) -> Option<Self> {
        let Sequence {
            mut tokens,
            bulk,
            fed,
            slot,
            after_prompt,
            ..
        } = sequence;
        if !shape.prefixes {
            return None;
        }
        if shape.bulk == usize::MAX || fed < bulk {
            tokens.truncate(fed);
        } else if bulk == 0 {
            // Few tokens, that no longer prompt would have read this way.
            return None;
        }
        let read = tokens.len().min(if bulk == 0 { fed } else { fed.min(bulk) });
        let bulk = if bulk == 0 { 0 } else { tokens.len() };
        (read > 0).then_some(Self {
            slot,
            tokens,
            read,
            bulk,
            after_prompt,
        })
    }

    /// Whether it has all that another one has.
    fn covers(&self, other: &Self) -> bool {
        other.read <= self.read && self.tokens.starts_with(&other.tokens)
    }
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Keeps a sequence, as the one used last.
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        if let Some(older) = self.entries.len().checked_sub(WITH_LOGITS + 1) {
            self.entries[older].after_prompt = None;
        }
    }

    /// Marks a sequence as used, if it is one of these.
    pub(super) fn touch(&mut self, slot: usize) {
        if let Some(index) = self.entries.iter().position(|entry| entry.slot == slot) {
            self.entries[index..].rotate_left(1);
        }
    }

    /// Takes out the longest unused but one, and returns its slot.
    pub(super) fn evict(&mut self, but: Option<usize>) -> Option<usize> {
        let index = self.entries.iter().position(|entry| Some(entry.slot) != but)?;
        Some(self.entries.remove(index).slot)
    }

    /// The slot of one that has all that another one has.
    pub(super) fn covering(&self, new: &Entry) -> Option<usize> {
        self.entries
            .iter()
            .find(|entry| entry.covers(new))
            .map(|entry| entry.slot)
    }

    /// Takes out those of which another one has all, and returns their slots.
    pub(super) fn superseded_by(&mut self, new: &Entry) -> Vec<usize> {
        self.entries
            .extract_if(.., |entry| new.covers(entry))
            .map(|entry| entry.slot)
            .collect()
    }

    /// The one used last of which the model does not hold all tokens.
    pub(super) fn unread(&mut self) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .rev()
            .find(|entry| entry.read < entry.tokens.len())
    }

    /// Leaves a sequence at what the model holds of it.
    pub(super) fn give_up(&mut self, slot: usize) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == slot) {
            entry.tokens.truncate(entry.read);
            entry.bulk = entry.bulk.min(entry.read);
        }
    }
}
