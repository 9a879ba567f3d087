//! Where calls wait for their turn: the queues of [`pace`](crate::pace), shared by a client and its clones, with the
//! clock and the wake-ups they need.
//!
//! There is no task. Whoever asks for its turn admits all whose time has come; the first in the queue keeps the timer, and
//! whoever leaves wakes the first. So a call that is dropped while it waits is gone at once, and so is what it held up.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aurora_chat::{ChatRequest, Failure, FailureKind, Limit};
use tokio::{sync::Notify, time::Instant};

use crate::{
    Endpoint,
    pace::{self, Full, MAX_WAITING, Pace, Queue, Ticket},
};

/// The most endpoints whose calls are counted. Beyond it, those that nobody calls and that owe nothing are forgotten.
const MAX_LINES: usize = 1024;

/// The lines of all endpoints, by name and address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<Key, Arc<Line>>>>);

/// An endpoint's name and address.
type Key = (String, String);

/// The calls to one endpoint.
#[derive(Debug)]
struct Line {
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// What wakes each call that waits.
    bells: HashMap<Ticket, Arc<Notify>>,
}

/// A call's place in its endpoint's line, taken when it first waits and kept for its later attempts. Dropping it leaves
/// the line.
pub(crate) struct Place {
    line: Result<Arc<Line>, Failure>,
    endpoint: String,
    pace: Pace,
    estimate: u64,
    ticket: Option<Ticket>,
    /// It waits for its turn, or has it.
    present: bool,
    bell: Arc<Notify>,
}

impl Lines {
    /// The place of a call that has not begun; `None` if nothing limits calls to this endpoint.
    pub(crate) fn place(&self, endpoint: &Endpoint, request: &ChatRequest) -> Option<Place> {
        let pace = endpoint.pace;
        (!pace.is_unlimited()).then(|| Place {
            line: self.line(endpoint),
            endpoint: endpoint.name.clone(),
            pace,
            estimate: pace::estimate(request),
            ticket: None,
            present: false,
            bell: Arc::default(),
        })
    }

    fn line(&self, endpoint: &Endpoint) -> Result<Arc<Line>, Failure> {
        let mut lines = lock(&self.0);
        let key = (endpoint.name.clone(), endpoint.base_url.as_str().to_owned());
        if let Some(line) = lines.get(&key) {
            return Ok(Arc::clone(line));
        }
        if lines.len() >= MAX_LINES {
            lines.retain(|_, line| Arc::strong_count(line) > 1 || !line.is_at_rest());
        }
        if lines.len() >= MAX_LINES {
            let message =
                format!("calls to {MAX_LINES} endpoints with limits are counted already, which is the limit");
            return Err(Failure::new(FailureKind::Limit(Limit::Queue), message));
        }
        let line = Arc::new(Line::new(endpoint.pace));
        lines.insert(key, Arc::clone(&line));
        Ok(line)
    }
}

impl Place {
    /// Waits until an attempt may begin. Cancel safe: the place is kept, and the next call goes on waiting in it.
    ///
    /// # Errors
    ///
    /// [`Limit::Queue`] if too many wait already.
    pub(crate) async fn turn(&mut self) -> Result<(), Failure> {
        let line = self.line.clone()?;
        let ticket = self.join(&line)?;
        loop {
            let alarm = match line.admit(ticket) {
                Standing::Admitted => return Ok(()),
                Standing::First(at) => at,
                Standing::Later => None,
            };
            let alarm = async {
                match alarm {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.bell.notified() => {}
                () = alarm => {}
            }
        }
    }

    /// The attempt is over, or none is wanted any more. `spent` is what it cost in tokens, if that is known.
    pub(crate) fn leave(&mut self, spent: Option<u64>) {
        if let (Some(ticket), Ok(line)) = (self.ticket, &self.line) {
            line.leave(ticket, spent);
        }
        self.present = false;
    }

    /// The connection was lost, and another is to carry on with the answer: its request waits for its turn, in the place
    /// that the answer still has.
    pub(crate) fn lose(&mut self) {
        self.present = false;
    }

    fn join(&mut self, line: &Line) -> Result<Ticket, Failure> {
        if let (true, Some(ticket)) = (self.present, self.ticket) {
            return Ok(ticket);
        }
        let (ticket, joined) = line.join(self.ticket, self.pace, self.estimate, &self.bell);
        self.ticket = Some(ticket);
        self.present = joined.is_ok();
        joined.map(|()| ticket).map_err(|Full| {
            let message = format!(
                "{MAX_WAITING} calls wait for the endpoint {} already, which is the limit; it is held to {}",
                self.endpoint, self.pace
            );
            Failure::new(FailureKind::Limit(Limit::Queue), message)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave(None);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("ticket", &self.ticket)
            .field("present", &self.present)
            .finish_non_exhaustive()
    }
}

/// Where a call stands.
enum Standing {
    Admitted,
    /// The next to go, at this time; without one, when somebody leaves.
    First(Option<Instant>),
    Later,
}

impl Line {
    fn new(pace: Pace) -> Self {
        let state = State {
            queue: Queue::new(pace, Duration::ZERO),
            bells: HashMap::new(),
        };
        Self {
            begun: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// Joins the queue, at the place of this ticket or, without one, at its end. The pace is the latest caller's.
    fn join(
        &self,
        ticket: Option<Ticket>,
        pace: Pace,
        estimate: u64,
        bell: &Arc<Notify>,
    ) -> (Ticket, Result<(), Full>) {
        let mut state = lock(&self.state);
        state.queue.set_pace(pace, self.begun.elapsed());
        let ticket = ticket.unwrap_or_else(|| state.queue.ticket());
        let joined = state.queue.enqueue(ticket, estimate);
        if joined.is_ok() {
            state.bells.insert(ticket, Arc::clone(bell));
        }
        // What waited under another pace may go now.
        state.ring_first();
        (ticket, joined)
    }

    /// Admits all whose time has come, and tells where this one stands.
    fn admit(&self, ticket: Ticket) -> Standing {
        let mut state = lock(&self.state);
        let now = self.begun.elapsed();
        let mut moved = false;
        while let Some(admitted) = state.queue.poll(now) {
            moved = true;
            if let Some(bell) = state.bells.remove(&admitted)
                && admitted != ticket
            {
                bell.notify_one();
            }
        }
        let first = state.queue.first() == Some(ticket);
        if moved && !first {
            // The timer is the first one's to keep, and it is another one now.
            state.ring_first();
        }
        if state.queue.is_running(ticket) {
            return Standing::Admitted;
        }
        match first {
            true => Standing::First(state.queue.wake_at(now).and_then(|at| self.begun.checked_add(at))),
            false => Standing::Later,
        }
    }

    fn leave(&self, ticket: Ticket, spent: Option<u64>) {
        let mut state = lock(&self.state);
        state.queue.leave(ticket, spent, self.begun.elapsed());
        state.bells.remove(&ticket);
        state.ring_first();
    }

    fn is_at_rest(&self) -> bool {
        lock(&self.state).queue.is_at_rest(self.begun.elapsed())
    }
}

impl State {
    fn ring_first(&self) {
        if let Some(bell) = self.queue.first().and_then(|first| self.bells.get(&first)) {
            bell.notify_one();
        }
    }
}

/// Nothing that is done under these locks can leave a value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
