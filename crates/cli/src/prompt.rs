//! The prompt: the words of the command line, the files given with `-f`, and what was piped in, in this order.
//!
//! Texts are joined by a blank line; a file's text stands between two lines that name it. Nothing else is added. Images
//! stand where their file was named. Standard input is read whenever it is not a terminal, up to its end, as other
//! filters do; `-f -` says where among the files it belongs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use aurora_chat::{Content, Message, Part, Role};

use crate::console;
use crate::problem::{Problem, Result};

mod files;
mod input;

use input::Input;

/// The most that all parts of a prompt weigh together.
const MAX_BYTES: usize = 64 << 20;

/// After how long it is said that standard input is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads everything the prompt is made of and puts it together; `None` if that says nothing.
///
/// # Errors
/// A part of it is missing, neither text nor an image, or too large (usage).
pub(crate) fn read(words: &[String], files: &[PathBuf]) -> Result<Option<Message>> {
    let is_input = |path: &&PathBuf| path.as_path() == Path::new("-");
    let placed = files.iter().filter(is_input).count();
    if placed > 1 {
        return Err(Problem::usage("--file -: standard input can be read once"));
    }
    let mut piped = match (placed, io::stdin().is_terminal()) {
        (0, true) => None,
        _ => Some(read_stdin()?),
    };
    let mut prompt = Prompt::default();
    prompt.say(&words.join(" "));
    for named in files {
        if is_input(&named) {
            piped
                .take()
                .into_iter()
                .try_for_each(|piped| prompt.add_piped(piped))?;
            continue;
        }
        prompt.add_named(named)?;
    }
    piped.into_iter().try_for_each(|piped| prompt.add_piped(piped))?;
    Ok(prompt.into_message())
}

/// Puts a text and files together, without standard input; `None` if that says nothing.
///
/// # Errors
/// As [`read`]; standard input is named (usage).
pub(crate) fn with_files(text: &str, files: &[PathBuf]) -> Result<Option<Message>> {
    let mut prompt = Prompt::default();
    prompt.say(text);
    for named in files {
        if named == Path::new("-") {
            return Err(Problem::usage(
                "--file -: standard input is where prompts come from",
            ));
        }
        prompt.add_named(named)?;
    }
    Ok(prompt.into_message())
}

/// A prompt as it is put together.
#[derive(Debug, Default, PartialEq)]
struct Prompt {
    parts: Vec<Part>,
    bytes: usize,
}

impl Prompt {
    /// Adds a text after a blank line.
    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.bytes += text.len();
        match self.parts.last_mut() {
            Some(Part::Text(last)) => {
                last.push_str("\n\n");
                last.push_str(text);
            }
            Some(Part::Other(_)) | None => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// Adds the file, or the files, of this name.
    fn add_named(&mut self, named: &Path) -> Result<()> {
        for path in files::resolve(named)? {
            let input = files::read(&path)?;
            self.add_file(&path.display().to_string(), input)?;
        }
        Ok(())
    }

    fn add_file(&mut self, name: &str, input: Input) -> Result<()> {
        match input {
            Input::Text(text) => {
                let line_break = if text.is_empty() || text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                let mut framed = String::with_capacity(text.len() + 2 * name.len() + 64);
                let _ = write!(
                    framed,
                    "----- file: {name} -----\n{text}{line_break}----- end of {name} -----"
                );
                self.say(&framed);
            }
            Input::Image(image) => self.show(image),
        }
        self.check()
    }

    /// The line break at the end of what was piped in is the shell's and is left out.
    fn add_piped(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Text(text) => {
                let text = text
                    .strip_suffix('\n')
                    .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
                if !text.trim().is_empty() {
                    self.say(text);
                }
            }
            Input::Image(image) => self.show(image),
        }
        self.check()
    }

    fn show(&mut self, image: input::Image) {
        self.bytes += image.url.len();
        self.parts.push(image.into_part());
    }

    fn check(&self) -> Result<()> {
        if self.bytes > MAX_BYTES {
            return Err(Problem::usage(format!(
                "the prompt with its files is larger than the limit of {} MiB",
                MAX_BYTES >> 20
            )));
        }
        Ok(())
    }

