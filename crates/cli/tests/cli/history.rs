//! Conversations that are kept: by one process, read, continued and removed by others.

use std::fs;
use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::{Value, json};

use crate::support::{Home, Run, answer, kill};

const LONG: Duration = Duration::from_secs(30);

/// Asks this upstream; the flags come last.
fn ask(home: &Home, upstream: &Upstream, words: &[&str]) -> Run {
    let url = upstream.url();
    let run = home.run(&[&["-e", &url, "-m", "m"], words].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

fn says(text: &str) -> Reply {
    Reply::sse(fixtures::sse_answer(&[text]))
}

/// The ids that the list prints, the latest first.
fn ids(home: &Home) -> Vec<String> {
    let list = home.run(&["history", "list"]);
    assert_eq!((list.code, list.err.as_str()), (Some(0), ""), "{list:?}");
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.out.lines().map(first).collect()
}

/// A conversation as JSON has it.
fn exported(home: &Home, id: &str) -> Value {
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
fn a_conversation_goes_on_with_who_answered_it_and_all_that_was_said() {
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([
        says("One."),
        says("Two."),
        says("Three."),
        says("Four."),
    ]));
    ask(&home, &upstream, &["-s", "Count.", "first"]);
    let next = home.run(&["-c", "second"]);
    assert_eq!((next.code, next.out.as_str()), (Some(0), "Two.\n"), "{next:?}");
    let request = upstream.requests()[1].json();
    assert_eq!(request["model"], "m");
    assert_eq!(
        request["messages"],
        json!([
            {"role": "system", "content": "Count."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "second"},
        ])
    );
    let id = ids(&home).remove(0);
    ask(&home, &upstream, &["another"]);
    let by_id = home.run(&[
        &format!("-c={id}"),
        "-m",
        "other",
        "-e",
        &upstream.url(),
        "-s",
        "Be silent.",
        "third",
    ]);
    assert_eq!(by_id.code, Some(0), "{by_id:?}");
    let request = upstream.requests()[3].json();
    assert_eq!(
        (&request["model"], &request["messages"][0]["content"]),
        (&json!("other"), &json!("Be silent."))
    );
    assert_eq!(request["messages"].as_array().unwrap().len(), 6);
    assert_eq!(ids(&home)[0], id, "what was added to last is the latest");
    assert_eq!(exported(&home, &id)["messages"].as_array().unwrap().len(), 7);
    let whole = home.run(&["-c"]);
    assert!(
        whole.code == Some(2) && whole.err.contains("is whole"),
        "{whole:?}"
    );
    assert_eq!(upstream.requests().len(), 4, "nothing is sent for that");
}

/// Asks for an answer that stalls after its first words; kills the process once those are kept.
fn killed(home: &Home, endpoint: &[&str], partial: &str) {
    let mut child = home.spawn(&mut home.command(&[endpoint, &["tell me"]].concat()));
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut vec![0; partial.len()]).unwrap();
    wait_for(home, partial, &mut child);
    kill("-KILL", child.id());
    child.wait().unwrap();
}

fn wait_for(home: &Home, partial: &str, child: &mut Child) {
    let begun = Instant::now();
    while !home.run(&["history", "show"]).out.contains(partial) {
        assert!(begun.elapsed() < LONG, "it is not kept");
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn after_sigkill_the_partial_answer_is_kept_says_so_and_is_gone_on_with() {
    let partial = Reply::sse([fixtures::text("The quick br")]).stall();
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([partial, says("ick brown fox.")]));
    killed(&home, &["-e", &upstream.url(), "-m", "m"], "The quick br");
    let show = home.run(&["history", "show"]).out;
    assert!(show.contains("cut off"), "{show}");
    let id = ids(&home).remove(0);
    assert_eq!(exported(&home, &id)["messages"][1]["verdict"], Value::Null);
    assert_eq!(
        home.run(&["history", "search", "quick", "--json"]).json().len(),
        1
    );

    let run = home.run(&["-c"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "own fox.\n"), "{run:?}");
    assert!(
        run.err.contains("asked to go on") && run.err.contains("(continued)"),
        "{run:?}"
    );
    let request = upstream.requests()[1].json();
    assert_eq!(
        request["messages"][1],
        json!({"role": "assistant", "content": "The quick br"})
    );
    assert_eq!(request["messages"][2]["role"], "user");
    let message = &exported(&home, &id)["messages"][1];
    assert_eq!(
        (&message["content"], &message["verdict"]),
        (&json!("The quick brown fox."), &json!("complete"))
    );
    assert_eq!(message["seams"], json!([{"at": 12, "how": "asked"}]));
    assert_eq!(
        exported(&home, &id)["messages"].as_array().unwrap().len(),
        2,
        "the wish to go on is nobody's prompt"
    );
}

#[test]
fn an_endpoint_that_continues_gets_the_partial_answer_as_a_prefix() {
    let partial = Reply::sse([fixtures::text("The quick br")]).stall();
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([partial, says("own fox."), says("And so on.")]));
    let config = format!(
        "default_model = \"mine/m\"\n[endpoints.mine]\nbase_url = \"{}\"\non_drop = \"continue\"\n",
        upstream.url()
    );
    home.file(".config/aurora/config.toml", config);
    killed(&home, &["-m", "mine/m"], "The quick br");
    let run = home.run(&["--continue"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "own fox.\n"), "{run:?}");
    let request = upstream.requests()[1].json();
    assert_eq!(request["continue_final_message"], true);
    assert_eq!(request["messages"].as_array().unwrap().len(), 2);
    let next = home.run(&["-c", "next"]);
    assert_eq!(next.out, "And so on.\n");
    assert_eq!(
        upstream.requests()[2].json()["messages"][1]["content"],
        "The quick brown fox."
    );
}

#[test]
fn a_prompt_without_an_answer_is_asked_again_and_a_cancelled_one_goes_on() {
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([Reply::status(400), says("At last.")]));
    let url = upstream.url();
    assert_eq!(home.run(&["-e", &url, "-m", "m", "hello?"]).code, Some(4));
    let run = home.run(&["-c"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "At last.\n"), "{run:?}");
    assert!(run.err.contains("asked again"), "{run:?}");
    assert_eq!(
        upstream.requests()[1].json()["messages"],
        json!([{"role": "user", "content": "hello?"}])
    );
    let messages = exported(&home, &ids(&home)[0])["messages"].clone();
    assert_eq!(
        (&messages[1]["verdict"], &messages[2]["content"]),
        (&json!("failed"), &json!("At last."))
    );
}

#[test]
fn nobody_goes_on_with_an_answer_that_is_on_its_way() {
    let home = Home::new();
    let upstream = Upstream::start(Reply::sse([fixtures::text("part")]).stall());
    let mut child = home.spawn(&mut home.command(&["-e", &upstream.url(), "-m", "m", "hi"]));
    wait_for(&home, "part", &mut child);
    let run = home.run(&["-c"]);
    assert!(
        run.code == Some(2) && run.err.contains("another aurora"),
        "{run:?}"
    );
    kill("-INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let id = ids(&home).remove(0);
    assert_eq!(exported(&home, &id)["messages"][1]["verdict"], "cancelled");
    assert!(home.run(&["history", "show"]).out.contains("cancelled"));
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
