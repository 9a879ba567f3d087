//! Records to the bytes of an event stream: the same record always gives the same bytes, so a replay is one.
//!
//! No socket and no clock. [`Frames`] sends every record as one event, with the id `<stream>.<seq>`, `[DONE]` and errors
//! included; a response's form is in `responses::translation`.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use aurora_chat::dialect::openai::{DONE, ErrorBody};
use aurora_sse::{Frame, encode_comment};
use aurora_streamlog::StreamId;

use crate::Refusal;

/// What is said of a log that is at its end and does not say how its answer ended.
pub(crate) const NO_END: &str = "the rest of the answer could not be kept";

/// How one client is sent a stream.
pub(crate) trait Form: Send {
    /// Appends the events of a record, which may be none.
    fn record(&mut self, seq: u64, record: &[u8], out: &mut Vec<u8>);

    /// Appends what is missing where the log is at its end: nothing, unless there was no room left for a record that says
    /// how the answer ended. It must not look whole for want of one.
    fn close(&mut self, out: &mut Vec<u8>);

    /// Appends an error event that is no part of the stream, so it has no id: whoever comes back finds out what there
    /// is by then.
    fn error(&mut self, error: &ErrorBody, out: &mut Vec<u8>);
}

/// The ids of a stream's events: a name, a dot and a number.
#[derive(Debug)]
pub(crate) struct Ids {
    text: String,
    prefix: usize,
}

impl Ids {
    pub(crate) fn new(name: impl Display) -> Self {
        let text = format!("{name}.");
        Self {
            prefix: text.len(),
            text,
        }
    }

    /// The id of the event with this number.
    pub(crate) fn of(&mut self, number: u64) -> &str {
        self.text.truncate(self.prefix);
        write!(self.text, "{number}").expect("a String takes everything");
        &self.text
    }
}

/// The records of a stream as they are, each an event.
#[derive(Debug)]
pub(crate) struct Frames {
    ids: Ids,
    /// The last event was `[DONE]` or an error.
    ended: bool,
}

impl Frames {
    /// Frames from the record numbered `from`.
    pub(crate) fn new(stream: StreamId, from: u64) -> Self {
        Self {
            ids: Ids::new(stream),
            // A reader that has come back for no more events than there are has seen the end before.
            ended: from > 0,
        }
    }
}

impl Form for Frames {
    fn record(&mut self, seq: u64, record: &[u8], out: &mut Vec<u8>) {
        // A record is text in all likelihood, and to see that is much cheaper than to look for what has to be replaced.
        let text =
            std::str::from_utf8(record).map_or_else(|_| String::from_utf8_lossy(record), Cow::Borrowed);
        frame("", Some(self.ids.of(seq)), &text, out);
        self.ended = record == DONE.as_bytes() || record.starts_with(br#"{"error":"#);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.ended {
            self.error(Refusal::lost(NO_END).body(), out);
        }
    }

    fn error(&mut self, error: &ErrorBody, out: &mut Vec<u8>) {
        frame("", None, &String::from_utf8_lossy(&error.to_json()), out);
    }
}

/// Appends one event.
pub(crate) fn frame(event: &str, id: Option<&str>, data: &str, out: &mut Vec<u8>) {
    let frame = Frame {
        event,
        id,
        ..Frame::new(data)
    };
    frame
        .encode_into(out)
        .expect("names of events, and ids of base64url digits, a dot and a number, are written as they are");
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
