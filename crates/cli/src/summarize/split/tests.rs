//! Tests of the cuts: parts are the text, fit the budget, and end where the structure lets them.

use proptest::prelude::*;

use super::*;
use crate::summarize::marks::marks;

/// A count that does not add up: words and every third letter, and one more for each call.
fn odd(text: &str) -> usize {
    1 + text
        .split_whitespace()
        .map(|word| 1 + word.chars().count() / 3)
        .sum::<usize>()
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn parts<'t>(text: &'t str, budget: usize, tokens: &dyn Fn(&str) -> usize) -> Vec<&'t str> {
    let parts = split(text, &marks(text), budget, tokens);
    parts.into_iter().map(|part| &text[part]).collect()
}

fn check(text: &str, budget: usize, tokens: &dyn Fn(&str) -> usize) -> Result<(), TestCaseError> {
    let parts = parts(text, budget, tokens);
    prop_assert_eq!(parts.concat(), text);
    for part in &parts {
        prop_assert!(!part.is_empty());
        prop_assert!(
            tokens(part) <= budget.max(1) || part.chars().count() == 1,
            "{} tokens of {budget} in {part:?}",
            tokens(part)
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn parts_are_the_text_and_keep_the_budget(text in any::<String>(), budget in 0usize..40) {
        check(&text, budget, &chars)?;
        check(&text, budget, &odd)?;
        check(&text, budget, &str::len)?;
    }

    #[test]
    fn so_they_do_where_there_is_structure(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "", " ", "# One", "## Two", "Three", "===", "Words of one sentence. And another! A third",
                "- item", "```", "她来了。他走了！「为什么？」谁知道", "verylongwordwithoutanyspaceinitatallverylongwordwithout",
                "* * *", "Chapter 3", "\u{c}page", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "e\u{301}e\u{301}e\u{301}",
            ]),
            0..60,
        ),
        budget in 1usize..120,
    ) {
        let text = lines.join("\n");
        check(&text, budget, &chars)?;
        check(&text, budget, &odd)?;
    }

    #[test]
    fn a_large_enough_budget_leaves_one_part(text in "[a-z .\n#。]{1,200}") {
        prop_assert_eq!(parts(&text, 1000, &chars), [text.as_str()]);
    }
}

#[test]
fn a_text_is_cut_at_the_best_place_there_is() {
    let text = "# One\n\nAaaa aaaa aaaa.\n\nBbbb bbbb.\n\n# Two\n\nCccc cccc cccc cccc.\n";
    assert_eq!(
        parts(text, 45, &chars),
        [
            "# One\n\nAaaa aaaa aaaa.\n\nBbbb bbbb.\n\n",
            "# Two\n\nCccc cccc cccc cccc.\n"
        ]
    );
    assert_eq!(
        parts(text, 30, &chars),
        [
            "# One\n\nAaaa aaaa aaaa.\n\n",
            "Bbbb bbbb.\n\n",
            "# Two\n\nCccc cccc cccc cccc.\n"
        ]
    );
}

#[test]
fn sentences_are_kept_whole_also_where_no_spaces_are() {
    let text = "雪停了。他推开门，看见院子里一片白。「谁来过？」她问。没有人回答！";
    assert_eq!(
        parts(text, 18, &chars),
        [
            "雪停了。他推开门，看见院子里一片白。",
            "「谁来过？」她问。没有人回答！"
        ]
    );
    let wrapped = "Mr. Smith went\nto town. He saw\nDr. Brown there. They\ntalked a while.";
    assert_eq!(
        parts(wrapped, 40, &chars),
        [
            "Mr. Smith went\nto town. ",
            "He saw\nDr. Brown there. ",
            "They\ntalked a while."
        ]
    );
    let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
    assert_eq!(
        parts(japanese, 17, &chars),
        [
            "吾輩は猫である。名前はまだ無い。",
            "どこで生れたかとんと見当がつかぬ。"
        ]
    );
}

#[test]
fn parts_are_about_equally_long() {
    let text = "Some words here.\n\n".repeat(100);
    let parts = parts(&text, 1000, &chars);
    assert_eq!(parts.len(), 2);
    assert!(
        parts.iter().all(|part| chars(part) == 900),
        "{:?}",
        parts.iter().map(|part| part.len()).collect::<Vec<_>>()
    );
}

#[test]
fn what_has_no_structure_is_cut_anyway() {
    let text = "x".repeat(100_000);
    let parts = parts(&text, 1000, &chars);
    assert!(parts.len() <= 110, "{}", parts.len());
    assert_eq!(parts.concat(), text);
}
