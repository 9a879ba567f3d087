//! What the end of input has cut, and what a new stream inherits.

use aurora_sse::{Decoder, Event, Item};

use crate::support::{Seen, decode, reads};

/// What `finish` gives after `stream`, the same in reads of every size.
fn left_over(stream: &str) -> Vec<Seen> {
    let decoder = || Decoder::new().with_stray_lines();
    let whole = decode(decoder(), [stream.as_bytes()]).left_over;
    for size in 1..=stream.len() {
        assert_eq!(
            decode(decoder(), reads(stream.as_bytes(), size)).left_over,
            whole,
            "reads of {size}"
        );
    }
    whole
}

fn event(kind: &str, data: &str, id: &str) -> Seen {
    Seen::Event(kind.to_owned(), data.to_owned(), id.to_owned(), None)
}

fn stray(line: &str) -> Seen {
    Seen::Stray(line.to_owned())
}

#[test]
fn an_event_without_its_blank_line() {
    assert_eq!(
        left_over("data: a\n\ndata: [DONE]\n"),
        [event("message", "[DONE]", "")]
    );
    assert_eq!(
        left_over("data: a\n\ndata: [DONE]"),
        [event("message", "[DONE]", "")]
    );
    assert_eq!(left_over("data:[DONE]"), [event("message", "[DONE]", "")]);
    assert_eq!(
        left_over("event: error\r\ndata: {}\r"),
        [event("error", "{}", "")]
    );
    assert_eq!(left_over("data: a\ndata: b"), [event("message", "a\nb", "")]);
    assert_eq!(left_over("data: a\ndata"), [event("message", "a\n", "")]);
    assert_eq!(left_over("data:"), [event("message", "", "")]);
    assert_eq!(left_over("data: é"), [event("message", "é", "")]);
}

#[test]
fn the_data_of_an_event_is_shown_before_its_blank_line() {
    for (stream, pending) in [
        ("", ""),
        ("data: [DONE]", ""),
        ("data: [DONE]\n", "[DONE]"),
        ("data:[DONE]\r", "[DONE]"),
        ("event: x\ndata: [DONE]\nid: 1", "[DONE]"),
        ("data: [DONE]\n: and", "[DONE]"),
        ("data: [DONE]\nstray", "[DONE]"),
        ("data: [DONE]\nstray\n", "[DONE]"),
        ("data: a\ndata: b\n", "a\nb"),
        ("data: a\ndata: b", ""),
        ("data: [DONE]\n\n", ""),
    ] {
        for size in 1..=stream.len().max(1) {
            let mut decoder = Decoder::new().with_stray_lines();
            for mut read in reads(stream.as_bytes(), size) {
                while decoder.next_item(&mut read).unwrap().is_some() {}
            }
            assert_eq!(decoder.pending_data(), pending.as_bytes(), "{stream:?}, {size}");
        }
    }
}

#[test]
fn nothing_is_left_after_whole_events() {
    for stream in [
        "",
        "data: a\n\n",
        "data: a\r\n\r",
        "data: a\n\n: bye",
        ":",
        "id: 1\n",
        "event: x\n",
        "\u{FEFF}",
    ] {
        assert_eq!(left_over(stream), [], "{stream:?}");
    }
}

#[test]
fn a_cut_event_does_not_move_the_cursor() {
    assert_eq!(
        left_over("id: 1\ndata: a\n\nid: 2\ndata: b\n"),
        [event("message", "b", "1")]
    );
    assert_eq!(
        decode(Decoder::new(), [&b"id: 1\n\nid: 2\ndata: b\n"[..]]).last_id,
        "1"
    );
}

#[test]
fn cut_lines_of_other_fields_are_dropped() {
    assert_eq!(left_over("data: a\nevent: err"), [event("message", "a", "")]);
    assert_eq!(left_over("data: a\nretry: 1"), [event("message", "a", "")]);
    assert_eq!(left_over("data: a\nid: 1"), [event("message", "a", "")]);
}

#[test]
fn a_stray_line_without_its_end() {
    assert_eq!(
        left_over(r#"{"error":"no stream at all"}"#),
        [stray(r#"{"error":"no stream at all"}"#)]
    );
    assert_eq!(
        left_over("data: a\n{\"error\":1}"),
        [stray("{\"error\":1}"), event("message", "a", "")]
    );
    assert_eq!(left_over("dat"), [stray("dat")]);
    assert_eq!(
        decode(Decoder::new(), [&b"{}"[..]]).left_over,
        [],
        "only if they are asked for"
    );
}

#[test]
fn stray_lines_come_where_they_stand() {
    let stream = b"data: a\n{\"error\":1}\ndata: b\n\ndatax\n";
    let items = decode(Decoder::new().with_stray_lines(), [&stream[..]]).items;
    assert_eq!(
        items,
        [
            stray("{\"error\":1}"),
            event("message", "a\nb", ""),
            stray("datax")
        ]
    );
}

#[test]
fn what_was_invalid_is_replaced_there_too() {
    let decoder = Decoder::new().with_stray_lines();
    let outcome = decode(decoder, [&b"\xFFx\nevent: \xFF\ndata: \xE2\x82\n\n\xEF\xBB"[..]]);
    assert_eq!(
        outcome.items,
        [stray("\u{FFFD}x"), event("\u{FFFD}", "\u{FFFD}", "")]
    );
    assert_eq!(outcome.left_over, [stray("\u{FFFD}")]);
}

#[test]
fn a_new_stream_inherits_id_and_retry_and_nothing_else() {
    let mut decoder = Decoder::new();
    let mut input = &b"id: 7\nretry: 5\ndata: a\n\nevent: x\ndata: cut\nid: 8\ndat"[..];
    assert!(decoder.next_event(&mut input).unwrap().is_some());
    assert_eq!(decoder.next_event(&mut input), Ok(None));
    decoder.reset();
    let mut input = &b"\xEF\xBB\xBFdata: b\n\n"[..];
    let retry = decoder.retry();
    assert_eq!(retry.unwrap().as_millis(), 5);
    let expected = Event {
        event: "message",
        data: "b",
        id: "7",
        retry,
    };
    assert_eq!(decoder.next_item(&mut input), Ok(Some(Item::Event(expected))));
    assert_eq!(decoder.last_event_id(), "7");
}
