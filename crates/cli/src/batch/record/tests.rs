//! Results as they are written and read again.

use aurora_chat::{End, FailureKind, Fault, Start};

use super::*;

fn told(key: &Key) -> Told<'_> {
    Told {
        unique: 7,
        key,
        line: 3,
        print: 0xabc,
        attempts: 2,
        before: Duration::from_millis(100),
    }
}

fn outcome(text: &str, end: End) -> Outcome {
    let mut answer = Transcript::new();
    answer.push(&Delta::Text(text.to_owned())).unwrap();
    answer.finish_reason.clone_from(&end.finish_reason);
    answer.usage = Some(Usage {
        input_tokens: 4,
        output_tokens: 2,
        ..Usage::default()
    });
    Outcome {
        start: Some(Start {
            model: "m-1".to_owned(),
            ..Start::default()
        }),
        answer,
        end,
        attempts: 1,
        first: Some(Duration::from_millis(20)),
        elapsed: Duration::from_millis(50),
    }
}

fn parse(line: &[u8]) -> Value {
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(line.starts_with(BEGINNING.as_bytes()) && line.ends_with(b"\n"));
    serde_json::from_slice(line).unwrap()
}

#[test]
fn an_answer_is_a_result_of_openai_with_more() {
    let key = Key::Text("a \"b\"".to_owned());
    let outcome = outcome("two\nlines", End::finished(Some(FinishReason::Stop)));
    let line = told(&key).answered(&outcome, &Api::Chat, "m");
    let value = parse(&line);
    assert_eq!(value["custom_id"], "a \"b\"");
    assert_eq!(value["response"]["status_code"], 200);
    let body = &value["response"]["body"];
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("chat.completion"), &json!("m-1"))
    );
    assert_eq!(body["choices"][0]["message"]["content"], "two\nlines");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 6);
    assert_eq!(
        (&value["error"], &value["verdict"], &value["attempts"]),
        (&Value::Null, &json!("complete"), &json!(2))
    );
    assert_eq!(
        (&value["ttft_ms"], &value["elapsed_ms"], &value["line"]),
        (&json!(120), &json!(150), &json!(3))
    );
    let stored = Stored::read(line.trim_ascii_end()).unwrap();
    assert_eq!(
        (stored.key, stored.error, &*stored.verdict, stored.print),
        (key, None, "complete", Some(0xabc))
    );
}

#[test]
fn a_response_is_written_as_one() {
    let request = responses::Request::from_json(br#"{"input":"hi","model":"m"}"#).unwrap();
    let api = Api::Responses(Box::new(request.settings));
    let outcome = outcome("Hello", End::finished(Some(FinishReason::Stop)));
    let value = parse(&told(&Key::of_line(3)).answered(&outcome, &api, "m"));
    let body = &value["response"]["body"];
    assert_eq!(
        (&body["object"], &body["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert!(body["output"].to_string().contains("Hello"), "{body}");
}

#[test]
fn a_failure_has_its_kind_and_what_came_before_it() {
    let failure = Failure {
        status: Some(503),
        code: Some("overloaded".to_owned()),
        ..Failure::new(FailureKind::Status, "HTTP status 503: busy")
    };
    let end = End::failed(Fault::Server, failure);
    let mut nothing = outcome("x", end.clone());
    nothing.answer = Transcript::new();
    let key = Key::Number("12345678901234567890123".to_owned());
    let line = told(&key).answered(&nothing, &Api::Chat, "m");
    let value: Value = parse(&line);
    assert!(
        line.windows(23)
            .any(|digits| digits == b"12345678901234567890123"),
        "an id is kept to the digit"
    );
    assert_eq!(value["response"]["status_code"], 503);
    assert_eq!(value["error"]["kind"], "http_status");
    assert_eq!(value["error"]["code"], "overloaded");
    assert_eq!(value["verdict"], "failed");
    let stored = Stored::read(line.trim_ascii_end()).unwrap();
    assert_eq!(
        (stored.key, stored.error.as_deref()),
        (key.clone(), Some("http_status"))
    );

    let partial = parse(&told(&key).answered(&outcome("half", end), &Api::Chat, "m"));
    assert_eq!(
        partial["response"]["body"]["choices"][0]["message"]["content"],
        "half"
    );
    assert_eq!(partial["error"]["kind"], "http_status");
}

#[test]
fn a_line_that_cannot_be_asked_for_is_a_result_too() {
    let bad = Bad {
        kind: "bad_json",
        failure: Failure::new(FailureKind::InvalidRequest, "line 3: no").into(),
    };
    let line = told(&Key::of_line(3)).refused(&bad);
    let value = parse(&line);
    assert_eq!(
        (&value["response"], &value["error"]["kind"]),
        (&Value::Null, &json!("bad_json"))
    );
    assert_eq!(Stored::read(&line).unwrap().error.as_deref(), Some("bad_json"));
}

#[test]
fn results_of_openai_are_read_and_other_lines_are_not() {
    let theirs = br#"{"id":"batch_req_1","custom_id":"x","response":{"status_code":200,"request_id":"r","body":{}},"error":null}"#;
    let stored = Stored::read(theirs).unwrap();
    assert_eq!(
        (&*stored.verdict, stored.error, stored.print),
        ("complete", None, None)
    );
    for other in [
        &b"{}"[..],
        b"{\"custom_id\":\"x\"}",
        b"{\"custom_id\":null,\"response\":{}}",
        b"words",
        b"[1]",
        b"{\"custom_id\":\"x\",\"response\":{",
        b"",
    ] {
        assert!(
            Stored::read(other).is_none(),
            "{}",
            String::from_utf8_lossy(other)
        );
    }
}
