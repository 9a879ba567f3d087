//! What the thread does with what is stored: it shows it to readers, keeps the last blocks in memory for them, and counts.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak, atomic::Ordering},
    time::SystemTime,
};

use super::{Entry, Thread};
use crate::{
    Error, State,
    disk::{
        frame::Place,
        queue::Job,
        segments::Grave,
        stream::{BlockAt, Header, Stream},
    },
    lock::lock,
    pack::Packed,
};

/// How much of one stream is kept in memory for readers that follow it.
const TAIL_BYTES: usize = 64 << 10;

/// How much memory the tails of streams take.
#[derive(Debug, Default)]
pub(in crate::disk) struct Tails {
    bytes: usize,
    /// Streams that are finished and may have a tail, oldest first.
    finished: VecDeque<Weak<Stream>>,
}

impl Thread {
    /// Shows what was stored.
    pub(super) fn publish(&mut self, entry: Entry, number: u32, offsets: &mut VecDeque<u32>) {
        let Entry { job, len } = entry;
        match job {
            Job::Create { stream, header, done } => {
                if let Some(offset) = offsets.pop_front() {
                    let place = Place {
                        segment: number,
                        offset,
                    };
                    stream.inner().header = Header::Here(header).stored(place);
                }
                self.grow(&stream, number, len);
                let _ = done.send(Ok(()));
            }
            Job::Records { stream, packed } => {
                self.show(&stream, &packed, number, offsets);
                self.grow(&stream, number, len);
                self.shared.queue.release(packed.bytes.len(), &mut self.woken);
            }
            Job::Finish {
                stream,
                footer,
                at,
                done,
            } => {
                let result = self.show_end(&stream, State::Finished { footer, at });
                if result.is_ok() {
                    self.grow(&stream, number, len);
                    lock(&self.shared.catalog).finish(&stream.id, at);
                    self.tails.finished.push_back(Arc::downgrade(&stream));
                }
                let _ = done.send(result);
            }
            Job::Adopt { stream, done } => {
                let is_there = {
                    let mut inner = stream.inner();
                    inner.stopped = None;
                    inner.written.last = None;
                    inner.gone.is_none()
                };
                self.grow(&stream, number, len);
                let _ = done.send(if is_there { Ok(()) } else { Err(Error::Unknown) });
            }
            Job::Remove { stream, owner, done } => {
                let removed = lock(&self.shared.catalog).remove(&stream.id, &owner, SystemTime::now());
                if removed.is_ok() {
                    self.let_go(&stream, Error::Unknown, Some(number));
                }
                let _ = done.send(removed.map(|_| ()));
            }
            Job::Evict { stream } => self.let_go(&stream, Error::Expired, Some(number)),
            Job::Bury { begin, id, grave } => {
                let grave = Grave {
                    said_in: Some(number),
                    ..grave
                };
                self.segments.bury(begin, id, grave);
            }
            Job::Sweep | Job::Close => {}
        }
    }

    fn show(&mut self, stream: &Stream, packed: &Packed, number: u32, offsets: &mut VecDeque<u32>) {
        {
            let mut inner = stream.inner();
            let before = inner.tail.held();
            for (piece, bytes) in packed.iter() {
                let Some(offset) = offsets.pop_front() else { break };
                if inner.gone.is_some() {
                    continue;
                }
                let last = Place {
                    segment: number,
                    offset,
                };
                let first_seq = inner.tail.next_seq();
                match inner.index.last_mut() {
                    Some(block) if !piece.opens_block => block.last = last,
                    _ => inner.index.push(BlockAt { first_seq, last }),
                }
                inner.tail.push(piece, bytes);
            }
            let most = if self.tails.bytes > self.shared.options.cache_bytes {
                0
            } else {
                TAIL_BYTES
            };
            // Half of it at a time, so that not every append shifts.
            if inner.tail.held() > most {
                inner.tail.trim(most / 2);
            }
            self.tails.bytes = self.tails.bytes + inner.tail.held() - before;
            inner.waiters.take(&mut self.woken);
        }
        self.woken.wake();
        self.tails.trim(self.shared.options.cache_bytes);
    }

    fn show_end(&mut self, stream: &Stream, end: State) -> Result<(), Error> {
        {
            let mut inner = stream.inner();
            if inner.gone.is_some() {
                return Err(Error::Fenced);
            }
            inner.state = end;
            inner.waiters.take(&mut self.woken);
        }
        self.woken.wake();
        Ok(())
    }

    /// The stream has so many bytes more, in this segment.
    fn grow(&mut self, stream: &Stream, number: u32, len: u64) {
        let is_new = {
            let mut inner = stream.inner();
            let is_new = inner.gone.is_none() && inner.written.segments.last() != Some(&number);
            if is_new {
                inner.written.segments.push(number);
            }
            is_new
        };
        if is_new {
            self.segments.pin(number, stream.id);
        }
        let mut catalog = lock(&self.shared.catalog);
        catalog.grow(&stream.id, len as i64);
        let is_full = catalog.check_growth().is_err();
        self.shared.is_full.store(is_full, Ordering::Relaxed);
    }

    /// The stream is gone, as a frame in the segment `said_in` says, if it could be written.
    pub(super) fn let_go(&mut self, stream: &Stream, why: Error, said_in: Option<u32>) {
        let has_expired = matches!(why, Error::Expired);
        let (freed, segments) = stream.end(why);
        self.tails.bytes -= freed;
        self.segments.release(&segments, &stream.id);
        if let (Some(begin), Some(last)) = (segments.first(), segments.last()) {
            let grave = Grave {
                owner: stream.owner,
                has_expired,
                last: *last,
                said_in,
            };
            self.segments.bury(*begin, stream.id, grave);
        }
    }
}

impl Tails {
    /// Lets the tails of finished streams go until all take no more than `most` bytes.
    fn trim(&mut self, most: usize) {
        while self.bytes > most {
            let Some(stream) = self.finished.pop_front() else {
                break;
            };
            if let Some(stream) = stream.upgrade() {
                let mut inner = stream.inner();
                self.bytes -= inner.tail.held();
                inner.tail.clear();
            }
        }
        // Streams that are gone leave their places behind, one in front of another.
        while self
            .finished
            .front()
            .is_some_and(|stream| stream.strong_count() == 0)
        {
            self.finished.pop_front();
        }
    }
}
