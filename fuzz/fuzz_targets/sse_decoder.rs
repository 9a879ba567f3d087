//! The event-stream decoder on hostile bytes in hostile pieces: it never panics, it says what the slow decoder of the
//! tests says, and neither the reads nor a limit change what comes before an error.
//!
//! The input's first byte is the number of read sizes that follow it, its next byte the limit; the rest is the stream.

#![no_main]

#[path = "../../crates/sse/tests/it/reference.rs"]
mod reference;
#[path = "../../crates/sse/tests/it/support.rs"]
mod support;

use aurora_sse::Decoder;
use libfuzzer_sys::fuzz_target;
use support::decode;

fuzz_target!(|input: &[u8]| {
    let [sizes, limit, rest @ ..] = input else { return };
    let (sizes, stream) = rest.split_at(usize::from(sizes % 8).min(rest.len()));
    let expected = reference::decode(stream, true);
    let decoder = || Decoder::new().with_stray_lines();
    assert_eq!(decode(decoder(), [stream]), expected);
    assert_eq!(decode(decoder(), stream.chunks(1)), expected);
    assert_eq!(decode(decoder(), cut(stream, sizes)), expected);

    let limited = || decoder().with_limit(usize::from(*limit));
    let outcome = decode(limited(), [stream]);
    assert_eq!(decode(limited(), cut(stream, sizes)), outcome);
    assert!(expected.items.starts_with(&outcome.items));
});

/// Cuts `stream` into reads of the given sizes, over and over; at the end of them comes one more byte.
fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for size in sizes.iter().chain([&1]).cycle() {
        if stream.is_empty() {
            break;
        }
        let (read, rest) = stream.split_at(usize::from(*size).min(stream.len()));
        reads.push(read);
        stream = rest;
    }
    reads
}
