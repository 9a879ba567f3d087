//! The readers, behind one signature: an answer and a read size in, typed increments out, of which the text is looked at.

use std::borrow::Cow;

use async_openai::types::chat::CreateChatCompletionStreamResponse;
use aurora_bench::{drain, slices};
use aurora_chat::dialect::openai::{Flow, Reader};
use aurora_chat::{Delta, Update, Verdict};
use aurora_client::Recording;
use serde::Deserialize;

/// What every reader has to agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many texts there were.
    pub texts: usize,
    /// How many bytes they had.
    pub bytes: usize,
    /// Their lengths and last bytes, in order.
    sum: u64,
    /// How many answers came to their end.
    pub ends: usize,
}

impl Seen {
    #[inline]
    fn add(&mut self, text: &str) {
        let Some(last) = text.as_bytes().last() else {
            return;
        };
        self.texts += 1;
        self.bytes += text.len();
        self.sum = self.sum.rotate_left(7) ^ (text.len() as u64) << 8 ^ u64::from(*last);
    }
}

/// One answer in the form in which a reader takes it; making it is not measured.
pub enum Input {
    /// Bytes, to be read so many at a time.
    Bytes(&'static [u8], usize),
    /// The data of the events, framing taken off.
    Data(Vec<&'static str>),
    /// A call whose response's body is the answer.
    Call(Box<Recording>),
}

/// Reads one answer.
pub type Run = fn(Input, &mut Seen);

/// Ours: decoder and reader, as the client puts them together.
pub fn aurora(input: Input, seen: &mut Seen) {
    let Input::Bytes(answer, size) = input else { return };
    let mut decoder = aurora_sse::Decoder::new();
    let mut reader = Reader::new();
    let mut deltas = Vec::new();
    for mut read in answer.chunks(size) {
        while let Some(event) = decoder
            .next_event(&mut read)
            .expect("the corpus is within the limit")
        {
            let flow = reader.read(event.event, event.data, &mut deltas);
            for delta in deltas.drain(..) {
                if let Delta::Text(text) = &delta {
                    seen.add(text);
                }
            }
            if flow == Ok(Flow::Done) {
                seen.ends += 1;
            }
        }
    }
}

/// Ours: the client's whole way from a read to an update, with its limits, deadlines and verdict. Only the socket is
/// missing: the reads are those of a recording.
pub fn aurora_client(input: Input, seen: &mut Seen) {
    let Input::Call(recording) = input else { return };
    drain(recording.play(f64::INFINITY), |update| match update {
        Update::Delta(Delta::Text(text)) => seen.add(&text),
        Update::End(end) if end.verdict == Verdict::Complete => seen.ends += 1,
        _ => {}
    });
}

/// eventsource-stream and async-openai's own types, as async-openai puts them together.
pub fn async_openai(input: Input, seen: &mut Seen) {
    use eventsource_stream::Eventsource;

    let Input::Bytes(answer, size) = input else { return };
    drain(slices(answer, size).eventsource(), |event| {
        let event = event.expect("the corpus is valid");
        if event.data == "[DONE]" {
            seen.ends += 1;
            return;
        }
        let chunk: CreateChatCompletionStreamResponse =
            serde_json::from_str(&event.data).expect("the corpus is valid");
        if let Some(text) = chunk
            .choices
            .first()
            .and_then(|choice| choice.delta.content.as_deref())
        {
            seen.add(text);
        }
    });
}

/// eventsource-stream and serde into owned structs of no more than what is used.
pub fn eventsource_stream(input: Input, seen: &mut Seen) {
    use eventsource_stream::Eventsource;

    let Input::Bytes(answer, size) = input else { return };
    drain(slices(answer, size).eventsource(), |event| {
        read_owned(&event.expect("the corpus is valid").data, seen);
    });
}

/// sse-stream and serde into structs that borrow from the event.
pub fn sse_stream(input: Input, seen: &mut Seen) {
    let Input::Bytes(answer, size) = input else { return };
    drain(sse_stream::SseByteStream::new(slices(answer, size)), |event| {
        let data = event.expect("the corpus is valid").data.unwrap_or_default();
        read_borrowed(&data, seen);
    });
}

/// No framing at all: serde into structs that borrow.
pub fn serde_json_alone(input: Input, seen: &mut Seen) {
    let Input::Data(data) = input else { return };
    for data in data {
        read_borrowed(data, seen);
    }
}

/// A chunk, `S` being its strings.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what a typed chunk holds, whoever looks at it")]
struct Chunk<S> {
    id: S,
    object: S,
    created: u64,
    model: S,
    choices: Vec<Choice<S>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a typed chunk holds, whoever looks at it")]
struct Choice<S> {
    index: u32,
    delta: Content<S>,
    finish_reason: Option<S>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a typed chunk holds, whoever looks at it")]
struct Content<S> {
    role: Option<S>,
    content: Option<S>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a typed chunk holds, whoever looks at it")]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// A string that is borrowed unless it holds an escape. serde borrows a `Cow` only where it is told to.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

fn read_owned(data: &str, seen: &mut Seen) {
    if data == "[DONE]" {
        seen.ends += 1;
        return;
    }
    let chunk: Chunk<String> = serde_json::from_str(data).expect("the corpus is valid");
    if let Some(text) = chunk
        .choices
        .first()
        .and_then(|choice| choice.delta.content.as_deref())
    {
        seen.add(text);
    }
}

fn read_borrowed(data: &str, seen: &mut Seen) {
    if data == "[DONE]" {
        seen.ends += 1;
        return;
    }
    let chunk: Chunk<Borrowed<'_>> = serde_json::from_str(data).expect("the corpus is valid");
    if let Some(text) = chunk
        .choices
        .first()
        .and_then(|choice| choice.delta.content.as_ref())
    {
        seen.add(&text.0);
    }
}
