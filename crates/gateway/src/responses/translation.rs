//! A response's view of a stream: its records, which are a chat's chunks, folded into the numbered events of the
//! Responses API and the response object.
//!
//! The fold begins with the first record whoever reads, and how an answer ended is read from its records too. So the same
//! stream gives the same events, byte for byte, whenever and from wherever it is read; what a client has is folded and
//! not written. What a fold holds is the answer, within its limit. No socket and no clock.

use aurora_chat::dialect::openai::{ErrorBody, Flow, Reader as Dialect};
use aurora_chat::dialect::responses::{Event, Settings, Status, Writer, rename_body};
use aurora_chat::{Delta, End, Ending, Failure, Start, Update};
use serde_json::json;

use super::id::ResponseId;
use crate::Refusal;
use crate::frames::{Form, Ids, NO_END, frame};
use crate::streams::collected::length;
use crate::streams::relay::interrupted;
use crate::streams::title::Title;

/// The fold of one stream.
pub(super) struct Translation {
    ids: Ids,
    dialect: Dialect,
    writer: Writer,
    /// The deltas of one record.
    deltas: Vec<Delta>,
    begun: bool,
    said: usize,
    failure: Option<Failure>,
}

impl Translation {
    /// A fold that writes every event. The title is the stream's, the settings are those in it.
    pub(super) fn new(id: ResponseId, title: &Title, settings: Settings) -> Self {
        Self {
            ids: Ids::new(id),
            dialect: Dialect::new(),
            writer: Writer::new(id.to_string(), title.model.as_str(), title.created, settings),
            deltas: Vec::new(),
            begun: false,
            said: 0,
            failure: None,
        }
    }

    /// The same, leaving out events up to this one.
    pub(super) fn starting_after(mut self, sequence_number: Option<u64>) -> Self {
        if let Some(number) = sequence_number {
            self.writer = self.writer.starting_after(number);
        }
        self
    }

    /// Appends the events that say that there is a response. They come before all records and need none.
    pub(super) fn create(&mut self, out: &mut Vec<u8>) {
        let Self { writer, ids, .. } = self;
        writer.create(&mut |event| write(ids, event, out));
    }

    /// How many events there were, those that were left out included.
    pub(super) fn events(&self) -> u64 {
        self.writer.next_sequence_number()
    }

    pub(super) fn status(&self) -> Status {
        self.writer.status()
    }

    /// The response object as it is now.
    pub(super) fn object(&self) -> Vec<u8> {
        let mut json = Vec::new();
        self.writer.response(&mut json);
        json
    }

    /// The HTTP error that a failed response is, where nothing else was sent. `status` is the one that the stream's end
    /// has.
    pub(super) fn refusal(&self, status: Option<u16>) -> Refusal {
        match &self.failure {
            Some(failure) => Refusal::broken_off(failure, self.said).or_status(status),
            None => Refusal::lost(NO_END),
        }
        .about_response()
    }

    fn update(&mut self, update: &Update, out: &mut Vec<u8>) {
        let Self { writer, ids, .. } = self;
        writer.update(update, &mut |event| write(ids, event, out));
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<u8>) {
        let end = End {
            finish_reason: self.dialect.finish_reason().cloned(),
            ..End::of_failure(failure.clone())
        };
        self.failure = Some(failure);
        self.update(&Update::End(end), out);
    }
}

