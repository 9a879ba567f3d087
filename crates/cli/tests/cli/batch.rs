//! `aurora batch` as its users run it: what is read and refused, what is written, reruns, budgets, signals.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aurora_testkit::{Reply, Script, Upstream, fixtures};
use serde_json::Value;

use crate::support::{Home, Run, answer};

/// A batch of this input on this upstream.
struct Batch {
    home: Home,
    upstream: Upstream,
    input: PathBuf,
    output: PathBuf,
}

impl Batch {
    fn new(script: impl Into<Script>, input: &str) -> Self {
        let home = Home::new();
        Self {
            input: home.file("in.jsonl", input),
            output: home.path().join("out.jsonl"),
            upstream: Upstream::start(script),
            home,
        }
    }

    fn args(&self, flags: &[&str]) -> Vec<String> {
        let url = self.upstream.url();
        let fixed = [
            "batch",
            self.input.to_str().unwrap(),
            "-o",
            self.output.to_str().unwrap(),
            "-e",
            &url,
        ];
        fixed.iter().chain(flags).map(|word| (*word).to_owned()).collect()
    }

    fn run(&self, flags: &[&str]) -> Run {
        self.home.run(&self.args(flags))
    }

    /// The results, in the order of their lines in the input.
    fn results(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.output).unwrap();
        let mut results: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        results.sort_by_key(|value| value["line"].as_u64());
        results
    }

    /// The ids of the results with the kinds of their errors.
    fn kinds(&self) -> Vec<(Value, Value)> {
        let kind = |value: &Value| (value["custom_id"].clone(), value["error"]["kind"].clone());
        self.results().iter().map(kind).collect()
    }
}

fn status(status: u16) -> Reply {
    Reply::json(status, &fixtures::error_body(status, "no"))
}

