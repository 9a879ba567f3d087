//! `aurora chat` with prompts from a pipe: a line each, answered in turn, and nothing that goes wrong ends it.

use std::fs;

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::{Value, json};

use crate::support::{Home, Run, answer};

/// Runs a chat with these lines; the flags come first.
fn chat(script: impl Into<Script>, flags: &[&str], lines: &str) -> (Run, Upstream, Home) {
    let (upstream, home) = (Upstream::start(script), Home::new());
    let run = chat_at(&home, &upstream, flags, lines);
    (run, upstream, home)
}

fn chat_at(home: &Home, upstream: &Upstream, flags: &[&str], lines: &str) -> Run {
    let url = upstream.url();
    let mut args = vec!["chat", "-e", &url, "-m", "m", "--retries", "0"];
    args.extend(flags);
    home.pipe(lines.as_bytes(), &args)
}

fn messages(upstream: &Upstream, request: usize) -> Value {
    upstream.requests()[request].json()["messages"].take()
}

fn says(text: &str) -> Reply {
    Reply::sse(fixtures::sse_answer(&[text]))
}

#[test]
fn each_line_is_a_prompt_and_the_conversation_goes_on() {
    let script = Script::sequence([says("one"), says("two")]);
    let (run, upstream, _home) = chat(script, &["-s", "be brief"], "first\n\nsecond\n");
    assert_eq!((run.code, run.out.as_str()), (Some(0), "one\ntwo\n"), "{run:?}");
    assert_eq!(
        messages(&upstream, 1),
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "second"},
        ])
    );
}

#[test]
fn an_answer_that_fails_is_told_and_the_next_one_is_asked() {
    let script = Script::sequence([
        Reply::sse([fixtures::text("half")]),
        Reply::json(500, &fixtures::error_body(500, "boom")),
        says("well"),
    ]);
    let (run, upstream, _home) = chat(script, &[], "a\nb\nc\n");
    assert_eq!((run.code, run.out.as_str()), (Some(5), "half\nwell\n"), "{run:?}");
    assert!(
        run.err.contains("aurora: truncated") && run.err.contains("boom"),
        "{run:?}"
    );
    let last = messages(&upstream, 2);
    assert_eq!(
        last[1],
        json!({"role": "assistant", "content": "half"}),
        "the partial stays"
    );
}

#[test]
fn several_lines_are_one_prompt_if_they_say_so() {
    let script = Script::with(|_, _| says("ok"));
    let (run, upstream, _home) = chat(script, &[], "a\\\nb\n\"\"\"\nc\n\nd\n\"\"\"\n//e\n");
    assert_eq!(run.code, Some(0), "{run:?}");
    let prompts: Vec<Value> = (0..3)
        .map(|request| messages(&upstream, request).as_array().unwrap().last().unwrap()["content"].clone())
        .collect();
    assert_eq!(prompts, ["a\nb", "c\n\nd", "/e"]);
}

#[test]
fn commands_change_what_is_asked() {
    let script = Script::with(|n, _| says(&format!("answer {n}")));
    let home = Home::new();
    let upstream = Upstream::start(script);
    home.file("notes.txt", "a note\n");
    let lines = "/system be kind\none\n/retry\n/undo\n/file notes.txt\ntwo\n/model other/none\n/nonsense\n/quit\nthree\n";
    let run = chat_at(&home, &upstream, &[], lines);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "answer 0\nanswer 1\nanswer 2\n"),
        "{run:?}"
    );
    assert_eq!(upstream.requests().len(), 3, "nothing after /quit");
    let one = json!([
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "one"},
    ]);
    assert_eq!(
        (messages(&upstream, 0), messages(&upstream, 1)),
        (one.clone(), one)
    );
    let two = messages(&upstream, 2);
    let text = two[1]["content"].as_str().unwrap();
    assert!(text.starts_with("two\n\n----- file: notes.txt"), "{text}");
    assert_eq!(
        two.as_array().unwrap().len(),
        2,
        "the first prompt was taken back"
    );
    assert!(
        run.err.contains("unknown model") && run.err.contains("no command /nonsense"),
        "{run:?}"
    );
}

#[test]
fn what_was_said_can_be_looked_at_and_saved() {
    let script = Script::sequence([says("Here:\n```\nx = 1\n```\nor\n```\ny\n```\n")]);
    let (run, _upstream, home) = chat(
        script,
        &[],
        "code?\n/code 2\n/code 3\n/usage\n/save out.md\n/save out.md\n/copy\n",
    );
    let (_, printed) = run.out.split_once("y\n```\n").unwrap();
    assert_eq!((run.code, printed), (Some(0), "y\n"), "{run:?}");
    assert!(run.err.contains("2 code blocks, and no number 3"), "{run:?}");
    assert!(run.err.contains("1 answer: 7 input tokens"), "{run:?}");
    assert!(
        run.err.contains("/save out.md: "),
        "a file that is there stays: {run:?}"
    );
    let saved = fs::read_to_string(home.path().join("out.md")).unwrap();
    assert!(
        saved.starts_with("# code?\n\n## User\n\ncode?\n\n## Assistant\n\nHere:"),
        "{saved}"
    );
}

