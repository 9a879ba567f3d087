//! The notice on a screen: what is left of it, and what it does to the answer, which is nothing.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZeroU16;
use std::rc::Rc;
use std::time::Duration;

use aurora_chat::{Deadline, Delta, End, FinishReason, Notice, Update};
use aurora_client::Prospect;
use proptest::prelude::*;

use super::Place;
use crate::output::{Audience as _, Printer, Size, Style};

/// A terminal that both streams go to, or one of them.
#[derive(Clone)]
struct Terminal(Rc<RefCell<vt100::Parser>>);

impl Terminal {
    fn new(rows: u16, columns: u16) -> Self {
        let size = |n| NonZeroU16::new(n).expect("not 0");
        let parser = vt100::Parser::new(size(rows), size(columns), 500);
        Self(Rc::new(RefCell::new(parser)))
    }

    fn columns(&self) -> u16 {
        self.0.borrow().screen().size().1.get()
    }

    fn rows(&self) -> Vec<String> {
        let parser = self.0.borrow();
        parser.screen().rows(0, self.columns()).collect()
    }

    /// Everything there is to see: the rows, their colours, and the cursor.
    fn seen(&self) -> (String, (u16, u16)) {
        let parser = self.0.borrow();
        (
            parser.screen().contents_formatted(),
            parser.screen().cursor_position(),
        )
    }

