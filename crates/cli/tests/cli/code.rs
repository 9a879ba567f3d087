//! `aurora code`: only code on stdout, whole files or none, and exit codes that tell an incomplete one.

use std::fs;
use std::io::Read as _;

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::json;

use crate::history::{exported, ids};
use crate::support::{Home, Run};

/// An answer of a model that explains itself, cut in the middle of everything.
const ANSWER: &[&str] = &[
    "Sure! Here `it` is:\n\n``",
    "`py",
    "thon\nprint(",
    "1)\n\nprint(2)\n``",
    "`\n\nThen run:\n\n",
    "~~~~sh\npython a.py\n```\n~~~~\nDone.",
];

fn code(reply: Reply, flags: &[&str]) -> (Run, Upstream, Home) {
    let (upstream, home) = (Upstream::start(reply), Home::new());
    let url = upstream.url();
    let mut args = vec!["code", "-e", &url, "-m", "m", "--retries", "0"];
    args.extend(flags);
    args.push("hi");
    let run = home.run(&args);
    (run, upstream, home)
}

fn answer(texts: &[&str]) -> Reply {
    Reply::sse(fixtures::sse_answer(texts))
}

#[test]
fn only_what_is_inside_the_fence_is_printed_and_the_rest_is_told() {
    for (flags, out) in [
        (&[][..], "print(1)\n\nprint(2)\n"),
        (&["--block", "2"], "python a.py\n```\n"),
        (&["--block", "all"], "print(1)\n\nprint(2)\npython a.py\n```\n"),
        (&["--lang", "bash"], "python a.py\n```\n"),
        (&["--lang=py", "-o-"], "print(1)\n\nprint(2)\n"),
    ] {
        let (run, _upstream, _home) = code(answer(ANSWER), flags);
        assert_eq!((run.code, run.out.as_str()), (Some(0), out), "{flags:?} {run:?}");
        let told = run.err.contains("2 code blocks");
        assert_eq!(told, flags.is_empty(), "{flags:?} {run:?}");
    }
}

#[test]
fn a_model_is_told_to_write_code_unless_the_caller_has_instructions() {
    let (run, upstream, _home) = code(answer(ANSWER), &["--lang", "python"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let messages = upstream.requests().remove(0).json()["messages"].take();
    assert_eq!(messages[0]["role"], "system");
    let system = messages[0]["content"].as_str().unwrap();
    assert!(system.contains("fenced code block of python"), "{system}");
    assert_eq!(messages[1], json!({"role": "user", "content": "hi"}));

    let (_run, upstream, _home) = code(answer(ANSWER), &["-s", "mine"]);
    let messages = upstream.requests().remove(0).json()["messages"].take();
    assert_eq!(messages[0], json!({"role": "system", "content": "mine"}));
}

#[test]
fn an_answer_without_a_fence_is_passed_on_as_it_is() {
    let (run, _upstream, _home) = code(answer(&["print", "(1)"]), &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "print(1)\n"), "{run:?}");
    assert!(run.err.contains("no code fence"), "{run:?}");
}

#[test]
fn what_is_not_whole_or_not_there_is_no_success() {
    let open = ["```py\nprint(1)\n", "print("];
    let (run, _upstream, _home) = code(answer(&open), &[]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(7), "print(1)\nprint(\n"),
        "{run:?}"
    );
    assert!(run.err.contains("never closed"), "{run:?}");

    let (run, _upstream, _home) = code(answer(ANSWER), &["--block", "3"]);
    assert_eq!((run.code, run.out.as_str()), (Some(7), ""), "{run:?}");
    assert!(run.err.contains("2 code blocks, and no number 3"), "{run:?}");

    let (run, _upstream, _home) = code(answer(ANSWER), &["--lang", "rust"]);
    assert_eq!((run.code, run.out.as_str()), (Some(7), ""), "{run:?}");
    assert!(
        run.err.contains("labelled rust (others are labelled python, sh)"),
        "{run:?}"
    );

    let cut = Reply::sse([fixtures::text("```\nhalf\n```\nand")]).cut();
    let (run, _upstream, _home) = code(cut, &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(7), "half\n"), "{run:?}");
    assert!(run.err.contains("interrupted"), "{run:?}");
}