#[test]
fn a_conversation_is_gone_on_with() {
    let script = Script::sequence([says("one"), says("two"), says("three")]);
    let (upstream, home) = (Upstream::start(script), Home::new());
    chat_at(&home, &upstream, &[], "first\n");
    let run = chat_at(&home, &upstream, &["-c"], "second\n/clear\nthird\n");
    assert_eq!((run.code, run.out.as_str()), (Some(0), "two\nthree\n"), "{run:?}");
    assert_eq!(messages(&upstream, 1)[0]["content"], "first");
    assert_eq!(
        messages(&upstream, 2),
        json!([{"role": "user", "content": "third"}])
    );
    let list = home.run(&["history", "list", "--json"]);
    assert_eq!(list.json().len(), 2, "{list:?}");
}

#[test]
fn json_lines_have_an_end_for_every_answer() {
    let script = Script::with(|_, _| answer());
    let (run, _upstream, _home) = chat(script, &["--json"], "a\nb\n");
    let ends = run.json().iter().filter(|event| event["type"] == "end").count();
    assert_eq!((run.code, ends), (Some(0), 2), "{run:?}");
    let (run, _upstream, _home) = chat(answer(), &["--json", "--record", "f"], "a\n");
    assert_eq!(
        (run.code, run.json().last().unwrap()["verdict"].as_str()),
        (Some(2), Some("failed"))
    );
}

#[test]
fn thoughts_are_never_on_stdout() {
    let reply = Reply::sse([
        fixtures::event(&json!({"choices": [{"delta": {"reasoning_content": "hm"}}]})),
        fixtures::text("yes"),
        fixtures::finish("stop"),
        "data: [DONE]\n\n".to_owned(),
    ]);
    for flags in [&[][..], &["--show-reasoning"]] {
        let (run, _upstream, _home) = chat(reply.clone(), flags, "a\n");
        assert_eq!((run.code, run.out.as_str()), (Some(0), "yes\n"), "{run:?}");
        assert_eq!(run.err.contains("hm"), !flags.is_empty(), "{run:?}");
    }
}

#[test]
fn models_are_listed_by_their_endpoints_and_can_be_changed() {
    let script = Script::with(|_, request| {
        if request.method == "GET" {
            return Reply::json(200, &json!({"data": [{"id": "alpha"}, {"id": "be/ta"}]}));
        }
        says("yes")
    });
    let (upstream, home) = (Upstream::start(script), Home::new());
    let dead = "[endpoints.dead]\nbase_url = \"http://127.0.0.1:9/v1\"\n";
    let config = format!("{dead}[endpoints.here]\nbase_url = \"{}\"\n", upstream.url());
    let config = home.file("config.toml", config);
    let args = ["chat", "--config", config.to_str().unwrap(), "-m", "here/first"];
    let run = home.pipe(b"one\n/model\n/model here/be/ta\ntwo\n", &args);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "yes\nyes\n"), "{run:?}");
    for line in ["here/first answers", "here/alpha\n", "here/be/ta\n", "dead/\n"] {
        assert!(run.err.contains(line), "{line} in {run:?}");
    }
    let asked: Vec<Value> = upstream
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.json()["model"].take())
        .collect();
    assert_eq!(asked, ["first", "be/ta"]);
}

#[cfg(unix)]
#[test]
fn the_last_prompt_is_edited_and_asked_in_its_place() {
    let script = Script::with(|n, _| says(&format!("answer {n}")));
    let (upstream, home) = (Upstream::start(script), Home::new());
    let editor = home.file("edit.sh", "echo and more >> $1\n");
    let url = upstream.url();
    let mut command = home.command(&["chat", "-e", &url, "-m", "m"]);
    command
        .env("PATH", "/usr/bin:/bin")
        .env("EDITOR", format!("sh {}", editor.display()))
        .stdin(std::process::Stdio::piped());
    let mut child = home.spawn(&mut command);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"one\n/edit\n").unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "answer 0\nanswer 1\n"),
        "{run:?}"
    );
    assert_eq!(
        messages(&upstream, 1),
        json!([{"role": "user", "content": "oneand more"}])
    );
}

#[test]
fn a_reader_that_leaves_ends_the_chat_quietly() {
    let script = Script::with(|_, _| says("answer"));
    let (upstream, home) = (Upstream::start(script), Home::new());
    let url = upstream.url();
    let mut command = home.command(&["chat", "-e", &url, "-m", "m"]);
    let mut child = home.spawn(command.stdin(std::process::Stdio::piped()));
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // The child may be gone before all is written.
    let _ = std::io::Write::write_all(&mut stdin, b"one\ntwo\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(130), &b""[..])
    );
}