impl Form for Translation {
    fn record(&mut self, _seq: u64, record: &[u8], out: &mut Vec<u8>) {
        self.create(out);
        let mut deltas = std::mem::take(&mut self.deltas);
        let read = self
            .dialect
            .read("", &String::from_utf8_lossy(record), &mut deltas);
        // The first chunk names the model that answers, and by then it is settled.
        if !self.begun && read.is_ok() {
            self.begun = true;
            let model = self.dialect.model().unwrap_or_default().to_owned();
            let start = Start {
                model,
                ..Start::default()
            };
            self.update(&Update::Start(start), out);
        }
        for delta in deltas.drain(..) {
            self.said += length(&delta);
            self.update(&Update::Delta(delta), out);
        }
        self.deltas = deltas;
        match read {
            Ok(Flow::Continue | Flow::Warning(_)) => {}
            Ok(Flow::Done) => {
                let end = self.dialect.end(Ending::Eof).end;
                self.update(&Update::End(end), out);
            }
            Err(failure) => self.fail(failure, out),
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.create(out);
        if let (None, Some(failure)) = (self.writer.verdict(), interrupted(NO_END).failure) {
            self.fail(failure, out);
        }
    }

    fn error(&mut self, error: &ErrorBody, out: &mut Vec<u8>) {
        let error = rename_body(error.clone());
        // Without a number: whoever came back after it would miss the event that has it.
        let data = json!({
            "type": "error",
            "code": error.code.as_deref().unwrap_or(&error.error_type),
            "message": error.message,
            "param": error.param,
            "error": {
                "message": error.message,
                "type": error.error_type,
                "param": error.param,
                "code": error.code,
            },
        });
        frame("error", None, &data.to_string(), out);
    }
}

fn write(ids: &mut Ids, event: Event<'_>, out: &mut Vec<u8>) {
    frame(event.kind, Some(ids.of(event.sequence_number)), event.data, out);
}

#[cfg(test)]
mod tests {
    use aurora_streamlog::StreamId;

    use super::*;

    const CHUNK: &[u8] = br#"{"model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;

    fn translation() -> Translation {
        let id = ResponseId(StreamId::from_bytes([0; 16]));
        let title = Title {
            model: "asked".to_owned(),
            ..Title::default()
        };
        Translation::new(id, &title, Settings::default())
    }

    fn text(out: &[u8]) -> &str {
        str::from_utf8(out).expect("text")
    }

    #[test]
    fn a_log_without_an_end_is_no_whole_response() {
        let mut translation = translation();
        let mut out = Vec::new();
        translation.record(0, CHUNK, &mut out);
        out.clear();
        translation.close(&mut out);
        assert!(
            text(&out).starts_with("event: response.failed\nid: resp_AAAAAAAAAAAAAAAAAAAAAA.5\n"),
            "{}",
            text(&out)
        );
        assert!(text(&out).contains(r#""type":"stream_interrupted""#));
        assert_eq!(translation.status(), Status::Failed);
        assert_eq!(translation.refusal(Some(502)).status(), 502);
        let events = translation.events();
        translation.close(&mut out);
        assert_eq!(translation.events(), events, "it ends once");
    }

    #[test]
    fn an_end_is_not_closed_again() {
        let mut translation = translation();
        let mut out = Vec::new();
        translation.record(0, CHUNK, &mut out);
        translation.record(1, b"[DONE]", &mut out);
        out.clear();
        translation.close(&mut out);
        assert_eq!((text(&out), translation.status()), ("", Status::Completed));
    }

    #[test]
    fn an_error_that_is_no_event_of_the_response_has_no_number() {
        let mut out = Vec::new();
        translation().error(Refusal::lost("gone").body(), &mut out);
        let expected = "event: error\ndata: {\"type\":\"error\",\"code\":\"stream_interrupted\",\"message\":\"gone\",\
                        \"param\":null,\"error\":{\"message\":\"gone\",\"type\":\"stream_interrupted\",\"param\":null,\
                        \"code\":null}}\n\n";
        assert_eq!(text(&out), expected);
    }

    #[test]
    fn what_a_client_has_is_folded_and_not_written() {
        let mut all = Vec::new();
        let mut whole = translation();
        whole.record(0, CHUNK, &mut all);
        whole.record(1, b"[DONE]", &mut all);
        let mut rest = Vec::new();
        let mut late = translation().starting_after(Some(3));
        late.record(0, CHUNK, &mut rest);
        late.record(1, b"[DONE]", &mut rest);
        assert!(all.ends_with(&rest) && text(&rest).starts_with("event: response.output_text.delta\n"));
        assert_eq!((late.events(), late.object()), (whole.events(), whole.object()));
    }
}
