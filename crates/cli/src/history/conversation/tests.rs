//! Conversations as they are said, answered, taken back and gone on with, in memory and in the file.

use std::time::Instant;

use aurora_chat::{Failure, FailureKind, Fault, FinishReason, Usage, Verdict};

use super::*;
use crate::history::store::Store;
use crate::history::tests::Folder;
use crate::history::{History, schema};

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn complete() -> Update {
    Update::End(End {
        verdict: Verdict::Complete,
        finish_reason: Some(FinishReason::Stop),
        failure: None,
    })
}

fn who() -> Answerer {
    Answerer {
        endpoint: "e".into(),
        model: "m".into(),
    }
}

fn feed(recorder: &mut Recorder, updates: impl IntoIterator<Item = Update>) {
    for (n, update) in (1..).zip(updates) {
        recorder.update(Duration::from_millis(10 * n), &update);
    }
}

fn history(folder: &Folder) -> History {
    History {
        folder: Some(folder.path().to_owned()),
        keep: true,
    }
}

/// What is in the file of the latest conversation.
fn kept(folder: &Folder) -> Vec<Entry> {
    let store = Store::open(folder.path()).unwrap();
    store.messages(&store.find(None).unwrap()).unwrap()
}

/// Waits until this holds; the log has its own pace.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_conversation_is_read_as_it_was_held() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    conversation.set_system(Some("Be brief."));
    conversation.say(user("Why is\nthe sky blue?"));
    let mut recorder = conversation.answer(who());
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 2,
        ..Usage::default()
    };
    let thought = Update::Delta(Delta::Reasoning("hm".into()));
    feed(
        &mut recorder,
        [
            thought,
            text("Ray"),
            text("leigh"),
            Update::Delta(Delta::Usage(usage)),
            complete(),
        ],
    );
    drop(recorder);
    let answer = conversation.settle().unwrap().clone();
    assert_eq!(
        (answer.message.plain_text().as_ref(), answer.reasoning.as_str()),
        ("Rayleigh", "hm")
    );
    let ending = answer.answer.as_ref().unwrap().ending.as_ref().unwrap();
    assert_eq!(
        (ending.verdict.as_str(), ending.first, ending.usage),
        ("complete", Some(Duration::from_millis(10)), Some(usage))
    );
    assert_eq!(conversation.settle(), None);
    conversation.say(user("and then?"));
    feed(&mut conversation.answer(who()), [text("Night."), complete()]);
    conversation.settle();
    assert_eq!(conversation.messages().len(), 5);

    let (id, entries) = (conversation.id().unwrap(), conversation.entries().to_vec());
    assert_eq!(conversation.close(), None);
    assert_eq!(kept(&folder), entries);
    let again = history(&folder).resume(Some(&id)).unwrap();
    assert_eq!(
        (again.entries(), again.title(), again.answerer()),
        (&entries[..], "Why is", &who())
    );
}

#[test]
fn an_answer_is_in_the_file_while_it_comes_and_a_killed_one_says_that_it_is_partial() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    conversation.say(user("hi"));
    let mut recorder = conversation.answer(who());
    feed(&mut recorder, [text("par")]);
    eventually("the first delta is kept", || {
        schema::path(folder.path()).exists()
            && Store::open(folder.path()).unwrap().list(1).unwrap().len() == 1
            && kept(&folder)
                .last()
                .is_some_and(|entry| entry.message.plain_text() == "par")
    });
    feed(&mut recorder, [text("tial")]);
    eventually("the next one too, without an end", || {
        kept(&folder)
            .last()
            .is_some_and(|entry| entry.message.plain_text() == "partial")
    });
    let last = kept(&folder).pop().unwrap();
    assert!(last.is_partial() && last.answer.unwrap().ending.is_none());
    // While it is written nobody else may go on with it; afterwards everybody may.
    assert!(history(&folder).resume(None).unwrap().is_answered_elsewhere());
    drop(recorder);
    eventually("a recorder that is dropped cancels", || {
        kept(&folder).last().unwrap().answer.as_ref().unwrap().verdict() == Some("cancelled")
    });
    assert!(!history(&folder).resume(None).unwrap().is_answered_elsewhere());
    assert_eq!(conversation.close(), None);
}

