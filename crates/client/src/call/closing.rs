//! The end of an answer that its server has finished but does not close.

use std::time::Duration;

use aurora_chat::{Failure, FailureKind};

use super::{Call, State};

/// How long after the last event of a finished answer more is waited for: the counts of tokens follow it, and `[DONE]`.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

impl Call {
    /// An event has come. If it finished the answer, or came after that, the wait for the close begins with it.
    pub(super) fn note_finish(&mut self, now: Duration) {
        if let State::Reading { reading, .. } = &self.state
            && !reading.is_open()
        {
            self.finished_at = Some(now);
        }
    }

    /// When a finished answer is not waited on any longer.
    pub(super) fn closes_at(&self) -> Option<Duration> {
        match self.state {
            State::Reading { .. } => self.finished_at.map(|at| at.saturating_add(CLOSING)),
            _ => None,
        }
    }

    /// Ends a finished answer whose server keeps the connection open.
    pub(super) fn close(&mut self, now: Duration) {
        let message = format!("the server kept it open for {CLOSING:?} without a word");
        self.break_off(Failure::new(FailureKind::UnexpectedEnd, message), now);
    }
}
