//! Conversations that are kept: by one process, read, continued and removed by others.

use std::fs;
use std::io::Read as _;
use std::process::Child;
use std::time::Duration;

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::{Value, json};

use crate::support::{Home, Run, answer};

/// Asks this upstream; the flags come last.
pub(crate) fn ask(home: &Home, upstream: &Upstream, words: &[&str]) -> Run {
    let url = upstream.url();
    let run = home.run(&[&["-e", &url, "-m", "m"], words].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

pub(crate) fn says(text: &str) -> Reply {
    Reply::sse(fixtures::sse_answer(&[text]))
}

/// The ids that the list prints, the latest first.
pub(crate) fn ids(home: &Home) -> Vec<String> {
    let list = home.run(&["history", "list"]);
    assert_eq!((list.code, list.err.as_str()), (Some(0), ""), "{list:?}");
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.out.lines().map(first).collect()
}

/// A conversation as JSON has it.
pub(crate) fn exported(home: &Home, id: &str) -> Value {
    let run = home.run(&["history", "export", id, "--format", "json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.out).unwrap()
}

fn database(home: &Home) -> std::path::PathBuf {
    home.path().join(".local/share/aurora/history.db")
}

#[test]
fn one_shot_answers_are_kept_listed_shown_exported_and_removed() {
    let home = Home::new();
    let empty = home.run(&["history", "list"]);
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), ""), "{empty:?}");
    assert!(!database(&home).exists(), "to look makes no file");

    let upstream = Upstream::start(Script::sequence([
        says("Rayleigh *scattering*."),
        says("数据库是一个系统。"),
    ]));
    ask(&home, &upstream, &["why is the sky blue"]);
    ask(&home, &upstream, &["-s", "Be brief.", "什么是数据库"]);
    let ids = ids(&home);
    assert_eq!(ids.len(), 2);
    let list = home.run(&["history", "list", "-n", "1"]).out;
    assert!(
        list.contains("什么是数据库") && list.lines().count() == 1,
        "{list}"
    );
    let lines = home.run(&["history", "list", "--json"]).json();
    assert_eq!(
        (&lines[1]["id"], &lines[1]["model"], &lines[1]["turns"]),
        (&json!(ids[1]), &json!("m"), &json!(1))
    );

    let show = home.run(&["history", "show", &ids[1]]).out;
    assert!(
        show.contains("why is the sky blue") && show.contains("Rayleigh *scattering*."),
        "{show}"
    );
    let latest = home.run(&["history", "show"]).out;
    assert!(
        latest.contains("Be brief.") && latest.contains("数据库是一个系统。"),
        "{latest}"
    );
    let markdown = home
        .run(&["history", "export", &ids[1][..5], "--format", "markdown"])
        .out;
    assert!(
        markdown.starts_with("# why is the sky blue\n") && markdown.contains("## Assistant\n\nRayleigh *"),
        "{markdown}"
    );
    let export = exported(&home, &ids[0]);
    let roles: Vec<&Value> = export["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["role"])
        .collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    assert_eq!(export["messages"][2]["verdict"], "complete");
    let file = home.path().join("all.json");
    let all = home.run(&[
        "history",
        "export",
        "--all",
        "--format",
        "json",
        "-o",
        file.to_str().unwrap(),
    ]);
    assert_eq!((all.code, all.out.as_str()), (Some(0), ""), "{all:?}");
    let all: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &export));

    for (words, expected) in [
        (&["数据"][..], 2),
        (&["scatter", "rayleigh"], 1),
        (&["nowhere"], 0),
    ] {
        let found = home.run(&[&["history", "search", "--json"], words].concat());
        assert_eq!(
            (found.code, found.json().len()),
            (Some(0), expected),
            "{words:?}: {found:?}"
        );
    }
    let found = home.run(&["history", "search", "数据"]).out;
    assert!(
        found.starts_with(&ids[0]) && found.contains("  you: 什么是数据库\n"),
        "{found}"
    );

    let remove = home.run(&["history", "rm", &ids[0]]);
    assert_eq!((remove.code, remove.out.as_str()), (Some(0), ""), "{remove:?}");
    assert_eq!(self::ids(&home), ids[1..]);
    let unasked = home.run(&["history", "rm", "--all"]);
    assert!(
        unasked.code == Some(2) && unasked.err.contains("--yes"),
        "{unasked:?}"
    );
    assert_eq!(home.run(&["history", "rm", "--all", "--yes"]).code, Some(0));
    assert_eq!(home.run(&["history"]).out, "");
}

