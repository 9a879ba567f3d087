//! What is read of an input, and what is refused.

use super::*;

fn input(name: &str, text: &str) -> Input {
    let path = std::env::temp_dir().join(format!("aurora-batch-in-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    let input = Input::open(&path, &std::env::temp_dir()).unwrap();
    // It is open, and needs its name no more.
    fs::remove_file(path).unwrap();
    input
}

#[test]
fn both_passes_see_the_same_items() {
    let input = input(
        "same",
        "{\"id\":\"a\",\"prompt\":\"x\"}\n\nplain\n{\"id\":\"b\",\n",
    );
    let index = input.index(&|| false).unwrap().unwrap();
    assert_eq!(index.len(), 3);
    let mut items = input.items().unwrap();
    let mut seen = 0;
    while let Some(item) = items.next().unwrap() {
        assert!(index.find(&item.key, item.print).unwrap().same);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn two_items_with_one_id_are_refused_with_their_lines() {
    let text = "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":7,\"prompt\":\"x\"}\n{\"custom_id\":\"\\u0061\",\"body\":{}}\n{\"id\":\"7\",\"prompt\":\"x\"}\n";
    let problem = input("twins", text).index(&|| false).unwrap_err();
    let message = problem.to_string();
    assert_eq!(problem.exit_code(), 2, "{message}");
    assert!(message.ends_with("\"a\" on lines 1 and 3"), "{message}");
    // One that follows from a line's number can be somebody's own.
    let text = "{\"id\":\"line-2\",\"prompt\":\"x\"}\nplain\n";
    assert!(input("derived", text).index(&|| false).is_err());
}

#[test]
fn reading_can_be_stopped() {
    assert!(input("stop", "a\nb\n").index(&|| true).unwrap().is_none());
}

#[test]
fn what_is_added_after_the_opening_is_not_read() {
    let path = std::env::temp_dir().join(format!("aurora-batch-in-{}-more", std::process::id()));
    fs::write(&path, "a\n").unwrap();
    let input = Input::open(&path, &std::env::temp_dir()).unwrap();
    fs::write(&path, "a\nb\n").unwrap();
    let index = input.index(&|| false).unwrap().unwrap();
    fs::remove_file(path).unwrap();
    assert_eq!(index.len(), 1);
}
