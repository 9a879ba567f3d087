//! The scheduler on a model that is a script: who gets a turn, what is read, what it costs, to the row and the page.

mod script;

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::{ALONE, KEPT, Scheduler};
use crate::model::Model;
use script::{Asked, BESIDE, BULK, Script, answer, answer_with, ask, ask_with, script, some};

/// A prompt like no other.
fn prompt(seed: u32, length: usize) -> Vec<u32> {
    (0..length)
        .map(|i| (seed * 31 + i as u32 * (seed % 7 + 1)) % 90)
        .collect()
}

/// Runs until nobody waits or runs.
fn finish(scheduler: &mut Scheduler<Script>) {
    for _ in 0..100_000 {
        if scheduler.is_idle() {
            return check(scheduler);
        }
        scheduler.turn();
    }
    panic!("it never ends");
}

/// Every slot is in one place, and what no one uses holds nothing.
fn check(scheduler: &Scheduler<Script>) {
    let running = scheduler.running.iter().map(|sequence| sequence.slot);
    let kept = scheduler.kept.iter().map(|kept| kept.slot);
    let mut slots: Vec<usize> = running
        .chain(kept)
        .chain(scheduler.free.iter().copied())
        .collect();
    slots.sort_unstable();
    assert!(slots.iter().copied().eq(0..scheduler.shape.sequences));
    for &slot in &scheduler.free {
        assert!(scheduler.model.held(slot).is_empty(), "{slot} is free");
    }
    for kept in scheduler.kept.iter() {
        let held = scheduler.model.held(kept.slot);
        let tokens = held.iter().map(|(token, _)| *token);
        assert!(tokens.eq(kept.tokens[..kept.read].iter().copied()));
    }
    assert!(scheduler.kept.len() <= KEPT);
    assert!(scheduler.model.pages_taken() <= scheduler.shape.pages);
}

/// Rows read for prompts, by all steps so far.
fn read(scheduler: &Scheduler<Script>) -> usize {
    let runs = scheduler.model.steps.iter().flatten();
    runs.filter(|run| run.3).map(|run| run.2).sum()
}

#[test]
fn a_request_joins_and_leaves_between_steps() {
    let mut scheduler = script(4, 8, 1000, BULK);
    let first = ask(&mut scheduler, &prompt(1, 20), 5);
    scheduler.turn();
    scheduler.turn();
    let second = ask(&mut scheduler, &prompt(2, 30), 2);
    finish(&mut scheduler);
    let steps: Vec<usize> = scheduler.model.steps.iter().map(Vec::len).collect();
    // The first's prompt, a row; the second's prompt and a row; two rows; the first's last.
    assert_eq!(steps, [1, 1, 2, 2, 1]);
    assert_eq!(first.tokens(), answer(&prompt(1, 20), 5, BULK));
    assert_eq!(second.tokens(), answer(&prompt(2, 30), 2, BULK));
}

#[test]
fn a_prompt_is_read_in_small_pieces_beside_answers_and_in_large_ones_alone() {
    let mut scheduler = script(4, 32, 1000, BULK);
    ask(&mut scheduler, &prompt(1, ALONE + 20), 100);
    scheduler.turn();
    assert_eq!(
        scheduler.model.steps[0][0].2,
        ALONE + 20,
        "a small remainder goes along"
    );
    ask(&mut scheduler, &prompt(2, 500), 1);
    finish(&mut scheduler);
    for step in &scheduler.model.steps[1..] {
        let rows = step.iter().filter(|run| run.3).map(|run| run.2).sum::<usize>();
        assert!(rows <= BESIDE + BESIDE / 4);
        // Whoever answers has a row in every step.
        assert!(step.iter().any(|run| !run.3), "{step:?}");
    }
}

