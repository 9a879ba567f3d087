//! Lines as they are typed, and what they become.

use super::*;

fn read(line: &str) -> (Command, Common) {
    let line = std::iter::once("aurora")
        .chain(line.split_whitespace())
        .map(OsString::from)
        .collect();
    parse(line).unwrap_or_else(|error| panic!("{error}")).into_parts()
}

fn prompt(line: &str) -> String {
    match read(line).0 {
        Command::Ask { prompt } => prompt.join(" "),
        other => panic!("{line:?} became {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn words_that_are_no_command_are_a_prompt() {
    for (line, words) in [
        ("why is it so", "why is it so"),
        ("-m x why", "why"),
        ("-vm x why serve", "why serve"),
        ("-mx why", "why"),
        ("why -m x serve --json and more", "why serve and more"),
        ("--model=x why", "why"),
        ("-- serve", "serve"),
        ("-m x -- -v", "-v"),
        ("ask serve", "serve"),
        ("ask -- -v", "-v"),
        ("-5 plus 3", "-5 plus 3"),
        ("help me with serve", "help me with serve"),
        ("", ""),
        ("--json", ""),
    ] {
        assert_eq!(prompt(line), words, "{line:?}");
    }
}

#[test]
fn a_first_word_that_is_a_command_is_the_command() {
    assert!(matches!(read("serve").0, Command::Serve { listen: None }));
    assert!(matches!(
        read("-m x serve --listen 127.0.0.1:0").0,
        Command::Serve { listen: Some(_) }
    ));
    assert!(matches!(read("model list").0, Command::Model(ModelCommand::List)));
}

#[test]
fn common_flags_work_on_both_sides_of_the_command_and_none_is_lost() {
    let (_, common) = read("-f a -v serve -f b -v --config c --json");
    assert_eq!(common.files, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(
        (common.verbose, common.config, common.json),
        (2, Some(PathBuf::from("c")), true)
    );
    let (_, common) = read("-m one config -m two show");
    assert_eq!(common.model.as_deref(), Some("two"), "the last one wins");
}

#[test]
fn values_out_of_range_are_usage_errors() {
    for line in [
        "--temperature 2.1 hi",
        "--temperature nan hi",
        "--top-p 0 hi",
        "--max-tokens 0 hi",
        "--retries -1 hi",
        "--idle-timeout never hi",
        "--color blue hi",
        "--dialect klingon hi",
        "serve --listen nowhere",
        "--nonsense hi",
    ] {
        let words = std::iter::once("aurora")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        assert_eq!(parse(words).expect_err(line).exit_code(), 2, "{line}");
    }
}
