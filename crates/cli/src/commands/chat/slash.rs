//! What is typed at the prompt: a prompt for the model, or a command, which begins with a slash.

use std::path::PathBuf;

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but blanks.
    Empty,
    /// For the model.
    Prompt(String),
    /// For us.
    Command(Slash),
    /// Meant for us, and not understood; a message says why.
    Mistake(String),
}

/// The commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slash {
    /// Which model answers; another one, if it is named.
    Model(Option<String>),
    /// The system prompt; another one, or none for `-`.
    System(Option<String>),
    /// Adds a file to the next prompt; without one, tells which there are.
    File(Option<PathBuf>),
    /// Takes back the last prompt and its answer.
    Undo,
    /// Asks the last prompt again.
    Retry,
    /// Opens the last prompt in an editor, and asks what becomes of it.
    Edit,
    /// Copies the last answer.
    Copy,
    /// Writes the conversation to a file.
    Save(PathBuf),
    /// Begins a new conversation.
    Clear,
    /// Prints this code block of the last answer.
    Code(u32),
    /// Tells what the conversation has cost.
    Usage,
    /// Tells what there is.
    Help,
    /// Leaves.
    Quit,
}

/// What takes an argument, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// Nothing that could be completed.
    None,
    /// The name of a model.
    Model,
    /// The path of a file.
    Path,
}

/// A command, as the help and the completion know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) argument: Argument,
    /// How its argument is written.
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
}

/// Every command, in the order of the help.
pub(super) const KNOWN: &[Known] = &[
    known(
        "model",
        Argument::Model,
        " [NAME]",
        "tell which model answers, or let another one answer",
    ),
    known(
        "system",
        Argument::None,
        " [TEXT|-]",
        "tell the system prompt, set it, or take it away",
    ),
    known("file", Argument::Path, " [PATH]", "add a file to the next prompt"),
    known(
        "undo",
        Argument::None,
        "",
        "take back the last prompt and its answer",
    ),
    known("retry", Argument::None, "", "ask the last prompt again"),
    known(
        "edit",
        Argument::None,
        "",
        "change the last prompt in $VISUAL or $EDITOR, and ask it",
    ),
    known(
        "copy",
        Argument::None,
        "",
        "copy the last answer to the clipboard",
    ),
    known(
        "save",
        Argument::Path,
        " FILE",
        "write the conversation to a new file, as Markdown",
    ),
    known(
        "code",
        Argument::None,
        " [N]",
        "print code block N of the last answer",
    ),
    known(
        "clear",
        Argument::None,
        "",
        "begin a new conversation; this one is kept",
    ),
    known(
        "usage",
        Argument::None,
        "",
        "tell what this conversation has cost",
    ),
    known("help", Argument::None, "", "tell all this"),
    known("quit", Argument::None, "", "leave, as Ctrl-D does"),
];

const fn known(name: &'static str, argument: Argument, usage: &'static str, help: &'static str) -> Known {
    Known {
        name,
        argument,
        usage,
        help,
    }
}

/// What a text from the prompt means.
pub(super) fn read(text: &str) -> Line {
    let text = unfold(text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Line::Empty;
    }
    let Some(rest) = trimmed.strip_prefix('/') else {
        return Line::Prompt(text);
    };
    if rest.starts_with('/') {
        return Line::Prompt(rest.to_owned());
    }
    let (name, argument) = match rest.split_once(char::is_whitespace) {
        Some((name, argument)) => (
            name,
            Some(argument.trim()).filter(|argument| !argument.is_empty()),
        ),
        None => (rest, None),
    };
    match command(name, argument) {
        Ok(command) => Line::Command(command),
        Err(message) => Line::Mistake(message),
    }
}