#[test]
fn prompts_take_turns_and_a_short_one_is_not_held_up_by_a_long_one() {
    let mut scheduler = script(4, 32, 1000, BULK);
    ask(&mut scheduler, &prompt(1, 4000), 1);
    scheduler.turn();
    let short = ask(&mut scheduler, &prompt(2, 40), 1);
    ask(&mut scheduler, &prompt(3, 4000), 1);
    scheduler.turn();
    assert_eq!(short.tokens().len(), 1, "the newcomer is first");
    for _ in 0..6 {
        scheduler.turn();
    }
    let readers: Vec<usize> = scheduler.model.steps[2..].iter().map(|step| step[0].0).collect();
    assert!(readers.windows(2).all(|pair| pair[0] != pair[1]), "{readers:?}");
    finish(&mut scheduler);
}

#[test]
fn whoever_is_cancelled_is_gone_at_the_next_turn_wherever_it_was() {
    let mut scheduler = script(2, 8, 1000, BULK);
    let answering = ask(&mut scheduler, &prompt(1, 20), 100);
    scheduler.turn();
    let reading = ask(&mut scheduler, &prompt(2, 4000), 100);
    let queued = ask(&mut scheduler, &prompt(3, 20), 100);
    scheduler.turn();
    assert_eq!((scheduler.running.len(), scheduler.waiting.len()), (2, 1));
    queued.cancel();
    scheduler.turn();
    assert_eq!((scheduler.running.len(), scheduler.waiting.len()), (2, 0));
    reading.cancel();
    answering.cancel();
    scheduler.turn();
    assert!(scheduler.is_idle());
    assert!(queued.tokens().is_empty() && reading.tokens().is_empty());
    check(&scheduler);
}

#[test]
fn a_step_for_one_request_ends_when_it_is_cancelled() {
    let mut scheduler = script(2, 8, 1000, BULK);
    let asked = ask(&mut scheduler, &prompt(1, 400), 1);
    scheduler.admit();
    asked.cancel();
    let pieces = scheduler.pieces();
    scheduler.step(&pieces);
    assert_eq!(scheduler.running[0].fed, 0, "the step was stopped");
    finish(&mut scheduler);
}

#[test]
fn a_model_with_one_way_reads_as_many_rows_at_once_and_keeps_answers_as_they_are() {
    let mut scheduler = script(2, 1, 2000, usize::MAX);
    let asked = ask(&mut scheduler, &prompt(1, ALONE + 20), 10);
    finish(&mut scheduler);
    assert_eq!(scheduler.model.steps[0][0].2, ALONE + 20);
    let next = [&prompt(1, ALONE + 20), &asked.tokens()[..], &prompt(2, 8)].concat();
    let steps = scheduler.model.steps.len();
    let asked = ask(&mut scheduler, &next, 1);
    finish(&mut scheduler);
    // The answer's last token was chosen and not read.
    assert_eq!(asked.taken_over(), Some(ALONE + 20 + 9));
    assert_eq!(scheduler.model.steps.len() - steps, 1);
    assert_eq!(asked.tokens(), answer(&next, 1, usize::MAX));
}

#[test]
fn a_model_without_prefixes_shares_and_keeps_nothing() {
    let mut scheduler = script(2, 1, 2000, usize::MAX);
    scheduler.shape.prefixes = false;
    for _ in 0..2 {
        let both = [3, 4].map(|limit| ask(&mut scheduler, &prompt(1, 600), limit));
        finish(&mut scheduler);
        assert!(both.iter().all(|asked| asked.taken_over() == Some(0)));
        assert_eq!(both[1].tokens(), answer(&prompt(1, 600), 4, usize::MAX));
        assert_eq!(scheduler.model.pages_taken(), 0);
    }
}

#[test]
fn the_longest_common_beginning_wins() {
    let mut scheduler = script(2, 8, 1000, BULK);
    let common = prompt(1, 300);
    let with = |length: usize, seed| [&common[..length], &prompt(seed, 50)].concat();
    for (length, seed) in [(100, 2), (300, 3), (200, 4)] {
        ask(&mut scheduler, &with(length, seed), 3);
        finish(&mut scheduler);
    }
    let before = read(&scheduler);
    let asked = ask(&mut scheduler, &with(300, 5), 3);
    finish(&mut scheduler);
    assert_eq!(read(&scheduler) - before, 50);
    assert_eq!(asked.taken_over(), Some(300));
    assert_eq!(asked.tokens(), answer(&with(300, 5), 3, BULK));
}

