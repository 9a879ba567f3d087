//! Frames, byte for byte and through the decoder.

use std::time::Duration;

use aurora_sse::{Decoder, EncodeError, Frame, encode_comment};
use proptest::prelude::*;

use crate::support::{Seen, decode};

fn encoded(frame: Frame<'_>) -> Result<String, EncodeError> {
    let mut out = Vec::new();
    frame
        .encode_into(&mut out)
        .map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn golden_bytes() {
    let frame = Frame::new;
    let golden = [
        (frame(""), "data:\n\n"),
        (frame("a"), "data: a\n\n"),
        (frame(" a"), "data:  a\n\n"),
        (frame("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (frame("\n\r\r\n"), "data:\ndata:\ndata:\ndata:\n\n"),
        (
            Frame {
                event: "message",
                ..frame("a")
            },
            "data: a\n\n",
        ),
        (
            Frame {
                event: "error",
                ..frame("a")
            },
            "event: error\ndata: a\n\n",
        ),
        (
            Frame {
                id: Some(""),
                ..frame("a")
            },
            "id:\ndata: a\n\n",
        ),
        (
            Frame {
                retry: Some(Duration::ZERO),
                ..frame("a")
            },
            "retry: 0\ndata: a\n\n",
        ),
        (
            Frame {
                retry: Some(Duration::MAX),
                ..frame("a")
            },
            "retry: 18446744073709551615\ndata: a\n\n",
        ),
        (
            Frame {
                event: "e",
                id: Some("s.7"),
                retry: Some(Duration::from_micros(2500)),
                data: "a",
            },
            "event: e\nid: s.7\nretry: 2\ndata: a\n\n",
        ),
    ];
    for (frame, bytes) in golden {
        assert_eq!(encoded(frame).as_deref(), Ok(bytes), "{frame:?}");
    }
}

#[test]
fn a_comment_is_one_line() {
    let mut out = b"before".to_vec();
    encode_comment("keepalive", &mut out).unwrap();
    encode_comment("", &mut out).unwrap();
    assert_eq!(out, b"before: keepalive\n:\n");
    for text in ["a\nb", "a\rb", "\n"] {
        assert_eq!(encode_comment(text, &mut out), Err(EncodeError::NewlineInComment));
    }
    assert_eq!(out, b"before: keepalive\n:\n");
}

#[test]
fn what_would_be_another_field_is_refused() {
    for end in ["\n", "\r", "\r\n"] {
        let text = format!("x{end}data: forged");
        assert_eq!(
            encoded(Frame {
                event: &text,
                ..Frame::new("a")
            }),
            Err(EncodeError::NewlineInEvent)
        );
        assert_eq!(
            encoded(Frame {
                id: Some(&text),
                ..Frame::new("a")
            }),
            Err(EncodeError::NewlineInId)
        );
    }
    assert_eq!(
        encoded(Frame {
            id: Some("a\0"),
            ..Frame::new("a")
        }),
        Err(EncodeError::NulInId)
    );
    let mut out = b"before".to_vec();
    assert!(
        Frame {
            event: "\n",
            ..Frame::new("a")
        }
        .encode_into(&mut out)
        .is_err()
    );
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        event in "[^\r\n]{0,8}",
        id in prop::option::of("[^\r\n\0]{0,8}"),
        retry in prop::option::of(any::<u64>()),
        data in r"([a-z :\n\r\u{FEFF}\u{0}]|data|\PC){0,12}",
    ) {
        let mut out = Vec::new();
        encode_comment("keepalive", &mut out).unwrap();
        Frame { event: &event, id: id.as_deref(), retry: retry.map(Duration::from_millis), data: &data }
            .encode_into(&mut out)
            .unwrap();
        encode_comment("keepalive", &mut out).unwrap();
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        let outcome = decode(Decoder::new().with_stray_lines(), [out.as_slice()]);
        prop_assert_eq!(outcome.items, [Seen::Event(event, data, id.unwrap_or_default(), retry)]);
        prop_assert_eq!(outcome.left_over, []);
    }
}
