//! The events kept for those who pass them on: what they hold, and what is left out.

use super::*;

/// What a reader that keeps events has kept of these.
fn kept(events: &[(&str, &str)]) -> Vec<String> {
    let mut reader = Reader::new().keeping_events();
    let mut kept = Vec::new();
    for (event, data) in events {
        // What it means for the reading is tested elsewhere; here it goes on whatever comes.
        let _ = reader.read(event, data, &mut Vec::new());
        kept.extend(reader.take_events());
    }
    kept
}

#[test]
fn events_are_kept_byte_for_byte_whether_they_are_parsed_or_known_by_sight() {
    let chunk = |text: &str| {
        format!(
            r#" {{"choices": [{{"index":0, "delta":{{"content":"{text}","x":1.50}}}}], "obfuscation" : "\u0041" }}"#
        )
    };
    let events = [
        chunk("a"),
        chunk("b"),
        chunk(r"c\n"),
        r#"{"choices":[],"new":[ ]}"#.to_owned(),
    ];
    let typed: Vec<_> = events.iter().map(|data| ("message", data.as_str())).collect();
    assert_eq!(kept(&typed), events);
}

#[test]
fn what_is_no_event_of_the_answer_is_not_kept() {
    let none: [(&str, &str); 8] = [
        ("message", ""),
        ("keepalive", "  "),
        ("message", "{broken"),
        ("message", "[1]"),
        ("message", r#"{"error":{"message":"no"}}"#),
        ("error", r#"{"message":"no"}"#),
        ("message", "error: out of memory"),
        ("message", "[DONE]"),
    ];
    assert_eq!(kept(&none), [""; 0]);
    let mut reader = Reader::new().keeping_events();
    let body = br#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    assert_eq!(reader.read_body(body, &mut Vec::new()), Ok(Flow::Done));
    assert_eq!(reader.take_events().count(), 0);
}

#[test]
fn what_nobody_could_read_as_it_came_is_kept_as_it_was_read() {
    let chunk = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    for (data, expected) in [
        (format!("{chunk}\n{chunk}\n[DONE]"), vec![chunk, chunk]),
        (format!("data: {chunk}"), vec![chunk]),
        (
            r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#.to_owned(),
            vec![r#"{"choices":[{"delta":{"content":"\ufffd"}}]}"#],
        ),
    ] {
        assert_eq!(kept(&[("message", &data)]), expected, "{data}");
    }
}

#[test]
fn an_event_of_an_unknown_kind_is_kept_although_it_is_warned_about() {
    let image = r#"{"choices":[{"delta":{"content":[{"type":"image","data":"…"}]}}]}"#;
    assert_eq!(kept(&[("message", image)]), [image]);
    assert_eq!(stream(&[image]).notices, ["bad_event"]);
}