#[test]
fn requests_that_run_at_once_read_what_they_share_once() {
    let mut scheduler = script(8, 32, 1000, BULK);
    let common = prompt(1, 640);
    let asked: Vec<(Vec<u32>, Asked)> = (2..10)
        .map(|seed| {
            let prompt = [&common[..], &prompt(seed, 20)].concat();
            let asked = ask(&mut scheduler, &prompt, 3);
            (prompt, asked)
        })
        .collect();
    finish(&mut scheduler);
    let once = 640 + 8 * 20;
    let rows = read(&scheduler);
    assert!(rows < once + once / 4, "{rows} rows were read, {once} are needed");
    for (prompt, asked) in asked {
        assert_eq!(asked.tokens(), answer(&prompt, 3, BULK));
    }
}

#[test]
fn a_conversation_goes_on_where_it_was_once_there_was_time_to_rest() {
    let mut scheduler = script(2, 8, 1000, BULK);
    let mut conversation = prompt(1, 100);
    for turn in 2..6 {
        let asked = ask(&mut scheduler, &conversation, 90);
        finish(&mut scheduler);
        assert_eq!(asked.tokens(), answer(&conversation, 90, BULK));
        while scheduler.rest(&|| false) {
            check(&scheduler);
        }
        conversation.extend(asked.tokens());
        conversation.extend(prompt(turn, 30));
        let before = read(&scheduler);
        let next = ask(&mut scheduler, &conversation, 1);
        finish(&mut scheduler);
        assert_eq!(next.tokens(), answer(&conversation, 1, BULK));
        // The message, and the answer's last token, which nobody fed.
        assert_eq!(read(&scheduler) - before, 31);
    }
}

#[test]
fn a_rest_that_is_called_off_costs_nothing_but_its_piece() {
    let mut scheduler = script(2, 8, 1000, BULK);
    ask(&mut scheduler, &prompt(1, 20), 90);
    finish(&mut scheduler);
    assert!(scheduler.rest(&|| true));
    assert_eq!(scheduler.kept.iter().map(|kept| kept.read).sum::<usize>(), 20);
    assert!(scheduler.rest(&|| false));
    assert_eq!(
        scheduler.kept.iter().map(|kept| kept.read).sum::<usize>(),
        20 + BESIDE
    );
}

#[test]
fn the_very_same_prompt_is_not_read_again() {
    for bulk in [BULK, usize::MAX] {
        let mut scheduler = script(4, 8, 1000, bulk);
        ask(&mut scheduler, &prompt(1, 40), 5);
        finish(&mut scheduler);
        let steps = scheduler.model.steps.len();
        let again = ask(&mut scheduler, &prompt(1, 40), 1);
        finish(&mut scheduler);
        assert_eq!(scheduler.model.steps.len(), steps, "one token needs no step");
        assert_eq!(again.taken_over(), Some(40));
        // Of those who ask the same at once, one reads.
        let three: Vec<Asked> = (0..3).map(|_| ask(&mut scheduler, &prompt(2, 30), 4)).collect();
        finish(&mut scheduler);
        let rows = scheduler.model.steps[steps..].iter().flatten().map(|run| run.2);
        assert_eq!(rows.filter(|&rows| rows > 1).sum::<usize>(), 30);
        for asked in &three {
            assert_eq!(asked.tokens(), answer(&prompt(2, 30), 4, bulk));
        }
        // One token more, or less, is another prompt.
        for length in [29, 31] {
            let other = ask(&mut scheduler, &prompt(2, length), 2);
            finish(&mut scheduler);
            assert_eq!(other.tokens(), answer(&prompt(2, length), 2, bulk));
        }
    }
}

