//! What an answer is delivered to. [`Printer`](super::Printer) writes it; others look at it, keep it or change it on
//! its way to a printer.

use std::time::Duration;

use aurora_chat::{Start, Update, Verdict};
use aurora_client::Prospect;

use super::Size;
use crate::problem::Result;

/// Whoever an answer is delivered to, update by update, in the order of [`Update`]'s contract.
pub(crate) trait Audience {
    /// This is asked for. Told first, and once.
    fn asked(&mut self, start: Start);

    /// What comes is the rest of an answer that begins with this, which was delivered before. Told before anything comes
    /// of it.
    fn goes_on(&mut self, before: &str) {
        let _ = before;
    }

    /// The terminal has this size now. Told before anything that is to be written.
    ///
    /// # Errors
    /// What it is written to cannot be written.
    fn resize(&mut self, size: Size) -> Result<()>;

    /// For so long nothing has come, and this becomes of it if nothing does.
    fn quiet(&mut self, silent: Duration, prospect: Option<Prospect>);

    /// There is no answer, for a reason that is nobody's verdict. A person reads the message on stderr, which is the
    /// caller's to write.
    ///
    /// # Errors
    /// stdout cannot be written.
    fn problem(&mut self, elapsed: Duration, kind: &str, message: &str) -> Result<()>;

    /// Takes one update, which came `elapsed` after the request was made. Gives the verdict of this run with the end,
    /// which may be a stricter one than the source's.
    ///
    /// # Errors
    /// What it is written to cannot be written.
    fn update(&mut self, elapsed: Duration, update: &Update) -> Result<Option<Verdict>>;
}
