//! Golden bytes of both printers.

use std::io::{self, Write};
use std::time::Duration;

use aurora_chat::{
    Deadline, Delta, End, Failure, FailureKind, Fault, FinishReason, Notice, Start, ToolCallDelta, Update,
    Usage, Verdict,
};

use super::{Audience as _, Place, Printer, Style};

const TERMINAL: Style = Style {
    json: false,
    out_is_terminal: true,
    render: false,
    out_color: false,
    reflows: true,
    err_is_terminal: true,
    err_color: false,
    plain: false,
    show_reasoning: false,
    usage: false,
    footer: false,
    countdown: Place::Nowhere,
    ambiguous: false,
};

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn usage() -> Update {
    Update::Delta(Delta::Usage(Usage {
        input_tokens: 12,
        output_tokens: 11,
        ..Usage::default()
    }))
}

fn stop() -> Update {
    Update::End(End::finished(Some(FinishReason::Stop)))
}

fn failed(verdict: Verdict, failure: Failure) -> Update {
    Update::End(End {
        verdict,
        finish_reason: None,
        failure: Some(failure),
    })
}

/// What stdout and stderr get; each update comes a second after the one before.
fn printed(style: Style, updates: &[Update]) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut printer = Printer::new(style, &mut out, &mut err);
    for (second, update) in (1..).zip(updates) {
        printer.update(Duration::from_secs(second), update).unwrap();
    }
    drop(printer);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn a_pipe_gets_the_answer_and_one_line_feed_and_stderr_nothing() {
    for (pieces, expected) in [
        (&["Hel", "lo"][..], "Hello\n"),
        (&["Hello\n"], "Hello\n"),
        (&["Hello\n\n"], "Hello\n\n"),
        (&["raw \u{1b}[31m\r\u{202e}"], "raw \u{1b}[31m\r\u{202e}\n"),
        (&[], ""),
    ] {
        let updates: Vec<_> = pieces
            .iter()
            .map(|piece| text(piece))
            .chain([usage(), stop()])
            .collect();
        assert_eq!(
            printed(Style::default(), &updates),
            (expected.to_owned(), String::new()),
            "{pieces:?}"
        );
    }
}

#[test]
fn a_terminal_gets_no_control_characters_and_is_told_the_end() {
    let start = Update::Start(Start {
        model: "m\u{1b}".to_owned(),
        ..Start::default()
    });
    let (out, err) = printed(
        TERMINAL,
        &[start, text("a\u{1b}[2Jb\r"), text("\nc\r"), usage(), stop()],
    );
    assert_eq!(out, "a␛[2Jb\nc␍\n");
    assert_eq!(
        err,
        "complete · m␛ · 11 tokens · 3.3 tokens/s · first after 2.00 s · 5.00 s in all\n"
    );
    let thoughtful = Update::Delta(Delta::Usage(Usage {
        output_tokens: 11,
        reasoning_tokens: Some(4),
        ..Usage::default()
    }));
    let (_, err) = printed(TERMINAL, &[text("a"), thoughtful, stop()]);
    assert!(err.starts_with("complete · 11 tokens (4 reasoning) · "), "{err}");
    let (_, err) = printed(
        Style {
            err_color: true,
            ..TERMINAL
        },
        &[stop()],
    );
    assert_eq!(err, "\u{1b}[2mcomplete · 1.00 s in all\u{1b}[0m\n");
    let (_, err) = printed(
        Style {
            plain: true,
            ..TERMINAL
        },
        &[text("a"), stop()],
    );
    assert_eq!(err, "");
}

