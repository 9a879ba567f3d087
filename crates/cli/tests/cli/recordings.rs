//! `--record` and `aurora replay`: what was seen once is seen again, whatever it was.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use aurora_testkit::{Reply, Script, Upstream, fixtures};

use crate::support::{Home, Run, answer, kill};

/// Asks for an answer to be recorded; the flags come first.
fn record(home: &Home, upstream: &Upstream, flags: &[&str]) -> Run {
    let url = upstream.url();
    let mut args = vec!["-e", &url, "-m", "m", "--record", "r.jsonl"];
    args.extend(flags);
    args.push("hi");
    home.run(&args)
}

fn replay(home: &Home, flags: &[&str]) -> Run {
    let mut args = vec!["replay", "r.jsonl", "--speed", "max"];
    args.extend(flags);
    home.run(&args)
}

#[test]
fn every_ending_is_played_again_byte_for_byte() {
    let text = fixtures::text("pärt\u{1b}[1m");
    let cases: Vec<(Script, &[&str], i32)> = vec![
        (answer().into(), &[], 0),
        (answer().into(), &["--usage", "--show-reasoning"], 0),
        (Reply::sse([&text, &fixtures::finish("length")]).into(), &[], 8),
        (Reply::sse([&text]).into(), &[], 7),
        (Reply::sse([&text]).cut().into(), &[], 7),
        (Reply::sse([&text, &fixtures::error(500, "boom")]).into(), &[], 5),
        (Reply::json(400, &fixtures::error_body(400, "bad")).into(), &[], 4),
        (
            Reply::sse([&text]).stall().into(),
            &["--idle-timeout", "200ms"],
            6,
        ),
        (Reply::raw("").stall().into(), &["--first-timeout", "200ms"], 6),
        (Reply::raw("").stall().into(), &["--total-timeout", "200ms"], 6),
        (Reply::status(503).into(), &["--retries", "0"], 5),
        (
            Script::sequence([
                Reply::status(503).header("retry-after-ms", "20"),
                Reply::sse(["data: nonsense\n\n"]).piece(fixtures::sse_answer(&["a", "b"]).concat()),
            ]),
            &[],
            0,
        ),
    ];
    for (script, flags, code) in cases {
        for json in [&[][..], &["--json"]] {
            let home = Home::new();
            let upstream = Upstream::start(script.clone());
            let flags = [flags, json].concat();
            let run = record(&home, &upstream, &flags);
            assert_eq!(run.code, Some(code), "{flags:?}: {run:?}");
            let asked = upstream.requests().len();
            let again = replay(&home, &flags);
            assert_eq!(
                (again.code, &again.out, &again.err),
                (run.code, &run.out, &run.err),
                "{flags:?}"
            );
            assert_eq!(upstream.requests().len(), asked, "nothing is sent");
        }
    }
}

#[test]
fn the_speed_is_a_factor_and_standard_input_can_be_played() {
    let pause = Duration::from_millis(600);
    let script = Reply::sse([fixtures::text("a")])
        .wait(pause)
        .piece(fixtures::DONE);
    let (home, upstream) = (Home::new(), Upstream::start(script));
    assert_eq!(record(&home, &upstream, &[]).code, Some(0));
    for (flags, least) in [
        (&[][..], pause),
        (&["--speed", "2"], pause / 2),
        (&["--speed", "0"], Duration::ZERO),
    ] {
        let begun = Instant::now();
        let run = home.run(&[&["replay", "r.jsonl"], flags].concat());
        assert_eq!(
            (run.code, run.out.as_str()),
            (Some(0), "a\n"),
            "{flags:?}: {run:?}"
        );
        assert!(begun.elapsed() >= least, "{flags:?}");
    }
    let bytes = fs::read(home.path().join("r.jsonl")).unwrap();
    assert_eq!(home.pipe(&bytes, &["replay", "-", "--speed", "max"]).out, "a\n");
    for speed in ["-1", "nan", "inf", "fast", ""] {
        let run = home.run(&["replay", "r.jsonl", "--speed", speed]);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{speed}: {run:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_plays_to_where_it_was_stopped() {
    for json in [&[][..], &["--json"]] {
        let upstream = Upstream::start(Reply::sse([fixtures::text("part")]).stall());
        let (home, url) = (Home::new(), upstream.url());
        let args = [&["-e", &url, "-m", "m", "--record", "r.jsonl", "hi"], json].concat();
        let mut child = home.spawn(&mut home.command(&args));
        let mut out = child.stdout.take().unwrap();
        let mut text = Vec::new();
        // A text that waits to be written when the signal comes would have the signal's time.
        while !text.ends_with(b"part") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            text.extend(byte);
        }
        kill("-INT", child.id());
        out.read_to_end(&mut text).unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(130), "{run:?}");
        let again = replay(&home, json);
        assert_eq!(again.code, Some(130), "{again:?}");
        assert_eq!((again.out.as_bytes(), &again.err), (&text[..], &run.err));
    }
}

#[cfg(unix)]
#[test]
fn a_replay_is_stopped_by_a_signal_and_a_reader_that_left_is_recorded() {
    let many: Vec<String> = (0..2000)
        .map(|n| fixtures::text(&format!("line {n}\n")))
        .collect();
    let upstream = Upstream::start(Reply::sse(many).wait(Duration::from_secs(60)));
    let (home, url) = (Home::new(), upstream.url());
    let mut command = home.command(&["-e", &url, "-m", "m", "--record", "r.jsonl", "hi"]);
    let mut child = home.spawn(&mut command);
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let run = replay(&home, &[]);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.err.starts_with("aurora: cancelled"), "{run:?}");

    let text = fs::read_to_string(home.path().join("r.jsonl")).unwrap();
    let (rest, abort) = text.trim_end().rsplit_once('\n').unwrap();
    let late = abort.replacen(char::is_numeric, "99999999", 1);
    home.file("r.jsonl", format!("{rest}\n{late}\n"));
    let mut child = home.spawn(&mut home.command(&["replay", "r.jsonl"]));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    kill("-INT", child.id());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{run:?}");
}

