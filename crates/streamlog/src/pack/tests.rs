//! Packed and unpacked again, records are what they were, wherever reading begins and however the bytes are handed over.

use proptest::prelude::*;

use super::*;
use crate::blocks::{Blocks, Found};

/// Packs the records, in flushes of `flush` records.
fn pack(records: &[Vec<u8>], flush: usize) -> Blocks {
    let mut packer = Packer::default();
    let mut blocks = Blocks::new(0);
    for (index, record) in records.iter().enumerate() {
        packer.push(record);
        if (index + 1) % flush == 0 {
            blocks.extend(&packer.pending);
            packer.pending.clear();
        }
    }
    blocks.extend(&packer.pending);
    blocks
}

/// Reads everything from `from` on, and checks that batches keep to their bounds.
fn unpack(blocks: &Blocks, from: u64) -> Vec<Vec<u8>> {
    let mut unpacker = Unpacker::new(from);
    let mut batch = Batch::new();
    let mut all = Vec::new();
    loop {
        unpacker.begin(&mut batch);
        while !unpacker.fill(&mut batch).unwrap() {
            if blocks.read(&mut unpacker).unwrap() == Found::End {
                break;
            }
        }
        if batch.is_empty() {
            return all;
        }
        assert_eq!(batch.first_seq(), from + all.len() as u64);
        let bytes: usize = batch.iter().map(<[u8]>::len).sum();
        assert!(bytes <= Batch::MAX_BYTES || batch.len() == 1);
        assert!(batch.len() <= Batch::MAX_RECORDS);
        all.extend(batch.iter().map(<[u8]>::to_vec));
        unpacker.end(&batch);
    }
}

