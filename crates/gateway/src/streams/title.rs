//! What an answer is called: decided once when it begins, and kept as the header of its stream.

use aurora_chat::dialect::openai::Writer;
use aurora_chat::dialect::responses::Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an answer is called on the wire, and what was asked for. Its JSON is part of what is kept on disk, so fields may
/// be added and never change their meaning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Title {
    /// `chatcmpl-…`.
    pub(crate) id: String,
    /// The model as the request named it; a source that names its model is believed more.
    pub(crate) model: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    /// Whether the token counts are wanted as a last chunk.
    pub(crate) include_usage: bool,
    /// What a response repeats of its request; `None` for what was begun as a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response: Option<Settings>,
    /// The messages that a response answers, for a later one that goes on from it. It may be long, so it is only
    /// written here, and read by [`Title::conversation`].
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(crate) conversation: Option<Value>,
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

    /// The conversation that [`Title::header`] wrote, if there was one.
    pub(crate) fn conversation(header: &[u8]) -> Option<Value> {
        #[derive(Deserialize)]
        struct Header {
            conversation: Option<Value>,
        }
        serde_json::from_slice::<Header>(header).ok()?.conversation
    }

    /// What [`Title::header`] wrote, less the conversation. Of anything else nothing is known.
    pub(crate) fn read(header: &[u8]) -> Self {
        serde_json::from_slice(header).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_header_of_an_older_version_is_a_chats() {
        let title = Title::read(br#"{"id":"chatcmpl-1","model":"m","created":7,"include_usage":true}"#);
        assert_eq!((title.model.as_str(), title.response), ("m", None));
    }

    #[test]
    fn a_response_is_in_the_header_and_its_conversation_apart() {
        let title = Title {
            response: Some(Settings::default()),
            conversation: Some(json!([{ "role": "user", "content": "hi" }])),
            ..Title::default()
        };
        let header = title.header();
        assert_eq!(Title::conversation(&header), title.conversation);
        let expected = Title {
            conversation: None,
            ..title
        };
        assert_eq!(Title::read(&header), expected);
    }
}
