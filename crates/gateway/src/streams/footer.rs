//! The last word on a stream: what its relay leaves for whoever asks about it later.

use aurora_chat::End;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// How a stream ended. Its JSON is part of what is kept on disk, so fields may be added and never change their meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer {
    /// As [`Verdict::as_str`](aurora_chat::Verdict::as_str) writes it.
    pub(crate) verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finish_reason: Option<String>,
    /// The model that answered.
    pub(crate) model: String,
    /// The HTTP status of the same end, had nothing been sent before; none of an answer that is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
}

impl Footer {
    pub(crate) fn of(end: &End, model: &str) -> Self {
        Self {
            verdict: end.verdict.as_str().to_owned(),
            finish_reason: end.finish_reason_str().map(str::to_owned),
            model: model.to_owned(),
            status: end.to_report().map(|failure| Refusal::from(&failure).status()),
        }
    }

    /// What [`Footer::to_bytes`] wrote; `None` for anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}
