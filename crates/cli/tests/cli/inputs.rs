//! What a prompt is made of, and which settings win.

#[cfg(unix)]
use std::{io::Write as _, process::Stdio};

use aurora_testkit::Upstream;

#[cfg(unix)]
use crate::support::kill;
use crate::support::{Home, Run, answer, prompt};

fn asked(home: &Home, input: Option<&[u8]>, words: &[&str]) -> (Run, Upstream) {
    let upstream = Upstream::start(answer());
    let url = upstream.url();
    let mut args = vec!["-e", url.as_str(), "-m", "m"];
    args.extend(words);
    let run = match input {
        Some(input) => home.pipe(input, &args),
        None => home.run(&args),
    };
    (run, upstream)
}

#[test]
fn words_files_and_standard_input_make_the_prompt() {
    let home = Home::new();
    home.file("note.txt", "noted\n");
    for (input, words, expected) in [
        (None, &["why", "is it"][..], "why is it"),
        (None, &["ask", "why"], "why"),
        (None, &["--", "serve"], "serve"),
        (Some(&b"from a pipe\n"[..]), &[], "from a pipe"),
        (Some(b"text\n"), &["translate"], "translate\n\ntext"),
        (Some(b""), &["why"], "why"),
        (
            None,
            &["-f", "note.txt", "sum up"],
            "sum up\n\n----- file: note.txt -----\nnoted\n----- end of note.txt -----",
        ),
    ] {
        let (run, upstream) = asked(&home, input, words);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(prompt(&upstream), expected);
    }
}

#[test]
fn inputs_that_are_no_prompt_are_usage_errors_and_nothing_is_sent() {
    let home = Home::new();
    home.file("archive.zip", b"PK\x03\x04\0\0");
    home.file("latin1.txt", b"caf\xe9");
    let too_large = vec![b'a'; (16 << 20) + 1];
    for (input, words, part) in [
        (None, &[][..], "no prompt"),
        (Some(&b"\n"[..]), &[], "no prompt"),
        (Some(b"\xff\xfe"), &["why"], "standard input"),
        (Some(&too_large), &["why"], "16 MiB"),
        (None, &["-f", "missing.txt", "why"], "missing.txt"),
        (
            None,
            &["-f", "archive.zip", "why"],
            "archive.zip: neither text nor",
        ),
        (None, &["-f", "*.nothing", "why"], "no file matches"),
        (None, &["-f", "http://127.0.0.1:9/", "why"], "not fetched"),
        (None, &["-f", "-", "-f", "-", "why"], "once"),
        (None, &["-s", "reviewer.md", "why"], "looks like a file"),
        (None, &["--var", "a=b", "why"], "only a role"),
        (None, &["--var", "a b", "why"], "NAME=VALUE"),
        (None, &["-f", "latin1.txt", "why"], "UTF-8"),
        (None, &["--temperature", "3", "why"], "0 to 2"),
        (
            None,
            &[
                "--stop", "1", "--stop", "2", "--stop", "3", "--stop", "4", "--stop", "5", "why",
            ],
            "stop",
        ),
    ] {
        let (run, upstream) = asked(&home, input, words);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{words:?}: {run:?}");
        assert!(run.err.contains(part), "{words:?}: {run:?}");
        assert_eq!(upstream.requests().len(), 0, "{words:?}");
    }
}

