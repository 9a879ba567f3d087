//! What stands on a screen and in its scrollback after any frames, and what the frames cost.

use proptest::prelude::*;

use super::*;
use crate::row::{Line, cut};
use crate::style::{Attrs, Color, Style};

const ROWS: u16 = 14;

/// A screen, and the painter that draws on it.
struct Desk {
    terminal: vt100::Parser,
    painter: Painter,
    columns: usize,
    settled: Vec<Row>,
}

impl Desk {
    fn new(columns: u16) -> Self {
        let size = |n: u16| n.try_into().unwrap();
        Self {
            terminal: vt100::Parser::new(size(ROWS), size(columns), 10_000),
            painter: Painter::new(columns.into(), Widths::default(), true),
            columns: columns.into(),
            settled: Vec::new(),
        }
    }

    fn frame(&mut self, rows: Vec<Row>, tail: &[Row]) -> String {
        self.settled.extend_from_slice(&rows);
        let mut out = String::new();
        self.painter.paint(rows, tail, &mut out);
        self.terminal.process(out.as_bytes());
        out
    }

    /// The rows of scrollback and screen, with the colours of their cells, and whether each goes on in the next.
    fn seen(&mut self) -> Vec<(String, bool)> {
        let mut rows = Vec::new();
        self.terminal.screen_mut().set_scrollback(usize::MAX);
        let above = self.terminal.screen().scrollback();
        let columns = u16::try_from(self.columns).unwrap();
        for back in (1..=above).rev() {
            self.terminal.screen_mut().set_scrollback(back);
            let screen = self.terminal.screen();
            rows.extend(
                screen
                    .rows_formatted(0, columns)
                    .next()
                    .map(|row| (row, screen.row_wrapped(0))),
            );
        }
        self.terminal.screen_mut().set_scrollback(0);
        let screen = self.terminal.screen();
        let wrapped = (0..ROWS).map(|row| screen.row_wrapped(row));
        rows.extend(screen.rows_formatted(0, columns).zip(wrapped));
        while rows.last().is_some_and(|(row, _)| row.is_empty()) {
            rows.pop();
        }
        rows
    }
}

fn rows(pieces: &[(String, u8)], columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (text, kind) in pieces {
        let style = match kind {
            0 => Style::default(),
            1 => Style::of(Attrs::BOLD),
            _ => Style::colored(Color::Green, Attrs::ITALIC),
        };
        let last = cut(Line::of(text, &style), columns, Widths::default(), &mut rows);
        rows.push(last);
    }
    rows
}

