//! Answers that are rendered: on which terminals, and what is left of them on others.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant};

use aurora_testkit::{Gate, Reply, Upstream, fixtures};

use crate::support::Home;
use crate::terminal::{resize, terminal_of};

const ANSWER: &str = "# Title\n\nSome **bold** words of a paragraph that is long.\n\n- one\n- two\n\n```rust\nlet x = 1;\n```\n";

/// What is written to a terminal of this width until the command ends, and its exit code.
fn watch(columns: u16, variables: &[(&str, &str)], flags: &[&str]) -> (String, Option<i32>) {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&[ANSWER])));
    let (home, url) = (Home::new(), upstream.url());
    let (mut screen, program) = terminal_of(24, columns);
    let args = [&["-e", &url, "-m", "m"], flags, &["hi"]].concat();
    let mut command = home.command(&args);
    command.envs(variables.iter().copied());
    let (out, err) = (program.try_clone().unwrap(), program);
    let mut child = command.stdout(out).stderr(err).spawn().unwrap();
    drop(command);
    let bytes = read(&mut screen);
    (bytes, child.wait().unwrap().code())
}

fn read(screen: &mut File) -> String {
    let mut bytes = Vec::new();
    // A terminal that all programs have left is an error on Linux, after everything was read.
    let _ = screen.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// The rows that are left on a screen.
fn rows(bytes: &str, columns: u16) -> Vec<String> {
    let mut parser = vt100::Parser::new(24.try_into().unwrap(), columns.try_into().unwrap(), 100);
    parser.process(bytes.as_bytes());
    parser.screen().rows(0, columns).collect()
}

#[test]
fn a_terminal_gets_markdown_rendered_and_colours_unless_they_are_forbidden() {
    let xterm = ("TERM", "xterm-256color");
    for (variables, flags, colored) in [
        (&[xterm][..], &[][..], true),
        (&[xterm, ("NO_COLOR", "1")], &[], false),
        (&[xterm], &["--color", "never"], false),
    ] {
        let (bytes, code) = watch(80, variables, flags);
        assert_eq!(code, Some(0), "{bytes:?}");
        let shown = rows(&bytes, 80);
        let expected = [
            "# Title",
            "",
            "Some bold words of a paragraph that is long.",
            "",
            "• one",
            "• two",
            "",
            "  let x = 1;",
        ];
        assert_eq!(shown[..8], expected, "{bytes:?}");
        assert_eq!(bytes.contains("\u{1b}[35mlet"), colored, "{bytes:?}");
        assert!(bytes.contains("bold"), "{bytes:?}");
    }
}

#[test]
fn plain_text_and_dumb_terminals_get_it_as_it_came() {
    for (variables, flags) in [
        (&[("TERM", "dumb")][..], &[][..]),
        (&[("TERM", "dumb")], &["--color", "always"]),
        (&[("TERM", "xterm")], &["--plain"]),
    ] {
        let (bytes, code) = watch(80, variables, flags);
        assert_eq!(code, Some(0));
        assert!(bytes.starts_with(&ANSWER.replace('\n', "\r\n")), "{bytes:?}");
        assert!(!bytes.contains('\u{1b}'), "{bytes:?}");
    }
}

#[test]
fn an_answer_that_was_kept_is_shown_as_it_came_and_its_prompt_as_it_was_typed() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&[ANSWER])));
    let home = Home::new();
    crate::history::ask(&home, &upstream, &["a *prompt*\nof two lines"]);
    for (term, flags, is_rendered) in [
        ("xterm", &[][..], true),
        ("xterm", &["--plain"], false),
        ("dumb", &[], false),
    ] {
        let (mut screen, program) = terminal_of(24, 60);
        let mut command = home.command(&[&["history", "show"], flags].concat());
        let mut child = command.env("TERM", term).stdout(program).spawn().unwrap();
        drop(command);
        let shown = rows(&read(&mut screen), 60);
        assert!(child.wait().unwrap().success());
        let prompt = shown.iter().position(|row| row == "a *prompt*").unwrap();
        assert_eq!(shown[prompt + 1], "of two lines");
        let has = |row: &str| shown.iter().any(|shown| shown == row);
        assert_eq!(
            (has("• one"), has("- one")),
            (is_rendered, !is_rendered),
            "{shown:#?}"
        );
    }
}

#[test]
fn twenty_columns_are_enough() {
    let (bytes, _) = watch(20, &[("TERM", "xterm")], &[]);
    let shown = rows(&bytes, 20);
    assert_eq!(
        shown[2..6],
        ["Some bold words of a", "paragraph that is", "long.", ""]
    );
}

#[test]
fn a_window_that_changes_its_width_gets_the_rest_in_it() {
    let pieces = [
        fixtures::text("one two three four five six seven\n\n"),
        fixtures::text("begun"),
    ];
    let rest = fixtures::sse_answer(&[" and the rest of it, which is longer than thirty"]);
    let gate = Gate::new();
    let reply = rest
        .iter()
        .fold(Reply::sse(pieces).hold(&gate), |reply, piece| reply.piece(piece));
    let upstream = Upstream::start(reply);
    let (home, url) = (Home::new(), upstream.url());
    let (mut screen, program) = terminal_of(24, 60);
    let mut command = home.command(&["-e", &url, "-m", "m", "hi"]);
    command.env("TERM", "xterm");
    let end = || program.try_clone().unwrap();
    let mut child = command.stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    let mut bytes = String::new();
    let began = Instant::now();
    while !bytes.contains("begun") && began.elapsed() < Duration::from_secs(20) {
        let mut piece = [0; 4096];
        let read = screen.read(&mut piece).unwrap();
        bytes.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    resize(&program, 24, 30);
    gate.open();
    drop(program);
    bytes.push_str(&read(&mut screen));
    assert!(child.wait().unwrap().success());
    assert!(
        bytes.contains("begun and the rest of it,\r\r\nwhich"),
        "{bytes:?}"
    );
    assert_eq!(bytes.matches("one two three").count(), 1, "{bytes:?}");
}
