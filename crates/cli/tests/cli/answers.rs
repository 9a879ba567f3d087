//! Every way an answer can end: exit code, what stdout keeps, what stderr says, what `--json` ends with.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use aurora_testkit::{Reply, Upstream, fixtures};
use serde_json::json;

#[cfg(unix)]
use crate::support::kill;
use crate::support::{Home, Run, answer, ask};

fn events(events: &[String]) -> Reply {
    Reply::sse(events.to_vec())
}

#[test]
fn a_whole_answer_is_all_there_is_on_stdout() {
    let (run, upstream) = ask(answer(), &[]);
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (Some(0), "Hello\n", "")
    );
    let request = upstream.requests().remove(0).json();
    assert_eq!(
        request["messages"],
        json!([{"role": "user", "content": "hi"}]),
        "no system prompt is added"
    );
    assert_eq!(
        (&request["model"], &request["stream"]),
        (&json!("m"), &json!(true))
    );
}

#[test]
fn flags_reach_the_request() {
    let flags = [
        "-s",
        "be brief",
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--max-tokens",
        "7",
        "--seed",
        "-3",
        "--stop",
        "x",
    ];
    let (run, upstream) = ask(answer(), &flags);
    assert_eq!(run.code, Some(0), "{run:?}");
    let request = upstream.requests().remove(0).json();
    assert_eq!(
        request["messages"][0],
        json!({"role": "system", "content": "be brief"})
    );
    assert_eq!(request["temperature"], json!(0.5));
    assert_eq!(request["seed"], json!(-3));
    assert_eq!(request["stop"], json!(["x"]));
}

#[test]
fn every_incomplete_ending_has_its_code_keeps_the_text_and_is_named() {
    let text = fixtures::text("part");
    let cases: Vec<(Reply, &[&str], i32, &str)> = vec![
        (
            events(&[text.clone(), fixtures::finish("length")]),
            &[],
            8,
            "length",
        ),
        (
            events(&[text.clone(), fixtures::finish("content_filter")]),
            &[],
            9,
            "filtered",
        ),
        (events(std::slice::from_ref(&text)), &[], 7, "truncated"),
        (events(std::slice::from_ref(&text)).cut(), &[], 7, "interrupted"),
        (
            events(&[text.clone(), fixtures::error(500, "boom")]),
            &[],
            5,
            "failed",
        ),
        (
            events(&[text.clone(), fixtures::error(400, "bad")]),
            &[],
            4,
            "failed",
        ),
        (
            events(&[text]).stall(),
            &["--idle-timeout", "300ms"],
            6,
            "timed out (idle)",
        ),
    ];
    for (reply, flags, code, verdict) in cases {
        let (run, _upstream) = ask(reply, flags);
        assert_eq!(
            (run.code, run.out.as_str()),
            (Some(code), "part\n"),
            "{verdict}: {run:?}"
        );
        assert!(
            run.err.starts_with(&format!("aurora: {verdict}")),
            "{verdict}: {run:?}"
        );
    }
}

#[test]
fn failures_before_the_answer_leave_stdout_empty() {
    let body = |status: u16| {
        Reply::json(
            status,
            &json!({"error": {"message": "no such thing", "type": "x"}}),
        )
    };
    for (status, code) in [(400, 4), (401, 4), (404, 4), (429, 5), (500, 5), (503, 5)] {
        let (run, _upstream) = ask(body(status), &[]);
        assert_eq!(
            (run.code, run.out.as_str()),
            (Some(code), ""),
            "{status}: {run:?}"
        );
        assert!(
            run.err.contains("failed") && run.err.contains("no such thing"),
            "{status}: {run:?}"
        );
    }
    let (run, _upstream) = ask(
        Reply::sse(Vec::<String>::new()).stall(),
        &["--first-timeout", "300ms"],
    );
    assert_eq!((run.code, run.out.as_str()), (Some(6), ""), "{run:?}");
    assert!(
        run.err.contains("first_event") && run.err.contains("--first-timeout"),
        "{run:?}"
    );
}