#[test]
fn a_partial_answer_is_gone_on_with_as_one_message_that_knows_its_seam() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    conversation.say(user("hi"));
    feed(&mut conversation.answer(who()), [text("The quick br")]);
    conversation.close();
    let mut conversation = history(&folder).resume(None).unwrap();
    let mut recorder = conversation.go_on(Manner::Prefix).unwrap();
    feed(&mut recorder, [text("own fox"), complete()]);
    conversation.settle();
    let entries = conversation.entries().to_vec();
    conversation.close();
    let answer = entries[1].answer.as_ref().unwrap();
    assert_eq!(
        answer.seams,
        [Seam {
            at: 12,
            how: Manner::Prefix
        }]
    );
    assert_eq!(
        (entries[1].message.plain_text().as_ref(), answer.verdict()),
        ("The quick brown fox", Some("complete"))
    );
    assert_eq!(kept(&folder), entries);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(
        store.search(&["brown".into()], 9).unwrap().len(),
        1,
        "found across the seam"
    );
    assert!(history(&folder).begin().go_on(Manner::Asked).is_none());
}

#[test]
fn what_is_taken_back_is_gone_in_both_places() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    for (prompt, answer) in [("one", "1"), ("two", "2"), ("three", "3")] {
        conversation.say(user(prompt));
        feed(&mut conversation.answer(who()), [text(answer), complete()]);
        conversation.settle();
    }
    assert_eq!(conversation.undo(), Some(user("three")));
    // Also an answer that is on its way, with its recorder still fed.
    conversation.say(user("four"));
    let mut recorder = conversation.answer(who());
    feed(&mut recorder, [text("nev")]);
    assert_eq!(conversation.undo(), Some(user("four")));
    feed(&mut recorder, [text("er"), complete()]);
    assert_eq!(conversation.settle(), None);
    conversation.say(user("five"));
    conversation.set_system(Some("Shout."));
    conversation.set_system(Some("Whisper."));
    let texts = |entries: &[Entry]| -> Vec<String> {
        entries
            .iter()
            .map(|entry| entry.message.plain_text().into_owned())
            .collect()
    };
    let expected = ["Whisper.", "one", "1", "two", "2", "five"];
    assert_eq!(texts(conversation.entries()), expected);
    conversation.close();
    assert_eq!(texts(&kept(&folder)), expected);
    let mut again = history(&folder).resume(None).unwrap();
    assert_eq!(again.title(), "one");
    again.set_system(None);
    assert_eq!(again.undo(), Some(user("five")));
    again.close();
    assert_eq!(texts(&kept(&folder)), expected[1..5]);
}

#[test]
fn a_failure_is_kept_with_its_reason_and_left_out_of_the_next_request() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    conversation.say(user("hi"));
    let failure = Failure::new(FailureKind::Status, "HTTP status 401: no");
    feed(
        &mut conversation.answer(who()),
        [Update::End(End::failed(Fault::Caller, failure))],
    );
    conversation.settle();
    assert_eq!(conversation.messages(), [user("hi")]);
    conversation.close();
    let last = kept(&folder).pop().unwrap();
    assert!(last.message_is_empty());
    assert_eq!(
        last.answer.unwrap().remark().unwrap(),
        "failed: HTTP status 401: no"
    );
}

