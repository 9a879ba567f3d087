//! `aurora chat` on a terminal: what a person types and sees, on a screen that answers as terminals do.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aurora_testkit::{Gate, Reply, Script, Upstream, fixtures};
use rustix::pty::ptsname;
use rustix::termios::tcgetattr;

use crate::support::{Home, kill};
use crate::terminal::{resize, terminal_of};

const LONG: Duration = Duration::from_secs(60);

/// What asks a terminal where its cursor is.
const WHERE: &[u8] = b"\x1b[6n";

/// A chat on a terminal.
struct Chat {
    child: Child,
    screen: File,
    seen: Arc<Mutex<Seen>>,
    /// Reads the terminal until all programs have left it.
    reader: Option<JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Chat {
    fn start(home: &Home, upstream: &Upstream, size: (u16, u16), flags: &[&str], term: &str) -> Self {
        let (screen, program) = terminal_of(size.0, size.1);
        let url = upstream.url();
        let mut args = vec!["chat", "-e", &url, "-m", "m", "--retries", "0"];
        args.extend(flags);
        let end = || Stdio::from(program.try_clone().unwrap());
        let mut command = home.command(&args);
        command.env("TERM", term).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let (rows, columns) = (size.0.try_into().unwrap(), size.1.try_into().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, columns, 200),
            bytes: Vec::new(),
        }));
        let reader = {
            let (screen, seen) = (screen.try_clone().unwrap(), Arc::clone(&seen));
            std::thread::spawn(move || watch(screen, &seen))
        };
        Self {
            child,
            screen,
            seen,
            reader: Some(reader),
        }
    }

    fn types(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bytes).into_owned()
    }

    /// Waits until the screen shows what is looked for.
    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if is_there(&text) {
                return text;
            }
            assert!(
                begun.elapsed() < LONG,
                "no {what} on the screen:\n{text}\n{:?}",
                self.bytes()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn sees(&self, what: &str) -> String {
        self.wait(what, |text| text.contains(what))
    }

    /// Waits for a prompt after the last line of an answer.
    fn is_asked(&self) -> String {
        self.wait("prompt", |text| {
            text.trim_end().ends_with("\n>") || text.trim_end() == ">"
        })
    }

    fn leaves(mut self, keys: &str) -> (Option<i32>, String) {
        self.types(keys);
        let begun = Instant::now();
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if begun.elapsed() > LONG => panic!("it does not leave:\n{}", self.text()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        self.reader.take().unwrap().join().unwrap();
        (code, self.bytes())
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what comes, and answers where the cursor is.
fn watch(mut screen: File, seen: &Mutex<Seen>) {
    let mut bytes = [0; 4096];
    let mut asked = Vec::new();
    // A terminal that all programs have left is an error on Linux.
    while let Ok(read @ 1..) = screen.read(&mut bytes) {
        let mut seen = seen.lock().unwrap();
        for byte in &bytes[..read] {
            seen.bytes.push(*byte);
            seen.parser.process(std::slice::from_ref(byte));
            asked.push(*byte);
            if !WHERE.starts_with(&asked) {
                asked.clear();
            } else if asked.len() == WHERE.len() {
                asked.clear();
                let (row, column) = seen.parser.screen().cursor_position();
                let report = format!("\x1b[{};{}R", row + 1, column + 1);
                screen.write_all(report.as_bytes()).unwrap();
            }
        }
    }
}

fn says(texts: &[&str]) -> Reply {
    Reply::sse(fixtures::sse_answer(texts))
}

#[test]
fn what_is_typed_ahead_waits_for_the_next_prompt_and_stays_out_of_the_answer() {
    let gate = Gate::new();
    let rest = fixtures::sse_answer(&[" end"]);
    let held = Reply::sse([fixtures::text("begin")])
        .hold(&gate)
        .piece(rest.concat());
    let upstream = Upstream::start(Script::sequence([held, says(&["second answer"])]));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.types("first\r");
    chat.sees("begin");
    chat.types("typed ah");
    // The terminal itself would show it at once.
    std::thread::sleep(Duration::from_millis(200));
    assert!(!chat.text().contains("typed"), "{}", chat.text());
    gate.open();
    let text = chat.sees("> typed ah");
    assert!(text.contains("begin end\n"), "{text}");
    chat.types("ead\r");
    chat.sees("second answer");
    chat.is_asked();
    let prompt = upstream.requests()[1].json()["messages"][2]["content"].take();
    assert_eq!(prompt, "typed ahead");
    assert_eq!(chat.leaves("\x04").0, Some(0));
}

#[test]
fn ctrl_c_keeps_the_partial_and_the_chat_goes_on() {
    let stalled = Reply::sse([fixtures::text("half an answer")]).stall();
    let upstream = Upstream::start(Script::sequence([stalled, says(&["entire"])]));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.types("first\r");
    chat.sees("half an answer");
    chat.types("ahead");
    // The terminal has no session here that would make a signal of the key.
    kill("-INT", chat.child.id());
    let text = chat.sees("> ahead");
    assert!(text.contains("aurora: cancelled"), "{text}");
    chat.types("\x03");
    chat.is_asked();
    chat.types("second\r");
    chat.sees("entire");
    let messages = upstream.requests()[1].json()["messages"].take();
    assert_eq!(messages[1]["content"], "half an answer", "{messages}");
    assert_eq!(
        messages[2]["content"], "second",
        "the line was cleared: {messages}"
    );
    chat.is_asked();
    assert_eq!(chat.leaves("/quit\r").0, Some(0));
    let kept = home.run(&["history", "show", "--json"]);
    assert!(kept.out.contains("cancelled"), "{kept:?}");
}

#[test]
fn a_narrow_terminal_chinese_and_keys_that_edit() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["好的，没问题。"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (16, 20), &[], "xterm");
    chat.is_asked();
    // A character is taken back, two are gone over, and one is put between them.
    chat.types("你好吗呢\x7f");
    chat.sees("> 你好吗");
    chat.types("\x1b[D\x1b[D都");
    chat.sees("> 你都好吗");
    chat.types("\x1b[F\x1b\r第二行\r");
    chat.sees("好的，没问题。");
    let prompt = upstream.requests()[0].json()["messages"][0]["content"].take();
    assert_eq!(prompt, "你都好吗\n第二行");
    chat.is_asked();
    assert_eq!(chat.leaves("\x04").0, Some(0));
}

#[test]
fn another_size_between_two_prompts_is_noticed() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["an answer"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.seen
        .lock()
        .unwrap()
        .parser
        .screen_mut()
        .set_size(10.try_into().unwrap(), 30.try_into().unwrap());
    resize(&chat.screen, 10, 30);
    kill("-WINCH", chat.child.id());
    chat.types("a prompt that takes more than one of thirty columns\r");
    chat.sees("an answer");
    chat.is_asked();
    assert_eq!(chat.leaves("\x04").0, Some(0));
}

#[test]
fn completion_pasted_lines_and_the_last_prompt_again() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["done"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.types("\x1b[200~one\ntwo\x1b[201~\r");
    chat.sees("done");
    chat.is_asked();
    chat.types("/us\t\r");
    chat.sees("1 answer");
    chat.is_asked();
    chat.types("\x1b[A\x1b[A");
    chat.wait("the last prompt", |text| text.trim_end().ends_with("two"));
    chat.types("\r");
    chat.wait("the second answer", |text| text.matches("done").count() >= 2);
    chat.is_asked();
    let prompt = upstream.requests()[1].json()["messages"][2]["content"].take();
    assert_eq!(prompt, "one\ntwo");
    assert_eq!(chat.leaves("\x04").0, Some(0));
}

#[test]
fn the_prompts_of_earlier_conversations_are_offered_again_unless_nothing_is_kept() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["yes"])));
    let home = Home::new();
    for prompt in ["first of all", "second of all", "\u{1b}[2Jhostile"] {
        crate::history::ask(&home, &upstream, &[prompt]);
    }
    let up = "\x1b[A";
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.types(up);
    chat.sees("> second of all");
    chat.types(up);
    chat.sees("> first of all");
    chat.types("\x03");
    chat.is_asked();
    let (code, bytes) = chat.leaves("\x04");
    assert!(code == Some(0) && !bytes.contains("hostile"), "{bytes:?}");

    let mut chat = Chat::start(&home, &upstream, (20, 60), &["--no-history"], "xterm");
    chat.is_asked();
    chat.types(up);
    chat.types("mine");
    chat.sees("> mine");
    assert!(!chat.leaves("\x15\x04").1.contains("of all"));
}