#[test]
fn images_and_patterns_are_sent_in_their_places() {
    let home = Home::new();
    home.file("cat.png", b"\x89PNG\r\n\x1a\n\0");
    home.file("src/b.rs", "b\n");
    home.file("src/deep/a.rs", "a\n");
    let (run, upstream) = asked(&home, None, &["-f", "cat.png", "what is this?"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let cat =
        serde_json::json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}});
    let content = &upstream.requests()[0].json()["messages"][0]["content"];
    assert_eq!(
        content,
        &serde_json::json!([{"type": "text", "text": "what is this?"}, cat])
    );
    let (run, upstream) = asked(
        &home,
        Some(b"\x89PNG\r\n\x1a\n\0"),
        &["-f", "src/**/*.rs", "-f", "-", "look"],
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    let content = upstream.requests()[0].json()["messages"][0]["content"].clone();
    let text = content[0]["text"].as_str().unwrap();
    assert!(
        text.find("src/b.rs").unwrap() < text.find("src/deep/a.rs").unwrap(),
        "{text}"
    );
    assert_eq!((&content[1], content.as_array().unwrap().len()), (&cat, 2));
    // It goes on with the conversation, and is named in what is shown of it.
    #[cfg(unix)]
    {
        let show = home.run(&["history", "show"]).out;
        assert!(show.contains("[image/png, 1 KiB]"), "{show}");
        let (run, upstream) = asked(&home, None, &["-c", "and?"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(upstream.requests()[0].json()["messages"][0]["content"], content);
    }
}

#[test]
fn a_role_is_a_file_with_variables_and_everything_else_is_the_text() {
    let home = Home::new();
    home.file(
        ".config/aurora/roles/reviewer.md",
        "Review {{what}} for {{os}} in {{lang}}, today {{date}}.\n",
    );
    let system = |args: &[&str]| {
        let (run, upstream) = asked(&home, None, args);
        assert_eq!(run.code, Some(0), "{run:?}");
        let request = upstream.requests()[0].json();
        (
            request["messages"][0]["content"].as_str().unwrap().to_owned(),
            run.err,
        )
    };
    let (text, err) = system(&["-s", "reviewer", "--var", "what=code", "hi"]);
    assert!(
        text.starts_with(&format!(
            "Review code for {} in en, today 2",
            std::env::consts::OS
        )),
        "{text}"
    );
    assert_eq!(err, "");
    assert_eq!(system(&["-s", "Be a reviewer.", "hi"]).0, "Be a reviewer.");
    let (text, err) = system(&["-s", "revewer", "hi"]);
    assert_eq!(text, "revewer");
    assert!(err.contains("is no role") && err.contains("(reviewer)"), "{err}");
    let (run, upstream) = asked(&home, None, &["-s", "reviewer", "hi"]);
    assert!(run.code == Some(2) && run.err.contains("--var what="), "{run:?}");
    assert!(upstream.requests().is_empty());
    let path = home.run(&["config", "path", "--roles"]).out;
    assert_eq!(
        path,
        format!("{}\n", home.path().join(".config/aurora/roles").display())
    );
}

/// A pipe that nobody closes is waited for; whoever stops that gets the end that was promised.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_for_standard_input() {
    let home = Home::new();
    let silent = "http://127.0.0.1:9/v1";
    for (args, out) in [
        (&["-e", silent, "-m", "m", "hi"][..], ""),
        (&["-e", silent, "-m", "m", "--json", "hi"], "cancelled"),
        (&["replay", "-", "--json"], "cancelled"),
    ] {
        let mut child = home.spawn(home.command(args).stdin(Stdio::piped()));
        let pipe = child.stdin.take().unwrap();
        // That it waits is known once it has taken what was written: a pipe has room for 64 KiB, this is more.
        let mut writer = &pipe;
        writer.write_all(&[b'a'; 200 << 10]).unwrap();
        kill("-INT", child.id());
        let run = Run::of(child.wait_with_output().unwrap());
        drop(pipe);
        assert_eq!(run.code, Some(130), "{args:?}: {run:?}");
        assert!(run.err.contains("cancelled"), "{args:?}: {run:?}");
        match out {
            "" => assert_eq!(run.out, "", "{run:?}"),
            verdict => {
                let end = run.json().pop().unwrap();
                assert_eq!((&end["type"], &end["verdict"]), (&"end".into(), &verdict.into()));
            }
        }
    }
}

#[test]
fn a_configured_endpoint_is_asked_and_the_flag_wins_over_the_variable() {
    let (file, variable) = (Upstream::start(answer()), Upstream::start(answer()));
    let home = Home::new();
    let config = format!(
        "default_model = \"mine/one\"\n[endpoints.mine]\nbase_url = \"{}\"\n",
        file.url()
    );
    home.file(".config/aurora/config.toml", &config);
    assert_eq!(home.run(&["hi"]).code, Some(0));
    assert_eq!(file.requests()[0].json()["model"], "one");
    let run = Run::of(
        home.command(&["hi"])
            .env("AURORA_MODEL", "mine/two")
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(file.requests()[1].json()["model"], "two");
    let run = Run::of(
        home.command(&["hi", "-m", "mine/three"])
            .env("AURORA_MODEL", "mine/two")
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(file.requests()[2].json()["model"], "three");

    let mut command = home.command(&["hi", "-m", "openai/gpt-5"]);
    command
        .env("OPENAI_BASE_URL", variable.url())
        .env("OPENAI_API_KEY", "sk-test");
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        variable.requests()[0].header("authorization"),
        Some("Bearer sk-test")
    );
}

#[test]
fn the_key_for_openai_is_sent_to_nobody_else() {
    let upstream = Upstream::start(answer());
    let home = Home::new();
    let mut command = home.command(&["-e", &upstream.url(), "-m", "m", "hi"]);
    let run = Run::of(command.env("OPENAI_API_KEY", "sk-test").output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(upstream.requests()[0].header("authorization"), None);
}
