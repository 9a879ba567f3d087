//! Reads documents of kinds that take a parser, in a process of its own.
//!
//! A parser of hostile files may panic, run out of its stack or of memory, or never come to an end. Whatever it does, it does
//! it in a child process of this same program, which gets the file on standard input, answers on standard output, and has
//! limits on time and memory. The program itself goes on, with an error that names the file.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{html, pdf};

/// The hidden first argument that makes this program a reader.
const COMMAND: &str = "__read-document";

/// How long a document may take. A book's thousand pages take a second or two.
const TIME: Duration = Duration::from_secs(120);

/// The memory that a reader may take, where the system lets a process limit its own.
#[cfg(unix)]
const MEMORY: u64 = 4 << 30;

/// The largest text that is taken from a document.
pub(super) const MAX_TEXT: usize = 64 << 20;

/// A text, and a remark on what of the document is not in it.
type Text = (String, Option<String>);

/// The largest answer of a reader: a line and a text.
const MAX_ANSWER: usize = MAX_TEXT + 1024;

/// What is read by a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page in UTF-8.
    Html,
    Pdf,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }
}

/// The text of a document, and a remark on what of the document is not in it.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn read(kind: Kind, document: Vec<u8>) -> Result<Text, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.args([COMMAND, kind.name()]);
    run(command, document, TIME)
}

/// Whether this process is to be a reader; then it is, and this is its exit code.
pub(crate) fn serve(line: &[OsString]) -> Option<u8> {
    let [_, command, kind] = line else { return None };
    if command != COMMAND {
        return None;
    }
    limit_memory();
    let answer = document().and_then(|document| text(kind, document));
    // A line that says how it went, and the text or what is wrong.
    let (mark, remark, text) = match &answer {
        Ok((text, remark)) => ('+', remark.as_deref().unwrap_or_default(), text),
        Err(what) => ('-', "", what),
    };
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{mark}{remark}")
        .and_then(|()| out.write_all(text.as_bytes()))
        .and_then(|()| out.flush());
    Some(u8::from(written.is_err()))
}

fn document() -> Result<Vec<u8>, String> {
    let mut document = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut document)
        .map_err(|error| error.to_string())?;
    Ok(document)
}

fn text(kind: &OsStr, document: Vec<u8>) -> Result<Text, String> {
    match kind.to_str() {
        Some("html") => {
            let page = String::from_utf8(document).map_err(|_| "not UTF-8".to_owned())?;
            Ok((html::text(&page), None))
        }
        Some("pdf") => pdf::text(document),
        _ => Err("no such kind of document".to_owned()),
    }
}

#[cfg(unix)]
fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    // Where there is no such limit, there is still the one on time.
    let _ = setrlimit(Resource::As, limit);
}

#[cfg(not(unix))]
fn limit_memory() {}

/// Runs a reader.
fn run(mut command: Command, document: Vec<u8>, time: Duration) -> Result<Text, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start the process that reads it: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // Ends with the pipe, which the child's end closes at the latest.
        std::thread::spawn(move || input.write_all(&document));
    }
    let (send, receive) = mpsc::sync_channel(1);
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let read = output.take(MAX_ANSWER as u64 + 1).read_to_end(&mut answer);
            let _ = send.send(read.map(|_| answer));
        });
    }
    let answer = receive.recv_timeout(time);
    let late = answer.is_err();
    let status = end(
        &mut child,
        late || matches!(&answer, Ok(Ok(answer)) if answer.len() > MAX_ANSWER),
    );
    let answer = match answer {
        Err(_) => {
            return Err(format!(
                "reading it took longer than {} s and was given up",
                time.as_secs()
            ));
        }
        Ok(Err(error)) => return Err(format!("cannot read what its reader says: {error}")),
        Ok(Ok(answer)) => answer,
    };
    let too_large = || format!("its text is larger than the limit of {} MiB", MAX_TEXT >> 20);
    if answer.len() > MAX_ANSWER {
        return Err(too_large());
    }
    let said = String::from_utf8(answer).ok().and_then(|answer| {
        let (line, text) = answer.split_once('\n')?;
        if text.len() > MAX_TEXT {
            return Some(Err(too_large()));
        }
        let text = text.to_owned();
        let remark = |remark: &str| Some(remark.to_owned()).filter(|remark| !remark.is_empty());
        match line.split_at_checked(1)? {
            ("+", line) => Some(Ok((text, remark(line)))),
            ("-", "") => Some(Err(text)),
            _ => None,
        }
    });
    match (said, status) {
        (Some(said), Ok(status)) if status.success() => said,
        (_, status) => Err(format!(
            "it is damaged in a way that its reader does not survive ({})",
            status.map_or_else(|error| error.to_string(), |status| status.to_string())
        )),
    }
}

/// Waits for the end of a child, which is made sure of where that may not come by itself.
fn end(child: &mut Child, kill: bool) -> io::Result<ExitStatus> {
    if kill {
        // It may have ended by itself.
        let _ = child.kill();
    }
    child.wait()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Result<Text, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, vec![b'x'; 1 << 20], time)
    }

    #[test]
    fn whatever_a_reader_does_there_is_an_answer() {
        let long = Duration::from_secs(60);
        let text = |remark: Option<&str>| Ok(("a\nb".to_owned(), remark.map(str::to_owned)));
        assert_eq!(shell("cat >/dev/null; printf '+\na\nb'", long), text(None));
        assert_eq!(shell("printf '+less\na\nb'", long), text(Some("less")));
        assert_eq!(shell("printf -- '-\nwrong'", long), Err("wrong".to_owned()));
        for (script, time, what) in [
            ("kill -SEGV $$", long, "damaged"),
            ("exit 101", long, "damaged"),
            ("printf '+\nhalf'; kill -KILL $$", long, "damaged"),
            ("printf '+\\n\\377'", long, "damaged"),
            ("printf +text", long, "damaged"),
            ("printf '?\\ntext'", long, "damaged"),
            ("exec sleep 600", Duration::from_millis(50), "longer than"),
            ("printf '+\n'; exec cat /dev/zero", long, "64 MiB"),
            ("printf '+\n'; head -c 67108865 /dev/zero", long, "64 MiB"),
        ] {
            let error = shell(script, time).unwrap_err();
            assert!(error.contains(what), "{script}: {error}");
        }
    }

    #[test]
    fn only_the_hidden_command_makes_a_reader() {
        let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(serve(&line(&["aurora"])), None);
        assert_eq!(serve(&line(&["aurora", "pdf", COMMAND])), None);
    }
}