    /// One text is sent as such, since not every server reads parts.
    fn into_message(mut self) -> Option<Message> {
        let says = |part: &Part| match part {
            Part::Text(text) => !text.trim().is_empty(),
            Part::Other(_) => true,
        };
        if !self.parts.iter().any(says) {
            return None;
        }
        let mut message = Message::text(Role::User, "");
        message.content = match self.parts.as_mut_slice() {
            [Part::Text(text)] => Content::Text(std::mem::take(text)),
            _ => Content::Parts(self.parts),
        };
        Some(message)
    }
}

/// Reads standard input to its end. A pipe that somebody forgot to close would be waited for without a word, so after
/// a while there is one.
fn read_stdin() -> Result<Input> {
    let (send, receive) = mpsc::sync_channel(1);
    // Owned by this process: it ends with the input, or with us.
    std::thread::spawn(move || send.send(input::read(io::stdin().lock())));
    let read = receive.recv_timeout(PATIENCE).or_else(|_| {
        console::tell("waiting for the end of standard input, which is a pipe or file and is added to the prompt (</dev/null gives it none)");
        receive.recv()
    });
    match read {
        Ok(Ok(input)) => Ok(input),
        Ok(Err(what)) => Err(Problem::usage(format!("standard input: {what}"))),
        Err(_) => Err(Problem::internal("standard input: the reading thread ended")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    fn image() -> Input {
        input::read(&b"\x89PNG\r\n\x1a\n"[..]).unwrap()
    }

    fn joined(words: &str, files: Vec<(&str, Input)>, piped: Input) -> Option<Content> {
        let mut prompt = Prompt::default();
        prompt.say(words);
        for (name, input) in files {
            prompt.add_file(name, input).unwrap();
        }
        prompt.add_piped(piped).unwrap();
        prompt.into_message().map(|message| message.content)
    }

    #[test]
    fn parts_are_joined_by_a_blank_line_and_nothing_is_added_to_one_part() {
        for (words, piped, expected) in [
            ("why", "", "why"),
            ("", "why\n", "why"),
            ("translate", "one\ntwo\r\n", "translate\n\none\ntwo"),
            ("translate", "\n", "translate"),
            ("", "  indented\n\n", "  indented\n"),
        ] {
            let expected = Some(Content::Text(expected.to_owned()));
            assert_eq!(joined(words, vec![], text(piped)), expected);
        }
        assert_eq!(joined(" ", vec![], text("\n")), None);
    }

    #[test]
    fn a_file_stands_between_lines_that_name_it() {
        let files = vec![("a.txt", text("one\n")), ("b.txt", text("two")), ("c", text(""))];
        assert_eq!(
            joined("compare", files, text("three")),
            Some(Content::Text(
                "compare\n\n----- file: a.txt -----\none\n----- end of a.txt -----\n\n\
                 ----- file: b.txt -----\ntwo\n----- end of b.txt -----\n\n\
                 ----- file: c -----\n----- end of c -----\n\nthree"
                    .to_owned()
            ))
        );
    }

    #[test]
    fn an_image_stands_where_it_was_named() {
        let content = joined(
            "what is",
            vec![("a.png", image()), ("b.txt", text("b"))],
            text("this?"),
        );
        let Some(Content::Parts(parts)) = content else {
            panic!("{content:?}")
        };
        assert_eq!(parts[0], Part::Text("what is".into()));
        assert!(matches!(&parts[1], Part::Other(part) if part["type"] == "image_url"));
        assert!(
            matches!(&parts[2], Part::Text(text) if text.starts_with("-----") && text.ends_with("\n\nthis?"))
        );
        assert!(matches!(joined("", vec![], image()), Some(Content::Parts(parts)) if parts.len() == 1));
    }

    #[test]
    fn a_prompt_is_bounded_as_a_whole() {
        let mut prompt = Prompt::default();
        let part = || text(&"a".repeat(16 << 20));
        let problem = (0..9).find_map(|_| prompt.add_file("f", part()).err()).unwrap();
        assert!(problem.to_string().contains("64 MiB"), "{problem}");
    }
}
