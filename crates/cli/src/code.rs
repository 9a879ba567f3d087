//! The code of an answer: an audience that lets a printer have only what stands inside the fences, or keeps it in a file.
//!
//! What is code and which of it is wanted is decided in [`extract`]; how a file comes to be whole or not at all, in
//! [`partial`]. An answer that is complete and whose code is not gets a stricter verdict than its source gave: nothing
//! incomplete ever exits with 0.

use std::time::Duration;

use aurora_chat::{Delta, End, Failure, FailureKind, Notice, Start, Update, Verdict};
use aurora_client::Prospect;

use crate::console;
use crate::delivery::Console;
use crate::output::{Audience, Size};
use crate::problem::Result;

mod extract;
pub(crate) mod partial;

pub(crate) use extract::{Block, Wanted};

use extract::{Extract, Outcome};
use partial::Partial;

/// How long a progress notice stands before the next one takes its place.
const PROGRESS: Duration = Duration::from_millis(200);

/// Lets a printer have the code of an answer.
#[derive(Debug)]
pub(crate) struct CodeOnly<'a> {
    extract: Extract,
    file: Option<Partial>,
    /// Whether stdout has the answer's events, text included, although the code goes to a file.
    events: bool,
    /// The code of the answer's beginning, which an earlier run gave and the file still lacks.
    before: String,
    /// Whether anything of the answer has come, be it code or not.
    begun: bool,
    /// Whether any of its code was given, be it by an earlier run.
    given: bool,
    progress_due: Duration,
    to: &'a mut Console,
}

impl<'a> CodeOnly<'a> {
    /// Gives the wanted code of an answer `to` a printer or, if there is a file, to that; `events` are given to the
    /// printer in either case.
    pub(crate) fn new(wanted: Wanted, file: Option<Partial>, events: bool, to: &'a mut Console) -> Self {
        Self {
            extract: Extract::new(wanted),
            file,
            events,
            before: String::new(),
            begun: false,
            given: false,
            progress_due: Duration::ZERO,
            to,
        }
    }

    fn text(&mut self, elapsed: Duration, text: &str) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            // Prose is dropped, and yet it is what the time to the first token is about.
            self.to
                .update(elapsed, &Update::Delta(Delta::Text(String::new())))?;
            self.write_before()?;
        }
        let mut code = String::new();
        let beyond = self.extract.push(text, &mut code);
        if beyond {
            self.warn(
                elapsed,
                "no_fence",
                "no code fence in the first MiB of the answer, which is passed on as it is".to_owned(),
            )?;
        }
        self.code(elapsed, code)
    }

    fn code(&mut self, elapsed: Duration, code: String) -> Result<()> {
        if code.is_empty() {
            return Ok(());
        }
        self.given = true;
        if let Some(file) = &mut self.file {
            file.write(&code)?;
            if !self.events {
                if elapsed >= self.progress_due {
                    self.progress_due = elapsed + PROGRESS;
                    let (lines, bytes) = (file.lines(), file.bytes());
                    self.to.note(vec![
                        format!("{lines} lines, {bytes} bytes"),
                        format!("{lines} lines"),
                    ]);
                }
                return Ok(());
            }
        }
        self.to.set_code(self.extract.language());
        self.to
            .update(elapsed, &Update::Delta(Delta::Text(code)))
            .map(drop)
    }

    /// Not before something comes of the rest: until then, what the earlier run left is as good.
    fn write_before(&mut self) -> Result<()> {
        let before = std::mem::take(&mut self.before);
        self.file.as_mut().map_or(Ok(()), |file| file.write(&before))
    }

    fn warn(&mut self, elapsed: Duration, kind: &'static str, message: String) -> Result<()> {
        let notice = Notice::Warning { kind, message };
        self.to.update(elapsed, &Update::Notice(notice)).map(drop)
    }

    fn end(&mut self, elapsed: Duration, mut end: End) -> Result<Option<Verdict>> {
        let mut code = String::new();
        let outcome = self.extract.finish(&mut code);
        let complete = end.verdict == Verdict::Complete;
        if complete {
            self.write_before()?;
        }
        self.code(elapsed, code)?;
        let lack = match (outcome, self.file.as_ref().filter(|file| file.replaces())) {
            (Outcome::Lacking(message), _) => Some(message),
            _ if !self.given => Some("the answer has no code".to_owned()),
            // It may be an apology, which is no reason to lose what there is.
            (Outcome::AsIs, Some(file)) => Some(format!(
                "the answer has no code fence, and {} is not replaced by prose",
                file.target().display()
            )),
            (Outcome::AsIs, None) => {
                if complete {
                    let message = "no code fence in the answer, which is passed on as it is";
                    self.warn(elapsed, "no_fence", message.to_owned())?;
                }
                None
            }
            (Outcome::More(message), _) => {
                self.warn(elapsed, "more_blocks", message)?;
                None
            }
            (Outcome::Whole, _) => None,
        };
        // Any other verdict says already that this is not all.
        if complete && let Some(lack) = lack {
            end.verdict = Verdict::Truncated;
            end.failure = Some(Failure::new(FailureKind::UnexpectedEnd, lack));
        }
        let told = self
            .file
            .take()
            .map(|file| file.finish(end.verdict))
            .transpose()?;
        let verdict = self.to.update(elapsed, &Update::End(end))?;
        if let Some(told) = told {
            console::tell(&told);
        }
        Ok(verdict)
    }
}

/// The wanted code of a whole answer, or why there is none. An answer without a fence has none.
pub(crate) fn of(answer: &str, wanted: Wanted) -> std::result::Result<String, String> {
    let (mut extract, mut code) = (Extract::new(wanted), String::new());
    extract.push(answer, &mut code);
    match extract.finish(&mut code) {
        Outcome::Whole | Outcome::More(_) => Ok(code),
        Outcome::AsIs => Err("the answer has no code block".to_owned()),
        // Half of it is better than nothing where a person looks.
        Outcome::Lacking(_) if !code.is_empty() => Ok(code),
        Outcome::Lacking(message) => Err(message),
    }
}

impl Audience for CodeOnly<'_> {
    fn asked(&mut self, start: Start) {
        self.to.asked(start);
    }

    /// What there was of it is code or is not, as if it came now, and is not printed again.
    fn goes_on(&mut self, before: &str) {
        self.extract.go_on(before, &mut self.before);
        self.given = !self.before.is_empty();
        if self.file.is_none() {
            self.extract.forget_held();
        }
    }

    fn resize(&mut self, size: Size) -> Result<()> {
        self.to.resize(size)
    }

    fn quiet(&mut self, silent: Duration, prospect: Option<Prospect>) {
        self.to.quiet(silent, prospect);
    }

    fn problem(&mut self, elapsed: Duration, kind: &str, message: &str) -> Result<()> {
        self.to.problem(elapsed, kind, message)
    }

    fn update(&mut self, elapsed: Duration, update: &Update) -> Result<Option<Verdict>> {
        match update {
            Update::Delta(Delta::Text(text) | Delta::Refusal(text)) => {
                self.text(elapsed, text).map(|()| None)
            }
            Update::End(end) => self.end(elapsed, end.clone()),
            Update::Start(_) | Update::Delta(_) | Update::Notice(_) => self.to.update(elapsed, update),
        }
    }
}