#[test]
fn a_recording_holds_no_key_replaces_the_last_one_and_is_its_owners() {
    const KEY: &str = "sk-very-secret-key-0123456789";
    let upstream = Upstream::start(answer());
    let (home, url) = (Home::new(), upstream.url());
    for prompt in ["a much longer prompt that is replaced", "hi"] {
        let mut command = home.command(&["-e", &url, "-m", "m", "--record", "r.jsonl", prompt]);
        let run = Run::of(command.env("AURORA_API_KEY", KEY).output().unwrap());
        assert_eq!((run.code, run.out.as_str()), (Some(0), "Hello\n"), "{run:?}");
    }
    let path = home.path().join("r.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains(KEY) && !text.contains("replaced") && text.contains("\"hi\""),
        "{text}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_cannot_be_recorded_is_refused_before_anything_is_sent() {
    let upstream = Upstream::start(answer());
    let (home, url) = (Home::new(), upstream.url());
    for (args, word) in [
        (
            &["-e", &url, "-m", "m", "--record", "no/such/folder", "hi"][..],
            "no/such/folder",
        ),
        (&["-e", &url, "-m", "m", "--record", "-", "hi"], "name a file"),
        (&["-m", "local/smollm2", "--record", "r.jsonl", "hi"], "serve"),
        (&["config", "path", "--record", "r.jsonl"], "--record"),
    ] {
        let run = home.run(args);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        assert!(run.err.contains(word), "{args:?}: {run:?}");
    }
    assert!(upstream.requests().is_empty());
    assert!(!home.path().join("r.jsonl").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_ends_the_recording_and_not_the_answer() {
    let upstream = Upstream::start(answer());
    let run = Home::new().run(&["-e", &upstream.url(), "-m", "m", "--record", "/dev/full", "hi"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "Hello\n"), "{run:?}");
    assert!(run.err.contains("(recording)"), "{run:?}");
}

#[test]
fn a_recording_that_breaks_off_plays_as_far_as_it_goes_and_a_damaged_one_is_refused() {
    let (home, upstream) = (Home::new(), Upstream::start(answer()));
    assert_eq!(record(&home, &upstream, &[]).code, Some(0));
    let text = fs::read_to_string(home.path().join("r.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let upto = |needle: &str| text.find(needle).unwrap() + needle.len();
    // In the middle of the line that holds the answer's second half.
    home.file("r.jsonl", &text[..upto("\"content\\\":\\\"Hel")]);
    let run = replay(&home, &[]);
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(run.err.contains("the recording breaks off here"), "{run:?}");

    for (damaged, word) in [
        ("".to_owned(), "empty"),
        ("hello\n".to_owned(), "not JSON"),
        (format!("{}\nhello\n", lines[0]), "line 2"),
        (
            text.replacen("\"aurora_recording\":1", "\"aurora_recording\":2", 1),
            "version 2",
        ),
    ] {
        home.file("r.jsonl", damaged);
        let run = replay(&home, &["--json"]);
        let end = run.json().pop().unwrap();
        assert_eq!(
            (run.code, &end["error"]["kind"]),
            (Some(2), &"usage".into()),
            "{run:?}"
        );
        assert!(run.err.contains(word) && run.err.contains("r.jsonl"), "{run:?}");
    }
    assert_eq!(home.run(&["replay", "missing.jsonl"]).code, Some(2));
    assert_eq!(home.run(&["replay"]).code, Some(2));
}