#[test]
fn a_model_with_one_way_keeps_answers_as_they_are() {
    let mut scheduler = script(2, 8, 1000, usize::MAX);
    let first = ask(&mut scheduler, &prompt(1, 20), 50);
    finish(&mut scheduler);
    assert!(!scheduler.rest(&|| false));
    let rows = |scheduler: &Scheduler<Script>| {
        let runs = scheduler.model.steps.iter().flatten();
        runs.map(|run| run.2).sum::<usize>()
    };
    let before = rows(&scheduler);
    let next = [prompt(1, 20), first.tokens(), prompt(2, 10)].concat();
    let asked = ask(&mut scheduler, &next, 1);
    finish(&mut scheduler);
    assert_eq!(rows(&scheduler) - before, 11);
    assert_eq!(asked.tokens(), answer(&next, 1, usize::MAX));
}

#[test]
fn who_is_let_in_finds_room_for_what_it_is_about_to_need() {
    // 100 pages of 8: the first claims 100 + 256 tokens, so a third does not fit.
    let mut scheduler = script(8, 8, 100, BULK);
    for seed in 1..4 {
        ask(&mut scheduler, &prompt(seed, 100), 500);
    }
    scheduler.turn();
    assert_eq!((scheduler.running.len(), scheduler.waiting.len()), (2, 1));
    // Short answers claim what they are.
    let mut scheduler = script(8, 8, 100, BULK);
    for seed in 1..8 {
        ask(&mut scheduler, &prompt(seed, 100), 4);
    }
    scheduler.turn();
    assert_eq!((scheduler.running.len(), scheduler.waiting.len()), (7, 0));
}

#[test]
fn when_memory_runs_out_the_last_gives_way_and_both_answers_are_whole() {
    let mut scheduler = script(8, 8, 100, BULK);
    let (a, b) = (prompt(1, 100), prompt(2, 100));
    let (first, second) = (ask(&mut scheduler, &a, 600), ask(&mut scheduler, &b, 600));
    let mut gave_way = false;
    while !scheduler.is_idle() {
        scheduler.turn();
        gave_way |= scheduler.running.len() == 1 && !scheduler.waiting.is_empty();
        check(&scheduler);
    }
    assert!(gave_way);
    assert_eq!(first.tokens(), answer(&a, 600, BULK));
    assert_eq!(second.tokens(), answer(&b, 600, BULK));
}

#[test]
fn what_is_kept_makes_room_the_longest_unused_first() {
    // Room for four prompts of 96 tokens and their answers.
    let mut scheduler = script(1, 8, 60, BULK);
    for seed in [1, 2, 3, 4, 1, 5, 6] {
        ask(&mut scheduler, &prompt(seed, 96), 1);
        finish(&mut scheduler);
    }
    let mut kept: Vec<&[u32]> = scheduler
        .kept
        .iter()
        .map(|kept| &kept.tokens[..kept.read])
        .collect();
    let expected: Vec<Vec<u32>> = [4, 1, 5, 6].map(|seed| prompt(seed, 96)).to_vec();
    kept.reverse();
    assert!(
        kept.iter()
            .zip(expected.iter().rev())
            .all(|(kept, expected)| kept == expected)
    );
}

#[test]
fn what_is_kept_takes_no_more_than_is_to_be_kept() {
    let mut scheduler = script(2, 8, 1000, BULK);
    scheduler.keep = 30;
    for seed in 1..6 {
        // 13 pages with its answer, of which 12 are kept.
        ask(&mut scheduler, &prompt(seed, 96), 2);
        finish(&mut scheduler);
        assert!(scheduler.model.pages_taken() <= 30);
    }
    assert_eq!(scheduler.kept.len(), 2);
    let large = ask(&mut scheduler, &prompt(9, 2000), 3);
    finish(&mut scheduler);
    assert_eq!(large.tokens(), answer(&prompt(9, 2000), 3, BULK));
    assert_eq!(scheduler.model.pages_taken(), 0, "more than is to be kept");
}

#[test]
fn a_step_that_fails_ends_those_in_it_and_no_other() {
    let mut scheduler = script(1, 8, 1000, BULK);
    let failing = ask(&mut scheduler, &prompt(1, 20), 5);
    let waiting = ask(&mut scheduler, &prompt(2, 20), 5);
    scheduler.model.fails = Some(2);
    finish(&mut scheduler);
    assert!(failing.failed.load(Ordering::Relaxed) && !waiting.failed.load(Ordering::Relaxed));
    assert_eq!(waiting.tokens(), answer(&prompt(2, 20), 5, BULK));
}

