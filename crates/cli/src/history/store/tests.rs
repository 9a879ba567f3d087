//! Reading what was kept.

use aurora_chat::{Delta, End, Update, Verdict};
use std::time::Duration;

use super::*;
use crate::history::Conversation;
use crate::history::tests::Folder;

/// Keeps a conversation of one prompt and its answer; returns its id.
fn keep(folder: &Folder, prompt: &str, answer: &str) -> String {
    let mut conversation = Conversation::new(Some(folder.path()));
    conversation.say(Message::text(Role::User, prompt));
    let mut recorder = conversation.answer(Answerer::default());
    recorder.update(Duration::ZERO, &Update::Delta(Delta::Text(answer.to_owned())));
    let end = End {
        verdict: Verdict::Complete,
        finish_reason: None,
        failure: None,
    };
    recorder.update(Duration::ZERO, &Update::End(end));
    let id = conversation.id().unwrap();
    assert_eq!(conversation.close(), None);
    id
}

fn found(folder: &Folder, terms: &[&str]) -> Vec<String> {
    let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
    let hits = Store::open(folder.path()).unwrap().search(&terms, 100).unwrap();
    hits.into_iter()
        .map(|hit| hit.snippet.replace(MATCH.0, "[").replace(MATCH.1, "]"))
        .collect()
}

#[test]
fn words_beginnings_and_two_chinese_characters_are_found_and_marked() {
    let folder = Folder::new();
    keep(&folder, "What is a Database?", "A naïve store of records.");
    keep(&folder, "数据库是什么？", "它是一个存储数据的系统。GPT模型");
    for (terms, expected) in [
        (&["database"][..], &["What is a [Database]?"][..]),
        (&["data"], &["What is a [Database]?"]),
        (&["base"], &[]),
        (&["NAIVE"], &["A [naïve] store of records."]),
        (&["store records"], &["A naïve [store] of [records]."]),
        (&["store", "what"], &[]),
        (
            &["数据"],
            &["[数据]库是什么？", "它是一个存储[数据]的系统。GPT模型"],
        ),
        (&["据库"], &["数[据库]是什么？"]),
        (&["库"], &["数据[库]是什么？"]),
        (&["据数"], &[]),
        (&["gpt模"], &["它是一个存储数据的系统。[GPT模]型"]),
        (&["nothing"], &[]),
    ] {
        assert_eq!(found(&folder, terms), expected, "{terms:?}");
    }
    let mut store = Store::open(folder.path()).unwrap();
    assert!(matches!(store.search(&["?!".into()], 9), Err(Error::NoWord)));
    assert_eq!(store.search(&["数据".into()], 1).unwrap().len(), 1);
    let hit = store.search(&["存储".into()], 9).unwrap().remove(0);
    assert_eq!(
        (hit.place, hit.role, hit.heading.title.as_str()),
        (1, Role::Assistant, "数据库是什么？")
    );
}

#[test]
fn what_looks_like_a_query_is_only_words() {
    let folder = Folder::new();
    keep(&folder, "say \"hello\" AND (bye) OR text:x NEAR y* -z", "ok");
    for words in [
        "\"hello\"",
        "AND",
        "(bye)",
        "text:x",
        "y*",
        "-z",
        "NEAR",
        "bye\" OR \"nothing",
    ] {
        let expected = usize::from(words != "bye\" OR \"nothing");
        assert_eq!(found(&folder, &[words]).len(), expected, "{words}");
    }
}

#[test]
fn ids_are_found_by_their_beginnings_as_long_as_one_has_it() {
    let folder = Folder::new();
    assert!(Store::open_existing(folder.path()).unwrap().is_none());
    let first = keep(&folder, "one", "1");
    std::thread::sleep(Duration::from_millis(5));
    let second = keep(&folder, "two", "2");
    let store = Store::open_existing(folder.path()).unwrap().unwrap();
    assert_eq!(store.find(None).unwrap().id, second, "the latest");
    assert_eq!(store.find(Some(&first.to_uppercase())).unwrap().title, "one");
    assert!(matches!(store.find(Some("")), Err(Error::Unknown(_))));
    assert!(matches!(store.find(Some("%")), Err(Error::Unknown(_))));
    let shared = first
        .chars()
        .zip(second.chars())
        .take_while(|(a, b)| a == b)
        .count();
    assert_eq!(store.find(Some(&first[..shared + 1])).unwrap().id, first);
    let rename = |id: &str, to: &str| {
        store
            .connection
            .execute("UPDATE conversations SET id = ?2 WHERE id = ?1", [id, to])
            .unwrap()
    };
    rename(&first, "abc");
    rename(&second, "abcdef");
    assert_eq!(store.find(Some("abc")).unwrap().title, "one", "a whole id is one");
    let error = store.find(Some("ab")).unwrap_err();
    assert!(
        matches!(&error, Error::Ambiguous { ids, .. } if ids.len() == 2),
        "{error}"
    );
}

#[test]
fn what_is_removed_is_found_no_more_not_even_in_the_bytes() {
    let folder = Folder::new();
    let id = keep(&folder, "the password is xyzzyplugh", "I forget it: xyzzyplugh");
    keep(&folder, "something else", "yes");
    let large = keep(&folder, "a lot", &"of text ".repeat(100_000));
    let size = || std::fs::metadata(schema::path(folder.path())).unwrap().len();
    let mut store = Store::open(folder.path()).unwrap();
    let heading = store.find(Some(&id)).unwrap();
    assert!(store.remove(&[heading]).unwrap().is_none());
    let before = size();
    let heading = store.find(Some(&large)).unwrap();
    assert!(store.remove(&[heading]).unwrap().is_none());
    assert!(
        size() < before / 4,
        "the space is given back: {} of {before}",
        size()
    );
    assert!(store.search(&["xyzzyplugh".into()], 9).unwrap().is_empty());
    assert_eq!(store.list(9).unwrap().len(), 1);
    drop(store);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let secret = bytes.windows(10).any(|window| window == b"xyzzyplugh");
            assert!(!secret, "{}", path.display());
        }
    }
}

#[test]
fn all_is_erased_unless_somebody_has_it_open() {
    let folder = Folder::new();
    keep(&folder, "one", "1");
    let other = Store::open(folder.path()).unwrap();
    assert_eq!(other.list(9).unwrap().len(), 1);
    let error = Store::erase(folder.path()).unwrap_err();
    assert!(error.is_busy() && !error.is_full(), "{error}");
    assert_eq!(other.list(9).unwrap().len(), 1);
    drop(other);
    Store::erase(folder.path()).unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(
        left.filter(|entry| entry.as_ref().unwrap().path().is_file())
            .count(),
        0
    );
    keep(&folder, "two", "2");
    assert_eq!(Store::open(folder.path()).unwrap().list(9).unwrap().len(), 1);
}
