//! The part of a call that waits for its turn, where its endpoint is held to a pace.

use std::time::Duration;

use super::{Call, State, Terms};

/// How long a call waits for its turn before that is worth telling.
const QUEUED_NOTICE: Duration = Duration::from_secs(1);

impl State {
    /// Where an attempt begins.
    pub(super) fn before_sending(terms: &Terms, now: Duration) -> Self {
        match terms.pace.is_unlimited() {
            true => Self::Sending,
            false => Self::Queued { since: now },
        }
    }
}

impl Call {
    /// The call's turn has come: now it is sent.
    pub(super) fn handle_turn(&mut self, now: Duration) {
        if let State::Queued { .. } = self.state {
            self.state = State::Sending;
            self.sent_at = now;
        }
    }

    /// When the consumer is told that the call has waited since then.
    pub(super) fn queue_told_at(&self, since: Duration) -> Option<Duration> {
        (!self.queue_told).then(|| since.saturating_add(QUEUED_NOTICE))
    }

    /// Tells the consumer, once a call, that it waits.
    pub(super) fn tell_queue(&mut self, since: Duration, now: Duration) {
        if self.queue_told_at(since).is_some_and(|at| at <= now) {
            self.queue_told = true;
            self.warn(
                "queued",
                format!("the call waits for its turn: {}", self.held_to()),
            );
        }
    }

    /// Adds to the message of a deadline that it passed in the queue.
    pub(super) fn add_queue(&self, message: &mut String) {
        if let State::Queued { .. } = self.state {
            *message += &format!(" (the call still waited for its turn: {})", self.held_to());
        }
    }

    /// Why a call may have to wait for its turn.
    fn held_to(&self) -> String {
        format!(
            "the endpoint {} is held to {}",
            self.terms.endpoint, self.terms.pace
        )
    }
}