#[test]
fn code_is_printed_before_its_line_is_whole() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("Here:\n```py\nprint(\"hel")]).stall());
    let (home, url) = (Home::new(), upstream.url());
    let mut child = home.spawn(&mut home.command(&["code", "-e", &url, "-m", "m", "hi"]));
    let mut bytes = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"print(\"hel");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_file_is_whole_or_stays_what_it_was() {
    let flags = ["-o", "out.py"];
    let (run, _upstream, home) = code(answer(ANSWER), &flags);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{run:?}");
    let read = |name: &str| fs::read_to_string(home.path().join(name)).ok();
    assert_eq!(read("out.py").as_deref(), Some("print(1)\n\nprint(2)\n"));
    assert_eq!(read("out.py.partial"), None);
    assert!(run.err.contains("out.py: 3 lines, 19 bytes"), "{run:?}");

    let cut = Upstream::start(Reply::sse([fixtures::text("```\nhalf")]).cut());
    let url = cut.url();
    let run = home.run(&["code", "-e", &url, "-m", "m", "-o", "out.py", "hi"]);
    assert_eq!((run.code, run.out.as_str()), (Some(7), ""), "{run:?}");
    assert_eq!(read("out.py").as_deref(), Some("print(1)\n\nprint(2)\n"));
    assert_eq!(read("out.py.partial").as_deref(), Some("half"));
    assert!(run.err.contains("kept in"), "{run:?}");
}

#[test]
fn a_file_that_cannot_be_written_costs_no_request() {
    let (run, upstream, _home) = code(answer(ANSWER), &["-o", "none/out.py"]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.err.contains("--output none/out.py"), "{run:?}");
    assert!(upstream.requests().is_empty());
}

#[test]
fn json_lines_have_the_code_as_text_and_the_stricter_verdict() {
    let (run, _upstream, home) = code(answer(&["x\n```\na", "b\n"]), &["--json", "-o", "f"]);
    let events = run.json();
    let texts: String = events
        .iter()
        .filter(|event| event["type"] == "text")
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, "ab\n", "{run:?}");
    let end = events.last().unwrap();
    assert_eq!(
        (run.code, &end["verdict"]),
        (Some(7), &json!("truncated")),
        "{run:?}"
    );
    assert_eq!(end["finish_reason"], "stop");
    assert!(home.path().join("f.partial").exists());
}

#[test]
fn an_answer_without_code_leaves_a_file_as_it_was() {
    let home = Home::new();
    home.file("a.py", "precious");
    for (texts, said) in [
        (&[][..], "the answer has no code"),
        (&["```\n```\n"], "the answer has no code"),
        (&["I cannot help with that."], "not replaced by prose"),
    ] {
        let upstream = Upstream::start(answer(texts));
        let url = upstream.url();
        let run = home.run(&["code", "-e", &url, "-m", "m", "-o", "a.py", "hi"]);
        assert_eq!(run.code, Some(7), "{texts:?} {run:?}");
        assert!(run.err.contains(said), "{texts:?} {run:?}");
        let left = fs::read_to_string(home.path().join("a.py")).unwrap();
        assert_eq!(left, "precious", "{texts:?}");
    }
    let kept = fs::read_to_string(home.path().join("a.py.partial")).unwrap();
    assert_eq!(kept, "I cannot help with that.");

    // A file that is new is what stdout would have been.
    let upstream = Upstream::start(answer(&["print(1)"]));
    let url = upstream.url();
    let run = home.run(&["code", "-e", &url, "-m", "m", "-o", "b.py", "hi"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        fs::read_to_string(home.path().join("b.py")).unwrap(),
        "print(1)\n"
    );

    let (run, _upstream, _home) = code(answer(&[]), &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(7), ""), "{run:?}");
}

/// An answer that reaches the limit on tokens, and one that goes on with it.
fn cut_and_rest(cut: &str, rest: &str) -> Script {
    let reached = [
        fixtures::text(cut),
        fixtures::finish("length"),
        fixtures::DONE.to_owned(),
    ];
    Script::sequence([Reply::sse(reached), answer(&[rest])])
}