#[test]
fn every_verdict_but_complete_is_one_line_on_stderr() {
    let failure = |kind| Failure::new(kind, "what\nhappened\u{1b}.");
    let status = |status| Failure {
        status: Some(status),
        ..failure(FailureKind::Status)
    };
    let deadline = |deadline| {
        failed(
            Verdict::TimedOut(deadline),
            failure(FailureKind::Deadline(deadline)),
        )
    };
    for (end, expected) in [
        (
            Update::End(End::finished(Some(FinishReason::Length))),
            "length: the answer reached the limit on tokens",
        ),
        (
            Update::End(End::finished(Some(FinishReason::ContentFilter))),
            "filtered: ",
        ),
        (
            failed(Verdict::Truncated, failure(FailureKind::UnexpectedEnd)),
            "truncated: what happened␛; what came of the",
        ),
        (
            failed(Verdict::Interrupted, failure(FailureKind::ConnectionLost)),
            "interrupted: what happened␛; what came of the",
        ),
        (
            failed(Verdict::Failed(Fault::Caller), status(401)),
            "failed: what happened␛; check the key",
        ),
        (
            failed(Verdict::Failed(Fault::Server), status(500)),
            "failed: what happened␛\n",
        ),
        (
            failed(Verdict::Failed(Fault::Server), failure(FailureKind::Connect)),
            "failed: what happened␛; check the endpoint's",
        ),
        (
            deadline(Deadline::Connect),
            "timed out (connect): what happened␛; --connect-timeout",
        ),
        (
            deadline(Deadline::FirstEvent),
            "timed out (first_event): what happened␛; --first-timeout",
        ),
        (
            deadline(Deadline::Idle),
            "timed out (idle): what happened␛; --idle-timeout",
        ),
        (
            deadline(Deadline::Total),
            "timed out (total): what happened␛; --total-timeout",
        ),
        (
            Update::End(End::cancelled()),
            "cancelled; the answer above is not whole\n",
        ),
    ] {
        let (out, err) = printed(Style::default(), &[text("part"), end]);
        assert_eq!(out, "part\n", "the partial answer is kept");
        assert!(
            err.starts_with(&format!("aurora: {expected}")),
            "{err:?} is not {expected:?}"
        );
        assert_eq!(err.matches('\n').count(), 1, "{err:?}");
    }
    assert_eq!(
        printed(Style::default(), &[Update::End(End::cancelled())]),
        (String::new(), "aurora: cancelled\n".to_owned())
    );
}

#[test]
fn retries_and_warnings_are_told_on_a_line_of_their_own() {
    let retry = Update::Notice(Notice::Retry {
        attempt: 1,
        wait: Duration::from_millis(1500),
        reason: "HTTP 503".to_owned(),
    });
    let warning = Update::Notice(Notice::Warning {
        kind: "bad_json",
        message: "skipped".to_owned(),
    });
    let (out, err) = printed(
        Style::default(),
        &[retry.clone(), text("a"), warning.clone(), text("b"), stop()],
    );
    assert_eq!(out, "ab\n");
    assert_eq!(
        err,
        "aurora: retry 1 in 1.5 s: HTTP 503\naurora: warning: skipped (bad_json)\n"
    );
    let (_, err) = printed(
        Style {
            plain: true,
            ..TERMINAL
        },
        &[text("a"), warning, stop()],
    );
    assert_eq!(
        err, "\naurora: warning: skipped (bad_json)\n",
        "the answer's line is left first"
    );
}

#[test]
fn a_connection_that_was_picked_up_again_is_a_dim_line() {
    let resume_after = |cursor: &str| {
        Update::Notice(Notice::Resume {
            cursor: cursor.to_owned(),
        })
    };
    let resume = || resume_after("s.7");
    let (_, err) = printed(Style::default(), &[resume()]);
    assert_eq!(err, "aurora: connection lost and resumed after s.7\n");
    let (_, err) = printed(Style::default(), &[resume_after("")]);
    assert_eq!(
        err,
        "aurora: connection lost before the first event, and resumed from the start\n"
    );
    let style = Style {
        err_color: true,
        plain: true,
        ..TERMINAL
    };
    let (_, err) = printed(style, &[text("a"), resume(), text("b"), stop()]);
    assert_eq!(
        err,
        "\n\u{1b}[2maurora: connection lost and resumed after s.7\u{1b}[0m\n"
    );
    let json = Style {
        json: true,
        ..Style::default()
    };
    let (out, _) = printed(json, &[resume()]);
    assert_eq!(out, "{\"type\":\"resume\",\"cursor\":\"s.7\"}\n");
    let (out, _) = printed(json, &[resume_after("")]);
    assert_eq!(out, "{\"type\":\"resume\",\"cursor\":null}\n");
}

#[test]
fn reasoning_goes_to_stderr_and_only_if_wanted() {
    let thought = |text: &str| Update::Delta(Delta::Reasoning(text.to_owned()));
    let updates = [thought("hm"), thought("m\u{7}"), text("42"), stop()];
    assert_eq!(
        printed(Style::default(), &updates),
        ("42\n".to_owned(), String::new())
    );
    let wanted = Style {
        show_reasoning: true,
        ..Style::default()
    };
    assert_eq!(
        printed(wanted, &updates),
        ("42\n".to_owned(), "hmm␇\n".to_owned())
    );
    assert_eq!(
        printed(wanted, &[thought("hm"), stop()]),
        (String::new(), "hm\n".to_owned())
    );
}

#[test]
fn usage_is_a_line_on_stderr() {
    let style = Style {
        usage: true,
        ..Style::default()
    };
    let (_, err) = printed(style, &[text("a"), usage(), stop()]);
    assert_eq!(
        err,
        "aurora: usage: 12 input tokens, 11 output tokens, 5.0 tokens/s, first after 1.00 s, 3.00 s in all\n"
    );
    let (_, err) = printed(style, &[stop()]);
    assert_eq!(
        err,
        "aurora: usage: the server counted no tokens, 1.00 s in all\n"
    );
}

