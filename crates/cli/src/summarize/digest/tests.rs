//! Tests of the levels: every word is read once, in order, whatever comes when; notes that lead nowhere end the work.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn words() -> Counter {
    Arc::new(|text: &str| text.split_whitespace().count())
}

/// Runs it, with notes coming in the order that `pick` says; returns the texts of all requests by level, in order of parts,
/// and the last answer's text.
fn run(
    text: Text,
    budget: usize,
    mut answer: impl FnMut(&Task, &str) -> String,
    mut pick: impl FnMut(usize) -> usize,
) -> Result<Vec<Vec<String>>, Stuck> {
    let mut digest = Digest::new(text, budget, words())?;
    let mut levels: Vec<Vec<String>> = Vec::new();
    let mut open: Vec<Task> = Vec::new();
    while !digest.is_over() {
        while let Some(task) = digest.next() {
            levels.resize(levels.len().max(task.level + 1), Vec::new());
            assert_eq!(levels[task.level].len(), task.part);
            levels[task.level].push(digest.text(&task).to_owned());
            open.push(task);
        }
        let task = open.swap_remove(pick(open.len()) % open.len());
        let note = answer(&task, &levels[task.level][task.part]);
        digest.done(&task, Note { text: note })?;
    }
    assert!(open.is_empty());
    Ok(levels)
}

fn story(words: usize) -> String {
    (0..words)
        .map(|n| format!("w{n}{}", if n % 7 == 6 { ".\n\n" } else { " " }))
        .collect()
}

proptest! {
    #[test]
    fn every_word_is_read_once_and_in_order_whatever_comes_when(
        length in 1usize..400,
        budget in 8usize..60,
        order in prop::collection::vec(any::<usize>(), 64),
    ) {
        let text = story(length);
        let mut turn = 0;
        // A note is the first word of its part.
        let levels = run(
            Text::of_file(text.clone()),
            budget,
            |_, text| text.split_whitespace().next().unwrap_or("nothing").to_owned(),
            |open| {
                turn += 1;
                order[turn % order.len()] % open
            },
        ).unwrap();
        prop_assert_eq!(levels[0].concat(), text);
        for level in &levels {
            for part in level {
                prop_assert!(part.split_whitespace().count() <= budget);
            }
        }
        for pair in levels.windows(2) {
            let notes: Vec<&str> = pair[0].iter().filter_map(|part| part.split_whitespace().next()).collect();
            let read = pair[1].concat();
            let read: Vec<&str> = read.split_whitespace().collect();
            prop_assert_eq!(read, notes);
        }
        prop_assert_eq!(levels.last().map(Vec::len), Some(1));
    }
}

#[test]
fn what_fits_is_asked_at_once() {
    let levels = run(Text::of_file(story(20)), 20, |_, _| "x".repeat(500), |_| 0).unwrap();
    assert_eq!(levels, [[story(20)]]);
}

#[test]
fn notes_that_do_not_shrink_end_it_with_a_reason() {
    let result = run(Text::of_file(story(100)), 20, |_, text| text.to_owned(), |_| 0);
    assert_eq!(
        result,
        Err(Stuck::NotShrinking {
            level: 1,
            before: 100,
            after: 100
        })
    );
    // Hardly shorter is not enough, unless it fits.
    let hardly = |skipped: usize, budget: usize| {
        run(
            Text::of_file(story(100)),
            budget,
            |task, text| {
                let skip = if task.part == 0 { skipped } else { 0 };
                text.split_whitespace().skip(skip).collect::<Vec<_>>().join(" ")
            },
            |_| 0,
        )
    };
    assert_eq!(
        hardly(9, 60),
        Err(Stuck::NotShrinking {
            level: 1,
            before: 100,
            after: 91
        })
    );
    assert_eq!(hardly(1, 99).map(|levels| levels.len()), Ok(2));
    // Somewhat shorter with every level.
    let slowly = run(
        Text::of_file(story(1000)),
        20,
        |_, text| text.split_whitespace().skip(3).collect::<Vec<_>>().join(" "),
        |_| 0,
    );
    assert!(matches!(slowly, Err(Stuck::Levels { after: 21.. })), "{slowly:?}");
}

#[test]
fn files_are_named_in_parts_and_in_notes() {
    let files = [
        ("a.txt", "one two three.\n\nfour five six."),
        ("b.txt", "seven eight."),
    ];
    let whole = Text::of_files(files);
    assert_eq!(
        whole.text,
        "----- file: a.txt -----\none two three.\n\nfour five six.\n\n----- file: b.txt -----\nseven eight.\n\n"
    );
    let levels = run(whole, 7, |task, _| format!("note {}", task.part), |_| 0).unwrap();
    assert_eq!(levels[0].len(), 3, "{levels:?}");
    assert_eq!(
        levels[1..].concat().concat(),
        "[a.txt]\nnote 0\n\n[a.txt]\nnote 1\n\n[b.txt]\nnote 2\n\n[a.txt]\nnote 0\n\n[b.txt]\nnote 1\n\n",
    );
}

#[test]
fn a_blank_part_is_not_asked_about() {
    let text = format!("one{}two", "\n".repeat(30));
    let digest = Digest::new(Text::of_file(text), 10, Arc::new(str::len)).unwrap();
    assert_eq!(digest.parts.len(), 2);
}
