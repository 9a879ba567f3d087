//! Which code comes out of which answer, however it is cut.

use super::*;

fn wanted(block: Block, lang: Option<&str>) -> Wanted {
    Wanted {
        block,
        lang: lang.map(str::to_owned),
    }
}

/// What comes out of an answer in pieces of this many characters.
fn extract_cut(answer: &str, size: usize, wanted: &Wanted) -> (String, Outcome) {
    let (mut extract, mut out) = (Extract::new(wanted.clone()), String::new());
    let chars: Vec<char> = answer.chars().collect();
    for piece in chars.chunks(size) {
        extract.push(&piece.iter().collect::<String>(), &mut out);
    }
    let outcome = extract.finish(&mut out);
    (out, outcome)
}

/// What comes out of an answer, the same for every cut.
fn extract(answer: &str, wanted: &Wanted) -> (String, Outcome) {
    let whole = extract_cut(answer, usize::MAX, wanted);
    for size in [1, 2, 3, 7] {
        assert_eq!(
            extract_cut(answer, size, wanted),
            whole,
            "cut by {size}: {answer:?}"
        );
    }
    whole
}

fn first(answer: &str) -> (String, Outcome) {
    extract(answer, &Wanted::default())
}

#[test]
fn fences_are_those_of_commonmark() {
    for (answer, code) in [
        ("```\na\n```\n", "a\n"),
        ("~~~ py\na\n```\n~~~\n", "a\n```\n"),
        ("````md\n```\nin\n```\n````\n", "```\nin\n```\n"),
        ("Hi\n  ```rs\n  a\n    b\n  ```\n", "a\n  b\n"),
        (
            "1. Do:\n   ```sh\n   ls\n     -l\n   ```\n2. Done\n",
            "ls\n  -l\n",
        ),
        ("> ```\n> a\n>\n> b\n> ```\n", "a\n\nb\n"),
        ("- ```\n  a\n\nafter\n", "a\n\n"),
        ("inline ``` is none\n\n```\na\n```", "a\n"),
        ("```\n\n\na\n\n```\n", "\n\na\n\n"),
        ("    indented\n\n```\na\n```\n", "a\n"),
        ("```js\nconst a = `x${1}`;\n```\n", "const a = `x${1}`;\n"),
    ] {
        assert_eq!(first(answer), (code.to_owned(), Outcome::Whole), "{answer:?}");
    }
}

#[test]
fn code_is_told_before_its_line_ends() {
    let (mut extract, mut out) = (Extract::new(Wanted::default()), String::new());
    extract.push("```\nlet a", &mut out);
    assert_eq!(out, "let a");
}

#[test]
fn without_a_fence_it_is_the_answer_as_it_is() {
    let answer = "no *code* here\n    not even this\n";
    assert_eq!(first(answer), (answer.to_owned(), Outcome::AsIs));
    let second = wanted(Block::Nth(2), None);
    let (out, outcome) = extract(answer, &second);
    assert_eq!((out.as_str(), matches!(outcome, Outcome::Lacking(_))), ("", true));
}

#[test]
fn too_much_text_without_a_fence_is_passed_on() {
    let (mut extract, mut out) = (Extract::new(Wanted::default()), String::new());
    let text = "word ".repeat(KEPT / 5 - 1);
    assert!(!extract.push(&text, &mut out));
    assert_eq!(out, "");
    assert!(extract.push("0123456789", &mut out));
    assert!(!extract.push("\n```\na\n```\n", &mut out));
    assert_eq!(extract.finish(&mut out), Outcome::AsIs);
    assert_eq!(out, text + "0123456789\n```\na\n```\n");
}

const TWO: &str = "```python\na\n```\n\n```\nb\n```\n\n```sh\nc\n```\n";

#[test]
fn a_block_is_picked_by_its_number_and_label() {
    for (block, lang, code) in [
        (Block::Nth(1), None, "a\n"),
        (Block::Nth(3), None, "c\n"),
        (Block::All, None, "a\nb\nc\n"),
        (Block::Nth(1), Some("Bash"), "c\n"),
        (Block::All, Some("py"), "a\n"),
        (Block::Nth(1), Some("rust"), "b\n"),
        (Block::All, Some("rust"), "b\n"),
    ] {
        assert_eq!(extract(TWO, &wanted(block, lang)).0, code, "{block:?} {lang:?}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (block, lang, word) in [
        (Block::Nth(4), None, "3 code blocks, and no number 4"),
        (
            Block::Nth(2),
            Some("sh"),
            "one code block labelled sh, and no number 2",
        ),
    ] {
        let (out, outcome) = extract(TWO, &wanted(block, lang));
        let Outcome::Lacking(message) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(out.is_empty() && message.contains(word), "{message}");
    }
}

#[test]
fn only_what_the_answer_leaves_open_is_not_whole() {
    for answer in ["```\na", "```\na\n``", "~~~py\na\n```\n", "- ```\n  a"] {
        let (out, outcome) = first(answer);
        assert!(out.starts_with('a'), "{answer:?}");
        assert!(matches!(outcome, Outcome::Lacking(_)), "{answer:?} {outcome:?}");
    }
    let (_, outcome) = first("```\na\n```\n\n```\nb");
    assert!(matches!(outcome, Outcome::More(_)), "{outcome:?}");
}

#[test]
fn a_fence_that_the_rest_opens_again_is_no_code() {
    for (before, rest, code) in [
        ("```py\na", "```python\nb\n```\n", "ab\n"),
        ("```\na\n", "```py\nb\n```\n", "a\nb\n"),
        // These are the code's own, its end, or no fence.
        ("```md\na\n", "```py\nb\n```\n", "a\n```py\nb\n"),
        ("```py\na\n", "```\n", "a\n"),
        ("```py\na\n", "```", "a\n"),
        ("```py\na\n", "``x\n```\n", "a\n``x\n"),
        ("```py\na\n", "```py`\n```\n", "a\n```py`\n"),
    ] {
        for cut in 0..=rest.len() {
            let (mut extract, mut out) = (Extract::new(Wanted::default()), String::new());
            extract.go_on(before, &mut out);
            extract.push(&rest[..cut], &mut out);
            extract.push(&rest[cut..], &mut out);
            assert_eq!(
                extract.finish(&mut out),
                Outcome::Whole,
                "{before:?} {rest:?} {cut}"
            );
            assert_eq!(out, code, "{before:?} {rest:?} {cut}");
        }
    }
}