#[test]
fn thoughts_are_folded_into_a_line() {
    let thought = |text: &str| {
        fixtures::event(&serde_json::json!({"choices": [{"delta": {"reasoning_content": text}}]}))
    };
    let events =
        [thought("secret"), thought(" thoughts")].concat() + &fixtures::sse_answer(&["the answer"]).concat();
    let upstream = Upstream::start(Reply::sse([events]));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    chat.is_asked();
    chat.types("why\r");
    let text = chat.sees("the answer");
    assert!(
        text.contains("thought for ") && !text.contains("secret"),
        "{text}"
    );
    chat.is_asked();
    assert_eq!(chat.leaves("\x04").0, Some(0));
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_escape() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["plain"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &["--color", "always"], "dumb");
    chat.is_asked();
    chat.types("hello\r");
    chat.sees("plain");
    chat.is_asked();
    let (code, bytes) = chat.leaves("\x04");
    assert_eq!(code, Some(0));
    assert!(!bytes.contains('\x1b'), "{bytes:?}");
}

#[test]
fn without_colour_there_is_none() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["plain"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &["--color", "never"], "xterm");
    chat.is_asked();
    chat.types("hello\r");
    chat.sees("plain");
    chat.is_asked();
    let (_, bytes) = chat.leaves("\x04");
    for (at, _) in bytes.match_indices("\x1b[") {
        let sequence: String = bytes[at + 2..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ';')
            .collect();
        let is_style = bytes[at + 2 + sequence.len()..].starts_with('m');
        let colour = sequence
            .split(';')
            .any(|n| matches!(n.parse(), Ok(30..=49 | 90..=107)));
        assert!(!is_style || !colour, "{sequence} in {bytes:?}");
    }
}

#[test]
fn a_signal_to_end_leaves_the_terminal_as_it_was() {
    let upstream = Upstream::start(Script::with(|_, _| says(&["plain"])));
    let home = Home::new();
    let mut chat = Chat::start(&home, &upstream, (20, 60), &[], "xterm");
    // Whoever is on the terminal still sees what is left of it.
    let name = ptsname(&chat.screen, Vec::new()).unwrap().into_string().unwrap();
    let other = File::options().read(true).write(true).open(name).unwrap();
    let (_screen, fresh) = terminal_of(20, 60);
    chat.is_asked();
    let modes = |terminal: &File| tcgetattr(terminal).unwrap().local_modes;
    assert_ne!(modes(&other), modes(&fresh));
    kill("-TERM", chat.child.id());
    assert_eq!(chat.child.wait().unwrap().code(), Some(130));
    assert_eq!(modes(&other), modes(&fresh));
}
