//! The case file: bytes in, events out. Every case is run as its reads were written, as one read, in reads of 1, 2, 3
//! and 7 bytes, and cut once at every single position.

use aurora_sse::Decoder;
use serde::Deserialize;
use serde_json::Value;

use crate::reference;
use crate::support::{Outcome, Seen, decode, reads};

/// One line of the file. Reads are text or base64.
#[derive(Deserialize)]
struct Case {
    name: String,
    chunks: Option<Vec<String>>,
    chunks_b64: Option<Vec<String>>,
    expect: Vec<Expected>,
    last_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    retry: Option<Value>,
}

#[derive(Deserialize)]
struct Expected {
    event: String,
    data: String,
    id: String,
    retry: Value,
}

/// Keeps `null` apart from a missing field: the one is to be checked, the other is not.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl Case {
    fn reads(&self) -> Vec<Vec<u8>> {
        match (&self.chunks, &self.chunks_b64) {
            (Some(text), None) => text.iter().map(|read| read.clone().into_bytes()).collect(),
            (None, Some(base64)) => base64.iter().map(|read| from_base64(read)).collect(),
            _ => panic!("{}: reads must be given in exactly one way", self.name),
        }
    }

    fn check(&self, outcome: &Outcome, how: &str) {
        let name = &self.name;
        assert_eq!(outcome.error, None, "{name}, {how}");
        assert_eq!(
            outcome.items.len(),
            self.expect.len(),
            "{name}, {how}: {:?}",
            outcome.items
        );
        for (seen, expected) in outcome.items.iter().zip(&self.expect) {
            let Seen::Event(event, data, id, retry) = seen else {
                panic!("{name}, {how}: {seen:?}")
            };
            assert_eq!(
                (event, data, id),
                (&expected.event, &expected.data, &expected.id),
                "{name}, {how}"
            );
            check_retry(*retry, &expected.retry, name, how);
        }
        if let Some(last_id) = &self.last_id {
            assert_eq!(&outcome.last_id, last_id, "{name}, {how}");
        }
        if let Some(expected) = &self.retry {
            check_retry(outcome.retry, expected, name, how);
        }
    }
}

fn check_retry(retry: Option<u64>, expected: &Value, name: &str, how: &str) {
    if expected != "any" {
        assert_eq!(retry, expected.as_u64(), "{name}, {how}");
    }
}

#[test]
fn every_case_in_every_chunking() {
    let mut count = 0;
    for line in include_str!("../data/sse-cases.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let given = case.reads();
        case.check(
            &decode(Decoder::new(), given.iter().map(Vec::as_slice)),
            "as given",
        );
        let stream = given.concat();
        case.check(&decode(Decoder::new(), [stream.as_slice()]), "one read");
        for size in [1, 2, 3, 7] {
            case.check(
                &decode(Decoder::new(), reads(&stream, size)),
                &format!("reads of {size}"),
            );
        }
        for at in 0..=stream.len() {
            let (before, after) = stream.split_at(at);
            case.check(&decode(Decoder::new(), [before, after]), &format!("cut at {at}"));
        }
        case.check(&reference::decode(&stream, false), "the reference");
        count += 1;
    }
    assert_eq!(count, 112);
}

/// Standard base64 with padding; the file's own, so it is valid.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|byte| *byte != b'=');
    let (mut bits, mut width, mut out) = (0_u32, 0, Vec::new());
    for digit in digits {
        let value = ALPHABET.iter().position(|letter| *letter == digit).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        width += 6;
        if width >= 8 {
            width -= 8;
            out.push((bits >> width) as u8);
            bits &= (1 << width) - 1;
        }
    }
    out
}
