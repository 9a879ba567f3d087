//! Broken events, endings, and bodies that are no event stream.

use super::*;

/// A chunk with this delta.
fn chunk(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

#[test]
fn reads_events_that_share_one_data() {
    let seen = stream(&[&format!("{}\n{FINISH}\n[DONE]", chunk(r#"{"content":"a"}"#))]);
    assert_eq!(seen.deltas, [text("a"), STOP]);
    assert_eq!(stream(&[&format!("data: {FINISH}")]).deltas, [STOP]);
}

#[test]
fn bad_json_is_skipped_with_a_warning() {
    let seen = stream(&[
        r#"{"choices":[{"delta":{"content":"a"#,
        "ok",
        "5",
        "\"x\"",
        FINISH,
    ]);
    assert_eq!(seen.notices, ["bad_json", "bad_json", "bad_event", "bad_event"]);
    assert_eq!(seen.deltas, [STOP]);
    assert_eq!(seen.verdict(), Verdict::Complete);
}

#[test]
fn a_truncated_stream_quotes_what_could_not_be_read() {
    let seen = stream(&["worker 3 is out of memory"]);
    assert_eq!(seen.verdict(), Verdict::Truncated);
    assert!(
        seen.failure().message.ends_with(": worker 3 is out of memory"),
        "{}",
        seen.failure().message
    );
}

#[test]
fn ends_as_it_should() {
    let length = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    for (events, verdict) in [
        (&[FINISH][..], Verdict::Complete), // no [DONE]: oh-my-pi#9433, llmgateway#1901
        (&["[DONE]"], Verdict::Complete),
        (&[FINISH, "[DONE]", "[DONE]"], Verdict::Complete), // one-api#1628
        (&[length, "[DONE]"], Verdict::Length),
        (
            &[r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#],
            Verdict::Filtered,
        ),
        (&[], Verdict::Truncated), // maka#2297, opencode#26170
        (
            &[r#"{"choices":[{"delta":{"content":"a"}}]}"#],
            Verdict::Truncated,
        ),
    ] {
        assert_eq!(stream(events).verdict(), verdict, "{events:?}");
    }
}

#[test]
fn reads_a_body_that_is_no_event_stream_cody_3479() {
    let mut reader = Reader::new();
    let mut deltas = Vec::new();
    let body = br#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning_content":"r","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    assert_eq!(reader.read_body(body, &mut deltas), Ok(Flow::Done));
    assert_eq!(
        deltas,
        [
            thought("r"),
            text("a"),
            call(0, "t", "f", "{}"),
            Delta::Finish(FinishReason::ToolCalls),
            usage(1, 2)
        ]
    );
    assert_eq!(reader.end(Ending::Eof).end.verdict, Verdict::Complete);
}

#[test]
fn mends_what_is_almost_json() {
    let seen = stream(&[
        &chunk(r#"{"content":"a\ud83d"}"#),
        r#"{"choices":[{"delta":{"content":"b"},"logprobs":[NaN]}]}"#,
        FINISH,
    ]);
    assert_eq!(seen.deltas, [text("a\u{fffd}"), text("b"), STOP]);
    assert_eq!(seen.notices, ["bad_json", "bad_json"]);
}
