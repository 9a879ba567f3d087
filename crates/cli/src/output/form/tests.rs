//! A rendered answer on a screen, with all that is written beside it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use aurora_chat::{Delta, End, Failure, FailureKind, FinishReason, Notice, Update, Verdict};

use crate::output::{Audience as _, Place, Printer, Size, Style};

const STYLE: Style = Style {
    json: false,
    out_is_terminal: true,
    render: true,
    out_color: true,
    reflows: true,
    err_is_terminal: true,
    err_color: true,
    plain: false,
    show_reasoning: true,
    usage: false,
    footer: false,
    countdown: Place::BesideAnswer,
    ambiguous: false,
};

/// A terminal that both streams go to.
#[derive(Clone)]
struct Terminal(Rc<RefCell<vt100::Parser>>);

impl Terminal {
    fn new() -> Self {
        let parser = vt100::Parser::new(10.try_into().unwrap(), 40.try_into().unwrap(), 100);
        Self(Rc::new(RefCell::new(parser)))
    }

    /// The rows that are not empty, and the row and column of the cursor.
    fn seen(&self) -> (Vec<String>, (u16, u16)) {
        let parser = self.0.borrow();
        let mut rows: Vec<String> = parser.screen().rows(0, 40).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        (rows, parser.screen().cursor_position())
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            // As the line discipline does.
            if *byte == b'\n' {
                self.0.borrow_mut().process(b"\r");
            }
            self.0.borrow_mut().process(&[*byte]);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn printer() -> (Printer<Terminal, Terminal>, Terminal) {
    let terminal = Terminal::new();
    let mut printer = Printer::new(STYLE, terminal.clone(), terminal.clone());
    printer
        .resize(Size {
            columns: 40,
            rows: 10,
        })
        .unwrap();
    (printer, terminal)
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn tell(printer: &mut Printer<Terminal, Terminal>, updates: &[Update]) {
    for update in updates {
        printer.update(Duration::from_secs(1), update).unwrap();
    }
}

fn rows(expected: &[&str]) -> Vec<String> {
    expected.iter().map(|row| (*row).to_owned()).collect()
}

#[test]
fn an_answer_grows_where_the_cursor_stands() {
    let (mut printer, terminal) = printer();
    tell(&mut printer, &[text("# Ti")]);
    assert_eq!(
        terminal.seen(),
        (rows(&["# Ti"]), (0, 4)),
        "the first characters are there at once"
    );
    tell(
        &mut printer,
        &[text("tle\n\n- on"), text("e\n- two"), text("\n\n```\nco")],
    );
    assert_eq!(
        terminal.seen(),
        (rows(&["# Title", "", "• one", "• two", "", "  co"]), (5, 4))
    );
    tell(
        &mut printer,
        &[
            text("de\n```\nend"),
            Update::End(End::finished(Some(FinishReason::Stop))),
        ],
    );
    let (seen, _) = terminal.seen();
    assert_eq!(seen[4..7], rows(&["  code", "", "end"]));
    assert!(seen[7].starts_with("complete"), "{seen:?}");
}

#[test]
fn notices_and_thoughts_stand_on_rows_of_their_own_and_nothing_is_lost() {
    let (mut printer, terminal) = printer();
    let resumed = Update::Notice(Notice::Resume {
        cursor: "s.1".to_owned(),
    });
    tell(&mut printer, &[text("one\n\ntwo and"), resumed]);
    let notice = "aurora: connection lost and resumed after";
    assert_eq!(
        terminal.seen().0,
        rows(&["one", &notice[..40], "r s.1", "", "two and"])
    );
    let thought = Update::Delta(Delta::Reasoning("hm".to_owned()));
    tell(&mut printer, &[text(" more"), thought, text(", then")]);
    assert_eq!(terminal.seen().0[3..], rows(&["hm", "", "two and more, then"]));
    let failure = Failure::new(FailureKind::ConnectionLost, "reset");
    let end = End {
        verdict: Verdict::Interrupted,
        finish_reason: None,
        failure: Some(failure),
    };
    tell(&mut printer, &[Update::End(end)]);
    let (seen, cursor) = terminal.seen();
    assert_eq!(seen[5], "two and more, then");
    assert!(seen[6].starts_with("aurora: interrupted: reset"), "{seen:?}");
    assert_eq!(cursor.1, 0);
}

#[test]
fn the_countdown_stands_behind_the_answer_and_goes() {
    let (mut printer, terminal) = printer();
    let quiet = |printer: &mut Printer<Terminal, Terminal>| printer.quiet(Duration::from_secs(9), None);
    tell(&mut printer, &[text("- one **two")]);
    let before = terminal.seen();
    quiet(&mut printer);
    assert_eq!(terminal.seen().0[0], format!("{} (waiting 9 s)", before.0[0]));
    assert_eq!(terminal.seen().1, before.1);
    tell(&mut printer, &[text("** three\n\n")]);
    assert_eq!(terminal.seen().0.len(), 1);
    quiet(&mut printer);
    assert_eq!(terminal.seen().0[1], "(waiting 9 s)");
    tell(&mut printer, &[text("x")]);
    let (seen, _) = terminal.seen();
    assert!(!seen.concat().contains("waiting"), "{seen:?}");
}

#[test]
fn a_window_of_another_width_gets_what_is_not_final_anew() {
    let (mut printer, terminal) = printer();
    tell(
        &mut printer,
        &[text("final\n\n"), text("a row of thirty-five characters and")],
    );
    terminal
        .0
        .borrow_mut()
        .screen_mut()
        .set_size(10.try_into().unwrap(), 60.try_into().unwrap());
    printer
        .resize(Size {
            columns: 60,
            rows: 10,
        })
        .unwrap();
    tell(&mut printer, &[text(" some more words")]);
    let seen = terminal.seen().0;
    assert_eq!(seen[..2], rows(&["final", ""]));
    assert_eq!(seen[2].trim_end(), "a row of thirty-five characters and some");
    let row: String = terminal.0.borrow().screen().rows(0, 60).nth(2).unwrap();
    assert_eq!(row, "a row of thirty-five characters and some more words");
}

#[test]
fn a_resize_in_the_middle_of_reasoning_draws_nothing_behind_it() {
    let (mut printer, terminal) = printer();
    let thought = |text: &str| Update::Delta(Delta::Reasoning(text.to_owned()));
    tell(&mut printer, &[text("final\n\nsome text"), thought("hm")]);
    terminal
        .0
        .borrow_mut()
        .screen_mut()
        .set_size(10.try_into().unwrap(), 60.try_into().unwrap());
    printer
        .resize(Size {
            columns: 60,
            rows: 10,
        })
        .unwrap();
    tell(&mut printer, &[thought("m"), text(" and more")]);
    assert_eq!(
        terminal.seen().0,
        rows(&["final", "hmm", "", "some text and more"])
    );
}
