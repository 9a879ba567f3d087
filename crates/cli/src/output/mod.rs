//! Answers as bytes for stdout and stderr: [`Printer`] eats the updates of a source and writes what a person
//! ([`plain`]) or a program ([`json`]) reads.
//!
//! Pure: it writes to any [`Write`], is told the time, and knows of the terminal only what it is told. What goes wrong
//! on stdout is returned; what goes wrong on stderr is nobody's to hear.

use std::io::Write;
use std::time::Duration;

use aurora_chat::{Delta, Start, Update, Usage, Verdict};
use aurora_client::Prospect;

use crate::problem::{Problem, Result};

mod audience;
mod column;
mod countdown;
mod ending;
mod form;
mod json;
mod plain;

pub(crate) use audience::Audience;
pub(crate) use aurora_render::visible;
pub(crate) use countdown::Place;
pub(crate) use json::object as json_line;

/// How an answer is to be written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// One JSON object a line instead of text.
    pub(crate) json: bool,
    /// stdout is a terminal: control characters are made visible.
    pub(crate) out_is_terminal: bool,
    /// stdout is a terminal that understands escape sequences: the answer is rendered as the markdown that it is.
    pub(crate) render: bool,
    /// Escape sequences for colour may be written to stdout.
    pub(crate) out_color: bool,
    /// The terminal wraps its rows anew when its width changes.
    pub(crate) reflows: bool,
    /// stderr is a terminal: a complete answer's end is told there too.
    pub(crate) err_is_terminal: bool,
    /// Escape sequences for colour may be written to stderr.
    pub(crate) err_color: bool,
    /// No decoration.
    pub(crate) plain: bool,
    /// Show what the model thinks aloud.
    pub(crate) show_reasoning: bool,
    /// Tell what the answer cost.
    pub(crate) usage: bool,
    /// Tell a person the end of every answer in a line, not only of complete ones.
    pub(crate) footer: bool,
    /// Where a notice about a silent source may stand.
    pub(crate) countdown: Place,
    /// Characters of ambiguous width may be wide on the terminal.
    pub(crate) ambiguous: bool,
}

/// The size of a terminal; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// This size, or another one where it is not known.
    fn or(self, other: Self) -> Self {
        let known = |this: usize, other| if this == 0 { other } else { this };
        Self {
            columns: known(self.columns, other.columns),
            rows: known(self.rows, other.rows),
        }
    }
}

/// Writes one answer.
#[derive(Debug)]
pub(crate) struct Printer<O, E> {
    kind: Kind<O, E>,
    meter: Meter,
}

#[derive(Debug)]
enum Kind<O, E> {
    Plain(plain::Plain<O, E>),
    Json(json::Json<O, E>),
}

/// What is measured of every answer.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// From the request to the first delta that carried something of the answer.
    first_token: Option<Duration>,
    /// From the request to now.
    elapsed: Duration,
    usage: Option<Usage>,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// A printer for one answer.
    pub(crate) fn new(style: Style, out: O, err: E) -> Self {
        let kind = if style.json {
            Kind::Json(json::Json::new(out, err))
        } else {
            Kind::Plain(plain::Plain::new(style, out, err))
        };
        Self {
            kind,
            meter: Meter::default(),
        }
    }

    /// Shows a notice until the next update, in the longest of these forms that has room. They are ASCII.
    pub(crate) fn note(&mut self, forms: Vec<String>) {
        if let Kind::Plain(plain) = &mut self.kind {
            plain.note(forms);
        }
    }

    /// Writes a line about the answer for a person, in a low voice. Programs that read events see what it is about.
    pub(crate) fn remark(&mut self, text: &str) {
        if let Kind::Plain(plain) = &mut self.kind {
            plain.clear();
            plain.remark(text);
        }
    }

    /// What comes is code, of this language; to be told before the first text, and nothing changes where it is not shown
    /// to a person.
    pub(crate) fn set_code(&mut self, language: &str) {
        if let Kind::Plain(plain) = &mut self.kind {
            plain.set_code(language);
        }
    }
}