#[test]
fn tool_calls_and_refusals_are_not_lost() {
    let call = ToolCallDelta {
        name: Some("look\u{1b}up".to_owned()),
        ..ToolCallDelta::default()
    };
    let refusal = Update::Delta(Delta::Refusal("no".to_owned()));
    let (out, err) = printed(
        Style::default(),
        &[refusal, Update::Delta(Delta::ToolCall(call)), stop()],
    );
    assert_eq!(out, "no\n");
    assert_eq!(
        err,
        "aurora: the model asked for tools, which this command does not run: look␛up\n"
    );
}

#[test]
fn json_lines_have_these_fields_in_this_order() {
    let style = Style {
        json: true,
        ..Style::default()
    };
    let start = Start {
        model: "m".to_owned(),
        endpoint: "e".to_owned(),
        stream: None,
    };
    let call = ToolCallDelta {
        index: 1,
        id: Some("c".to_owned()),
        name: Some("f".to_owned()),
        arguments: "{\"".to_owned(),
    };
    let (out, err) = printed(
        style,
        &[
            Update::Notice(Notice::Retry {
                attempt: 1,
                wait: Duration::from_millis(1500),
                reason: "HTTP 503".to_owned(),
            }),
            Update::Start(start),
            Update::Delta(Delta::Reasoning("hm".to_owned())),
            text("a\n\"\u{1b}\u{7f}\u{9b}\u{202e}é"),
            Update::Delta(Delta::ToolCall(call)),
            Update::Notice(Notice::Warning {
                kind: "bad_json",
                message: "skipped".to_owned(),
            }),
            usage(),
            Update::Delta(Delta::Finish(FinishReason::Stop)),
            stop(),
        ],
    );
    let expected = r#"{"type":"retry","attempt":1,"wait_ms":1500,"reason":"HTTP 503"}
{"type":"start","model":"m","endpoint":"e","stream":null}
{"type":"reasoning","text":"hm"}
{"type":"text","text":"a\n\"\u001b\u007f\u009b\u202eé"}
{"type":"tool_call","index":1,"id":"c","name":"f","arguments":"{\""}
{"type":"warning","kind":"bad_json","message":"skipped"}
{"type":"usage","input_tokens":12,"output_tokens":11,"cached_input_tokens":null,"reasoning_tokens":null}
{"type":"end","verdict":"complete","finish_reason":"stop","error":null,"ttft_ms":3000,"elapsed_ms":9000,"input_tokens":12,"output_tokens":11}
"#;
    let told = "aurora: retry 1 in 1.5 s: HTTP 503\naurora: warning: skipped (bad_json)\n";
    assert_eq!((out.as_str(), err.as_str()), (expected, told));
    let read_back: serde_json::Value = serde_json::from_str(out.lines().nth(3).unwrap()).unwrap();
    assert_eq!(read_back["text"], "a\n\"\u{1b}\u{7f}\u{9b}\u{202e}é");
}

#[test]
fn a_failure_before_the_start_is_still_an_end() {
    let style = Style {
        json: true,
        ..Style::default()
    };
    let failure = Failure {
        status: Some(401),
        ..Failure::new(FailureKind::Status, "no")
    };
    let (out, _) = printed(style, &[failed(Verdict::Failed(Fault::Caller), failure)]);
    assert_eq!(
        out,
        "{\"type\":\"end\",\"verdict\":\"failed\",\"finish_reason\":null,\"error\":{\"kind\":\"http_status\",\"message\":\"no\",\
         \"status\":401},\"ttft_ms\":null,\"elapsed_ms\":1000,\"input_tokens\":null,\"output_tokens\":null}\n"
    );
    let failure = Failure::new(FailureKind::Deadline(Deadline::Idle), "slow");
    let (out, _) = printed(style, &[failed(Verdict::TimedOut(Deadline::Idle), failure)]);
    assert!(
        out.contains("\"verdict\":\"timed_out\"") && out.contains("{\"kind\":\"idle\""),
        "{out}"
    );
}

/// Accepts a number of bytes, then fails; counts its flushes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(taken)
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn stdout_that_fails_is_an_error_and_stderr_that_fails_is_not() {
    for style in [
        Style::default(),
        Style {
            json: true,
            ..Style::default()
        },
    ] {
        let mut printer = Printer::new(style, Full(3), Vec::new());
        assert!(printer.update(Duration::ZERO, &text("hello")).is_err());
    }
    let mut printer = Printer::new(
        Style {
            usage: true,
            ..TERMINAL
        },
        Vec::new(),
        Full(0),
    );
    printer.update(Duration::ZERO, &text("hello")).unwrap();
    printer
        .update(Duration::ZERO, &Update::End(End::cancelled()))
        .unwrap();
}