fn chunk(text: &str) -> Vec<u8> {
    let head = r#"{"id":"chatcmpl-9QyMXKsM","object":"chat.completion.chunk","created":1715000000,"model":"small","choices":[{"index":0,"delta":{"content":""#;
    format!(r#"{head}{text}"}},"finish_reason":null}}],"system_fingerprint":"fp_3b956da36b"}}"#).into_bytes()
}

#[test]
fn the_form_is_prefix_suffix_middle() {
    let mut packer = Packer::default();
    for record in ["a word", "a ward", "a ward", "", "x"] {
        packer.push(record.as_bytes());
    }
    assert_eq!(
        packer.pending.bytes,
        b"\0\0\x06a word\x03\x02\x01a\x06\0\0\0\0\0\0\0\x01x"
    );
    assert_eq!(
        packer.pending.pieces,
        [Piece {
            len: packer.pending.bytes.len(),
            count: 5,
            opens_block: true
        }]
    );
}

#[test]
fn chunks_of_an_answer_take_a_few_bytes() {
    let records: Vec<_> = (0..1000).map(|n| chunk(&format!(" word{}", n % 7))).collect();
    let blocks = pack(&records, 1);
    let held = blocks.held();
    assert!(held < 1000 * 20, "{held} bytes");
    assert_eq!(unpack(&blocks, 0), records);
}

#[test]
fn a_block_holds_no_more_than_it_should() {
    let mut packer = Packer::default();
    for _ in 0..2 * BLOCK_RECORDS + 1 {
        packer.push(b"same");
    }
    let counts: Vec<_> = packer.pending.pieces.iter().map(|piece| piece.count).collect();
    assert_eq!(counts, [BLOCK_RECORDS, BLOCK_RECORDS, 1]);

    let mut packer = Packer::default();
    packer.push(&[1; BLOCK_BYTES]);
    packer.push(&[1; BLOCK_BYTES]);
    assert!(packer.pending.pieces.iter().all(|piece| piece.opens_block));
}

#[test]
fn a_block_that_unpacks_to_much_comes_in_bounded_batches() {
    // Sixty records of a megabyte each take a little over one: every batch has one of them all the same.
    let records: Vec<_> = (0..60_u8)
        .map(|n| [vec![7; 300_000], vec![n], vec![9; 300_000]].concat())
        .collect();
    let blocks = pack(&records, 60);
    assert_eq!(unpack(&blocks, 0), records);
    assert_eq!(unpack(&blocks, 33), records[33..]);
}

#[test]
fn bytes_that_were_not_packed_are_refused() {
    for packed in [
        &b"\x01\0\0"[..],
        b"\0\x01\0",
        b"\0\0\x05abc",
        b"\0\0",
        b"\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\x7f\0\0",
        b"\0\0\x02ab\x02\x01\0",
    ] {
        let mut unpacker = Unpacker::new(0);
        let mut batch = Batch::new();
        unpacker.begin(&mut batch);
        unpacker.take(0, packed).unwrap();
        assert!(
            matches!(unpacker.fill(&mut batch), Err(Error::Damaged { .. })),
            "{packed:?}"
        );
    }
    let mut unpacker = Unpacker::new(2);
    unpacker.take(0, b"\0\0\0").unwrap();
    assert!(
        unpacker.fill(&mut Batch::new()).is_err(),
        "one record where three were said to be"
    );
    assert!(unpacker.take(0, b"\0\0\0").is_err(), "nothing new");
}

#[test]
fn a_reader_goes_on_in_a_block_that_grows() {
    let mut packer = Packer::default();
    let mut blocks = Blocks::new(0);
    let mut unpacker = Unpacker::new(3);
    let mut batch = Batch::new();
    for n in 0..200_u64 {
        let record = chunk(&n.to_string());
        packer.push(&record);
        blocks.extend(&packer.pending);
        packer.pending.clear();
        unpacker.begin(&mut batch);
        let found = blocks.read(&mut unpacker).unwrap();
        assert_eq!(found, if n < 3 { Found::End } else { Found::Some });
        assert!(!unpacker.fill(&mut batch).unwrap());
        if n >= 3 {
            assert_eq!(
                (batch.first_seq(), batch.len(), batch.last()),
                (n, 1, &record[..])
            );
            unpacker.end(&batch);
        }
    }
}

fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Few different bytes, so that records overlap in every way; some long, so that blocks and batches end.
    let short = prop::collection::vec(0_u8..3, 0..40);
    let long = (0_u8..3, 4000_usize..40_000).prop_map(|(byte, len)| vec![byte; len]);
    prop::collection::vec(prop_oneof![9 => short, 1 => long], 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_come_back_from_any_place(records in records(), flush in 1_usize..100, from in 0_usize..310) {
        let blocks = pack(&records, flush);
        prop_assert_eq!(blocks.next_seq(), records.len() as u64);
        prop_assert_eq!(unpack(&blocks, 0), records.clone());
        prop_assert_eq!(unpack(&blocks, from as u64), records.get(from..).unwrap_or_default().to_vec());
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused(packed: Vec<u8>, skip in 0_u64..4) {
        let mut unpacker = Unpacker::new(skip);
        let mut batch = Batch::new();
        unpacker.begin(&mut batch);
        if unpacker.take(0, &packed).is_ok() {
            while matches!(unpacker.fill(&mut batch), Ok(true)) {
                unpacker.end(&batch);
                unpacker.begin(&mut batch);
            }
        }
    }

    #[test]
    fn common_ends_are_the_longest_there_are(old in prop::collection::vec(0_u8..2, 0..40), new in prop::collection::vec(0_u8..2, 0..40)) {
        let (prefix, suffix) = common_ends(&old, &new);
        let most = old.len().min(new.len());
        prop_assert_eq!(&old[..prefix], &new[..prefix]);
        prop_assert_eq!(&old[old.len() - suffix..], &new[new.len() - suffix..]);
        prop_assert!(prefix + suffix <= most);
        if prefix + suffix < most {
            prop_assert_ne!(old[prefix], new[prefix]);
            prop_assert_ne!(old[old.len() - suffix - 1], new[new.len() - suffix - 1]);
        }
    }
}
