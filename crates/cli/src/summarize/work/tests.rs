//! Tests of several summaries at once: their order, their keys, and the limits of what is asked.

use std::sync::Arc;

use super::*;
use crate::args::SummaryStyle;

fn work(texts: &[(&str, &str)], part: usize) -> Work {
    let is_one = texts.len() == 1;
    Work::new(Plan {
        texts: texts
            .iter()
            .map(|(name, text)| {
                (
                    (!is_one).then(|| (*name).to_owned()),
                    Text::of_file((*text).to_owned()),
                )
            })
            .collect(),
        wish: Wish {
            style: SummaryStyle::Bullets,
            words: None,
            lang: None,
            focus: None,
        },
        budget: Budget {
            part,
            note: 4,
            note_words: 10,
            note_limit: Some(4),
            summary_limit: Some(99),
        },
        tokens: Arc::new(|text: &str| text.split_whitespace().count()),
        base: ChatRequest {
            stop: vec!["END".to_owned()],
            ..ChatRequest::default()
        },
        answerer: json!(["e", "m"]),
    })
    .unwrap()
}

const LONG: &str = "one two three four five.\n\nsix seven eight nine ten.";

#[test]
fn notes_and_summaries_have_limits_of_their_own() {
    let mut work = work(&[("a", LONG)], 6);
    let first = work.next().unwrap();
    let second = work.next().unwrap();
    assert!(work.next().is_none());
    assert_eq!(first.name, "part 1 of 2");
    assert_eq!((first.request.max_tokens, first.request.stop.len()), (Some(4), 0));
    assert!(
        first.request.messages[0]
            .plain_text()
            .contains("one two three four five.")
    );
    assert_ne!(first.key, second.key);
    // In whatever order they come.
    work.done(&second, "late", true, Some((5, 1))).unwrap();
    work.done(&first, "early", false, None).unwrap();
    let last = work.next().unwrap();
    assert_eq!(
        (last.name.as_str(), last.request.max_tokens),
        ("the summary", Some(99))
    );
    assert_eq!(last.request.stop, ["END"]);
    assert!(last.request.messages[0].plain_text().contains("early\n\nlate"));
    assert_eq!(work.text(last.digest, "- a"), "- a");
    assert!(!work.is_over());
    work.done(&last, "- a", false, Some((2, 2))).unwrap();
    assert!(work.is_over());
    assert_eq!(
        (work.verdict, work.cut.as_slice()),
        (Verdict::Complete, &["part 2 of 2".to_owned()][..])
    );
    let pace = work.pace([].into_iter());
    assert_eq!(
        (pace.done, pace.known, pace.read, pace.written, pace.ahead),
        (3, 3, 7, 3, 0)
    );
}

#[test]
fn summaries_are_shown_in_their_order_whatever_comes_first() {
    let mut work = work(&[("a.txt", "one"), ("b.txt", "two"), ("c.txt", "three")], 6);
    let jobs: Vec<Job> = std::iter::from_fn(|| work.next()).collect();
    assert_eq!(jobs[1].name, "b.txt: the summary");
    let mut shown = String::new();
    shown += &work.text(jobs[2].digest, "third");
    shown += &work.done(&jobs[2], "third", false, None).unwrap();
    shown += &work.text(jobs[1].digest, "sec");
    assert_eq!(shown, "");
    shown += &work.text(jobs[0].digest, "fir");
    assert_eq!(shown, "# a.txt\n\nfir");
    shown += &work.text(jobs[0].digest, "st");
    shown += &work.done(&jobs[0], "first", true, None).unwrap();
    assert_eq!(shown, "# a.txt\n\nfirst\n\n# b.txt\n\nsec");
    shown += &work.text(jobs[1].digest, "ond");
    shown += &work.done(&jobs[1], "second", false, None).unwrap();
    assert_eq!(shown, "# a.txt\n\nfirst\n\n# b.txt\n\nsecond\n\n# c.txt\n\nthird");
    assert!(work.is_over());
    assert_eq!(work.verdict, Verdict::Length);
}

#[test]
fn a_key_depends_on_everything_that_is_asked_and_on_nothing_around_it() {
    let key = |text: &str, change: fn(&mut Plan)| {
        let mut work = work(&[("a", text)], 6);
        change(&mut work.plan);
        work.next().unwrap().key
    };
    let same = key(LONG, |_| {});
    // What stands behind the part is no part of it.
    let longer = format!("{LONG}\n\neleven twelve thirteen fourteen fifteen.");
    assert_eq!(key(&longer, |_| {}), same);
    let changes: [fn(&mut Plan); 5] = [
        |plan| plan.answerer = json!(["e", "n"]),
        |plan| plan.base.seed = Some(1),
        |plan| plan.base.temperature = Some(0.5),
        |plan| plan.wish.focus = Some("ships".to_owned()),
        |plan| plan.budget.note_limit = Some(5),
    ];
    for change in changes {
        assert_ne!(key(LONG, change), same);
    }
    assert_ne!(
        key("one two three four fife.\n\nsix seven eight nine ten.", |_| {}),
        same
    );
}

#[test]
fn what_is_asked_again_has_another_seed() {
    let mut work = work(&[("a", "one")], 6);
    let job = work.next().unwrap();
    let again = work.again(&job);
    assert_eq!(
        (again.attempt, again.request.seed, again.key == job.key),
        (1, Some(1), true)
    );
    assert_ne!(again.id, job.id);
}
