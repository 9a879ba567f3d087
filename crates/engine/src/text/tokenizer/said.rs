//! Tokens as a model would say a text, which is not how a prompt spells one: its own marks are tokens, and no space is
//! put before it.

use super::{Cut, Tokenizer};

impl Tokenizer {
    /// How many tokens there are.
    pub(crate) fn size(&self) -> usize {
        self.spellings.len()
    }

    /// The control token that is spelled so.
    pub(crate) fn control(&self, spelling: &str) -> Option<u32> {
        let control =
            |id: &&u32| self.bytes(**id).is_empty() && self.spelling(**id as usize) == Some(spelling);
        self.special_ids.iter().find(control).copied()
    }

    /// The tokens of text that goes on with an answer. Their bytes are those of the text, unless the vocabulary lacks
    /// some.
    pub(crate) fn encode_said(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 1);
        let mut done = 0;
        for found in self.special.find_iter(text) {
            let id = self.special_ids[found.pattern().as_usize()];
            // What is spelled like a control token is no such token.
            if !self.bytes(id).is_empty() {
                self.encode_middle(&text[done..found.start()], &mut ids);
                ids.push(id);
                done = found.end();
            }
        }
        self.encode_middle(&text[done..], &mut ids);
        ids
    }

    fn encode_middle(&self, text: &str, ids: &mut Vec<u32>) {
        match &self.cut {
            Cut::Whole { .. } if !text.is_empty() => self.merge(&text.replace(' ', "\u{2581}"), ids),
            Cut::Whole { .. } => {}
            Cut::Words { .. } => self.encode(text, ids),
            #[cfg(feature = "llama-cpp")]
            Cut::Foreign(_) => {
                let from = ids.len();
                self.encode(text, ids);
                // Where it puts a space before a text, the same token without one.
                if let Some(first) = ids.get_mut(from)
                    && let Some(rest) = self.bytes(*first).strip_prefix(b" ")
                    && !text.starts_with(' ')
                    && let Some(id) = self.bytes.iter().position(|bytes| **bytes == *rest)
                {
                    *first = u32::try_from(id).unwrap_or(*first);
                }
            }
        }
    }
}