#[test]
fn two_write_at_once_and_both_are_whole() {
    let folder = Folder::new();
    let answer: Vec<String> = (0..200).map(|n| format!("{n} ")).collect();
    let write = |prompt: &str| {
        let mut conversation = history(&folder).begin();
        conversation.say(user(prompt));
        let mut recorder = conversation.answer(who());
        for piece in &answer {
            feed(&mut recorder, [text(piece)]);
            std::thread::sleep(Duration::from_millis(1));
        }
        feed(&mut recorder, [complete()]);
        (conversation.id().unwrap(), conversation.close())
    };
    let ids: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|n| scope.spawn(move || write(&format!("prompt {n}"))))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let store = Store::open(folder.path()).unwrap();
    for (id, trouble) in ids {
        assert_eq!(trouble, None);
        let entries = store.messages(&store.find(Some(&id)).unwrap()).unwrap();
        assert_eq!(entries[1].message.plain_text(), answer.concat());
    }
}

#[test]
fn a_file_that_cannot_be_had_is_told_once_and_costs_nothing_else() {
    let folder = Folder::new();
    std::fs::write(
        schema::path(folder.path()),
        "this is no database, and has to stay as it is".repeat(50),
    )
    .unwrap();
    let mut conversation = history(&folder).begin();
    conversation.say(user("hi"));
    feed(&mut conversation.answer(who()), [text("an answer"), complete()]);
    assert_eq!(conversation.settle().unwrap().message.plain_text(), "an answer");
    eventually("it is told", || {
        conversation
            .trouble()
            .is_some_and(|trouble| trouble.contains("not kept"))
    });
    assert_eq!(conversation.close(), None, "once");
}

#[test]
fn a_file_that_is_locked_holds_up_nobody_and_is_written_when_it_is_free() {
    let folder = Folder::new();
    history(&folder).begin().close();
    let lock = rusqlite::Connection::open(schema::path(folder.path())).unwrap();
    drop(Store::open(folder.path()).unwrap());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut conversation = history(&folder).begin();
    let begun = Instant::now();
    conversation.say(user("hi"));
    feed(&mut conversation.answer(who()), [text("an answer"), complete()]);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "saying waits for no lock"
    );
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(conversation.close(), None);
    assert_eq!(kept(&folder).len(), 2);
}

#[test]
fn what_is_not_kept_is_in_memory_all_the_same() {
    let folder = Folder::new();
    let off = History {
        keep: false,
        ..history(&folder)
    };
    let mut conversation = off.begin();
    conversation.say(user("hi"));
    feed(&mut conversation.answer(who()), [text("yes"), complete()]);
    conversation.settle();
    assert_eq!((conversation.messages().len(), conversation.id()), (2, None));
    assert_eq!(conversation.close(), None);
    assert!(!schema::path(folder.path()).exists());
}

/// Thousands of small pieces cost what they weigh: ten times as many, ten times as much.
#[test]
fn a_long_answer_is_not_written_again_and_again() {
    let folder = Folder::new();
    let piece = "0123456789abcdef".repeat(64);
    let mut conversation = history(&folder).begin();
    conversation.say(user("hi"));
    let mut recorder = conversation.answer(who());
    for _ in 0..8 << 10 {
        feed(&mut recorder, [text(&piece)]);
    }
    feed(&mut recorder, [complete()]);
    assert_eq!(conversation.close(), None);
    assert_eq!(kept(&folder)[1].message.plain_text().len(), 8 << 20);
}

#[test]
fn a_conversation_that_is_removed_while_it_is_answered_is_not_kept_from_there_on() {
    let folder = Folder::new();
    let mut conversation = history(&folder).begin();
    conversation.say(user("one"));
    let mut recorder = conversation.answer(who());
    feed(&mut recorder, [text("first")]);
    eventually("it is kept", || {
        let store = Store::open(folder.path()).unwrap();
        store
            .find(None)
            .is_ok_and(|found| store.messages(&found).unwrap().len() == 2)
    });
    let mut store = Store::open(folder.path()).unwrap();
    let heading = store.find(None).unwrap();
    store.remove(&[heading]).unwrap();
    feed(&mut recorder, [text("second"), complete()]);
    let trouble = conversation.close().unwrap();
    assert_eq!(
        trouble,
        "this conversation is not kept from here on: the conversation was removed meanwhile"
    );
    assert_eq!(store.list(9).unwrap(), []);
}
