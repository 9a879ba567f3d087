//! `-c`: conversations that go on, and answers that were cut off.

use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::{Value, json};

use crate::history::{ask, exported, ids, says};
use crate::support::{Home, kill};

const LONG: Duration = Duration::from_secs(30);

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
fn a_prompt_is_kept_with_who_was_to_answer_before_anything_comes() {
    let home = Home::new();
    let upstream = Upstream::start(Script::sequence([Reply::raw("").stall(), says("Here I am.")]));
    let mut child = home.spawn(&mut home.command(&["-e", &upstream.url(), "-m", "m", "is anybody there?"]));
    wait_for(&home, "is anybody there?", &mut child);
    kill("-KILL", child.id());
    child.wait().unwrap();
    let run = home.run(&["-c"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "Here I am.\n"), "{run:?}");
}

/// What was on stdout a good while before the kill is in the file, whenever the kill comes; nothing else ever is.
#[test]
fn a_kill_at_any_moment_costs_no_more_than_the_last_moments() {
    /// Many times the quarter of a second for which text is gathered: the machine may be busy.
    const GATHERED: Duration = Duration::from_millis(1500);
    let mut reply = Reply::sse([fixtures::role()]);
    for n in 0..400 {
        reply = reply
            .wait(Duration::from_millis(10))
            .piece(fixtures::text(&format!("{n} ")));
    }
    let upstream = Upstream::start(reply);
    let url = upstream.url();
    std::thread::scope(|scope| {
        for millis in [0, 90, 170, 260] {
            let url = &url;
            scope.spawn(move || {
                let home = Home::new();
                let mut child = home.spawn(&mut home.command(&["-e", url, "-m", "m", "count"]));
                let (id, mut out) = (child.id(), child.stdout.take().unwrap());
                let until = Instant::now() + GATHERED + Duration::from_millis(600 + millis);
                let (mut printed, mut seen) = (Vec::new(), Vec::new());
                while Instant::now() < until {
                    let mut piece = [0; 4096];
                    let n = out.read(&mut piece).unwrap();
                    assert!(n > 0, "it ended by itself");
                    printed.extend_from_slice(&piece[..n]);
                    seen.push((Instant::now(), printed.len()));
                }
                kill("-KILL", id);
                let killed = Instant::now();
                child.wait().unwrap();
                let old = seen.iter().rev().find(|(at, _)| killed - *at > GATHERED);
                let old = old.map_or(0, |(_, length)| *length);
                let kept = exported(&home, &ids(&home)[0])["messages"][1]["content"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                let whole: String = (0..400).map(|n| format!("{n} ")).collect();
                assert!(whole.starts_with(&kept), "{kept}");
                assert!(kept.len() >= old, "{} bytes are kept of {old}", kept.len());
            });
        }
    });
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
    assert!(home.run(&["history", "show"]).out.contains("still being written"));
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