#[test]
fn retries_are_shown() {
    let upstream = Upstream::start(aurora_testkit::Script::sequence([
        Reply::status(503).header("retry-after-ms", "10"),
        answer(),
    ]));
    let home = Home::new();
    let run = home.run(&["-e", &upstream.url(), "-m", "m", "hi"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "Hello\n"), "{run:?}");
    assert!(run.err.starts_with("aurora: retry 1 in "), "{run:?}");
    let run = home.run(&["-e", &upstream.url(), "-m", "m", "--json", "hi"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn json_lines_end_with_end_whatever_happens() {
    let end = |run: &Run| run.json().pop().expect("at least one line");
    let (run, _upstream) = ask(answer(), &["--json"]);
    let types: Vec<_> = run
        .json()
        .iter()
        .map(|line| line["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types.first().map(String::as_str), Some("start"), "{run:?}");
    assert_eq!(types.iter().filter(|kind| *kind == "text").count(), 2, "{run:?}");
    assert_eq!(end(&run)["type"], "end");
    assert_eq!(
        (&end(&run)["verdict"], &end(&run)["finish_reason"]),
        (&json!("complete"), &json!("stop"))
    );
    assert!(
        end(&run)["ttft_ms"].is_u64() && end(&run)["output_tokens"].is_u64(),
        "{run:?}"
    );

    let (run, _upstream) = ask(Reply::status(500), &["--json"]);
    assert_eq!((run.code, &end(&run)["verdict"]), (Some(5), &json!("failed")));
    assert!(
        end(&run)["error"]["kind"].is_string() && end(&run)["error"]["message"].is_string(),
        "{run:?}"
    );

    let (run, _upstream) = ask(
        events(&[fixtures::text("a")]).stall(),
        &["--json", "--idle-timeout", "300ms"],
    );
    assert_eq!(
        (&end(&run)["verdict"], &end(&run)["error"]["kind"]),
        (&json!("timed_out"), &json!("idle"))
    );

    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let run = Home::new().run(&[
        "-e",
        &format!("http://127.0.0.1:{port}/v1"),
        "-m",
        "m",
        "--retries",
        "0",
        "--json",
        "hi",
    ]);
    assert_eq!(
        (run.code, run.json().len(), &end(&run)["error"]["kind"]),
        (Some(5), 2, &json!("connect")),
        "{run:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_signal_keeps_the_partial_answer_and_exits_130() {
    for signal in ["-INT", "-TERM"] {
        let upstream = Upstream::start(events(&[fixtures::text("part")]).stall());
        let home = Home::new();
        let mut child = home.spawn(&mut home.command(&["-e", &upstream.url(), "-m", "m", "hi"]));
        let mut out = child.stdout.take().unwrap();
        let mut first = [0; 4];
        out.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"part", "flushed while the stream is open");
        kill(signal, child.id());
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!((run.code, rest.as_str()), (Some(130), "\n"), "{signal}: {run:?}");
        assert!(run.err.starts_with("aurora: cancelled"), "{signal}: {run:?}");
        assert!(
            upstream.left_within(0, Duration::from_secs(5)),
            "the connection is closed"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_ends_the_run_quietly_and_at_once() {
    let many: Vec<String> = (0..2000)
        .map(|n| fixtures::text(&format!("line {n}\n")))
        .collect();
    let upstream = Upstream::start(Reply::sse(many).stall());
    let home = Home::new();
    let mut child = home.spawn(&mut home.command(&["-e", &upstream.url(), "-m", "m", "hi"]));
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "line 0\n");
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.err.as_str()), (Some(130), ""), "{run:?}");
    assert!(
        upstream.left_within(0, Duration::from_secs(5)),
        "generation is stopped"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let upstream = Upstream::start(answer());
    let home = Home::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = home.command(&["-e", &upstream.url(), "-m", "m", "hi"]);
    let run = Run::of(command.stdout(full).stderr(Stdio::piped()).output().unwrap());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("standard output"), "{run:?}");
}

#[test]
fn usage_and_the_log_go_to_stderr_and_the_file() {
    let (run, _upstream) = ask(answer(), &["--usage"]);
    assert_eq!(run.out, "Hello\n");
    assert!(run.err.starts_with("aurora: usage: "), "{run:?}");
    let upstream = Upstream::start(answer());
    let home = Home::new();
    let args = [
        "-e",
        &upstream.url(),
        "-m",
        "m",
        "--log-file",
        "log.jsonl",
        "-vv",
        "a prompt that is private",
    ];
    let run = Run::of(
        home.command(&args)
            .env("AURORA_API_KEY", "sk-very-secret-key-0123456789")
            .output()
            .unwrap(),
    );
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(
        upstream.requests()[0].header("authorization"),
        Some("Bearer sk-very-secret-key-0123456789")
    );
    let log = std::fs::read_to_string(home.path().join("log.jsonl")).unwrap();
    assert!(!log.contains("private") && !log.contains("very-secret"), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn a_line_that_cannot_be_used_has_an_end_too_where_json_lines_were_asked_for() {
    let home = Home::new();
    for args in [
        &["--json", "--no-such-flag", "hi"][..],
        &["hi", "--temperature", "9", "--json"],
        &["replay", "--json"],
        &["--json=true", "hi"],
        &["replay", "call.jsonl", "--json", "--record", "new.jsonl"],
    ] {
        let run = home.run(args);
        let lines = run.json();
        assert_eq!((run.code, lines.len()), (Some(2), 1), "{run:?}");
        assert_eq!(
            (&lines[0]["type"], &lines[0]["verdict"]),
            (&json!("end"), &json!("failed"))
        );
        assert_eq!(lines[0]["error"]["kind"], "usage");
        let message = lines[0]["error"]["message"].as_str().unwrap();
        assert!(
            !message.starts_with("error") && run.err.contains(message),
            "{run:?}"
        );
    }
    for args in [
        &["config", "show", "--json", "--no"][..],
        &["--no", "--", "--json"],
        &["--no"],
    ] {
        let run = home.run(args);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    }
}

#[test]
fn json_lines_tell_problems_too_and_stderr_names_what_it_must() {
    let run = Home::new().run(&["--json", "-m", "nowhere/m", "hi"]);
    let lines = run.json();
    assert_eq!((run.code, lines.len()), (Some(2), 1), "{run:?}");
    assert_eq!(
        (
            &lines[0]["type"],
            &lines[0]["verdict"],
            &lines[0]["error"]["kind"]
        ),
        (&json!("end"), &json!("failed"), &json!("usage"))
    );
    let home = Home::new();
    home.file("c.toml", "nonsense = 1");
    let run = home.run(&["--json", "--config", "c.toml", "hi"]);
    assert_eq!((run.code, run.json().len()), (Some(3), 1), "{run:?}");
    assert_eq!(run.json()[0]["error"]["kind"], "config");

    let upstream = Upstream::start(aurora_testkit::Script::sequence([
        Reply::status(503).header("retry-after-ms", "10"),
        Reply::sse([fixtures::text("part")]),
    ]));
    let run = home.run(&["-e", &upstream.url(), "-m", "m", "--json", "hi"]);
    let types: Vec<_> = run.json().iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["start", "retry", "text", "end"], "{run:?}");
    assert_eq!((run.code, &run.json()[0]["model"]), (Some(7), &json!("m")));
    assert!(
        run.err.starts_with("aurora: retry 1 in ") && run.err.contains("\naurora: truncated"),
        "{run:?}"
    );
}
