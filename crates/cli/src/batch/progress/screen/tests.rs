//! Rows on terminals of every size.

use std::time::Duration;

use aurora_chat::{Delta, Update};

use super::super::super::key::Key;
use super::*;

fn snapshot(done: u64) -> Snapshot {
    Snapshot {
        total: 10,
        done,
        done_now: done,
        running: 2,
        elapsed: Duration::from_secs(2),
        ..Snapshot::default()
    }
}

fn screen() -> Screen {
    Screen::new(&Style {
        reflows: true,
        ..Style::default()
    })
}

fn board(texts: &[&str]) -> Board {
    let board = Board::default();
    for (text, number) in texts.iter().zip(0..) {
        board.begin(number, &Key::Text(format!("item-{number}")));
        board.see(number, &Update::Delta(Delta::Text((*text).to_owned())));
    }
    board
}

#[test]
fn no_row_fills_its_line_whatever_an_answer_says() {
    let board = board(&[
        "plain words that go on and on and on and on and on and on",
        "世界世界世界世界世界世界世界世界世界世界世界世界世界世界世界",
        "\u{1b}[2J\u{7}\n\ttwo\r\nlines\u{202e} 👩‍👩‍👧 e\u{301}",
    ]);
    for columns in 1..100 {
        let size = Size { columns, rows: 24 };
        let rows = screen().rows(size, &snapshot(3), Some(&board));
        assert_eq!(rows.len(), 4);
        for row in &rows {
            assert!(width(row) < columns.max(2), "{columns}: {row:?}");
            assert!(!row.chars().any(visible::is_control), "{row:?}");
        }
    }
}

#[test]
fn the_latest_words_are_shown_and_the_bar_grows() {
    let board = board(&["the beginning … and the very end"]);
    let size = Size {
        columns: 40,
        rows: 24,
    };
    let screen = screen();
    let rows = screen.rows(size, &snapshot(5), Some(&board));
    assert!(
        rows[0].starts_with("item-0  ") && rows[0].ends_with("the very end"),
        "{rows:?}"
    );
    assert!(rows[1].starts_with("[==========>         ] 5 of 10"), "{rows:?}");
    let rows = screen.rows(size, &snapshot(10), Some(&board));
    assert!(rows[1].starts_with("[====================] 10 of 10"), "{rows:?}");
}

#[test]
fn a_terminal_with_few_rows_shows_few_items() {
    let board = board(&["a"; 20]);
    for (rows, expected) in [(0, 1), (1, 1), (3, 2), (5, 4), (50, ITEMS + 1)] {
        let size = Size { columns: 80, rows };
        assert_eq!(
            screen().rows(size, &snapshot(1), Some(&board)).len(),
            expected,
            "{rows}"
        );
    }
}

/// What is on a terminal after frames at these widths: every frame takes the last one back, resized or not.
#[test]
fn a_frame_takes_the_last_one_back_after_a_resize() {
    for widths in [[60, 60, 60], [60, 30, 15], [20, 60, 30], [60, 17, 80]] {
        let board = board(&["some words of an answer that is on its way", "more words"]);
        let mut screen = screen();
        let mut terminal = parser(60);
        terminal.process(b"before\r\n");
        for (columns, done) in widths.into_iter().zip(1..) {
            terminal = reflowed(&terminal, columns);
            let size = Size { columns, rows: 24 };
            let rows = screen.rows(size, &snapshot(done), Some(&board));
            terminal.process(screen.replace(rows, size).as_bytes());
            let shown: Vec<String> = terminal
                .screen()
                .rows(0, 80)
                .filter(|row| !row.is_empty())
                .collect();
            assert_eq!(shown.len(), 4, "{widths:?}: {shown:#?}");
            assert_eq!(shown[0], "before");
        }
        let size = Size {
            columns: widths[2],
            rows: 24,
        };
        terminal.process(screen.replace(Vec::new(), size).as_bytes());
        assert_eq!(terminal.screen().contents(), "before\n".trim_end());
    }
}

fn parser(columns: usize) -> vt100::Parser {
    let columns = u16::try_from(columns).unwrap();
    vt100::Parser::new(24.try_into().unwrap(), columns.try_into().unwrap(), 0)
}

/// A terminal of another width that has wrapped anew what was on this one.
fn reflowed(terminal: &vt100::Parser, columns: usize) -> vt100::Parser {
    let mut other = parser(columns);
    let (row, _) = terminal.screen().cursor_position();
    for line in terminal.screen().rows(0, 80).take(usize::from(row)) {
        other.process(format!("{line}\r\n").as_bytes());
    }
    other
}
