//! What an answer is called: decided once when it begins, and kept as the header of its stream.

use aurora_chat::dialect::openai::Writer;
use serde::{Deserialize, Serialize};

/// What an answer is called on the wire, and what was asked for. Its JSON is part of what is kept on disk, so fields may
/// be added and never change their meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Title {
    /// `chatcmpl-…`.
    pub(crate) id: String,
    /// The model as the request named it; a source that names its model is believed more.
    pub(crate) model: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    /// Whether the token counts are wanted as a last chunk.
    pub(crate) include_usage: bool,
}

impl Title {
    /// The writer of this answer.
    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.id.as_str(), self.model.as_str(), self.created).with_usage(self.include_usage)
    }

    /// The header of the answer's stream.
    pub(crate) fn header(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    /// What [`Title::header`] wrote. Of anything else nothing is known.
    pub(crate) fn read(header: &[u8]) -> Self {
        serde_json::from_slice(header).unwrap_or_default()
    }
}