impl<O: Write, E: Write> Audience for Printer<O, E> {
    /// JSON lines start with what is asked if the source has anything else to say first.
    fn asked(&mut self, start: Start) {
        if let Kind::Json(json) = &mut self.kind {
            json.asked(start);
        }
    }

    fn resize(&mut self, size: Size) -> Result<()> {
        match &mut self.kind {
            Kind::Plain(plain) => plain.resize(size).map_err(|error| Problem::stdout(&error)),
            Kind::Json(_) => Ok(()),
        }
    }

    /// Shows it until the next update.
    fn quiet(&mut self, silent: Duration, prospect: Option<Prospect>) {
        if let Kind::Plain(plain) = &mut self.kind {
            plain.quiet(silent, prospect);
        }
    }

    /// Writes an `end` in JSON lines, unless there was one.
    fn problem(&mut self, elapsed: Duration, kind: &str, message: &str) -> Result<()> {
        self.meter.elapsed = elapsed;
        match &mut self.kind {
            Kind::Json(json) => json
                .problem(kind, message, &self.meter)
                .map_err(|error| Problem::stdout(&error)),
            Kind::Plain(plain) => {
                plain.clear();
                Ok(())
            }
        }
    }

    /// Writes the update and flushes it.
    fn update(&mut self, elapsed: Duration, update: &Update) -> Result<Option<Verdict>> {
        self.meter.see(elapsed, update);
        if let Kind::Plain(plain) = &mut self.kind {
            plain.clear();
        }
        match (&mut self.kind, update) {
            (Kind::Json(json), Update::Start(start)) => json.start(start),
            (Kind::Json(json), Update::Delta(delta)) => json.delta(delta),
            (Kind::Json(json), Update::Notice(notice)) => json.notice(notice),
            (Kind::Json(json), Update::End(end)) => json.end(end, &self.meter),
            (Kind::Plain(plain), Update::Start(start)) => {
                plain.start(start);
                Ok(())
            }
            (Kind::Plain(plain), Update::Delta(delta)) => plain.delta(delta),
            (Kind::Plain(plain), Update::Notice(notice)) => {
                plain.notice(notice);
                Ok(())
            }
            (Kind::Plain(plain), Update::End(end)) => plain.end(end, &self.meter),
        }
        .map_err(|error| Problem::stdout(&error))?;
        Ok(match update {
            Update::End(end) => Some(end.verdict),
            Update::Start(_) | Update::Delta(_) | Update::Notice(_) => None,
        })
    }
}

impl Meter {
    fn see(&mut self, elapsed: Duration, update: &Update) {
        self.elapsed = elapsed;
        match update {
            Update::Delta(Delta::Usage(usage)) => self.usage = Some(*usage),
            Update::Delta(Delta::Text(_) | Delta::Reasoning(_) | Delta::Refusal(_) | Delta::ToolCall(_)) => {
                self.first_token.get_or_insert(elapsed);
            }
            Update::Delta(Delta::Logprobs(_) | Delta::Finish(_))
            | Update::Start(_)
            | Update::Notice(_)
            | Update::End(_) => {}
        }
    }

    /// Tokens of answer a second, from the first token to the end; `None` where that says nothing.
    fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.usage?.output_tokens;
        let time = self.elapsed.checked_sub(self.first_token?)?.as_secs_f64();
        // The first token's own time is not in the interval, so it is not counted either.
        (tokens > 1 && time > 0.0).then(|| (tokens - 1) as f64 / time)
    }
}

/// What is said on stderr about something that does not end an answer.
pub(crate) fn notice(notice: &aurora_chat::Notice) -> String {
    ending::notice(notice)
}

/// A whole answer in the form in which it is shown while it comes. It ends with a line feed, unless nothing is shown.
pub(crate) fn shown(answer: &str, style: Style, size: Size) -> String {
    let (mut form, mut out) = (form::Form::new(style), String::new());
    form.text(answer, size, &mut out);
    form.finish(&mut out);
    let is_closed = form.column().map_or_else(
        || out.is_empty() || out.ends_with('\n'),
        |column| column == Some(0),
    );
    if !is_closed {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
