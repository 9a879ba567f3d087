//! `aurora summarize`: every part read once, in order, within its budget; verdicts; what is kept; what cannot be read.

mod reading;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aurora_testkit::{Gate, Reply, Request, Script, Upstream, fixtures};
use serde_json::json;

#[cfg(unix)]
use crate::support::kill;
use crate::support::{Home, Run};

/// A text of so many numbered words, in paragraphs.
fn story(words: usize) -> String {
    (0..words)
        .map(|n| format!("w{n}{}", if n % 9 == 8 { ".\n\n" } else { " " }))
        .collect()
}

fn prompt(request: &Request) -> String {
    request.json()["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The text that a request is about.
fn text(request: &Request) -> String {
    let prompt = prompt(request);
    let (_, rest) = prompt.split_once(":\n\n").unwrap();
    rest.split_once("\n\n-----\n\n").unwrap().0.to_owned()
}

fn is_summary(request: &Request) -> bool {
    prompt(request).contains("bullet points")
}

/// Answers with the first word of what is read, in brackets; the summary with all words.
fn first_words(_: usize, request: &Request) -> Reply {
    let text = text(request);
    let words: Vec<&str> = text.split_whitespace().collect();
    let answer = if is_summary(request) {
        format!("- {}", words.join(" "))
    } else {
        words[0].to_owned()
    };
    Reply::sse(fixtures::sse_answer(&[&answer]))
}

struct Setting {
    home: Home,
    upstream: Upstream,
}

impl Setting {
    fn new(script: impl Into<Script>) -> Self {
        Self {
            home: Home::new(),
            upstream: Upstream::start(script),
        }
    }

    fn args<'a>(&'a self, url: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["summarize", "-e", url, "-m", "m", "--retries", "0"];
        args.extend(rest);
        args
    }

    fn run(&self, rest: &[&str]) -> Run {
        let url = self.upstream.url();
        self.home.run(&self.args(&url, rest))
    }

    /// Summarises the file a.txt, which has this text.
    fn summarize(&self, text: &str, flags: &[&str]) -> Run {
        self.home.file("a.txt", text);
        let mut args = flags.to_vec();
        args.push("a.txt");
        self.run(&args)
    }

    fn asked(&self) -> usize {
        self.upstream.requests().len()
    }
}

#[test]
fn a_text_that_fits_is_summarised_directly() {
    let setting = Setting::new(Script::with(first_words));
    let run = setting.summarize("It rained.\n\nThen not.\n", &[]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "- It rained. Then not.\n"),
        "{run:?}"
    );
    let requests = setting.upstream.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(text(&requests[0]), "It rained.\n\nThen not.");
    assert_eq!(
        requests[0].json()["messages"].as_array().unwrap().len(),
        1,
        "no system prompt"
    );
}

