//! Outputs that are gone on with, mended, or left alone.

use std::fs;
use std::time::Duration;

use aurora_chat::{Failure, FailureKind};

use super::*;
use crate::batch::item::Bad;
use crate::batch::record::Told;

/// A file that goes with its value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("aurora-batch-out-{}-{name}", std::process::id())))
    }

    fn with(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let place = Self::new(name);
        fs::write(&place.0, bytes).unwrap();
        place
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn index(ids: &[&str]) -> Index {
    let mut index = Index::new();
    for id in ids {
        index.add(&Key::Text((*id).to_owned()), 5).unwrap();
    }
    index.seal();
    index
}

fn good(id: &str) -> String {
    format!(
        "{BEGINNING}1\",\"custom_id\":\"{id}\",\"response\":{{}},\"error\":null,\"verdict\":\"complete\",\"print\":\"5\"}}\n"
    )
}

fn failed(id: &str) -> String {
    let key = Key::Text(id.to_owned());
    let told = Told {
        unique: 1,
        key: &key,
        line: 1,
        print: 9,
        attempts: 1,
        before: Duration::ZERO,
    };
    let bad = Bad {
        kind: "http_status",
        failure: Failure::new(FailureKind::Status, "no").into(),
    };
    String::from_utf8(told.refused(&bad)).unwrap()
}

fn fate(index: &Index, id: &str) -> Fate {
    index.find(&Key::Text(id.to_owned()), 5).unwrap().fate
}

fn open(place: &Place, index: &mut Index) -> Result<(Output, Survey)> {
    let output = Output::open(&place.0)?;
    let survey = output.survey(Path::new("in"), index)?;
    Ok((output, survey))
}

#[test]
fn what_is_there_is_done_and_what_is_not_is_missing() {
    let place = Place::with("done", good("a") + &failed("b"));
    let mut index = index(&["a", "b", "c"]);
    let (_, survey) = open(&place, &mut index).unwrap();
    assert_eq!(
        ["a", "b", "c"].map(|id| fate(&index, id)),
        [Fate::Answered, Fate::Failed, Fate::Missing]
    );
    assert_eq!(survey.tally.to_string(), "1 complete, 1 failed (1 http_status)");
}

#[test]
fn a_last_line_is_mended_wherever_it_was_cut() {
    let whole = good("a");
    let torn = good("b");
    for cut in 1..torn.len() {
        let place = Place::with("torn", format!("{whole}{}", &torn[..cut]));
        let mut index = index(&["a", "b"]);
        let (mut output, mut survey) = open(&place, &mut index).unwrap();
        assert!(output.mend(&mut survey).unwrap().is_some());
        let is_whole = cut == torn.len() - 1;
        let expected = if is_whole {
            format!("{whole}{torn}")
        } else {
            whole.clone()
        };
        assert_eq!(place.text(), expected, "{cut}");
        assert_eq!(fate(&index, "b") == Fate::Answered, is_whole, "{cut}");
        let (_, end) = output.end().unwrap();
        assert_eq!(end, expected.len() as u64);
    }
    let zeros = Place::with("zeros", [whole.as_bytes(), &[0; 100]].concat());
    let (mut output, mut survey) = open(&zeros, &mut index(&["a"])).unwrap();
    output.mend(&mut survey).unwrap();
    assert_eq!(zeros.text(), whole);
}

#[test]
fn what_is_something_else_is_refused_and_left_as_it_is() {
    for (name, text, says) in [
        ("notes", "my notes\n".to_owned(), "line 1 is no result"),
        ("open", "my notes".to_owned(), "does not end with the result"),
        ("json", "{\"a\":1}\n".to_owned(), "line 1 is no result"),
        ("mixed", good("a") + "words\n" + &good("b"), "line 2 is no result"),
        ("twice", good("a") + &good("a"), "line 2 is a second result"),
        ("alien", good("a") + &good("z"), "belongs to another input"),
        (
            "changed",
            good("a").replace("\"5\"", "\"6\""),
            "belongs to another input",
        ),
    ] {
        let place = Place::with(name, &text);
        let problem = open(&place, &mut index(&["a", "b"])).unwrap_err();
        assert_eq!(problem.exit_code(), 2);
        assert!(problem.to_string().contains(says), "{name}: {problem}");
        assert_eq!(place.text(), text);
    }
}

#[test]
fn a_failed_item_may_have_changed_and_a_bad_line_been_mended() {
    let place = Place::with("mended", failed("a") + &failed("line-7"));
    let mut index = index(&["a"]);
    let (mut output, mut survey) = open(&place, &mut index).unwrap();
    assert_eq!(fate(&index, "a"), Fate::Failed);
    assert_eq!(output.forget_failed(&mut survey, &mut index).unwrap(), 2);
    assert_eq!(place.text(), "");
}

#[test]
fn failed_items_are_taken_out_in_one_step() {
    let place = Place::with("retry", failed("x") + &good("a") + &failed("y") + &good("b"));
    let mut index = index(&["a", "b", "x", "y"]);
    let (mut output, mut survey) = open(&place, &mut index).unwrap();
    assert_eq!(output.forget_failed(&mut survey, &mut index).unwrap(), 2);
    assert_eq!(place.text(), good("a") + &good("b"));
    assert_eq!(
        ["a", "x", "y"].map(|id| fate(&index, id)),
        [Fate::Answered, Fate::Missing, Fate::Missing]
    );
    assert_eq!((survey.tally.complete, survey.tally.failed()), (2, 0));
    // The new file is the one that is written and locked.
    assert!(Output::open(&place.0).is_err());
    let (mut file, end) = output.end().unwrap();
    file.write_all(good("x").as_bytes()).unwrap();
    assert_eq!(end, (good("a") + &good("b")).len() as u64);
    assert_eq!(place.text(), good("a") + &good("b") + &good("x"));
}

#[test]
fn one_at_a_time_writes_it() {
    let place = Place::new("lock");
    let first = Output::open(&place.0).unwrap();
    let problem = Output::open(&place.0).unwrap_err();
    assert!(
        problem.to_string().contains("is being written by another aurora"),
        "{problem}"
    );
    drop(first);
    let second = Output::open(&place.0).unwrap();
    assert_eq!(second.check_place(), Ok(()));
    second.discard();
    assert!(place.0.exists(), "it was there before");
    fs::remove_file(&place.0).unwrap();
    let third = Output::open(&place.0).unwrap();
    fs::remove_file(&place.0).unwrap();
    assert!(third.check_place().is_err());
    Output::open(&place.0).unwrap().discard();
    assert!(!place.0.exists());
}