#[test]
fn a_file_that_was_cut_off_is_completed_with_what_was_there() {
    for (cut, rest, code, whole) in [
        (
            "```py\nx = 1\nz",
            " = 3\nprint(z)\n```\n",
            0,
            "x = 1\nz = 3\nprint(z)\n",
        ),
        ("```py\nx = 1\nz", " = 3", 7, "x = 1\nz = 3"),
        ("```py\nx = 1\nz", "```python\n = 3\n```\n", 0, "x = 1\nz = 3\n"),
        ("```py\nx = 1\n``", "`\n", 0, "x = 1\n"),
        ("```py\nx = 1\n```", "\nDone.", 0, "x = 1\n"),
        ("Sure:\n\n", "```py\nx = 1\n```\n", 0, "x = 1\n"),
        ("x = 1\n", "y = 2\n", 0, "x = 1\ny = 2\n"),
    ] {
        let home = Home::new();
        let upstream = Upstream::start(cut_and_rest(cut, rest));
        let url = upstream.url();
        let first = home.run(&["code", "-e", &url, "-m", "m", "-o", "a.py", "hi"]);
        assert_eq!(first.code, Some(8), "{first:?}");
        let second = home.run(&["code", "-o", "a.py", "-c"]);
        assert_eq!(second.code, Some(code), "{cut:?} {rest:?} {second:?}");
        let name = if code == 0 { "a.py" } else { "a.py.partial" };
        let left = fs::read_to_string(home.path().join(name)).unwrap();
        assert_eq!(left, whole, "{cut:?} {rest:?}");
        assert_eq!(home.path().join("a.py").exists(), code == 0);
        assert_eq!(home.path().join("a.py.partial").exists(), code != 0);
    }
}

#[test]
fn the_rest_of_a_code_is_printed_alone_and_its_end_is_known() {
    for (cut, rest, code, first, second) in [
        ("```py\nx = 1\nz", " = 3\n```\n", 0, "x = 1\nz\n", " = 3\n"),
        ("```py\nx = 1\nz", " = 3\n", 7, "x = 1\nz\n", " = 3\n"),
        ("x = 1\n", "y = 2\n", 0, "x = 1\n", "y = 2\n"),
    ] {
        let home = Home::new();
        let upstream = Upstream::start(cut_and_rest(cut, rest));
        let url = upstream.url();
        let run = home.run(&["code", "-e", &url, "-m", "m", "hi"]);
        assert_eq!((run.code, run.out.as_str()), (Some(8), first), "{run:?}");
        let run = home.run(&["code", "-c"]);
        assert_eq!((run.code, run.out.as_str()), (Some(code), second), "{run:?}");
    }
}

#[test]
fn the_instruction_is_no_part_of_the_conversation() {
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([
        answer(&["Arr."]),
        answer(&["```\nx\n```\n"]),
        answer(&["Because."]),
    ]));
    let url = upstream.url();
    for args in [
        &["-e", &url, "-m", "m", "-s", "You are a pirate.", "hi"][..],
        &["code", "-c", "write x"],
        &["-c", "why"],
    ] {
        let run = home.run(args);
        assert_eq!(run.code, Some(0), "{args:?} {run:?}");
    }
    let system = |number: usize| {
        let request = upstream.requests()[number].json();
        request["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    let asked = system(1);
    assert!(
        asked.starts_with("You are a pirate.\n\n") && asked.contains("fenced code block"),
        "{asked}"
    );
    assert_eq!(system(2), "You are a pirate.");
    let kept = exported(&home, &ids(&home)[0]);
    assert_eq!(kept["messages"][0]["content"], "You are a pirate.");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_written_as_it_comes_and_waited_for_no_longer_than_one_wants() {
    let home = Home::new();
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let upstream = Upstream::start(answer(ANSWER));
    let url = upstream.url();
    let args = ["code", "-e", &url, "-m", "m", "-o", "pipe", "hi"];
    // Nobody reads, and a signal is heard nevertheless.
    let mut waiting = home.spawn(&mut home.command(&args));
    std::thread::sleep(std::time::Duration::from_millis(500));
    crate::support::kill("-INT", waiting.id());
    waiting.wait().unwrap();
    assert!(upstream.requests().is_empty());

    let child = home.spawn(&mut home.command(&args));
    assert_eq!(fs::read_to_string(&pipe).unwrap(), "print(1)\n\nprint(2)\n");
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{run:?}");
    assert!(!home.path().join("pipe.partial").exists());
}