#[test]
fn a_thousand_requests_leave_nothing_behind() {
    let mut scheduler = script(8, 8, 150, BULK);
    let mut random = 1_u64;
    let mut draw = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut open: Vec<(Vec<u32>, usize, Asked)> = Vec::new();
    let (mut asked, mut whole) = (0, 0);
    while asked < 1000 || !scheduler.is_idle() {
        if asked < 1000 && draw(4) == 0 {
            let prompt = prompt(draw(40) as u32, 1 + draw(600) as usize);
            let limit = 1 + draw(300) as usize;
            open.push((prompt.clone(), limit, ask(&mut scheduler, &prompt, limit)));
            asked += 1;
        }
        if !open.is_empty() && draw(24) == 0 {
            let index = draw(open.len() as u64) as usize;
            open.swap_remove(index).2.cancel();
        }
        scheduler.turn();
        if scheduler.is_idle() && draw(2) == 0 {
            scheduler.rest(&|| false);
        }
        if draw(16) == 0 {
            check(&scheduler);
        }
        scheduler.model.steps.clear();
        open.retain(|(prompt, limit, asked)| {
            let done = asked.tokens().len() == *limit;
            if done {
                assert_eq!(asked.tokens(), answer(prompt, *limit, BULK));
                whole += 1;
            }
            !done
        });
    }
    check(&scheduler);
    assert!(open.is_empty());
    assert!(whole > 100, "{whole} were not cancelled");
}

#[test]
fn what_is_certain_is_read_in_one_step_beside_the_others() {
    let mut scheduler = script(2, 8, 1000, BULK);
    let other = ask(&mut scheduler, &prompt(1, 20), 40);
    let asked = ask_with(|_| 7, &mut scheduler, &prompt(2, 20), 40);
    finish(&mut scheduler);
    assert_eq!(other.tokens(), answer(&prompt(1, 20), 40, BULK));
    assert_eq!(asked.tokens(), answer_with(|_| 7, &prompt(2, 20), 40, BULK));
    let steps = scheduler.model.steps.iter();
    let rows: Vec<usize> = steps.flatten().filter(|run| !run.3).map(|run| run.2).collect();
    assert_eq!(
        rows.iter().filter(|&&rows| rows == 8).count(),
        4,
        "8 tokens a step, the last 8 are not read"
    );
    assert!(rows.iter().all(|rows| [1, 8].contains(rows)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever runs beside it, whatever is kept, and however little memory there is: the same answer.
    #[test]
    fn an_answer_depends_on_its_request_alone(
        requests in prop::collection::vec(
            (0_usize..60, 0_u32..3, 0_usize..70, 1_usize..60, 0_usize..8, any::<bool>()),
            1..12,
        ),
        streams in 1_usize..5,
        page in 1_usize..20,
        spare in 0_usize..30,
        one_way: bool,
    ) {
        let bulk = if one_way { usize::MAX } else { BULK };
        let largest = requests.iter().map(|r| r.0 + r.2 + 1 + r.3).max().unwrap_or(1);
        let mut scheduler = script(streams, page, largest.div_ceil(page) + spare, bulk);
        let mut open = Vec::new();
        for (shared, seed, own, limit, turns, is_some_certain) in requests {
            let prompt = [prompt(7, shared), prompt(seed, own + 1)].concat();
            let certain = if is_some_certain { some } else { |_| 0 };
            open.push((ask_with(certain, &mut scheduler, &prompt, limit), prompt, limit, certain));
            for _ in 0..turns {
                scheduler.turn();
                check(&scheduler);
                if scheduler.is_idle() {
                    scheduler.rest(&|| false);
                }
            }
        }
        finish(&mut scheduler);
        for (asked, prompt, limit, certain) in open {
            prop_assert_eq!(asked.tokens(), answer_with(certain, &prompt, limit, bulk));
        }
    }
}