#[test]
fn what_is_not_there_is_named_with_a_remedy() {
    let home = Home::new();
    for args in [
        &["history", "show", "zzzz"][..],
        &["history", "export", "zzzz"],
        &["history", "rm", "zzzz"],
        &["-c=zzzz", "-m", "openai/x", "hi"],
    ] {
        let mut command = home.command(args);
        let run = Run::of(
            command
                .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
                .output()
                .unwrap(),
        );
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        assert!(
            run.err.contains("zzzz") && run.err.contains("aurora history list"),
            "{run:?}"
        );
    }
    let none = home.run(&["-c", "hi"]);
    assert!(
        none.code == Some(2) && none.err.contains("no conversation has been kept yet"),
        "{none:?}"
    );
    ask(&home, &Upstream::start(answer()), &["hi"]);
    let run = home.run(&["history", "show", "zzzz"]);
    assert!(run.code == Some(2) && run.err.contains("zzzz"), "{run:?}");
    let run = home.run(&["history", "search", "?!"]);
    assert!(run.code == Some(2) && run.err.contains("no word"), "{run:?}");
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    let home = Home::new();
    let upstream = Upstream::start(answer());
    ask(&home, &upstream, &["--no-history", "hi"]);
    let mut command = home.command(&["-e", &upstream.url(), "-m", "m", "hi"]);
    let run = Run::of(command.env("AURORA_HISTORY", "off").output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    home.file(".config/aurora/config.toml", "[history]\nkeep = false\n");
    ask(&home, &upstream, &["hi"]);
    assert!(!database(&home).exists());
    let mut command = home.command(&["-e", &upstream.url(), "-m", "m", "hi"]);
    let run = Run::of(command.env("AURORA_HISTORY", "on").output().unwrap());
    assert_eq!((run.code, database(&home).exists()), (Some(0), true), "{run:?}");
    let show = home.run(&["config", "show"]).out;
    assert!(show.contains("[history]\nkeep = false"), "{show}");
    home.file(".config/aurora/config.toml", "[history]\nkeep = \"no\"\n");
    let wrong = home.run(&["hi"]);
    assert!(
        wrong.code == Some(3) && wrong.err.contains("config.toml:2: history.keep"),
        "{wrong:?}"
    );
}

#[test]
fn a_history_that_cannot_be_written_costs_a_warning_and_no_answer() {
    let upstream = Upstream::start(answer());
    let asked = |home: &Home, data: &str| {
        let mut command = home.command(&["-e", &upstream.url(), "-m", "m", "hi"]);
        let run = Run::of(command.env("AURORA_DATA_DIR", data).output().unwrap());
        assert_eq!((run.code, run.out.as_str()), (Some(0), "Hello\n"), "{run:?}");
        assert_eq!(
            run.err.matches("warning: this conversation is not kept").count(),
            1,
            "{run:?}"
        );
        run.err
    };
    let home = Home::new();
    home.file("file", "not a folder");
    asked(&home, home.path().join("file/data").to_str().unwrap());
    home.file(
        "text/history.db",
        "not a database at all, nor will it ever be".repeat(30),
    );
    asked(&home, home.path().join("text").to_str().unwrap());
    // user_version is the big-endian number at byte 60 of the file's header.
    ask(&home, &upstream, &["hi"]);
    let mut bytes = fs::read(database(&home)).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let newer = home.file("newer/history.db", &bytes);
    let err = asked(&home, home.path().join("newer").to_str().unwrap());
    assert!(err.contains("newer aurora"), "{err}");
    let mut list = home.command(&["history", "list"]);
    let list = Run::of(
        list.env("AURORA_DATA_DIR", home.path().join("newer"))
            .output()
            .unwrap(),
    );
    assert!(
        list.code == Some(3) && list.err.contains("newer aurora"),
        "{list:?}"
    );
    assert!(fs::read(newer).unwrap() == bytes, "it is left alone");
}

/// Nobody waits for a lock but the end of the process, and that not for long.
#[test]
fn a_history_that_is_locked_holds_up_no_answer() {
    let home = Home::new();
    let upstream = Upstream::start(answer());
    ask(&home, &upstream, &["hi"]);
    let lock = rusqlite::Connection::open(database(&home)).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut child = home.spawn(&mut home.command(&["-e", &upstream.url(), "-m", "m", "hi"]));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.err
            .contains("warning: this conversation is not kept: another process"),
        "{run:?}"
    );
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(ids(&home).len(), 1);
}

#[test]
fn two_processes_keep_their_answers_at_the_same_time() {
    let home = Home::new();
    let texts: Vec<String> = (0..40).map(|n| fixtures::text(&format!("{n} "))).collect();
    let mut reply = Reply::sse([fixtures::role()]);
    for text in &texts {
        reply = reply.wait(Duration::from_millis(10)).piece(text);
    }
    let upstream = Upstream::start(reply.piece(fixtures::finish("stop")).piece(fixtures::DONE));
    let url = upstream.url();
    let children: Vec<Child> = (0..3)
        .map(|_| home.spawn(&mut home.command(&["-e", &url, "-m", "m", "count"])))
        .collect();
    let mut out = String::new();
    for child in children {
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(!run.err.contains("not kept"), "{run:?}");
        out = run.out;
    }
    let ids = ids(&home);
    assert_eq!(ids.len(), 3);
    for id in ids {
        assert_eq!(
            exported(&home, &id)["messages"][1]["content"],
            out.trim_end_matches('\n')
        );
    }
}

#[test]
fn a_reader_that_leaves_is_no_news() {
    let home = Home::new();
    let long = "line of a long answer\n".repeat(10_000);
    ask(&home, &Upstream::start(says(&long)), &["hi"]);
    let mut child = home.spawn(&mut home.command(&["history", "export", "--all"]));
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.err.as_str()), (Some(130), ""), "{run:?}");
}
