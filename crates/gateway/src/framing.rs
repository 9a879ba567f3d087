//! Updates to the bytes of an event stream, in the format of OpenAI's chat completions.
//!
//! No socket and no clock: values in, bytes out. `[DONE]` is written after an answer that came to its proper end and
//! after nothing else; every other end is an error event. A finish reason is written only if the source gave one.

use aurora_chat::dialect::openai::{DONE, ErrorBody, Writer};
use aurora_chat::{Delta, End, Failure, FailureKind, Update, Verdict};
use aurora_sse::{Frame, encode_comment};

use crate::refusal::{STREAM_INTERRUPTED, error_body};

/// What an answer is called on the wire.
#[derive(Clone, Debug)]
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

/// One answer on its way to the wire.
#[derive(Debug)]
pub(crate) struct Framing {
    title: Title,
    /// Made, and the chunk with the role written, when the first delta comes: only then is the model's name settled.
    writer: Option<Writer>,
    /// One event's data, between the writer and the frame.
    data: Vec<u8>,
}

impl Title {
    /// The writer of this answer.
    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.id.as_str(), self.model.as_str(), self.created).with_usage(self.include_usage)
    }
}

impl Framing {
    pub(crate) fn new(title: Title) -> Self {
        Self {
            title,
            writer: None,
            data: Vec::new(),
        }
    }

    /// Appends what an update is on the wire, which may be nothing. The verdict comes with the last update; after it
    /// there is nothing more to write.
    pub(crate) fn update(&mut self, update: Update, out: &mut Vec<u8>) -> Option<Verdict> {
        match update {
            Update::Start(start) => {
                if !start.model.is_empty() {
                    self.title.model = start.model;
                }
                None
            }
            Update::Delta(delta) => {
                self.delta(&delta, out);
                None
            }
            Update::Notice(_) => None,
            Update::End(end) => {
                self.end(&end, out);
                Some(end.verdict)
            }
        }
    }

    /// Appends the error event that ends a stream.
    pub(crate) fn error(&mut self, error: &ErrorBody, out: &mut Vec<u8>) {
        self.data = error.to_json();
        self.frame(out);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let mut writer = self.begin(out);
        self.data.clear();
        if writer.delta(delta, &mut self.data) {
            self.frame(out);
        }
        self.writer = Some(writer);
    }

    fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        if let Some(failure) = end_failure(end) {
            self.error(&error_body(&failure), out);
            return;
        }
        let writer = self.begin(out);
        self.data.clear();
        if writer.usage(&mut self.data) {
            self.frame(out);
        }
        self.data.clear();
        self.data.extend_from_slice(DONE.as_bytes());
        self.frame(out);
    }

    /// The writer; the chunk with the role comes before anything else it writes.
    fn begin(&mut self, out: &mut Vec<u8>) -> Writer {
        self.writer.take().unwrap_or_else(|| {
            let writer = self.title.writer();
            self.data.clear();
            writer.role(&mut self.data);
            self.frame(out);
            writer
        })
    }

    fn frame(&self, out: &mut Vec<u8>) {
        let data = str::from_utf8(&self.data).expect("the writer writes JSON, which is UTF-8");
        Frame::new(data)
            .encode_into(out)
            .expect("a frame without type and id has no field that could be wrong");
    }
}

/// Appends a sign of life: one comment line and no blank line, because some SDKs break on one (openai-python#2722).
pub(crate) fn keepalive(out: &mut Vec<u8>) {
    encode_comment("keepalive", out).expect("the comment is one line");
}

/// What went wrong at the end of an answer; `None` if the answer is what it seems to be.
pub(crate) fn end_failure(end: &End) -> Option<Failure> {
    let mut failure = match (&end.failure, end.verdict) {
        (Some(failure), _) => failure.clone(),
        (None, Verdict::Complete | Verdict::Length | Verdict::Filtered) => return None,
        // A source owes a failure here. That it forgot it must not make the answer look whole.
        (None, verdict) => Failure::new(
            FailureKind::Internal,
            format!("the answer ended as {}", verdict.as_str()),
        ),
    };
    if matches!(end.verdict, Verdict::Truncated | Verdict::Interrupted) {
        failure.error_type = Some(STREAM_INTERRUPTED.to_owned());
    }
    Some(failure)
}

#[cfg(test)]
mod tests;
