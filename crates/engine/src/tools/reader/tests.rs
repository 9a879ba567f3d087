//! The reader on every syntax, and on text that only looks like a call.

use super::*;
use proptest::prelude::*;

/// What an answer said in the end: its text, and each call's name and arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    text: String,
    calls: Vec<(String, String)>,
}

fn read(syntax: Syntax, pieces: &[&str]) -> Heard {
    let mut reader = Reader::new(syntax, vec!["f".to_owned(), "get weather".to_owned()]);
    let mut said = Vec::new();
    for piece in pieces {
        reader.push(piece, &mut said);
    }
    reader.finish(&mut said);
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut heard = Heard::default();
    let mut bytes = 0;
    for said in said {
        match said {
            Said::Text(text) => {
                assert!(!text.is_empty());
                bytes += text.len();
                heard.text += &text;
            }
            Said::Syntax(length) => bytes += length,
            Said::Call(ToolCallDelta {
                index,
                id,
                name,
                arguments,
            }) => {
                if let Some(name) = name {
                    assert_eq!(index as usize, heard.calls.len());
                    assert!(id.is_some_and(|id| id.len() >= 9));
                    heard.calls.push((name, String::new()));
                }
                heard.calls[index as usize].1 += &arguments;
            }
            Said::Cue(_) => {}
        }
    }
    assert_eq!(bytes, length, "every byte is text or syntax");
    assert_eq!(reader.calls() as usize, heard.calls.len());
    heard
}

fn heard(text: &str, calls: &[(&str, &str)]) -> Heard {
    Heard {
        text: text.to_owned(),
        calls: calls
            .iter()
            .map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned()))
            .collect(),
    }
}

/// Answers, and what they say.
fn cases() -> Vec<(Syntax, &'static str, Heard)> {
    use Syntax::{Llama, Mistral, MistralArgs, Tagged, TaggedList};
    let one = |arguments: &'static str| heard("", &[("f", arguments)]);
    vec![
        (
            Tagged,
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}</tool_call>\"}}\n</tool_call>",
            one("{\"a\": \"}</tool_call>\"}"),
        ),
        (
            Tagged,
            "Well.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>\n{\"name\": \"get weather\", \"arguments\": {\"é\": [1]}}\n</tool_call>",
            heard("Well.\n", &[("f", "{}"), ("get weather", "{\"é\": [1]}")]),
        ),
        (
            Tagged,
            "<tool_call>\n{\"arguments\": {\"a\": 1}, \"name\": \"f\"}\n</tool_call> done",
            heard(" done", &[("f", "{\"a\": 1}")]),
        ),
        (Tagged, "<tool_call>{\"name\": \"f\"}</tool_call>", one("{}")),
        (
            Tagged,
            "a <tool_call> is a tag, <tool",
            heard("a <tool_call> is a tag, <tool", &[]),
        ),
        (
            Tagged,
            "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}",
            heard("<tool_call>\n{\"name\": \"other\", \"arguments\": {}}", &[]),
        ),
        (
            Tagged,
            "<tool_call>\n{\"name\": \"f\", \"argu",
            heard("<tool_call>\n{\"name\": \"f\", \"argu", &[]),
        ),
        (
            Tagged,
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [",
            one("{\"a\": ["),
        ),
        (
            Tagged,
            "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> <",
            heard(" <", &[("f", "{}")]),
        ),
        (
            TaggedList,
            "<tool_call>[{\"name\": \"f\", \"arguments\": {\"a\": \"]\"}}, {\"name\": \"f\", \"arguments\": {}}]</tool_call>",
            heard("", &[("f", "{\"a\": \"]\"}"), ("f", "{}")]),
        ),
        (TaggedList, "<tool_call> [1, 2]", heard("<tool_call> [1, 2]", &[])),
        (
            Mistral,
            "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"abcdefghi\"}, {\"name\": \"f\", \"arguments\": {}}]",
            heard("", &[("f", "{\"a\": 1}"), ("f", "{}")]),
        ),
        (Mistral, "[TOOL_CALLS] none", heard("[TOOL_CALLS] none", &[])),
        (
            MistralArgs,
            "Hm. [TOOL_CALLS]f[ARGS]{\"a\": {}}[TOOL_CALLS]get weather{}",
            heard("Hm. ", &[("f", "{\"a\": {}}"), ("get weather", "{}")]),
        ),
        (
            Llama,
            "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}",
            one("{\"a\": \"b\"}"),
        ),
        (
            Llama,
            " <|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"f\", \"parameters\": {}}",
            heard("", &[("f", "{}"), ("f", "{}")]),
        ),
        (Llama, "{\"names\": 1}", heard("{\"names\": 1}", &[])),
        (
            Llama,
            "As {\"name\": \"f\", \"parameters\": {}}",
            heard("As {\"name\": \"f\", \"parameters\": {}}", &[]),
        ),
        (
            Llama,
            "{\"name\": \"x\", \"parameters\": {}}",
            heard("{\"name\": \"x\", \"parameters\": {}}", &[]),
        ),
    ]
}

#[test]
fn calls_are_told_from_text() {
    for (syntax, answer, expected) in cases() {
        assert_eq!(read(syntax, &[answer]), expected, "{syntax:?}: {answer}");
    }
}

#[test]
fn every_cut_says_the_same() {
    for (syntax, answer, expected) in cases() {
        for (at, _) in answer.char_indices() {
            let (left, right) = answer.split_at(at);
            assert_eq!(
                read(syntax, &[left, right]),
                expected,
                "{syntax:?}: {left} | {right}"
            );
        }
        let characters: Vec<String> = answer.chars().map(String::from).collect();
        let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(
            read(syntax, &characters),
            expected,
            "{syntax:?}, a character at a time: {answer}"
        );
    }
}

#[test]
fn arguments_are_passed_on_while_they_are_written() {
    let mut reader = Reader::new(Syntax::Tagged, vec!["f".to_owned()]);
    let mut said = Vec::new();
    reader.push("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\"", &mut said);
    let arguments: String = said
        .iter()
        .map(|said| match said {
            Said::Call(call) => call.arguments.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(arguments, "{\"a\"");
}

#[test]
fn a_head_without_end_is_text() {
    let mut reader = Reader::new(Syntax::Tagged, vec!["f".to_owned()]);
    let mut said = Vec::new();
    reader.push("<tool_call>{\"name", &mut said);
    for _ in 0..HEAD_MAX / 64 {
        reader.push(&"x".repeat(64), &mut said);
    }
    assert!(
        said.iter()
            .any(|said| matches!(said, Said::Text(text) if text.len() > HEAD_MAX))
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_whatever_comes(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "f", "{", "}", "[", "]", ",", ";", "\"", "\\", ":",
                "{\"name\": \"f\", \"arguments\": ", "{\"name\": \"", "\"parameters\"", " ", "\n", "é",
            ]),
            0..24,
        ),
        cuts: Vec<usize>,
        syntax in prop::sample::select(vec![
            Syntax::Tagged, Syntax::TaggedList, Syntax::Mistral, Syntax::MistralArgs, Syntax::Llama,
        ]),
    ) {
        let answer = parts.concat();
        let (mut pieces, mut rest) = (Vec::new(), answer.as_str());
        for cut in cuts {
            let (head, tail) = rest.split_at(rest.floor_char_boundary(cut % (rest.len() + 1)));
            pieces.push(head);
            rest = tail;
        }
        pieces.push(rest);
        prop_assert_eq!(read(syntax, &pieces), read(syntax, &[&answer]));
    }
}
