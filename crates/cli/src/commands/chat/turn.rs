//! One answer in a chat: a printer that also folds what the model thinks aloud into a line.

use std::time::Duration;

use aurora_chat::{Delta, Start, Update, Verdict};
use aurora_client::Prospect;

use crate::delivery::Console;
use crate::output::{Audience, Size};
use crate::problem::Result;

/// An audience for one answer.
#[derive(Debug)]
pub(super) struct Turn {
    printer: Console,
    /// Whether thoughts are folded, instead of shown or left to a program that reads events.
    folds: bool,
    /// When the model began to think, until it stopped.
    thinking: Option<Duration>,
}

impl Turn {
    /// For the answer that is asked for next.
    pub(super) fn new(printer: Console, folds: bool) -> Self {
        Self {
            printer,
            folds,
            thinking: None,
        }
    }

    fn thinks(&mut self, elapsed: Duration) {
        let began = *self.thinking.get_or_insert(elapsed);
        // Whatever a printer is given takes away the notice before it.
        let seconds = (elapsed - began).as_secs();
        self.printer
            .note(vec![format!("thinking {seconds} s"), format!("{seconds} s")]);
    }

    fn thought(&mut self, elapsed: Duration) {
        if let Some(began) = self.thinking.take() {
            let seconds = (elapsed - began).as_secs_f64();
            self.printer.remark(&format!("thought for {seconds:.1} s"));
        }
    }
}

impl Audience for Turn {
    fn asked(&mut self, start: Start) {
        self.printer.asked(start);
    }

    fn resize(&mut self, size: Size) -> Result<()> {
        self.printer.resize(size)
    }

    fn quiet(&mut self, silent: Duration, prospect: Option<Prospect>) {
        self.printer.quiet(silent, prospect);
    }

    fn problem(&mut self, elapsed: Duration, kind: &str, message: &str) -> Result<()> {
        self.printer.problem(elapsed, kind, message)
    }

    fn update(&mut self, elapsed: Duration, update: &Update) -> Result<Option<Verdict>> {
        if self.folds {
            match update {
                Update::Delta(Delta::Reasoning(_)) => {
                    let verdict = self.printer.update(elapsed, update);
                    self.thinks(elapsed);
                    return verdict;
                }
                Update::Delta(Delta::Text(_) | Delta::Refusal(_) | Delta::ToolCall(_)) | Update::End(_) => {
                    self.thought(elapsed);
                }
                Update::Delta(Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_))
                | Update::Start(_)
                | Update::Notice(_) => {}
            }
        }
        self.printer.update(elapsed, update)
    }
}