fn command(name: &str, argument: Option<&str>) -> Result<Slash, String> {
    let none = |command| match argument {
        None => Ok(command),
        Some(_) => Err(format!("/{name} takes nothing after it")),
    };
    let owned = argument.map(str::to_owned);
    match name {
        "model" => Ok(Slash::Model(owned)),
        "system" => Ok(Slash::System(owned)),
        "file" => Ok(Slash::File(argument.map(path))),
        "undo" => none(Slash::Undo),
        "retry" => none(Slash::Retry),
        "edit" => none(Slash::Edit),
        "copy" => none(Slash::Copy),
        "save" => argument
            .map(|argument| Slash::Save(path(argument)))
            .ok_or_else(|| "/save FILE: which file?".to_owned()),
        "clear" => none(Slash::Clear),
        "code" => match argument.map_or(Ok(1), str::parse) {
            Ok(number @ 1..) => Ok(Slash::Code(number)),
            Ok(0) | Err(_) => Err("/code N: a number from 1".to_owned()),
        },
        "usage" => none(Slash::Usage),
        "help" | "?" => none(Slash::Help),
        "quit" | "exit" => none(Slash::Quit),
        _ => Err(format!(
            "there is no command /{name}; /help tells which there are, and //{name} asks the model"
        )),
    }
}

/// A path as it is typed: `~/` is the home folder.
fn path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        (None, _) | (_, None) => text.into(),
    }
}

/// Whether the text goes on on another line: its last line ends with a backslash, or `"""` was opened and not closed.
pub(super) fn is_open(text: &str) -> bool {
    if let Some(rest) = text.trim_start().strip_prefix(QUOTES) {
        return !rest.trim_end().ends_with(QUOTES);
    }
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// What encloses a text of several lines.
const QUOTES: &str = "\"\"\"";

/// The text without what only told that it goes on.
fn unfold(text: &str) -> String {
    let enclosed = text
        .trim()
        .strip_prefix(QUOTES)
        .and_then(|rest| rest.strip_suffix(QUOTES));
    match enclosed {
        Some(text) => text.trim_matches('\n').to_owned(),
        None => text.replace("\\\n", "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_prompt_a_command_or_a_mistake() {
        for (text, line) in [
            ("", Line::Empty),
            (" \n\t", Line::Empty),
            ("why?", Line::Prompt("why?".to_owned())),
            ("//etc is what?", Line::Prompt("/etc is what?".to_owned())),
            ("/model", Line::Command(Slash::Model(None))),
            (
                " /model  a/b ",
                Line::Command(Slash::Model(Some("a/b".to_owned()))),
            ),
            (
                "/system be\nbrief",
                Line::Command(Slash::System(Some("be\nbrief".to_owned()))),
            ),
            (
                "/file a b.txt",
                Line::Command(Slash::File(Some("a b.txt".into()))),
            ),
            ("/code", Line::Command(Slash::Code(1))),
            ("/code 3", Line::Command(Slash::Code(3))),
            ("/exit", Line::Command(Slash::Quit)),
        ] {
            assert_eq!(read(text), line, "{text:?}");
        }
        for text in ["/undo it", "/save", "/code 0", "/code x", "/nothing", "/"] {
            assert!(matches!(read(text), Line::Mistake(_)), "{text:?}");
        }
    }

    #[test]
    fn a_text_of_several_lines_ends_when_it_says_so() {
        for (text, open) in [
            ("a", false),
            ("a\\", true),
            ("a\\\\", false),
            ("a\\\nb", false),
            ("\"\"\"", true),
            ("\"\"\"a\nb", true),
            ("\"\"\"a\nb\"\"\"", false),
            ("say \"\"\"", false),
        ] {
            assert_eq!(is_open(text), open, "{text:?}");
        }
        assert_eq!(read("a\\\nb"), Line::Prompt("a\nb".to_owned()));
        assert_eq!(read("\"\"\"\na\n\nb\n\"\"\""), Line::Prompt("a\n\nb".to_owned()));
    }

    #[test]
    fn every_command_that_is_known_is_understood() {
        for known in KNOWN {
            let line = read(&format!("/{} x", known.name));
            let alone = read(&format!("/{}", known.name));
            assert!(
                matches!(line, Line::Command(_)) || matches!(alone, Line::Command(_)),
                "{}",
                known.name
            );
        }
    }
}
