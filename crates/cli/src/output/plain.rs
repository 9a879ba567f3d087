//! An answer as text: the answer on stdout, everything else on stderr, a line each.

use std::io::{self, Write};
use std::time::Duration;

use aurora_chat::{Delta, End, Notice, Start, Verdict};
use aurora_client::Prospect;

use super::countdown::Countdown;
use super::form::Form;
use super::visible::{Visible, line};
use super::{Meter, Size, Style, ending};

/// The most tool calls that are named; a server may invent any number.
const MAX_TOOL_NAMES: usize = 16;

/// Writes plain text.
#[derive(Debug)]
pub(super) struct Plain<O, E> {
    style: Style,
    out: O,
    err: E,
    /// The name of the model that answers, as the source gave it.
    model: String,
    answer: Form,
    size: Size,
    thoughts: Visible,
    /// Whether anything of the answer was written, and whether the last of it was not a line feed.
    out_used: bool,
    out_open: bool,
    /// Whether stderr stands in the middle of a line of reasoning.
    err_open: bool,
    tools: Vec<String>,
    countdown: Countdown,
}

impl<O: Write, E: Write> Plain<O, E> {
    pub(super) fn new(style: Style, out: O, err: E) -> Self {
        Self {
            style,
            out,
            err,
            model: String::new(),
            answer: Form::new(style),
            size: Size::default(),
            thoughts: Visible::default(),
            out_used: false,
            out_open: false,
            err_open: false,
            tools: Vec::new(),
            countdown: Countdown::new(style.countdown, style.ambiguous),
        }
    }

    pub(super) fn resize(&mut self, size: Size) -> io::Result<()> {
        self.countdown.resize(size.columns);
        if size == self.size {
            return Ok(());
        }
        self.size = size;
        self.clear();
        let mut shown = String::new();
        self.answer.resize(size, &mut shown);
        // Behind reasoning there is no room for the answer until that line has ended.
        if !self.err_open {
            self.answer.again(&mut shown);
        }
        self.write(&shown)
    }

    pub(super) fn quiet(&mut self, silent: Duration, prospect: Option<Prospect>) {
        let notice = self.countdown.show(silent, prospect, self.style.err_color);
        self.err_raw(&notice);
    }

    /// Shows a notice that goes away again, where there is room for one of its forms.
    pub(super) fn note(&mut self, forms: Vec<String>) {
        let notice = self.countdown.note(forms, self.style.err_color);
        self.err_raw(&notice);
    }

    /// One line on stderr, without our name.
    pub(super) fn remark(&mut self, text: &str) {
        let text = self.dim(&line(text));
        self.line(&text);
    }

    /// Takes the notice about silence away, which is to be done before anything else is written.
    pub(super) fn clear(&mut self) {
        let bytes = self.countdown.clear();
        self.err_raw(bytes);
    }

    /// What comes is code, of this language.
    pub(super) fn set_code(&mut self, language: &str) {
        self.answer.set_code(language);
    }

    pub(super) fn start(&mut self, start: &Start) {
        self.model = line(&start.model);
    }

    pub(super) fn delta(&mut self, delta: &Delta) -> io::Result<()> {
        match delta {
            // A refusal is what the model answers.
            Delta::Text(text) | Delta::Refusal(text) => self.text(text),
            Delta::Reasoning(text) => {
                self.reasoning(text);
                Ok(())
            }
            Delta::ToolCall(call) => {
                if self.tools.len() < MAX_TOOL_NAMES {
                    self.tools.extend(call.name.as_deref().map(line));
                }
                Ok(())
            }
            Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => Ok(()),
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        let text = ending::notice(notice);
        match notice {
            // All is well again, so it is said in a low voice.
            Notice::Resume { .. } => self.tell_dim(&text),
            Notice::Warning { .. } | Notice::Retry { .. } => self.tell(&text),
        }
        let mut shown = String::new();
        self.answer.again(&mut shown);
        // Where stdout is lost, the next piece of the answer says so.
        let _ = self.write(&shown);
    }

    /// Ends the answer's last line, then says how it ended.
    pub(super) fn end(&mut self, end: &End, meter: &Meter) -> io::Result<()> {
        let closed = self.close();
        if !self.tools.is_empty() {
            let names = self.tools.join(", ");
            self.tell(&format!(
                "the model asked for tools, which this command does not run: {names}"
            ));
        }
        if end.verdict != Verdict::Complete {
            self.tell(&ending::explain(end, self.out_used));
        }
        if self.style.usage {
            self.tell(&ending::usage(meter));
        } else if (end.verdict == Verdict::Complete || self.style.footer)
            && self.style.err_is_terminal
            && !self.style.plain
        {
            let summary = self.dim(&ending::summary(end.verdict, &self.model, meter));
            self.err(&format!("{summary}\n"));
        }
        closed
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.err_open) {
            self.err("\n");
        }
        let mut shown = String::new();
        self.answer.text(text, self.size, &mut shown);
        self.out_used |= !text.is_empty();
        self.write(&shown)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let Some(last) = text.as_bytes().last() else {
            return Ok(());
        };
        self.out_used = true;
        match self.answer.column() {
            Some(column) => {
                self.out_open = column != Some(0);
                self.countdown.stands_at(column);
            }
            None => {
                self.out_open = *last != b'\n';
                self.countdown.wrote_out(text);
            }
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// The answer ends with a line feed, its own or this one; an answer of nothing stays nothing.
    fn close(&mut self) -> io::Result<()> {
        let mut held_back = String::new();
        self.answer.finish(&mut held_back);
        let held_back = self.write(&held_back);
        if std::mem::take(&mut self.err_open) {
            self.err("\n");
        }
        if self.out_open {
            held_back.and_then(|()| self.write("\n"))
        } else {
            held_back
        }
    }

    /// Reasoning goes to stderr, whatever that is, in its harmless form.
    fn reasoning(&mut self, text: &str) {
        if !self.style.show_reasoning {
            return;
        }
        let mut shown = String::new();
        self.thoughts.push(text, &mut shown);
        if let Some(last) = shown.as_bytes().last() {
            self.err_open = *last != b'\n';
            let shown = self.dim(&shown);
            self.make_way();
            self.err(&shown);
        }
    }

    /// The text, dim where that may be.
    fn dim(&self, text: &str) -> String {
        if self.style.err_color {
            format!("\u{1b}[2m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// One line on stderr.
    fn tell(&mut self, message: &str) {
        self.line(&format!("aurora: {message}"));
    }

    fn tell_dim(&mut self, message: &str) {
        let text = self.dim(&format!("aurora: {message}"));
        self.line(&text);
    }

    /// Where stderr may be the terminal that shows the answer, what of it is not final makes way.
    fn make_way(&mut self) {
        if self.style.err_is_terminal {
            let mut shown = String::new();
            self.answer.make_way(&mut shown);
            let _ = self.write(&shown);
        }
    }

    /// On a terminal that also shows the answer, the line begins on one of its own.
    fn line(&mut self, text: &str) {
        self.make_way();
        let shared = self.style.out_is_terminal && self.style.err_is_terminal && self.out_open;
        let lead = if std::mem::take(&mut self.err_open) || shared {
            "\n"
        } else {
            ""
        };
        self.err(&format!("{lead}{text}\n"));
    }

    fn err(&mut self, text: &str) {
        self.countdown.wrote_err(text);
        self.err_raw(text);
    }

    fn err_raw(&mut self, bytes: &str) {
        if !bytes.is_empty() {
            let _ = self.err.write_all(bytes.as_bytes());
            let _ = self.err.flush();
        }
    }
}
