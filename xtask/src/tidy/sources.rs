//! Rules about source files: their size, how they open, and what must not be left in them.

use super::Finding;
use super::tree::{Tree, numbered};

/// The most lines a Rust source may have.
const MAX_LINES: usize = 500;

/// Marks of work that is not done, as words of their own. Split, so that this file does not find itself.
const MARKS: [[&str; 2]; 5] = [
    ["todo", "!"],
    ["unimplemented", "!"],
    ["FIX", "ME"],
    ["XX", "X"],
    ["TO", "DO"],
];

/// The ends of the names of files in which a mark of unfinished work is code or a comment, not prose.
const CODE: [&str; 9] = [
    ".rs", ".sh", ".py", ".mjs", ".js", ".ts", ".toml", ".ci/run", "fuzz/run",
];

/// A file is one concern and can be read at a sitting.
pub(super) fn length(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.sources() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            findings.push(Finding::new(
                path,
                MAX_LINES + 1,
                format!("has {lines} lines, {MAX_LINES} are allowed"),
                "move a concern of its own, or the tests, to a file of its own",
            ));
        }
    }
}

/// A file opens by saying what it is.
pub(super) fn opening(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.sources() {
        let words = text.lines().next().and_then(|line| line.strip_prefix("//!"));
        if words.is_none_or(|words| words.trim().is_empty()) {
            findings.push(Finding::new(
                path,
                1,
                "does not open with //!",
                "say in the first lines what the file does, why, and what it does not do",
            ));
        }
    }
}

/// Nothing is left for later.
pub(super) fn unfinished(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree
        .files()
        .filter(|(path, _)| CODE.iter().any(|end| path.ends_with(end)))
    {
        for (line, content) in numbered(text) {
            for mark in MARKS
                .map(|parts| parts.concat())
                .iter()
                .filter(|mark| has_word(content, mark))
            {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{mark} marks work that is not done"),
                    "do it, or leave it out and say so in the documentation",
                ));
            }
        }
    }
}

/// A test that does not run says why.
pub(super) fn ignored_tests(tree: &Tree, findings: &mut Vec<Finding>) {
    forbid_attribute(
        tree,
        findings,
        |attribute| {
            attribute
                .split_once("#[ignore")
                .is_some_and(|(_, rest)| !gives_reason(rest))
        },
        "a test is ignored without a reason",
        "write #[ignore = \"why, and how it is run\"], or let it run",
    );
}

/// An exception from a lint is expected, with a reason, so that it goes when it is no longer needed.
pub(super) fn allowed_lints(tree: &Tree, findings: &mut Vec<Finding>) {
    forbid_attribute(
        tree,
        findings,
        |attribute| attribute.starts_with("#[allow") || attribute.starts_with("#![allow"),
        "a lint is allowed",
        "mend what it finds, or write #[expect(LINT, reason = \"…\")]",
    );
}

fn forbid_attribute(
    tree: &Tree,
    findings: &mut Vec<Finding>,
    is_bad: impl Fn(&str) -> bool,
    what: &str,
    remedy: &str,
) {
    for (path, text) in tree.sources() {
        for (line, content) in numbered(text) {
            let content = content.trim_start();
            if content.starts_with('#') && is_bad(content) {
                findings.push(Finding::new(path, line, what, remedy));
            }
        }
    }
}

/// Whether the rest of an `ignore` attribute is ` = "…"` with something between the quotes.
fn gives_reason(rest: &str) -> bool {
    let value = rest.trim_start().strip_prefix('=').map_or("", str::trim_start);
    value
        .strip_prefix('"')
        .is_some_and(|text| text.find('"').is_some_and(|end| !text[..end].trim().is_empty()))
}

/// Whether the text holds the word, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let open = word.ends_with(is_part) && text[at + word.len()..].starts_with(is_part);
        !text[..at].ends_with(is_part) && !open
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, places_found};
    use super::*;

    fn found(rule: Rule, text: &str) -> Vec<String> {
        places_found(rule, &[("a.rs", text)])
    }

    #[test]
    fn a_source_over_the_limit_is_found_and_one_at_the_limit_is_not() {
        assert_eq!(found(length, &"//\n".repeat(MAX_LINES + 1)), ["a.rs:501"]);
        assert!(found(length, &"//\n".repeat(MAX_LINES)).is_empty());
        assert!(
            places_found(length, &[("a.md", &"text\n".repeat(MAX_LINES + 1))]).is_empty(),
            "prose may be long"
        );
    }

    #[test]
    fn a_source_that_does_not_say_what_it_is_is_found() {
        for text in [
            "",
            "fn a() {}\n",
            "// Not a module comment.\n",
            "\n//! Too late.\n",
            "//!\n",
        ] {
            assert_eq!(found(opening, text), ["a.rs:1"], "{text:?}");
        }
        assert!(found(opening, "//! What it is.\n").is_empty());
    }

    #[test]
    fn marks_of_unfinished_work_are_found_in_code() {
        for mark in MARKS.map(|parts| parts.concat()) {
            assert_eq!(
                found(unfinished, &format!("//! Fine.\nlet a = 1; {mark}(later)\n")),
                ["a.rs:2"],
                "{mark}"
            );
            assert_eq!(
                places_found(unfinished, &[(".ci/run", &format!("# {mark}\n"))]),
                [".ci/run:1"],
                "{mark}"
            );
        }
        for fine in ["the todo list", "\\uXX\u{58}X", "let mut todos = 1;", "mastodon"] {
            assert!(found(unfinished, fine).is_empty(), "{fine:?}");
        }
    }

    #[test]
    fn a_test_ignored_without_a_reason_is_found() {
        for bad in ["#[ignore]", "    #[ignore = \"\"]", "#[ignore = \" \"]"] {
            assert_eq!(found(ignored_tests, bad), ["a.rs:1"], "{bad:?}");
        }
        assert!(
            found(
                ignored_tests,
                "#[ignore = \"takes an hour; run it with --ignored\"]"
            )
            .is_empty()
        );
        assert!(found(ignored_tests, "// #[ignore] is not used here").is_empty());
    }

    #[test]
    fn an_allowed_lint_is_found() {
        for bad in ["#[allow(dead_code)]", "  #![allow(unused)]"] {
            assert_eq!(found(allowed_lints, bad), ["a.rs:1"], "{bad:?}");
        }
        assert!(
            found(
                allowed_lints,
                "#[expect(dead_code, reason = \"used by the other platform\")]"
            )
            .is_empty()
        );
    }
}
