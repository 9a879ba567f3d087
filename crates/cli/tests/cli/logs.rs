//! The log that `-v` and `--log-file` ask for: what is in it, and what never is.

use std::fs;

use aurora_testkit::Upstream;
use serde_json::{Value, json};

use crate::support::{Home, Run, answer};

const KEY: &str = "hunter2-hunter2-hunter2";
const PROMPT: &str = "the moon is hollow";

/// One answer with these flags, and what was logged to a file.
fn logged(flags: &[&str]) -> (Run, String) {
    let upstream = Upstream::start(answer());
    let home = Home::new();
    let url = upstream.url();
    let mut args = vec!["-e", url.as_str(), "-m", "m", "--log-file", "log"];
    args.extend(flags);
    args.push(PROMPT);
    let run = Run::of(home.command(&args).env("AURORA_API_KEY", KEY).output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (Some(0), "Hello\n"), "{run:?}");
    assert!(!run.err.contains("hunter2"), "{run:?}");
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(!log.contains("hunter2"), "{log}");
    (run, log)
}

#[test]
fn the_log_file_is_json_lines_with_what_each_call_came_to() {
    let (run, log) = logged(&[]);
    assert_eq!(run.err, "", "the log goes to the file alone");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended = |line: &&Value| line["fields"]["message"] == json!("the call has ended");
    let span = &lines.iter().find(ended).unwrap_or_else(|| panic!("{log}"))["span"];
    for (name, value) in [
        ("name", json!("call")),
        ("model", json!("m")),
        ("verdict", json!("complete")),
        ("attempts", json!(1)),
        ("input_tokens", json!(7)),
        ("output_tokens", json!(2)),
    ] {
        assert_eq!(span[name], value, "{log}");
    }
    for name in [
        "ttft_ms",
        "gap_p50_ms",
        "gap_p99_ms",
        "gap_max_ms",
        "elapsed_ms",
        "bytes",
    ] {
        assert!(span[name].is_number(), "{name}: {log}");
    }
}

#[test]
fn prompts_are_in_the_log_at_three_vs_only() {
    for flags in [&[][..], &["-v"], &["-vv"]] {
        let (_, log) = logged(flags);
        assert!(!log.contains("hollow"), "{flags:?}: {log}");
    }
    let (_, log) = logged(&["-vvv"]);
    assert!(log.contains(PROMPT), "{log}");
    assert!(!log.contains("Hello"), "answers are not logged: {log}");
}

#[test]
fn without_a_file_the_log_is_text_on_stderr() {
    let upstream = Upstream::start(answer());
    let home = Home::new();
    let url = upstream.url();
    let run = home.run(&["-e", &url, "-m", "m", "-v", PROMPT]);
    assert!(
        run.err.contains("the call has ended") && run.err.contains("ttft_ms"),
        "{run:?}"
    );
}
