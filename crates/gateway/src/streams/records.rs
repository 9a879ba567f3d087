//! An answer on its way into the log: what a source says, as records.
//!
//! A record is the data of one event of a chat completion's stream, exactly as it is sent. An upstream's own events are
//! kept as they came, fields nobody here knows included; what comes without an event of its own (the engine's updates, an
//! upstream's answer in one piece) is written as OpenAI's API writes it. `[DONE]` is written after an answer that came to
//! its proper end and after nothing else; every other end is an error event. A finish reason is there only if the source
//! gave one.
//!
//! No socket, no clock, no log: passages in, records out.

use aurora_chat::dialect::openai::{DONE, Writer};
use aurora_chat::{Delta, End, Update};
use aurora_client::Passage;
use serde_json::Value;

use super::title::Title;
use crate::refusal::error_body;

/// Takes records, in order. After one that it could not take it takes no more.
pub(crate) trait Put {
    fn put(&mut self, record: &[u8]);

    /// A record that says how the stream ends, for which there is room in any case.
    fn put_last(&mut self, record: &[u8]);
}

/// One answer on its way into the log.
#[derive(Debug)]
pub(crate) struct Records {
    title: Title,
    /// The source is an upstream whose events are kept; its updates say the same again.
    verbatim: bool,
    /// The last event. It waits until it is known whether it is there for the token counts alone.
    held: Option<Held>,
    /// Made, and the chunk with the role written, when the first delta comes: only then is the model's name settled.
    writer: Option<Writer>,
    /// One record, between the writer and the log.
    data: Vec<u8>,
}

#[derive(Debug)]
struct Held {
    data: String,
    said_usage: bool,
    said_more: bool,
}

impl Records {
    pub(crate) fn new(title: Title) -> Self {
        Self {
            title,
            verbatim: false,
            held: None,
            writer: None,
            data: Vec::new(),
        }
    }

    /// The model that answers, as far as is known.
    pub(crate) fn model(&self) -> &str {
        &self.title.model
    }

    /// Writes what a passage is in the log, which may be nothing. The end comes with the last one; after it there is
    /// nothing more to write.
    pub(crate) fn passage(&mut self, passage: Passage, out: &mut impl Put) -> Option<End> {
        match passage {
            Passage::Event(data) => {
                self.settle(out);
                self.verbatim = true;
                self.held = Some(Held {
                    data,
                    said_usage: false,
                    said_more: false,
                });
                None
            }
            Passage::Update(Update::Start(start)) => {
                if !start.model.is_empty() {
                    self.title.model = start.model;
                }
                None
            }
            Passage::Update(Update::Delta(delta)) => {
                self.delta(&delta, out);
                None
            }
            Passage::Update(Update::Notice(_)) => None,
            Passage::Update(Update::End(end)) => {
                self.end(&end, out);
                Some(end)
            }
        }
    }

    /// Writes the event that waits to be understood, once nothing more is going to be said about it. False if there was
    /// none.
    pub(crate) fn settle(&mut self, out: &mut impl Put) -> bool {
        let Some(held) = self.held.take() else {
            return false;
        };
        // The client asks every upstream for token counts. Whoever did not ask us is not sent the chunk that has nothing
        // else, since not every program expects one without a choice.
        let unasked = held.said_usage && !held.said_more && !self.title.include_usage;
        if !(unasked && has_no_choices(&held.data)) {
            out.put(held.data.as_bytes());
        }
        true
    }

    /// Writes what comes after the last delta.
    pub(crate) fn end(&mut self, end: &End, out: &mut impl Put) {
        self.settle(out);
        if let Some(failure) = end.to_report() {
            out.put_last(&error_body(&failure).to_json());
            return;
        }
        if !self.verbatim {
            let writer = self.begin(out);
            self.data.clear();
            if writer.usage(&mut self.data) {
                out.put_last(&self.data);
            }
        }
        out.put_last(DONE.as_bytes());
    }

    fn delta(&mut self, delta: &Delta, out: &mut impl Put) {
        if let Some(held) = &mut self.held {
            match delta {
                Delta::Usage(_) => held.said_usage = true,
                _ => held.said_more = true,
            }
        }
        if self.verbatim {
            return;
        }
        let mut writer = self.begin(out);
        self.data.clear();
        if writer.delta(delta, &mut self.data) {
            out.put(&self.data);
        }
        self.writer = Some(writer);
    }

    /// The writer; the chunk with the role comes before anything else it writes.
    fn begin(&mut self, out: &mut impl Put) -> Writer {
        self.writer.take().unwrap_or_else(|| {
            let writer = self.title.writer();
            self.data.clear();
            writer.role(&mut self.data);
            out.put(&self.data);
            writer
        })
    }
}

fn has_no_choices(data: &str) -> bool {
    serde_json::from_str::<Value>(data)
        .is_ok_and(|chunk| chunk["choices"].as_array().is_none_or(Vec::is_empty))
}

#[cfg(test)]
mod tests;