    fn row(&self) -> String {
        let row = self.0.borrow().screen().cursor_position().0;
        self.rows().swap_remove(usize::from(row))
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

const STYLE: Style = Style {
    json: false,
    out_is_terminal: true,
    render: false,
    out_color: false,
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

const LEFT: Option<Prospect> = Some(Prospect::GiveUp(Deadline::Idle, Duration::from_millis(47_500)));

fn printer(terminal: &Terminal, style: Style) -> Printer<Terminal, Terminal> {
    let mut printer = Printer::new(style, terminal.clone(), terminal.clone());
    printer
        .resize(Size {
            columns: usize::from(terminal.columns()),
            rows: 24,
        })
        .unwrap();
    printer
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn update(printer: &mut Printer<Terminal, Terminal>, update: &Update) {
    printer
        .update(Duration::from_secs(1), update)
        .expect("a terminal");
}

fn quiet(printer: &mut Printer<Terminal, Terminal>, prospect: Option<Prospect>) {
    printer.quiet(Duration::from_millis(12_500), prospect);
}

#[test]
fn the_notice_stands_behind_the_answer_and_the_cursor_stays() {
    let terminal = Terminal::new(5, 60);
    let mut printer = printer(&terminal, STYLE);
    quiet(&mut printer, LEFT);
    assert_eq!(terminal.row(), "(waiting 12 s, gives up in 48 s)");
    update(&mut printer, &text("Hello"));
    assert_eq!(terminal.row(), "Hello");
    quiet(&mut printer, None);
    assert_eq!(terminal.row(), "Hello (waiting 12 s)");
    assert_eq!(terminal.0.borrow().screen().cursor_position(), (0, 5));
    quiet(&mut printer, Some(Prospect::Retry(Duration::from_secs(9))));
    assert_eq!(terminal.row(), "Hello (tries again in 9 s)");
    quiet(&mut printer, Some(Prospect::Resume(Duration::from_millis(8_001))));
    assert_eq!(terminal.row(), "Hello (waiting 12 s, resumes in 9 s)");
    update(&mut printer, &text(" there\n"));
    assert_eq!(terminal.rows()[..2], ["Hello there", ""]);
}

#[test]
fn it_takes_the_form_that_fits_or_none() {
    for (columns, expected) in [
        (60, "1234567890 (waiting 12 s, gives up in 48 s)"),
        (44, "1234567890 (waiting 12 s, gives up in 48 s)"),
        (43, "1234567890 (gives up in 48 s)"),
        (18, "1234567890 (48 s)"),
        (17, "1234567890"),
        (10, "1234567890"),
    ] {
        let terminal = Terminal::new(5, columns);
        let mut printer = printer(&terminal, STYLE);
        update(&mut printer, &text("1234567890"));
        quiet(&mut printer, LEFT);
        assert_eq!(terminal.row(), expected, "{columns}");
    }
}

#[test]
fn there_is_none_where_it_has_no_place() {
    let shown = |countdown, before: &[Update]| {
        let terminal = Terminal::new(5, 60);
        let piped = Terminal::new(5, 60);
        let style = Style { countdown, ..STYLE };
        let mut printer = Printer::new(style, piped, terminal.clone());
        printer
            .resize(Size {
                columns: 60,
                rows: 24,
            })
            .unwrap();
        for update in before {
            printer.update(Duration::ZERO, update).expect("a terminal");
        }
        printer.quiet(Duration::from_secs(5), None);
        terminal.row()
    };
    assert_eq!(shown(Place::Nowhere, &[]), "");
    assert_eq!(shown(Place::BeforeAnswer, &[]), "(waiting 5 s)");
    assert_eq!(shown(Place::BeforeAnswer, &[text("a\n")]), "");
    assert_eq!(shown(Place::Alone, &[text("a")]), "(waiting 5 s)");
    let thought = Update::Delta(Delta::Reasoning("hm".to_owned()));
    assert_eq!(shown(Place::Alone, &[thought]), "hm (waiting 5 s)");
}

#[test]
fn a_window_of_another_width_leaves_no_trace_either() {
    let terminal = Terminal::new(5, 60);
    let mut printer = printer(&terminal, STYLE);
    update(&mut printer, &text("Hello"));
    quiet(&mut printer, LEFT);
    // As a terminal does that moves what no longer fits to the next row.
    terminal
        .0
        .borrow_mut()
        .process(b"\r\x1b[JHello (waiting\r\n12 s, gives\x1b[A\r\x1b[5C");
    printer
        .resize(Size {
            columns: 15,
            rows: 24,
        })
        .unwrap();
    quiet(&mut printer, LEFT);
    assert_eq!(
        terminal.rows().concat(),
        "Hello",
        "where the cursor is now is not known"
    );
    update(&mut printer, &text("\n"));
    quiet(&mut printer, LEFT);
    assert_eq!(terminal.row(), "(48 s)");
}

fn updates() -> impl Strategy<Value = Vec<(Update, u8)>> {
    let piece = "[a-z ]{0,30}|[日本語、。]{1,12}|[e\u{301}ñ“”—\t]{1,6}|[\n]{1,2}|[👩\u{200d}👧❤\u{fe0f}🇩🇪\u{5d0}\u{915}\u{94d}]{1,5}|\u{1b}\\[2J|a\r";
    let update = prop_oneof![
        8 => piece.prop_map(|piece| text(&piece)),
        1 => piece.prop_map(|piece| Update::Delta(Delta::Reasoning(piece))),
        1 => Just(Update::Notice(Notice::Resume { cursor: "s.1".to_owned() })),
    ];
    proptest::collection::vec((update, 0_u8..3), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Beside the same answer without notices: while one is there, the cursor and all other rows are the same, and so
    /// is the part of the row before it; once it is gone, everything is.
    #[test]
    fn it_comes_and_goes_without_a_trace(updates in updates(), columns in 2_u16..90, rows in 2_u16..8) {
        let (with, without) = (Terminal::new(rows, columns), Terminal::new(rows, columns));
        let (mut noticed, mut plain) = (printer(&with, STYLE), printer(&without, STYLE));
        for (next, notices) in updates {
            update(&mut noticed, &next);
            update(&mut plain, &next);
            prop_assert_eq!(with.seen(), without.seen());
            for n in 0..notices {
                quiet(&mut noticed, if n == 0 { LEFT } else { None });
                let (row, column) = without.0.borrow().screen().cursor_position();
                prop_assert_eq!(with.0.borrow().screen().cursor_position(), (row, column));
                for (n, (with, without)) in with.rows().iter().zip(without.rows()).enumerate() {
                    prop_assert!(with.starts_with(&*without) && (n == usize::from(row) || *with == without));
                }
            }
        }
        for end in [text("."), Update::End(End::finished(Some(FinishReason::Stop)))] {
            update(&mut noticed, &end);
            update(&mut plain, &end);
            prop_assert_eq!(with.seen(), without.seen());
        }
    }
}
