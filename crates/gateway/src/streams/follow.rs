//! Following a stream to its end: a reader of the log that also knows when nothing more will come.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aurora_streamlog::{Batch, Log, Reader};

use super::footer::Footer;
use super::live::Attendance;
use super::{ADOPTION_TIME, ORPHAN_TIME, Visit, ended, refusal};
use crate::frames::NO_END;
use crate::{BoxFuture, Refusal};

/// Somebody who reads a stream, and is counted as long as this exists.
pub(crate) struct Follow {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    batch: Batch,
    producer: Producer,
    _attendance: Attendance,
}

/// Who is going to end the stream.
enum Producer {
    /// The one that produces it; ready when it is gone.
    There(BoxFuture<()>),
    /// Nobody, or whoever adopts it; ready when that is not waited for any longer.
    Gone(BoxFuture<()>),
}

impl Follow {
    /// Follows from the record numbered `from`.
    pub(crate) fn new(visit: Visit, from: u64) -> Self {
        Self {
            reader: visit.log.read(from),
            log: visit.log,
            batch: Batch::default(),
            producer: match visit.attendance.left_alone() {
                Some(gone) => Producer::There(gone),
                None => Producer::Gone(Box::pin(tokio::time::sleep(ADOPTION_TIME))),
            },
            _attendance: visit.attendance,
        }
    }

    /// Fetches the next records into [`Follow::records`]; false after the last one of a stream that has its end.
    ///
    /// # Errors
    /// The stream went away under its reader, or its rest could not be kept. Nothing comes after it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Refusal>> {
        loop {
            if let Poll::Ready(read) = self.reader.poll_batch(cx, &mut self.batch) {
                return Poll::Ready(read.map_err(|error| Refusal::lost(&refusal(&error).body().message)));
            }
            match &mut self.producer {
                Producer::There(gone) => {
                    ready!(gone.as_mut().poll(cx));
                    // What it wrote last may have come between the two looks, so the log is read once more.
                    self.producer = Producer::Gone(Box::pin(tokio::time::sleep(ORPHAN_TIME)));
                }
                // A reader that is behind is still given what is kept.
                Producer::Gone(_) if self.reader.next_seq() < self.log.next_seq() => return Poll::Pending,
                Producer::Gone(patience) => {
                    ready!(patience.as_mut().poll(cx));
                    return Poll::Ready(Err(Refusal::lost(NO_END)));
                }
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

    /// How many they are, and how many bytes they have together.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.batch.len(), self.batch.bytes())
    }

    /// The stream that is followed.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.log
    }

    /// How the stream ended, once it has.
    pub(crate) fn footer(&self) -> Footer {
        ended(&*self.log).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aurora_streamlog::{Memory, NewStream, Owner, Store, StreamId};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_ends_is_not_waited_for_for_ever() {
        let store = Memory::default();
        let new = NewStream {
            id: StreamId::from_bytes([7; 16]),
            owner: Owner::ANYONE,
            created: SystemTime::now(),
            header: "".into(),
        };
        let mut writer = store.create(new).await.expect("room");
        writer.append(b"first").expect("room");
        writer.flush().await.expect("room");
        let log = writer.log();
        drop(writer);
        let attendance = Attendance::default();
        let mut follow = Follow::new(Visit { log, attendance }, 0);
        assert_eq!(follow.next().await, Ok(true));
        let begun = Instant::now();
        let refusal = follow.next().await.expect_err("there is no end");
        assert_eq!(refusal.body().message, NO_END);
        assert!(begun.elapsed() < ADOPTION_TIME + Duration::from_secs(1));
    }
}
