//! What is told of a batch that runs.

use super::*;

fn snapshot() -> Snapshot {
    Snapshot {
        total: 1000,
        done: 250,
        done_now: 200,
        failed: 3,
        running: 8,
        at_most: None,
        output_tokens: 4000,
        elapsed: Duration::from_secs(10),
        held_for: None,
    }
}

#[test]
fn a_line_says_how_far_it_is_and_how_long_it_takes() {
    assert_eq!(
        snapshot().to_line(),
        "250 of 1000 done, 3 failed, 8 running, 400 tokens/s, about 38 s left"
    );
    let slower = Snapshot {
        at_most: Some(5),
        ..snapshot()
    };
    assert!(
        slower
            .to_line()
            .contains("8 running (at most 5, as the server bears), ")
    );
    let held = Snapshot {
        held_for: Some(Duration::from_secs(30)),
        ..snapshot()
    };
    assert!(held.to_line().contains("waiting 30 s as asked"));
    let first = Snapshot {
        total: 10,
        ..Snapshot::default()
    };
    assert_eq!(first.to_line(), "0 of 10 done, 0 running, 0 tokens/s");
}

#[test]
fn times_are_told_as_people_do() {
    for (seconds, told) in [
        (0.4, "0 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7300.0, "2 h 1 min"),
        (f64::MAX, "277777 h 46 min"),
    ] {
        assert_eq!(clock(seconds), told);
    }
}

#[test]
fn a_board_keeps_the_latest_words_and_no_more() {
    let board = Board::default();
    board.begin(1, &Key::Text("k".repeat(1000)));
    for _ in 0..1000 {
        board.see(1, &Update::Delta(Delta::Text("世界 and so on".to_owned())));
    }
    board.see(2, &Update::Delta(Delta::Text("nobody's".to_owned())));
    let tails = board.tails(9);
    assert_eq!((tails.len(), tails[0].key.len()), (1, 64));
    assert!(tails[0].text.len() <= 2 * TAIL && tails[0].text.ends_with("世界 and so on"));
    board.end(1);
    assert!(board.tails(9).is_empty());
}
