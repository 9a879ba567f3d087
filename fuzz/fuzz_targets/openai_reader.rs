//! The reader of OpenAI's dialect on hostile event streams: it never panics, it says the same however the bytes were cut,
//! and its short way (`dialect/openai/fast.rs` of aurora-chat) says what the full parser says.
//!
//! The input's first byte is the number of read sizes that follow it; the rest is the stream, and, taken by itself, the
//! body of a response that is no stream and of an error.

#![no_main]

mod cut;

use aurora_chat::dialect::openai::{Flow, Reader, failure_from_status};
use aurora_chat::{Conclusion, Delta, Ending, Failure};
use aurora_sse::{Decoder, Item};
use cut::cut;
use libfuzzer_sys::fuzz_target;

/// One thing to read, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Event(String, String),
    Stray(String),
}

/// All that can be observed of a reader.
#[derive(Debug, PartialEq)]
struct Told {
    flows: Vec<Result<Flow, Failure>>,
    deltas: Vec<Delta>,
    names: [Option<String>; 2],
    end: Conclusion,
}

fuzz_target!(|input: &[u8]| {
    let [sizes, rest @ ..] = input else { return };
    let (sizes, stream) = rest.split_at(usize::from(sizes % 8).min(rest.len()));

    let given = decode([stream]);
    assert_eq!(decode(cut(stream, sizes)), given);

    compare(&given);
    // Each one twice in a row, so that the second has the first to follow.
    let twice: Vec<Given> = given
        .iter()
        .flat_map(|given| [given.clone(), given.clone()])
        .collect();
    compare(&twice);

    let _ = Reader::new().read_body(stream, &mut Vec::new());
    let _ = failure_from_status(418, stream);
});

/// The events and stray lines of a stream that arrives in these reads, and what is left at its end.
fn decode<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Vec<Given> {
    let mut decoder = Decoder::new().with_stray_lines();
    let mut given = Vec::new();
    for mut read in reads {
        while let Some(item) = decoder
            .next_item(&mut read)
            .expect("inputs are smaller than the limit")
        {
            given.push(Given::of(item));
        }
    }
    while let Some(item) = decoder.finish() {
        given.push(Given::of(item));
    }
    given
}

/// Asserts that the short way changes nothing that can be observed.
fn compare(given: &[Given]) {
    let (short, full) = (read(given, false), read(given, true));
    assert_eq!(short, full);
    let empty = |delta: &Delta| matches!(delta, Delta::Text(t) | Delta::Reasoning(t) | Delta::Refusal(t) if t.is_empty());
    assert!(!short.deltas.iter().any(empty));
}

/// Reads up to the end, a failure, or `[DONE]`, as the client does. With `full`, an empty chunk before each event makes
/// the reader forget what its short way would follow, and says nothing itself.
fn read(given: &[Given], full: bool) -> Told {
    let mut reader = Reader::new();
    let mut deltas = Vec::new();
    let mut flows = Vec::new();
    for given in given {
        if full {
            let before = deltas.len();
            assert_eq!(reader.read("", "{}", &mut deltas), Ok(Flow::Continue));
            assert_eq!(deltas.len(), before);
        }
        let flow = match given {
            Given::Event(event, data) => reader.read(event, data, &mut deltas),
            Given::Stray(line) => reader.read_stray_line(line),
        };
        let over = matches!(flow, Ok(Flow::Done) | Err(_));
        flows.push(flow);
        if over {
            break;
        }
    }
    Told {
        flows,
        deltas,
        names: [reader.id(), reader.model()].map(|name| name.map(str::to_owned)),
        end: reader.end(Ending::Eof),
    }
}

impl Given {
    fn of(item: Item<'_>) -> Self {
        match item {
            Item::Event(event) => Self::Event(event.event.to_owned(), event.data.to_owned()),
            Item::Stray(line) => Self::Stray(line.to_owned()),
        }
    }
}
