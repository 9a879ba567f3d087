//! Arbitrary streams in arbitrary reads: the decoder says what the reference says, and where the cuts are changes
//! nothing.

use aurora_sse::Decoder;
use proptest::prelude::*;

use crate::reference;
use crate::support::{Outcome, Seen, decode, reads};

/// Byte order marks and characters that are cut, doubled or no characters at all.
const BROKEN: &[&[u8]] = &[
    b"\xEF\xBB\xBF",
    b"\xEF\xBB",
    b"\xEF",
    b"\xF0\x9F",
    b"\xF0\x9F\x98",
    b"\xE2\x82",
    b"\xFF",
    b"\x80",
    b"\xED\xA0\x80",
    b"\xC0\xAF",
    b"\xF4\x90\x80\x80",
];

/// Bytes that mean something somewhere, strung together so that they mean it now and then.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&[
            "data", "event", "id", "retry", "dat", "data:", "data: ", "event: ", "id: ", "retry: ", ":", " ", "\n",
            "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\0", "\u{FEFF}", "12", "{\"error\":{}}", "é", "€", "😀",
            "data: x\n\n", "data: a line that is longer than a block of thirty-two bytes, so that it is cut\n\n",
        ][..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(BROKEN).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => "[ -~]{0,100}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Cuts `stream` into reads of the given sizes, over and over; a size of 0 is an empty read.
fn cut<'a>(mut stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut out = Vec::new();
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (read, rest) = stream.split_at((*size).min(stream.len()));
        out.push(read);
        stream = rest;
    }
    out
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    // At least one read is not empty, or the stream would never end.
    (prop::collection::vec(0_usize..40, 0..6), 1_usize..40).prop_map(|(mut sizes, size)| {
        sizes.push(size);
        sizes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_reference(stream in stream(), sizes in sizes()) {
        let expected = reference::decode(&stream, true);
        let decoder = || Decoder::new().with_stray_lines();
        prop_assert_eq!(&decode(decoder(), [stream.as_slice()]), &expected);
        prop_assert_eq!(&decode(decoder(), reads(&stream, 1)), &expected);
        prop_assert_eq!(&decode(decoder(), cut(&stream, &sizes)), &expected);
        prop_assert_eq!(&decode(Decoder::new(), cut(&stream, &sizes)), &reference::decode(&stream, false));
    }

    #[test]
    fn a_limit_strikes_at_the_same_byte(stream in stream(), sizes in sizes(), limit in 0_usize..60) {
        let decoder = || Decoder::new().with_limit(limit).with_stray_lines();
        let whole = decode(decoder(), [stream.as_slice()]);
        prop_assert_eq!(&decode(decoder(), reads(&stream, 1)), &whole);
        prop_assert_eq!(&decode(decoder(), cut(&stream, &sizes)), &whole);
        // Up to the error everything is as without a limit.
        let unlimited = reference::decode(&stream, true);
        prop_assert!(unlimited.items.starts_with(&whole.items));
        if whole.error.is_none() {
            prop_assert_eq!(&whole, &unlimited);
        }
    }

    #[test]
    fn next_event_is_next_item_without_stray_lines(stream in stream(), sizes in sizes()) {
        let mut decoder = Decoder::new().with_stray_lines();
        let mut events = Vec::new();
        for mut input in cut(&stream, &sizes) {
            while let Some(event) = decoder.next_event(&mut input).unwrap() {
                events.push(Seen::from(event));
            }
        }
        let mut all = reference::decode(&stream, true).items;
        all.retain(|item| matches!(item, Seen::Event(..)));
        prop_assert_eq!(events, all);
    }

    /// A caller may stop after every event, and pass in what is left later.
    #[test]
    fn input_is_never_read_ahead(stream in stream()) {
        let mut decoder = Decoder::new().with_stray_lines();
        let (mut outcome, mut at) = (Outcome::default(), 0);
        loop {
            let copy = stream[at..].to_vec();
            let mut input = copy.as_slice();
            let item = decoder.next_item(&mut input).unwrap().map(Seen::from);
            at = stream.len() - input.len();
            match item {
                Some(item) => outcome.items.push(item),
                None => break,
            }
        }
        prop_assert_eq!(at, stream.len());
        prop_assert_eq!(outcome.items, reference::decode(&stream, true).items);
    }
}