#[test]
fn every_part_is_read_once_in_order_and_within_its_budget() {
    let setting = Setting::new(Script::with(first_words));
    let story = story(600);
    let run = setting.summarize(&story, &["--part-tokens", "60", "-j", "7"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let requests = setting.upstream.requests();
    let (notes, levels): (Vec<&Request>, Vec<&Request>) = requests
        .iter()
        .partition(|request| prompt(request).starts_with("Here is a text"));
    // Requests may arrive in any order; their texts are the story, each word once.
    let mut parts: Vec<String> = notes.iter().map(|request| text(request)).collect();
    let number = |part: &String| {
        part[1..]
            .split([' ', '.'])
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    parts.sort_by_key(number);
    let read = parts.join(" ");
    assert!(read.split_whitespace().eq(story.split_whitespace()), "{parts:?}");
    assert!(parts.len() > 20, "{}", parts.len());
    for part in &parts {
        // The estimate is never below a third of a token a letter, and digits are one each.
        assert!(part.len() < 60 * 60 / 22, "{part}");
    }
    // The last request reads what came of the others, in order.
    let firsts: Vec<String> = parts
        .iter()
        .map(|part| part.split_whitespace().next().unwrap().to_owned())
        .collect();
    let summary = levels.iter().find(|request| is_summary(request)).unwrap();
    let last = text(summary);
    let words: Vec<&str> = last.split_whitespace().collect();
    assert!(levels.len() > 1, "there are levels between");
    let places: Vec<usize> = words
        .iter()
        .map(|word| firsts.iter().position(|first| first == word).unwrap())
        .collect();
    assert!(places.is_sorted() && places[0] == 0, "{words:?}");
    assert!(run.err.contains("tokens/s"), "{run:?}");
}

#[test]
fn a_rerun_starts_from_what_was_kept() {
    let setting = Setting::new(Script::with(|n, request| {
        if n == 5 {
            Reply::sse([fixtures::text("half")]).cut()
        } else {
            first_words(n, request)
        }
    }));
    let story = story(200);
    let flags = ["--part-tokens", "60", "-j", "2"];
    let run = setting.summarize(&story, &flags);
    assert_eq!((run.code, run.out.as_str()), (Some(7), ""), "{run:?}");
    assert!(
        run.err.contains("part ") && run.err.contains("is kept: the same command goes on"),
        "{run:?}"
    );
    let before = setting.asked();
    let run = setting.summarize(&story, &flags);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("kept from before"), "{run:?}");
    let requests = setting.upstream.requests();
    let mut counts: HashMap<String, usize> = HashMap::new();
    requests
        .iter()
        .for_each(|request| *counts.entry(prompt(request)).or_default() += 1);
    // Only what broke is asked a second time.
    assert_eq!(
        counts.values().filter(|count| **count > 1).count(),
        1,
        "{counts:?}"
    );
    assert!(before < requests.len());

    let asked = setting.asked();
    let again = setting.summarize(&story, &flags);
    assert_eq!(
        (again.code, &again.out, setting.asked()),
        (Some(0), &run.out, asked),
        "all of it is kept"
    );
    let anew = setting.summarize(&story, &[&flags[..], &["--no-cache"]].concat());
    assert_eq!((anew.code, &anew.out), (Some(0), &run.out));
    assert!(setting.asked() > asked + 5);
    assert!(!anew.err.contains("kept from before"), "{anew:?}");
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    for flag in ["--no-cache", "--no-history"] {
        let setting = Setting::new(Script::with(first_words));
        let run = setting.summarize(&story(100), &["--part-tokens", "60", flag]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(!setting.home.path().join(".local/share/aurora/summaries").exists());
    }
}

#[test]
fn a_summary_never_lacks_a_part_without_a_word() {
    let filtered = [
        fixtures::text("x"),
        fixtures::finish("content_filter"),
        fixtures::DONE.to_owned(),
    ];
    for (reply, code, word) in [
        (Reply::sse([fixtures::text("half")]).cut(), 7, "interrupted"),
        (Reply::sse([fixtures::text("half")]), 7, "truncated"),
        (Reply::sse(filtered), 9, "filtered"),
        (
            Reply::json(401, &fixtures::error_body(401, "no key")),
            4,
            "no key",
        ),
        (
            Reply::json(500, &fixtures::error_body(500, "broken")),
            5,
            "broken",
        ),
    ] {
        let setting = Setting::new(Script::with(move |n, request| {
            if n == 3 {
                reply.clone()
            } else {
                first_words(n, request)
            }
        }));
        let run = setting.summarize(&story(200), &["--part-tokens", "60", "-j", "1"]);
        assert_eq!((run.code, run.out.as_str()), (Some(code), ""), "{run:?}");
        assert!(
            run.err.contains("part 4 of") && run.err.contains(word),
            "{word}: {run:?}"
        );
        assert_eq!(setting.asked(), 4, "nothing is asked after it");
    }
}

#[test]
fn failures_are_tried_again_by_the_rules_of_every_call() {
    let setting = Setting::new(Script::with(|n, request| match n % 3 {
        1 => Reply::status(503).header("retry-after-ms", "1"),
        _ => first_words(n, request),
    }));
    setting.home.file("a.txt", story(100));
    let url = setting.upstream.url();
    let run = setting
        .home
        .run(&["summarize", "-e", &url, "-m", "m", "--part-tokens", "60", "a.txt"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("retry 1 in"), "{run:?}");
}

#[test]
fn notes_at_their_limit_are_used_and_told() {
    let setting = Setting::new(Script::with(|n, request| {
        if n == 0 {
            let cut = [
                fixtures::text("cut"),
                fixtures::finish("length"),
                fixtures::DONE.to_owned(),
            ];
            return Reply::sse(cut);
        }
        first_words(n, request)
    }));
    let run = setting.summarize(&story(100), &["--part-tokens", "90", "-j", "1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("cut"), "{run:?}");
    assert!(
        run.err.contains("the notes of part 1 of") && run.err.contains("limit of tokens"),
        "{run:?}"
    );
}

#[test]
fn an_answer_of_nothing_is_asked_for_again_and_then_told() {
    let setting = Setting::new(Script::with(|n, request| {
        if n == 1 {
            Reply::sse(fixtures::sse_answer(&[]))
        } else {
            first_words(n, request)
        }
    }));
    let run = setting.summarize(&story(60), &["--part-tokens", "90", "-j", "1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("answered nothing; it is asked again"), "{run:?}");

    let setting = Setting::new(Reply::sse(fixtures::sse_answer(&[])));
    let run = setting.summarize("short", &[]);
    assert_eq!((run.code, setting.asked()), (Some(5), 3), "{run:?}");
    assert!(run.err.contains("answered nothing, 3 times"), "{run:?}");
}

#[test]
fn notes_that_do_not_get_shorter_end_the_work() {
    let setting = Setting::new(Script::with(|_, request| {
        Reply::sse(fixtures::sse_answer(&[&text(request)]))
    }));
    let run = setting.summarize(&story(100), &["--part-tokens", "60"]);
    assert_eq!((run.code, run.out.as_str()), (Some(5), ""), "{run:?}");
    assert!(
        run.err.contains("hardly shorter than what they are about"),
        "{run:?}"
    );
}

#[test]
fn several_files_are_one_summary_or_several() {
    let setting = Setting::new(Script::with(first_words));
    setting.home.file("a.txt", "First file.");
    setting.home.file("b.txt", "Second file.");
    let run = setting.run(&["a.txt", "b.txt"]);
    assert_eq!((run.code, setting.asked()), (Some(0), 1), "{run:?}");
    assert_eq!(
        text(&setting.upstream.requests()[0]),
        "----- file: a.txt -----\nFirst file.\n\n----- file: b.txt -----\nSecond file."
    );
    let run = setting.run(&["--per-file", "b.txt", "a.txt"]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "# b.txt\n\n- Second file.\n\n# a.txt\n\n- First file.\n"),
        "{run:?}"
    );
}

#[test]
fn parts_are_asked_side_by_side_but_no_more_than_that() {
    let gate = Gate::new();
    let held = gate.clone();
    let setting = Setting::new(Script::with(move |_, _| {
        let answer = fixtures::sse_answer(&["w0"]).concat();
        Reply::sse([fixtures::role()]).hold(&held).piece(answer)
    }));
    setting.home.file("a.txt", story(200));
    let url = setting.upstream.url();
    let args = setting.args(&url, &["--part-tokens", "60", "-j", "3", "a.txt"]);
    let child = setting.home.spawn(&mut setting.home.command(&args));
    let begun = Instant::now();
    while setting.asked() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "three are asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(setting.asked(), 3);
    gate.open();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn json_lines_are_those_of_any_answer() {
    let setting = Setting::new(Script::with(first_words));
    let run = setting.summarize(&story(60), &["--part-tokens", "90", "--json"]);
    let lines = run.json();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(
        (kinds[0], kinds.iter().filter(|kind| **kind == "end").count()),
        ("start", 1),
        "{run:?}"
    );
    let end = lines.last().unwrap();
    assert_eq!(
        (&end["type"], &end["verdict"], &end["finish_reason"]),
        (&json!("end"), &json!("complete"), &json!("stop"))
    );
    // Seven for each request, in the script.
    let asked = setting.asked() as u64;
    assert_eq!(end["input_tokens"], json!(7 * asked));
    let text: String = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    assert!(text.starts_with("- w0"), "{text}");
}

#[test]
fn what_is_watched_is_shown_on_stderr() {
    let setting = Setting::new(Script::with(first_words));
    let run = setting.summarize(&story(60), &["--part-tokens", "90", "--watch"]);
    assert!(
        run.err.contains("part 1 of") && run.err.contains(":\n  w0\n"),
        "{run:?}"
    );
    let quiet = setting.summarize(&story(60), &["--part-tokens", "90", "--no-cache"]);
    assert!(!quiet.err.contains("\n  w0\n"), "{quiet:?}");
}

#[test]
fn a_summary_can_be_asked_about() {
    let setting = Setting::new(Script::with(|n, request| {
        if n == 0 {
            first_words(n, request)
        } else {
            Reply::sse(fixtures::sse_answer(&["Because."]))
        }
    }));
    let run = setting.summarize("It rained.", &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = setting.home.run(&["-c", "why?"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "Because.\n"), "{run:?}");
    let messages = setting.upstream.requests()[1].json()["messages"].clone();
    assert_eq!(messages[0]["content"], "Summarize a.txt.");
    assert_eq!(messages[1]["content"], "- It rained.");
}

#[test]
fn wishes_reach_the_model() {
    let setting = Setting::new(Reply::sse(fixtures::sse_answer(&["- ok"])));
    let flags = [
        "--style",
        "abstract",
        "--words",
        "77",
        "--lang",
        "de",
        "--focus",
        "the rain",
        "-s",
        "Be brief.",
    ];
    let run = setting.summarize("It rained.", &flags);
    assert_eq!(run.code, Some(0), "{run:?}");
    let request = setting.upstream.requests()[0].json();
    let prompt = request["messages"][1]["content"].as_str().unwrap();
    assert_eq!(request["messages"][0]["content"], "Be brief.");
    for word in ["abstract", "77", "German", "the rain"] {
        assert!(prompt.contains(word), "{prompt}");
    }
}

/// Killed again and again, it comes to the same end, and asks for nothing twice but what was under way.
#[cfg(unix)]
#[test]
fn nothing_that_came_is_lost_whenever_it_is_killed() {
    const JOBS: usize = 3;
    let slow = |n: usize, request: &Request| first_words(n, request).after(Duration::from_millis(15));
    let story = story(500);
    let flags = ["--part-tokens", "60", "-j", "3", "a.txt"];
    let undisturbed = Setting::new(Script::with(slow));
    let expected = undisturbed.summarize(&story, &flags[..4]);
    assert_eq!(expected.code, Some(0), "{expected:?}");

    let setting = Setting::new(Script::with(slow));
    setting.home.file("a.txt", &story);
    let url = setting.upstream.url();
    let (mut kills, mut moment) = (0, 60);
    let run = loop {
        let child = setting
            .home
            .spawn(&mut setting.home.command(&setting.args(&url, &flags)));
        std::thread::sleep(Duration::from_millis(moment));
        kill("-KILL", child.id());
        let run = Run::of(child.wait_with_output().unwrap());
        if run.code.is_some() {
            break run;
        }
        kills += 1;
        assert!(kills < 200, "it gets on with every run");
        // Later and later, so that it comes to an end on any machine.
        moment += 7;
    };
    assert_eq!((run.code, &run.out), (Some(0), &expected.out), "{run:?}");
    assert!(kills > 0);
    let (asked, needed) = (setting.asked(), undisturbed.asked());
    assert!(
        asked >= needed && asked <= needed + kills * JOBS,
        "{asked} for {needed} after {kills} kills"
    );
}