#[test]
fn every_form_of_item_is_answered_under_its_own_id() {
    let input = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"own\",\"messages\":[{\"role\":\"user\",\"content\":\"one\"}],\"logit_bias\":{\"5\":1},\"made_up\":true}}\n\
                 {\"id\":7,\"prompt\":\"two\",\"system\":\"short\",\"temperature\":0.5}\n\
                 three\n";
    let batch = Batch::new(answer(), input);
    let run = batch.run(&["-m", "m", "--temperature", "0.25"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{}", run.err);
    assert!(run.err.contains("3 items: 3 complete\n"), "{}", run.err);
    let results = batch.results();
    let ids: Vec<&Value> = results.iter().map(|value| &value["custom_id"]).collect();
    assert_eq!(ids, [&Value::from("a"), &Value::from(7), &Value::from("line-3")]);
    for value in &results {
        let body = &value["response"]["body"];
        assert_eq!(body["choices"][0]["message"]["content"], "Hello");
        assert_eq!(
            (&value["verdict"], &value["attempts"]),
            (&Value::from("complete"), &Value::from(1))
        );
        assert_eq!(value["usage"]["input_tokens"], 7);
        assert!(value["ttft_ms"].is_u64() && value["elapsed_ms"].is_u64());
    }
    let mut asked: Vec<Value> = batch
        .upstream
        .requests()
        .iter()
        .map(|request| request.json())
        .collect();
    asked.sort_by_key(|body| body["model"] == "m");
    assert_eq!(
        (
            &asked[0]["model"],
            &asked[0]["made_up"],
            &asked[0]["logit_bias"]["5"]
        ),
        (&Value::from("own"), &Value::from(true), &Value::from(1.0))
    );
    assert_eq!(asked[0]["temperature"], 0.25, "a flag fills what is not said");
    let second = asked.iter().find(|body| body["temperature"] == 0.5).unwrap();
    assert_eq!(second["messages"][0]["content"], "short");
}

#[test]
fn flags_can_hold_for_all_items() {
    let input = "{\"id\":\"a\",\"prompt\":\"x\",\"model\":\"own\",\"temperature\":1,\"system\":\"own\"}\n";
    let batch = Batch::new(answer(), input);
    let run = batch.run(&["-m", "m", "--temperature", "0", "-s", "ours", "--override"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let asked = batch.upstream.requests()[0].json();
    assert_eq!(
        (
            &asked["model"],
            &asked["temperature"],
            &asked["messages"][0]["content"]
        ),
        (&Value::from("m"), &Value::from(0.0), &Value::from("ours"))
    );
}

#[test]
fn bad_lines_are_told_by_number_and_the_rest_is_done() {
    let batch = Batch::new(
        answer(),
        "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"b\",\n{\"id\":\"c\",\"prompt\":\"x\"}\n{\"id\":\"d\"}\n",
    );
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert!(
        run.err.contains("aurora: line 2: it is not a JSON object"),
        "{}",
        run.err
    );
    assert!(run.err.contains("aurora: line 4: "), "{}", run.err);
    assert!(run.err.contains("4 items: 2 complete, 2 failed ("), "{}", run.err);
    let kinds = batch.kinds();
    assert_eq!(kinds[1], ("line-2".into(), "bad_json".into()));
    assert_eq!(kinds[3], ("d".into(), "invalid_request".into()));
    assert_eq!(batch.upstream.requests().len(), 2);
}

#[test]
fn two_items_with_one_id_and_nothing_is_sent() {
    let batch = Batch::new(
        answer(),
        "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"a\",\"prompt\":\"y\"}\n",
    );
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("\"a\" on lines 1 and 2"), "{}", run.err);
    assert!(batch.upstream.requests().is_empty() && !batch.output.exists());
}

#[test]
fn an_empty_input_is_a_batch_of_nothing() {
    let batch = Batch::new(answer(), "\n  \n");
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(fs::read_to_string(&batch.output).unwrap(), "");
    let run = Run::of(
        batch
            .home
            .command(&["batch", "-", "-o", "none.jsonl", "-m", "local/smollm2"])
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(0), "{}", run.err);
}

#[test]
fn a_rerun_does_what_is_missing_and_failed_items_only_if_asked() {
    let script = Script::with(|n, _| if n == 1 { status(400) } else { answer() });
    let batch = Batch::new(script, "one\ntwo\nthree\n");
    assert_eq!(batch.run(&["-m", "m", "-j", "1"]).code, Some(10));
    assert_eq!(batch.upstream.requests().len(), 3);
    let before = fs::read_to_string(&batch.output).unwrap();

    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(10), "a failed item stays one: {}", run.err);
    assert_eq!(batch.upstream.requests().len(), 3);
    assert_eq!(fs::read_to_string(&batch.output).unwrap(), before);

    let run = batch.run(&["-m", "m", "--retry-failed"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(batch.upstream.requests().len(), 4);
    let results = batch.results();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|value| value["verdict"] == "complete"));

    // Items that are added later are missing.
    fs::write(&batch.input, "one\ntwo\nthree\nfour\n").unwrap();
    assert_eq!(batch.run(&["-m", "m"]).code, Some(0));
    assert_eq!((batch.results().len(), batch.upstream.requests().len()), (4, 5));
}

#[test]
fn an_output_of_something_else_is_left_alone() {
    let batch = Batch::new(answer(), "one\n");
    assert_eq!(batch.run(&["-m", "m"]).code, Some(0));
    fs::write(&batch.input, "another\n").unwrap();
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("belongs to another input"), "{}", run.err);
    let notes = batch.home.file("notes.txt", "mine\n");
    let run = batch
        .home
        .run(&["batch", "in.jsonl", "-o", notes.to_str().unwrap(), "-m", "m"]);
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine\n");
    let run = batch
        .home
        .run(&["batch", "in.jsonl", "-o", "in.jsonl", "-m", "m"]);
    assert_eq!((run.code, run.err.contains("is the input")), (Some(2), true));
    assert_eq!(batch.upstream.requests().len(), 1);
}

#[test]
fn what_a_server_breaks_off_is_asked_for_again_and_counted() {
    let half = [fixtures::role(), fixtures::text("half")];
    let script = Script::with(move |n, _| match n {
        0 => status(503),
        1 => Reply::sse(half.clone()).cut(),
        _ => answer(),
    });
    let batch = Batch::new(script, "one\n");
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let results = batch.results();
    assert_eq!(results[0]["attempts"], 3);
    assert_eq!(
        results[0]["response"]["body"]["choices"][0]["message"]["content"],
        "Hello"
    );
    assert!(run.err.contains("2 retries"), "{}", run.err);

    let batch = Batch::new(status(503), "one\n");
    let run = batch.run(&["-m", "m", "--retries", "0"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert_eq!(batch.upstream.requests().len(), 1);
    assert_eq!(batch.results()[0]["response"]["status_code"], 503);
}

#[test]
fn a_wait_that_one_item_is_told_is_kept_by_all() {
    let script = Script::with(|n, _| {
        if n == 0 {
            status(429).header("retry-after-ms", "1500")
        } else {
            answer()
        }
    });
    let input: String = (0..6).map(|n| format!("prompt {n}\n")).collect();
    let batch = Batch::new(script, &input);
    let run = batch.run(&["-m", "m", "-j", "1"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.err.contains("asks to wait 1.5 s"), "{}", run.err);
    let results = batch.results();
    assert_eq!(results.len(), 6);
    // One at a time: all that followed was sent after the wait of the first.
    assert!(results[0]["elapsed_ms"].as_u64() >= Some(1500), "{results:?}");
    assert_eq!(
        batch.upstream.requests()[1].json()["messages"][0]["content"],
        "prompt 0"
    );
}

#[test]
fn a_wait_without_end_fails_its_item() {
    let batch = Batch::new(status(429).header("retry-after", "3600"), "one\n");
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert_eq!(batch.upstream.requests().len(), 1);
}

#[test]
fn a_budget_ends_the_run_and_the_next_one_goes_on() {
    // Each costs 7 and 2 tokens.
    let input: String = (0..10).map(|n| format!("prompt {n}\n")).collect();
    let batch = Batch::new(answer(), &input);
    let run = batch.run(&["-m", "m", "-j", "1", "--max-total-tokens", "20"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert!(
        run.err.contains("the budget of --max-total-tokens"),
        "{}",
        run.err
    );
    let first = batch.results().len();
    assert!((2..=3).contains(&first), "{first}: {}", run.err);
    let run = batch.run(&["-m", "m"]);
    assert_eq!((run.code, batch.results().len()), (Some(0), 10), "{}", run.err);
    assert_eq!(batch.upstream.requests().len(), 10);
}

#[test]
fn a_dry_run_counts_and_sends_nothing() {
    let batch = Batch::new(
        answer(),
        "12345678\n{\"id\":\"b\",\"prompt\":\"1234\",\"max_tokens\":9,\"model\":\"other\"}\n{\"id\":\n",
    );
    let run = batch.run(&["-m", "m", "--dry-run"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert!(
        run.out
            .contains("3 items: 2 to do, 0 done, 1 that cannot be asked for\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("/m: 1 item, about 2 tokens of prompts (an estimate"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("/other: 1 item, about 1 tokens of prompts (an estimate: a token for every 4 bytes), at most 9 tokens"),
        "{}",
        run.out
    );
    assert!(batch.upstream.requests().is_empty() && !batch.output.exists());
    let run = batch.run(&["-m", "m", "--dry-run", "--json"]);
    assert_eq!(run.json()[0]["to_do"], 2);
}

#[test]
fn a_pipe_is_read_to_its_end_before_anything_is_sent() {
    let batch = Batch::new(answer(), "");
    let mut args = batch.args(&["-m", "m"]);
    "-".clone_into(&mut args[1]);
    let run = batch.home.pipe(b"one\ntwo\n", &args);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.err.contains("2 items in standard input"), "{}", run.err);
    let run = batch.home.pipe(b"one\ntwo\nthree\n", &args);
    assert_eq!((run.code, batch.results().len()), (Some(0), 3), "{}", run.err);
    assert_eq!(batch.upstream.requests().len(), 3);
    let names: Vec<_> = fs::read_dir(batch.home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
}

#[test]
fn events_tell_programs_what_becomes_of_items() {
    let batch = Batch::new(answer(), "one\n{\"id\":1,\n");
    let run = batch.run(&["-m", "m", "--json"]);
    assert_eq!(run.code, Some(10));
    let events = run.json();
    let types: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["start", "item", "item", "end"]);
    assert_eq!(events[0]["items"], 2);
    let end = &events[3];
    assert_eq!(
        (
            &end["verdict"],
            &end["error"]["kind"],
            &end["results"]["complete"]
        ),
        (&Value::from("failed"), &Value::from("items"), &Value::from(1))
    );
    let run = batch.home.run(&["batch", "nowhere", "-o", "out", "--json"]);
    assert_eq!((run.code, &run.json()[0]["type"]), (Some(2), &Value::from("end")));
    let run = batch.home.run(&["batch", "--json"]);
    assert_eq!((run.code, &run.json()[0]["type"]), (Some(2), &Value::from("end")));
}

#[test]
fn answers_that_are_cut_short_are_told_and_stay() {
    let events = [
        fixtures::role(),
        fixtures::text("as far as"),
        fixtures::finish("length"),
        fixtures::DONE.to_owned(),
    ];
    let batch = Batch::new(Reply::sse(events), "one\n");
    let run = batch.run(&["-m", "m"]);
    assert_eq!(run.code, Some(10), "nothing incomplete exits 0: {}", run.err);
    assert!(run.err.contains("1 item: 0 complete, 1 length"), "{}", run.err);
    assert_eq!(batch.results()[0]["error"], Value::Null);
    batch.run(&["-m", "m", "--retry-failed"]);
    assert_eq!(batch.upstream.requests().len(), 1, "the limit would cut it again");
}

#[test]
fn what_is_about_one_answer_is_refused() {
    let batch = Batch::new(answer(), "one\n");
    for flags in [&["-f", "in.jsonl"][..], &["-c"], &["--record", "r"]] {
        let run = batch.run(&[&["-m", "m"], flags].concat());
        assert_eq!(run.code, Some(2), "{flags:?}: {}", run.err);
    }
    assert!(batch.upstream.requests().is_empty());
    let run = batch.run(&[]);
    assert_eq!(run.code, Some(2), "no model is named: {}", run.err);
    let names: Vec<_> = fs::read_dir(batch.home.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "in.jsonl and an empty out.jsonl: {names:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_and_the_next_run_goes_on() {
    use crate::support::kill;

    let script = Script::with(|_, request| {
        let slow = request.json()["messages"][0]["content"] == "slow";
        if slow {
            Reply::sse([fixtures::text("part")]).stall()
        } else {
            answer()
        }
    });
    let batch = Batch::new(script, "one\nslow\ntwo\n");
    let mut child = batch
        .home
        .spawn(&mut batch.home.command(&batch.args(&["-m", "m"])));
    let begun = std::time::Instant::now();
    while fs::read_to_string(&batch.output)
        .unwrap_or_default()
        .lines()
        .count()
        < 2
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill("-INT", child.id());
    let status = child.wait().unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(status.code(), Some(130), "{}", run.err);
    assert!(run.err.contains("2 complete, 1 not done"), "{}", run.err);
    fs::write(&batch.input, "one\nslow\ntwo\nthree\n").unwrap();
    let run = batch.run(&["-m", "m", "--idle-timeout", "1", "--retries", "0"]);
    assert_eq!(run.code, Some(10), "{}", run.err);
    assert_eq!(batch.kinds()[1], ("line-2".into(), "idle".into()));
    assert_eq!(
        batch.results()[1]["response"]["body"]["choices"][0]["message"]["content"],
        "part",
        "what came is kept"
    );
}

#[cfg(unix)]
#[test]
fn a_terminal_shows_the_latest_words_and_keeps_nothing_of_them() {
    use std::io::Read as _;
    use std::process::Stdio;

    use crate::terminal::{resize, terminal_of};

    let script = Script::with(|_, _| {
        let wait = Duration::from_millis(700);
        Reply::sse([fixtures::text("日本 \u{1b}]0;title\u{7} and so on")])
            .wait(wait)
            .piece(fixtures::finish("stop"))
            .piece(fixtures::DONE)
    });
    let batch = Batch::new(script, "one\ntwo\nthree\n");
    let (mut screen, program) = terminal_of(8, 60);
    let mut child = batch
        .home
        .command(&batch.args(&["-m", "m", "-j", "1"]))
        .env("TERM", "xterm")
        .stderr(Stdio::from(program.try_clone().unwrap()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(900));
    resize(&program, 8, 40);
    drop(program);
    let mut bytes = Vec::new();
    // A terminal that all programs have left is an error on Linux, after everything was read.
    let _ = screen.read_to_end(&mut bytes);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("日本 ␛]0;title␇ and so on"), "{text:?}");
    assert!(text.contains("line-2"), "{text:?}");
    assert!(!text.contains("\u{1b}]") && !text.contains('\u{7}'), "{text:?}");
    let mut terminal = vt100::Parser::new(8.try_into().unwrap(), 60.try_into().unwrap(), 0);
    terminal.process(text.as_bytes());
    let shown = terminal.screen().contents();
    assert!(shown.contains("3 items: 3 complete"), "{shown}");
    assert!(!shown.contains("running") && !shown.contains("so on"), "{shown}");
}