fn pieces(most: usize) -> impl Strategy<Value = Vec<(String, u8)>> {
    // Emoji whose width terminals disagree about are not among them: this screen would be one of those that disagree.
    // Runs of one character give rows that are full and alike, of which one goes on in the next and the other does not.
    let text = "[a-c ]{0,6}|[a-z]{0,50}|0{1,72}|[日本語、]{0,12}|[ae\u{301}]{1,8}|👩|🇩🇪";
    proptest::collection::vec((text, 0_u8..3), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After each frame the terminal shows what one that got everything at once would show.
    #[test]
    fn every_frame_leaves_what_is_final_and_the_tail(
        frames in proptest::collection::vec((pieces(3), pieces(5), 0_u8..8), 1..12),
        columns in 2_u16..24,
    ) {
        let mut desk = Desk::new(columns);
        for (settled, tail, what) in frames {
            let width = usize::from(columns);
            let mut tail = rows(&tail, width);
            tail.truncate(12);
            tail.iter_mut().last().into_iter().for_each(|row| row.joined = false);
            desk.frame(rows(&settled, width), &tail);
            if what == 0 {
                let mut out = String::new();
                desk.painter.clear(&mut out);
                desk.terminal.process(out.as_bytes());
                tail.clear();
            }
            let mut once = Desk::new(columns);
            let mut all = desk.settled.clone();
            let last = tail.pop();
            all.extend(tail);
            once.frame(all, last.as_slice());
            prop_assert_eq!(desk.seen(), once.seen());
            let column = |desk: &Desk| desk.terminal.screen().cursor_position().1;
            prop_assert_eq!(column(&desk), column(&once));
        }
    }
}

#[test]
fn what_grows_costs_what_is_new() {
    let mut desk = Desk::new(20);
    let row = |text: &str| Row::new(Line::of(text, &Style::default()), Widths::default());
    assert_eq!(desk.frame(vec![], &[row("a")]), "a");
    assert_eq!(desk.frame(vec![], &[row("ab 日")]), "b 日");
    assert_eq!(desk.frame(vec![], &[row("ab c")]), "\u{8}\u{8}c\u{1b}[K");
    assert_eq!(desk.frame(vec![], &[row("ab c")]), "");
    assert_eq!(desk.frame(vec![], &[row("ab c d"), row("e")]), " d\r\ne");
    assert_eq!(desk.frame(vec![row("ab c d")], &[row("ef")]), "f");
    assert_eq!(desk.frame(vec![row("ef")], &[]), "\r\n");
    assert_eq!(desk.painter.column(), Some(0));
    desk.frame(vec![], &[row("12345678901234567890")]);
    assert_eq!(desk.painter.column(), None, "a wrap is pending");
    let styled = Row::new(Line::of("x", &Style::of(Attrs::BOLD)), Widths::default());
    assert_eq!(
        desk.frame(vec![row("12345678901234567890")], &[styled]),
        "\r\n\u{1b}[1mx\u{1b}[m"
    );
}

#[test]
fn rows_above_the_last_are_drawn_over_and_at_once_where_that_is_much() {
    let mut desk = Desk::new(20);
    let row = |text: &str| Row::new(Line::of(text, &Style::default()), Widths::default());
    desk.frame(vec![], &[row("one"), row("two")]);
    let out = desk.frame(vec![], &[row("ore"), row("two")]);
    assert_eq!(out, "\u{1b}[A\r\u{1b}[1Cre\u{1b}[1B\r\u{1b}[2Co");
    let many: Vec<Row> = (0..12).map(|n| row(&format!("row number {n}"))).collect();
    let out = desk.frame(vec![], &[&[row("a")][..], &many].concat());
    assert!(
        out.starts_with("\u{1b}[?2026h") && out.ends_with("\u{1b}[?2026l"),
        "{out:?}"
    );
}

#[test]
fn emoji_of_uncertain_width_are_never_moved_over() {
    let mut desk = Desk::new(20);
    let row = |text: &str| Row::new(Line::of(text, &Style::default()), Widths::default());
    desk.frame(vec![], &[row("👍🏽 a")]);
    assert_eq!(desk.painter.column(), None);
    assert_eq!(desk.frame(vec![], &[row("👍🏽 ab")]), "b");
    assert_eq!(desk.frame(vec![], &[row("👍🏽 b")]), "\r👍🏽 b\u{1b}[K");
}

#[test]
fn a_window_of_another_width_gets_its_tail_anew() {
    let row = |text: &str| Row::new(Line::of(text, &Style::default()), Widths::default());
    let tail = [row("12345678"), row("abcd")];
    for (columns, reflows, expected) in [
        (20, true, "\u{1b}[A\r\u{1b}[J"),
        (4, true, "\u{1b}[2A\r\u{1b}[J"),
        (3, true, "\u{1b}[4A\r\u{1b}[J"),
        (3, false, "\u{1b}[A\r\u{1b}[J"),
        (10, true, ""),
    ] {
        let mut painter = Painter::new(10, Widths::default(), true);
        let mut out = String::new();
        painter.paint(vec![], &tail, &mut out);
        out.clear();
        painter.resize(columns, ROWS.into(), reflows, &mut out);
        assert_eq!(out, expected, "{columns}");
    }
}

#[test]
fn a_window_that_becomes_lower_than_its_tail_gets_it_anew() {
    let row = |text: &str| Row::new(Line::of(text, &Style::default()), Widths::default());
    let tail = [row("a"), row("b"), row("c")];
    for (rows, expected) in [(4, ""), (3, "\u{1b}[2A\r\u{1b}[J")] {
        let mut painter = Painter::new(10, Widths::default(), true);
        let mut out = String::new();
        painter.paint(vec![], &tail, &mut out);
        out.clear();
        painter.resize(10, rows, true, &mut out);
        assert_eq!(out, expected, "{rows}");
    }
}

#[test]
fn a_row_that_goes_on_in_the_next_frame_is_one_line() {
    let mut desk = Desk::new(4);
    let full = Row {
        joined: true,
        ..Row::new(Line::of("abcd", &Style::default()), Widths::default())
    };
    assert_eq!(desk.frame(vec![full.clone()], &[]), "abcd");
    assert_eq!(desk.painter.column(), None);
    let rest = Row::new(Line::of("ef", &Style::default()), Widths::default());
    assert_eq!(desk.frame(vec![rest], &[]), "ef\r\n");
    desk.frame(vec![full], &[]);
    let mut out = String::new();
    desk.painter.clear(&mut out);
    assert_eq!(out, "\r\n");
}
