//! The prompt: the words of the command line, the files given with `-f`, and what was piped in, in this order.
//!
//! The parts are joined by a blank line; a file's text stands between two lines that name it. Nothing else is added.
//! Standard input is read whenever it is not a terminal, up to its end, as other filters do.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use aurora_chat::{Message, Role};

use crate::console;
use crate::problem::{Problem, Result};

/// The most that is read from standard input, and from each file.
const MAX_BYTES: usize = 16 << 20;

/// After how long it is said that standard input is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads everything the prompt is made of and puts it together; `None` if that says nothing.
///
/// # Errors
/// A part of it is missing, not text or too large (usage).
pub(crate) fn read(words: &[String], files: &[PathBuf]) -> Result<Option<Message>> {
    let words = words.join(" ");
    let files = files
        .iter()
        .map(|path| Ok((path.display().to_string(), read_file(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let piped = if io::stdin().is_terminal() {
        String::new()
    } else {
        read_stdin()?
    };
    let prompt = join(&words, &files, &piped);
    Ok((!prompt.trim().is_empty()).then(|| Message::text(Role::User, prompt)))
}

/// Puts the parts together. The line break at the end of what was piped in is the shell's and is left out.
fn join(words: &str, files: &[(String, String)], piped: &str) -> String {
    let mut prompt = words.to_owned();
    let separate = |prompt: &mut String| {
        if !prompt.is_empty() {
            prompt.push_str("\n\n");
        }
    };
    for (name, text) in files {
        separate(&mut prompt);
        let line_break = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let _ = write!(
            prompt,
            "----- file: {name} -----\n{text}{line_break}----- end of {name} -----"
        );
    }
    let piped = piped
        .strip_suffix('\n')
        .map_or(piped, |text| text.strip_suffix('\r').unwrap_or(text));
    if !piped.trim().is_empty() {
        separate(&mut prompt);
        prompt.push_str(piped);
    }
    prompt
}

fn read_file(path: &Path) -> Result<String> {
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("--file {}: {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    text(file).map_err(|what| wrong(&what))
}

/// Reads standard input to its end. A pipe that somebody forgot to close would be waited for without a word, so after
/// a while there is one.
fn read_stdin() -> Result<String> {
    let (send, receive) = mpsc::sync_channel(1);
    // Owned by this process: it ends with the input, or with us.
    std::thread::spawn(move || send.send(text(io::stdin().lock())));
    let read = receive.recv_timeout(PATIENCE).or_else(|_| {
        console::tell("waiting for the end of standard input, which is a pipe or file and is added to the prompt (</dev/null gives it none)");
        receive.recv()
    });
    match read {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(what)) => Err(Problem::usage(format!("standard input: {what}"))),
        Err(_) => Err(Problem::internal("standard input: the reading thread ended")),
    }
}

fn text(from: impl Read) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    let beyond = MAX_BYTES as u64 + 1;
    from.take(beyond)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > MAX_BYTES {
        return Err("larger than the limit of 16 MiB".to_owned());
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(format!("not a text: there is a zero byte at {at}"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not UTF-8 text: byte {at} begins no character (iconv -f … -t UTF-8 converts it)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn parts_are_joined_by_a_blank_line_and_nothing_is_added_to_one_part() {
        assert_eq!(join("why", &[], ""), "why");
        assert_eq!(join("", &[], "why\n"), "why");
        assert_eq!(join("translate", &[], "one\ntwo\r\n"), "translate\n\none\ntwo");
        assert_eq!(join("translate", &[], "\n"), "translate");
        assert_eq!(join("", &[], "  indented\n\n"), "  indented\n");
    }

    #[test]
    fn a_file_stands_between_lines_that_name_it() {
        let files = [file("a.txt", "one\n"), file("b.txt", "two"), file("c", "")];
        assert_eq!(
            join("compare", &files, "three"),
            "compare\n\n----- file: a.txt -----\none\n----- end of a.txt -----\n\n\
             ----- file: b.txt -----\ntwo\n----- end of b.txt -----\n\n\
             ----- file: c -----\n----- end of c -----\n\nthree"
        );
    }

    #[test]
    fn only_text_within_the_limit_is_read() {
        assert_eq!(text("käse".as_bytes()), Ok("käse".to_owned()));
        assert!(text(&b"a\0b"[..]).is_err_and(|what| what.contains("zero byte at 1")));
        assert!(text(&b"ab\xff"[..]).is_err_and(|what| what.contains("byte 2")));
        assert!(text(io::repeat(b'a')).is_err_and(|what| what.contains("16 MiB")));
        assert!(text(io::repeat(b'a').take(MAX_BYTES as u64)).is_ok());
    }
}
