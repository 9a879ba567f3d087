//! What is handed to the writing thread, in order and bounded by bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{segments::Grave, stream::Stream};
use crate::{
    Error, Owner, StreamId,
    lock::lock,
    pack::Packed,
    waiters::{Ticket, Waiters, Woken},
};

/// How many bytes of records may wait for the disk or be under way to it, of all streams together. A writer that comes
/// then waits. What its buffer holds may go beyond.
const MAX_IN_FLIGHT: usize = 8 << 20;

/// How the thread answers.
pub(super) type Done = oneshot::Sender<Result<(), Error>>;

/// One thing to be written.
#[derive(Debug)]
pub(super) enum Job {
    Create {
        stream: Arc<Stream>,
        header: Bytes,
        done: Done,
    },
    Records {
        stream: Arc<Stream>,
        packed: Packed,
    },
    Finish {
        stream: Arc<Stream>,
        footer: Bytes,
        at: SystemTime,
        done: Done,
    },
    Adopt {
        stream: Arc<Stream>,
        done: Done,
    },
    Remove {
        stream: Arc<Stream>,
        owner: Owner,
        done: Done,
    },
    /// The thread's own: says once more that a stream is gone, which began in the segment `begin`.
    Bury {
        begin: u32,
        id: StreamId,
        grave: Grave,
    },
    /// The thread's own: a stream whose time is over.
    Evict {
        stream: Arc<Stream>,
    },
    /// Looks for what has expired.
    Sweep,
    /// The last one.
    Close,
}

impl Job {
    /// Bytes of records in it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Records { packed, .. } => packed.bytes.len(),
            Self::Create { .. }
            | Self::Finish { .. }
            | Self::Adopt { .. }
            | Self::Remove { .. }
            | Self::Bury { .. }
            | Self::Evict { .. }
            | Self::Sweep
            | Self::Close => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Bytes of records that wait or are under way.
    bytes: usize,
    is_closed: bool,
    /// A sweep waits; a second one would find nothing more.
    will_sweep: bool,
    waiters: Waiters,
}

impl Queue {
    /// Hands a job over, whatever waits already. For jobs of which a stream or a caller has one at a time.
    pub(super) fn push(&self, job: Job) -> Result<(), Error> {
        self.push_all([job])
    }

    /// Hands jobs over that the thread takes together.
    pub(super) fn push_all(&self, jobs: impl IntoIterator<Item = Job>) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if state.is_closed {
            return Err(Error::Closed);
        }
        for job in jobs {
            state.push(job);
        }
        drop(state);
        self.more.notify_one();
        Ok(())
    }

    /// Hands a job over when there is room.
    pub(super) fn poll_push(
        &self,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        job: impl FnOnce() -> Job,
    ) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        ready!(state.poll_room(cx, ticket))?;
        state.push(job());
        drop(state);
        self.more.notify_one();
        Poll::Ready(Ok(()))
    }

    /// Waits until there is room.
    pub(super) fn poll_room(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Result<(), Error>> {
        lock(&self.state).poll_room(cx, ticket)
    }

    /// Whoever waits for room does not any more.
    pub(super) fn leave(&self, ticket: &mut Ticket) {
        lock(&self.state).waiters.leave(ticket);
    }

    /// Asks for a sweep, unless one is asked for.
    pub(super) fn sweep(&self) {
        let mut state = lock(&self.state);
        if !state.is_closed && !state.will_sweep {
            state.will_sweep = true;
            state.push(Job::Sweep);
            drop(state);
            self.more.notify_one();
        }
    }

    /// Takes nothing more after this.
    pub(super) fn close(&self) {
        let mut woken = Woken::default();
        {
            let mut state = lock(&self.state);
            if state.is_closed {
                return;
            }
            state.push(Job::Close);
            state.is_closed = true;
            state.waiters.take(&mut woken);
        }
        self.more.notify_one();
        woken.wake();
    }

    /// Drops what waits, which tells whoever waits for an answer. For when nobody is there to take it.
    pub(super) fn discard(&self) {
        let jobs = std::mem::take(&mut lock(&self.state).jobs);
        drop(jobs);
    }

    pub(super) fn check_open(&self) -> Result<(), Error> {
        if lock(&self.state).is_closed {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Blocks until there is something to do, or for the time, and takes all of it.
    pub(super) fn take(&self, wait: Option<Duration>, into: &mut VecDeque<Job>) {
        let mut state = lock(&self.state);
        while state.jobs.is_empty() {
            match wait {
                None => state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self
                        .more
                        .wait_timeout(state, wait)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = waited.0;
                    if waited.1.timed_out() {
                        break;
                    }
                }
            }
        }
        state.will_sweep = false;
        std::mem::swap(&mut state.jobs, into);
    }

    /// So many bytes are no longer under way.
    pub(super) fn release(&self, bytes: usize, woken: &mut Woken) {
        {
            let mut state = lock(&self.state);
            state.bytes -= bytes;
            if state.bytes < MAX_IN_FLIGHT {
                state.waiters.take(woken);
            }
        }
        woken.wake();
    }
}

impl State {
    fn poll_room(&mut self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Result<(), Error>> {
        if self.is_closed {
            return Poll::Ready(Err(Error::Closed));
        }
        if self.bytes >= MAX_IN_FLIGHT {
            self.waiters.wait(ticket, cx.waker());
            return Poll::Pending;
        }
        self.waiters.leave(ticket);
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, job: Job) {
        self.bytes += job.bytes();
        self.jobs.push_back(job);
    }
}
