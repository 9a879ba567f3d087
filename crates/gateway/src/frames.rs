//! Records to the bytes of an event stream: the same record always gives the same bytes, so a replay is one.
//!
//! No socket and no clock. Every event has the id `<stream>.<seq>` of its record, `[DONE]` and errors included.

use std::fmt::Write as _;

use aurora_chat::dialect::openai::{DONE, ErrorBody};
use aurora_sse::{Frame, encode_comment};
use aurora_streamlog::StreamId;

/// The frames of one stream.
#[derive(Debug)]
pub(crate) struct Frames {
    /// `<stream>.`, and the number of the event behind it.
    id: String,
    prefix: usize,
    /// The last event was `[DONE]` or an error.
    ended: bool,
}

impl Frames {
    /// Frames from the record numbered `from`.
    pub(crate) fn new(stream: StreamId, from: u64) -> Self {
        let id = format!("{stream}.");
        Self {
            prefix: id.len(),
            id,
            ended: from > 0,
        }
    }

    /// Appends the event of a record.
    pub(crate) fn record(&mut self, seq: u64, record: &[u8], out: &mut Vec<u8>) {
        self.id.truncate(self.prefix);
        write!(self.id, "{seq}").expect("a String takes everything");
        frame(Some(&self.id), record, out);
        self.ended = record == DONE.as_bytes() || record.starts_with(br#"{"error":"#);
    }

    /// Whether the last event was one that ends a stream. A reader that has come back for no more events than there are
    /// has seen it before.
    pub(crate) fn have_ended(&self) -> bool {
        self.ended
    }

    /// Appends an error event that is no record.
    pub(crate) fn error(&mut self, error: &ErrorBody, out: &mut Vec<u8>) {
        frame(None, &error.to_json(), out);
    }
}

fn frame(id: Option<&str>, data: &[u8], out: &mut Vec<u8>) {
    let data = String::from_utf8_lossy(data);
    let frame = Frame {
        id,
        ..Frame::new(&data)
    };
    frame
        .encode_into(out)
        .expect("an id of base64url digits, a dot and a number is written as it is");
}

/// Appends a sign of life: one comment line and no blank line, because some SDKs break on one (openai-python#2722).
pub(crate) fn keepalive(out: &mut Vec<u8>) {
    encode_comment("keepalive", out).expect("the comment is one line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_cursor_of_their_record() {
        let stream = StreamId::from_bytes(*b"any carnal pleas");
        let mut out = Vec::new();
        let mut frames = Frames::new(stream, 9);
        frames.record(9, br#"{"a":1}"#, &mut out);
        frames.record(10, b"[DONE]", &mut out);
        let expected = "id: YW55IGNhcm5hbCBwbGVhcw.9\ndata: {\"a\":1}\n\nid: YW55IGNhcm5hbCBwbGVhcw.10\ndata: [DONE]\n\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn data_of_several_lines_stays_one_event() {
        let mut out = Vec::new();
        Frames::new(StreamId::from_bytes([0; 16]), 0).record(0, b"{\n}", &mut out);
        assert_eq!(out, b"id: AAAAAAAAAAAAAAAAAAAAAA.0\ndata: {\ndata: }\n\n");
    }

    #[test]
    fn a_sign_of_life_is_one_line() {
        let mut out = Vec::new();
        keepalive(&mut out);
        assert_eq!(out, b": keepalive\n");
    }
}
