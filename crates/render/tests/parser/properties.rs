//! What holds for every text.

use aurora_render::{Event, Limits, Parser};
use proptest::prelude::*;
use proptest::sample::select;

use crate::picture::{Picture, draw_pieces};

/// Pieces that markdown is made of, and a few that it is not.
const TOKENS: &[&str] = &[
    "a",
    "b c",
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "*",
    "**",
    "***",
    "_",
    "__",
    "`",
    "``",
    "```",
    "~~",
    "~",
    "~~~",
    "$",
    "$$",
    "\\",
    "\\[",
    "\\]",
    "\\(",
    "\\)",
    "[",
    "]",
    "(",
    ")",
    "![",
    "](u)",
    "][x]",
    "[x]: /u\n",
    "<",
    ">",
    "> ",
    "- ",
    "+ ",
    "1. ",
    "2) ",
    "# ",
    "## ",
    "#",
    "---",
    "===",
    "|",
    "|-|",
    ":-",
    "<b>",
    "</b>",
    "<br>",
    "<!--",
    "-->",
    "<div>",
    "&amp;",
    "&",
    ";",
    "https://x.y/z",
    "www.a.b",
    "- [ ] ",
    "[x] ",
    "。",
    "「",
    "字",
    "é",
    "😀",
    "\"",
    "'",
    ":",
    ".",
    "1",
    "!",
    "\u{0}",
];

pub(crate) fn markdown() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(TOKENS), 0..40).prop_map(|tokens| tokens.concat())
}

/// Limits so small that a short text meets them.
fn limits() -> impl Strategy<Value = Limits> {
    let small = (64_usize..70, 0_usize..20, 1_usize..5, 1_usize..4, 0_usize..3).prop_map(
        |(window, heading, depth, columns, definitions)| Limits {
            window,
            heading,
            depth,
            columns,
            definitions,
        },
    );
    prop_oneof![Just(Limits::default()), small]
}

/// Cuts a text behind every character whose turn it is.
fn cut<'a>(text: &'a str, turns: &[bool]) -> Vec<&'a str> {
    let mut turns = turns.iter().cycle();
    text.split_inclusive(|_: char| turns.next().copied().unwrap_or(true))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn cuts_change_nothing(text in markdown(), turns in proptest::collection::vec(any::<bool>(), 1..20), limits in limits()) {
        let whole = draw_pieces([text.as_str()], limits);
        prop_assert_eq!(draw_pieces(cut(&text, &turns), limits), whole.clone());
        prop_assert_eq!(draw_pieces(cut(&text, &[true]), limits), whole);
    }

    #[test]
    fn what_is_certain_stays_true_and_depends_on_the_text_alone(text in markdown(), limits in limits()) {
        let whole = draw_pieces([text.as_str()], limits);
        let mut parser = Parser::new(limits);
        let mut told = Picture::default();
        for (at, character) in text.char_indices() {
            parser.push(character.encode_utf8(&mut [0; 4]), |event| told.add(event));
            let so_far = told.clone().finish();
            // A style that is open may go on.
            let so_far = so_far.strip_suffix('}').unwrap_or(&so_far);
            prop_assert!(whole.starts_with(so_far), "{:?} is no beginning of {:?}", so_far, whole);
            let mut at_once = Picture::default();
            Parser::new(limits).push(&text[..at + character.len_utf8()], |event| at_once.add(event));
            prop_assert_eq!(&at_once, &told);
        }
    }

    #[test]
    fn a_preview_changes_nothing_and_ends_all(text in markdown(), limits in limits()) {
        let mut parser = Parser::new(limits);
        let mut told = Picture::default();
        for character in text.chars() {
            parser.push(character.encode_utf8(&mut [0; 4]), |event| told.add(event));
            let mut shown = told.clone();
            parser.preview(|event| shown.add(event));
            let mut again = told.clone();
            parser.preview(|event| again.add(event));
            prop_assert_eq!(shown, again);
        }
        parser.finish(|event| told.add(event));
        prop_assert_eq!(told.finish(), draw_pieces([text.as_str()], limits));
    }
}

/// Pieces that open or close something and hide no letter; no line begins with a fence.
const OPENERS: &[&str] = &[
    "a", "a ", " a", "a*", "*a", "**a", "_a", "`", "``a", "[a", "![a", "a]", "~~a", "$a", "\\(a", "<b ",
    "a\\", "\na ", "&",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn no_more_than_three_windows_and_the_beginning_of_a_line_are_held(tokens in proptest::collection::vec(select(OPENERS), 500..1_500)) {
        let limits = Limits { window: 64, ..Limits::default() };
        let letters = |text: &str| text.bytes().filter(|&byte| byte == b'a').count();
        let mut parser = Parser::new(limits);
        let (mut come, mut told) = (1, 0);
        parser.push("a", |_| ());
        for token in tokens {
            come += letters(token);
            parser.push(token, |event| if let Event::Text { text, .. } = event { told += letters(text) });
            prop_assert!(come - told <= 3 * 64 + 64 + token.len(), "{} of {} letters are held", come - told, come);
        }
    }
}
