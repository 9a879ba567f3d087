//! The commands of a chat that look at it, and take something out of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use aurora_chat::Role;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::slash::KNOWN;
use super::{Chat, Message};
use crate::code::{self, Block, Wanted};
use crate::commands::history::export;
use crate::console;
use crate::output::visible;
use crate::private;
use crate::problem::{Problem, Result};

/// The most that is copied, in bytes: what terminals take in one escape sequence.
const COPIED: usize = 74_000;

impl Chat<'_> {
    /// Tells the system prompt.
    pub(super) fn tell_system(&self) {
        match self.system() {
            Some(system) => self.remark(&system),
            None => self.remark("no system prompt"),
        }
    }

    /// The system prompt.
    pub(super) fn system(&self) -> Option<String> {
        let lead = self.conversation.entries().first()?;
        (lead.message.role == Role::System).then(|| lead.message.plain_text().into_owned())
    }

    /// Tells the commands.
    pub(super) fn help(&self) -> Result<()> {
        let width = KNOWN
            .iter()
            .map(|known| known.name.len() + known.usage.len())
            .max();
        let width = width.unwrap_or(0);
        let mut text = String::new();
        for known in KNOWN {
            let name = format!("{}{}", known.name, known.usage);
            let _ = writeln!(text, "/{name:width$}  {}", known.help);
        }
        text += "Alt-Enter, or a backslash at a line's end, begins another line.\n\
                 What stands from \"\"\" to the next \"\"\" is one prompt.\n\
                 Ctrl-C stops an answer and keeps it.\n\
                 // at the beginning asks the model about something with a slash.\n";
        console::tell_raw(&text);
        Ok(())
    }

    /// Tells what the conversation has cost, as far as servers counted.
    pub(super) fn tell_usage(&self) {
        let answers = self
            .conversation
            .entries()
            .iter()
            .filter_map(|entry| entry.answer.as_ref());
        let (mut input, mut output, mut counted, mut all) = (0, 0, 0, 0);
        for answer in answers {
            all += 1;
            if let Some(usage) = answer.ending.as_ref().and_then(|ending| ending.usage) {
                counted += 1;
                input += usage.input_tokens;
                output += usage.output_tokens;
            }
        }
        let missing = if counted < all {
            format!(" ({} of them not counted)", all - counted)
        } else {
            String::new()
        };
        let answers = if all == 1 { "answer" } else { "answers" };
        self.remark(&format!(
            "{all} {answers}{missing}: {input} input tokens, {output} output tokens"
        ));
    }

    /// Prints a code block of the last answer.
    pub(super) fn code(&self, number: u32) -> Result<()> {
        let Some(answer) = self.last_answer() else {
            self.remark("there is no answer yet");
            return Ok(());
        };
        let wanted = Wanted {
            block: Block::Nth(number),
            lang: None,
        };
        match code::of(&answer, wanted) {
            Ok(code) => {
                let shown = if self.style.out_is_terminal {
                    visible::text(&code)
                } else {
                    code
                };
                console::print(&shown)
            }
            Err(message) => {
                self.remark(&message);
                Ok(())
            }
        }
    }

    /// Asks the terminal to copy the last answer (OSC 52).
    pub(super) fn copy(&self) -> Result<()> {
        let Some(answer) = self.last_answer() else {
            self.remark("there is no answer yet");
            return Ok(());
        };
        if self.quiet.is_none() {
            return Err(Problem::usage(
                "/copy asks the terminal to copy, and this is none that can",
            ));
        }
        if answer.len() > COPIED {
            return Err(Problem::usage(format!(
                "the answer has {} bytes, and terminals copy {COPIED} at most; /save writes it to a file",
                answer.len()
            )));
        }
        console::tell_raw(&format!("\u{1b}]52;c;{}\u{7}", BASE64.encode(&answer)));
        self.remark(&format!(
            "{} bytes for the clipboard, if this terminal allows it",
            answer.len()
        ));
        Ok(())
    }

    /// Writes the conversation to a file that is not there yet.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut text = format!("# {}\n", self.conversation.title());
        export::sections(self.conversation.entries(), &mut text);
        private::options()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Problem::usage(format!("/save {}: {error}", path.display())))?;
        self.remark(&format!("{}: {} bytes", path.display(), text.len()));
        Ok(())
    }

    /// Opens the last prompt in an editor; what is saved is asked in its place.
    pub(super) fn edit(&mut self) -> Result<()> {
        let last = self.said().last();
        let Some(text) = edited(self, last.as_deref().unwrap_or_default())? else {
            self.remark("nothing was changed, and nothing is asked");
            return Ok(());
        };
        self.conversation.undo();
        self.ask(Message::text(Role::User, text))
    }

    fn last_answer(&self) -> Option<String> {
        let mut entries = self.conversation.entries().iter().rev();
        let answer = entries.find(|entry| entry.message.role == Role::Assistant)?;
        Some(answer.message.plain_text().into_owned())
    }
}

/// What a person makes of a text in an editor; `None` if they leave it as it is, or empty.
fn edited(chat: &Chat<'_>, text: &str) -> Result<Option<String>> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let wrong = |error: std::io::Error| Problem::usage(format!("/edit with {editor}: {error}"));
    let draft = Draft::new(text).map_err(wrong)?;
    // `code --wait` is a program and an argument.
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    command.args(words).arg(&draft.0);
    if !std::io::stdin().is_terminal() {
        // What is piped in are prompts.
        command.stdin(Stdio::null());
    }
    let status = match &chat.quiet {
        Some(quiet) => quiet.lend(|| command.status()),
        None => command.status(),
    };
    if !status.map_err(wrong)?.success() {
        return Ok(None);
    }
    let after = fs::read_to_string(&draft.0).map_err(wrong)?;
    let after = after.trim_end_matches('\n');
    Ok((!after.trim().is_empty() && after != text).then(|| after.to_owned()))
}

/// A file for an editor, for its owner's eyes only, that is removed with its value.
struct Draft(std::path::PathBuf);

impl Draft {
    fn new(text: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("aurora-prompt-{}.md", std::process::id()));
        // One that is there is not ours: somebody may have put it, or a link, in the way.
        let _ = fs::remove_file(&path);
        let mut file = private::options().write(true).create_new(true).open(&path)?;
        let draft = Self(path);
        file.write_all(text.as_bytes())?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
