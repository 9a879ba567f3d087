//! The decoders, behind one signature: a stream and a read size in, what was seen out.

use aurora_bench::{drain, slices};

/// What every decoder has to agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many events there were.
    pub events: usize,
    /// How many bytes of data they had.
    pub bytes: usize,
}

impl Seen {
    fn add(&mut self, data: &str) {
        self.events += 1;
        self.bytes += data.len();
    }
}

/// Decodes a stream in reads of so many bytes.
pub type Run = fn(&'static [u8], usize) -> Seen;

/// Not a decoder: one search for every line, the least a decoder can do. It sees lines and no events.
pub fn floor(stream: &'static [u8], size: usize) -> Seen {
    let mut lines = 0;
    for mut read in stream.chunks(size) {
        while let Some(at) = memchr::memchr(b'\n', read) {
            lines += 1;
            read = &read[at + 1..];
        }
    }
    Seen {
        events: lines,
        bytes: 0,
    }
}

/// Ours.
pub fn aurora(stream: &'static [u8], size: usize) -> Seen {
    let mut seen = Seen::default();
    let mut decoder = aurora_sse::Decoder::new();
    for mut read in stream.chunks(size) {
        while let Some(event) = decoder
            .next_event(&mut read)
            .expect("the corpus is within the limit")
        {
            seen.add(event.data);
        }
    }
    seen
}

/// sse-core's state machine, without its stream around it.
pub fn sse_core(stream: &'static [u8], size: usize) -> Seen {
    let mut seen = Seen::default();
    let limit = std::num::NonZeroUsize::new(aurora_sse::DEFAULT_LIMIT).expect("8 MiB is not nothing");
    let mut decoder = sse_core::SseDecoder::with_limit(limit);
    for mut read in stream.chunks(size) {
        while let Some(event) = decoder.next(&mut read) {
            if let sse_core::SseEvent::Message(event) = event.expect("the corpus is within the limit") {
                seen.add(&event.data);
            }
        }
    }
    seen
}

/// sse-stream, on a stream of slices that are always ready.
pub fn sse_stream(stream: &'static [u8], size: usize) -> Seen {
    let mut seen = Seen::default();
    drain(sse_stream::SseByteStream::new(slices(stream, size)), |event| {
        seen.add(&event.expect("the corpus is valid").data.unwrap_or_default());
    });
    seen
}

/// eventsource-stream, on a stream of slices that are always ready.
pub fn eventsource_stream(stream: &'static [u8], size: usize) -> Seen {
    use eventsource_stream::Eventsource;

    let mut seen = Seen::default();
    drain(slices(stream, size).eventsource(), |event| {
        seen.add(&event.expect("the corpus is valid").data)
    });
    seen
}
