//! Following a stream to its end: a reader of the log that also knows when nothing more will come.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use aurora_streamlog::{Batch, Log, Reader, State};

use super::footer::Footer;
use super::live::Attendance;
use super::{Visit, ended, refusal};
use crate::{BoxFuture, Refusal};

/// Somebody who reads a stream, and is counted as long as this exists.
pub(crate) struct Follow {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    batch: Batch,
    /// Ready when nobody in this process writes the stream any more.
    left_alone: BoxFuture<()>,
    is_left_alone: bool,
    _attendance: Attendance,
}

impl Follow {
    /// Follows from the record numbered `from`.
    pub(crate) fn new(visit: Visit, from: u64) -> Self {
        Self {
            reader: visit.log.read(from),
            log: visit.log,
            batch: Batch::default(),
            left_alone: visit.attendance.left_alone(),
            is_left_alone: false,
            _attendance: visit.attendance,
        }
    }

    /// Fetches the next records into [`Follow::records`]; false after the last one of a stream that has its end.
    ///
    /// # Errors
    /// The stream went away under its reader, or its rest could not be kept. Nothing comes after it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Refusal>> {
        loop {
            match self.reader.poll_batch(cx, &mut self.batch) {
                Poll::Ready(read) => {
                    return Poll::Ready(read.map_err(|error| Refusal::lost(&refusal(&error).body().message)));
                }
                Poll::Pending if self.is_left_alone && self.log.state() == State::Open => {
                    return Poll::Ready(Err(Refusal::lost("the rest of the answer could not be kept")));
                }
                Poll::Pending if !self.is_left_alone && self.left_alone.as_mut().poll(cx).is_ready() => {
                    // What the relay wrote last may have come between the two looks, so the log is read once more.
                    self.is_left_alone = true;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// [`Follow::poll`] as a future. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<bool, Refusal> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// What was fetched last, with its numbers.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.batch.first_seq()..).zip(self.batch.iter())
    }

    /// How the stream ended, once it has.
    pub(crate) fn footer(&self) -> Footer {
        ended(&*self.log).unwrap_or_default()
    }
}
