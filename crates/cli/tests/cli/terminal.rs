//! On a terminal: what is on its screen, and signals while it is stuck.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aurora_testkit::{Reply, Upstream, fixtures};
use rustix::io::ioctl_fionread;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Home, kill};

const LONG: Duration = Duration::from_secs(30);

/// A terminal of 60 columns and 8 rows: the side that is looked at, and the one that programs get.
fn terminal() -> (File, File) {
    terminal_of(8, 60)
}

/// As [`terminal`], of another size.
pub(crate) fn terminal_of(rows: u16, columns: u16) -> (File, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let program = File::options().read(true).write(true).open(name).unwrap();
    resize(&program, rows, columns);
    (File::from(screen), program)
}

/// Gives a terminal another size.
pub(crate) fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

fn spawn(command: &mut Command, program: &File) -> Child {
    let end = || Stdio::from(program.try_clone().unwrap());
    let child = command.stdout(end()).stderr(end()).spawn().unwrap();
    // The command keeps what it was given, and the terminal would never be left by all.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    child
}

/// What a command writes to the terminal until it ends, the screen that is left, and the exit code.
fn watch(command: &mut Command) -> (String, Vec<String>, Option<i32>) {
    let (mut screen, program) = terminal();
    let mut child = spawn(command, &program);
    drop(program);
    let mut bytes = Vec::new();
    // A terminal that all programs have left is an error on Linux, after everything was read.
    let _ = screen.read_to_end(&mut bytes);
    let mut parser = vt100::Parser::new(8.try_into().unwrap(), 60.try_into().unwrap(), 100);
    parser.process(&bytes);
    let rows = parser.screen().rows(0, 60).filter(|row| !row.is_empty());
    let rows = rows.collect();
    (
        String::from_utf8(bytes).unwrap(),
        rows,
        child.wait().unwrap().code(),
    )
}

#[test]
fn a_silent_stream_is_counted_down_and_nothing_of_that_stays() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("日本 part")]).stall());
    let (home, url) = (Home::new(), upstream.url());
    let args = ["-e", &url, "-m", "m", "--idle-timeout", "9", "hi"];
    let (bytes, rows, code) = watch(home.command(&args).env("TERM", "xterm"));
    assert_eq!(code, Some(6), "{bytes:?}");
    assert!(bytes.contains("gives up in "), "{bytes:?}");
    assert_eq!(rows[0], "日本 part", "{bytes:?}");
    assert!(rows[1].starts_with("aurora: timed out (idle)"), "{rows:?}");
    assert!(!rows.concat().contains("gives up in "), "{rows:?}");
}

#[test]
fn a_dumb_terminal_and_plain_text_get_no_escape_and_no_countdown() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("part")]).stall());
    let (home, url) = (Home::new(), upstream.url());
    let watched = |term, flag| {
        let args = ["-e", &url, "-m", "m", "--idle-timeout", "7", flag, "hi"];
        watch(home.command(&args).env("TERM", term))
    };
    std::thread::scope(|scope| {
        let dumb = scope.spawn(|| watched("dumb", "--color=always"));
        let plain = scope.spawn(|| watched("xterm", "--plain"));
        for run in [dumb, plain] {
            let (bytes, _, code) = run.join().unwrap();
            assert_eq!(code, Some(6), "{bytes:?}");
            assert!(
                !bytes.contains('\u{1b}') && !bytes.contains("gives up"),
                "{bytes:?}"
            );
        }
    });
}

#[test]
fn writes_are_merged_within_a_frame_and_the_text_is_the_same() {
    let texts: Vec<String> = (0..300).map(|n| format!("{n} ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&texts)));
    let (home, url) = (Home::new(), upstream.url());
    for frame in ["0", "16", "1000"] {
        let begun = Instant::now();
        let args = ["-e", &url, "-m", "m", "--plain", "--frame-ms", frame, "hi"];
        let (bytes, _, code) = watch(&mut home.command(&args));
        assert_eq!((code, bytes), (Some(0), texts.concat() + "\r\n"), "{frame}");
        assert!(begun.elapsed() < LONG, "the end waits for no frame");
    }
}

#[test]
fn a_second_signal_ends_a_run_whose_reader_is_stuck() {
    let many: Vec<String> = (0..4000)
        .map(|n| fixtures::text(&format!("line {n} of a text that nobody reads\n")))
        .collect();
    for on_terminal in [true, false] {
        let upstream = Upstream::start(Reply::sse(many.clone()).stall());
        let (home, url) = (Home::new(), upstream.url());
        let mut command = home.command(&["-e", &url, "-m", "m", "hi"]);
        let (screen, program) = terminal();
        let mut child = if on_terminal {
            spawn(&mut command, &program)
        } else {
            home.spawn(&mut command)
        };
        match &child.stdout {
            Some(out) => wait_until_full(out),
            None => wait_until_full(&screen),
        }
        kill("-INT", child.id());
        assert!(upstream.left_within(0, LONG), "the first one ends the call");
        assert_eq!(child.try_wait().unwrap(), None, "what came is still to be read");
        let begun = Instant::now();
        kill("-INT", child.id());
        let code = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if begun.elapsed() > LONG => panic!("it hangs"),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!(code, Some(130));
    }
}

/// Waits until nobody can write to the other end of this any more: its buffer has stopped to grow.
fn wait_until_full(end: &impl AsFd) {
    const STILL: Duration = Duration::from_secs(1);
    let begun = Instant::now();
    let (mut held, mut since) = (0, begun);
    while held == 0 || since.elapsed() < STILL {
        assert!(begun.elapsed() < LONG, "nothing is written, or without end");
        std::thread::sleep(Duration::from_millis(20));
        let now = ioctl_fionread(end).unwrap();
        if now != held {
            (held, since) = (now, Instant::now());
        }
    }
}
