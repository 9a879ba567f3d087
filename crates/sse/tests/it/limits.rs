//! Streams that never end an event: each is stopped by the limit, or costs nothing.

use aurora_sse::{DEFAULT_LIMIT, DecodeError, Decoder};

use crate::support::{decode, reads};

const LIMIT: usize = 1000;
const TOO_LARGE: Option<DecodeError> = Some(DecodeError::TooLarge { limit: LIMIT });

/// The error after so many bytes of `stream`, in reads of several sizes.
fn error(stream: &[u8]) -> Option<DecodeError> {
    let errors = [1, 7, 64, stream.len().max(1)]
        .map(|size| decode(Decoder::new().with_limit(LIMIT), reads(stream, size)).error);
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    errors[0]
}

/// The number of repetitions of `piece` after `head` that are still good, found by trying.
fn good(head: &[u8], piece: &[u8]) -> usize {
    let stream = |times| [head, &piece.repeat(times)].concat();
    let times = (0..5 * LIMIT)
        .find(|times| error(&stream(times + 1)).is_some())
        .expect("there is a limit");
    assert_eq!(error(&stream(times + 1)), TOO_LARGE);
    times
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    assert_eq!(good(b"data: ", b"x"), LIMIT - 6);
    assert_eq!(good(b"data:", b"x"), LIMIT - 5);
    assert_eq!(good(b"event: ", b"x"), LIMIT - 7);
    assert_eq!(good(b"id: ", b"x"), LIMIT - 4);
    assert_eq!(good(b"retry: ", b"1"), LIMIT - 7);
    assert_eq!(good(b"", b"x"), LIMIT);
    assert_eq!(good(b"\xEF\xBB\xBF", b"x"), LIMIT);
}

#[test]
fn a_line_that_ends_counts_the_same() {
    let line = |length: usize| [b"data: ".to_vec(), b"x".repeat(length - 6), b"\n\n".to_vec()].concat();
    assert_eq!(error(&line(LIMIT)), None);
    assert_eq!(error(&line(LIMIT + 1)), TOO_LARGE);
    assert_eq!(
        error(&line(LIMIT).repeat(3)),
        None,
        "an event does not count towards the next"
    );
    // The first event of a stream never takes the inlined way; the second does.
    assert_eq!(error(&[line(LIMIT), line(LIMIT + 1)].concat()), TOO_LARGE);
}

#[test]
fn lines_of_one_event_add_up() {
    // The value and one more byte count of every line before, the whole line of the current one.
    assert_eq!(good(b"", b"data\n"), LIMIT - 3);
    assert_eq!(good(b"", b"data: 123\n"), (LIMIT - 9) / 4 + 1);
    assert_eq!(
        good(b"event: 1234567890\nid: 12345\n", b"data:\n"),
        LIMIT - 15 - 4
    );
    // A type and an id replace the ones before them.
    assert_eq!(error(&b"event: x\nid: y\nretry: 1\n".repeat(LIMIT)), None);
}

/// The second line is where an event in one read stops being borrowed; the third once had its room too.
#[test]
fn the_third_line_of_data_has_no_more_room_than_the_second_left() {
    let lines = |third: usize| {
        let line = |length| [b"data:".to_vec(), b"x".repeat(length), b"\n".to_vec()].concat();
        [line(99), line(99), line(third), b"\n".to_vec()].concat()
    };
    assert_eq!(error(&lines(LIMIT - 200 - 5)), None);
    assert_eq!(error(&lines(LIMIT - 200 - 4)), TOO_LARGE);
}

#[test]
fn an_id_counts_until_its_event_ends() {
    let id = [b"id: ".to_vec(), b"x".repeat(LIMIT - 4), b"\n".to_vec()].concat();
    assert_eq!(error(&[&id[..], b"data\n"].concat()), None);
    assert_eq!(error(&[&id[..], b"data:\n"].concat()), TOO_LARGE);
    assert_eq!(error(&[&id[..], b"\ndata: as good as new\n\n"].concat()), None);
}

#[test]
fn comments_are_free() {
    assert_eq!(error(&[b":".to_vec(), b"x".repeat(10 * LIMIT)].concat()), None);
    assert_eq!(error(&b": keepalive\n".repeat(LIMIT)), None);
    assert_eq!(error(&b"data\n: keepalive\n".repeat(LIMIT / 2)), None);
}

#[test]
fn the_default_is_8_mib() {
    let mut decoder = Decoder::new();
    let line = b"x".repeat(DEFAULT_LIMIT);
    assert_eq!(decoder.next_event(&mut &line[..]), Ok(None));
    assert_eq!(
        decoder.next_event(&mut &b"x"[..]),
        Err(DecodeError::TooLarge {
            limit: 8 * 1024 * 1024
        })
    );
}

#[test]
fn a_failed_decoder_stays_failed_until_reset() {
    let mut decoder = Decoder::new().with_limit(LIMIT).with_stray_lines();
    assert!(
        decoder
            .next_event(&mut &b"id: 7\nretry: 5\ndata: a\n\n"[..])
            .unwrap()
            .is_some()
    );
    let long = b"x".repeat(LIMIT + 1);
    let mut input = [&long[..], b"\n\ndata: lost\n\n"].concat();
    for _ in 0..3 {
        let mut input = input.as_slice();
        assert_eq!(decoder.next_event(&mut input).err(), TOO_LARGE);
        assert!(input.is_empty());
    }
    assert_eq!(decoder.finish(), None);
    input = b"data: b\n\n".to_vec();
    let mut input = input.as_slice();
    let event = decoder.next_event(&mut input).unwrap().unwrap();
    assert_eq!(
        (event.data, event.id),
        ("b", "7"),
        "`finish` has reset it; id and retry stay"
    );
    assert_eq!(event.retry.unwrap().as_millis(), 5);
}
