//! The event-stream decoder on hostile bytes in hostile pieces: it never panics, it says what the slow decoder of the
//! tests says, and neither the reads nor a limit change what comes before an error.
//!
//! The input's first byte is the number of read sizes that follow it, its next byte the limit; the rest is the stream.

#![no_main]

mod cut;
#[path = "../../crates/sse/tests/it/reference.rs"]
mod reference;
#[path = "../../crates/sse/tests/it/support.rs"]
mod support;

use aurora_sse::Decoder;
use cut::cut;
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
