//! The thread that writes. It takes all that waits, writes it in one go, makes sure that it is as safe as was promised, and
//! only then shows it to readers. So a thousand streams cost one flush of the disk, and the longer that takes the more go
//! along with the next.
//!
//! Where the disk refuses, whoever gave what could not be stored is told so, and the thread goes on with a new segment.

mod failing;
mod publish;

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime},
};

pub(super) use self::{failing::Void, publish::Tails};
use super::{
    Fsync, Shared,
    file::{self, Medium},
    frame::{self, Frame, Place},
    queue::Job,
    reader::SegmentFile,
    segments::Segments,
    stream::Stream,
};
use crate::{Error, lock::lock, waiters::Woken};

/// What is written in one go, in bytes. One job may go beyond.
const GROUP_BYTES: usize = 4 << 20;

/// How many times the budget segments may take before open streams go as well, those in the oldest segment first.
const OPEN_STREAMS_GO: u64 = 4;

/// The thread's own things.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: PathBuf,
    pub(super) medium: Arc<dyn Medium>,
    pub(super) segments: Segments,
    /// The number of the next segment.
    pub(super) next_number: u32,
    /// Held as long as the thread may write.
    pub(super) lock: Option<File>,
    pub(super) current: Option<Current>,
    pub(super) group: Group,
    pub(super) tails: Tails,
    pub(super) woken: Woken,
    /// Segments whose end could not be cut off.
    pub(super) voids: Vec<Void>,
    /// When the oldest was written of what is not flushed.
    pub(super) unsynced: Option<Instant>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Current {
    number: u32,
    segment: Arc<SegmentFile>,
    len: u64,
}

/// What is written in one go: the frames, and the jobs that they are of.
#[derive(Debug, Default)]
pub(super) struct Group {
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    /// Where each stream and each piece of records begins, in the order of jobs.
    offsets: VecDeque<u32>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    /// Bytes of its frames.
    len: u64,
}

impl Thread {
    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        let mut jobs = VecDeque::new();
        loop {
            let until_sync = match (self.shared.options.fsync, self.unsynced) {
                (Fsync::Interval(interval), Some(since)) => Some(interval.saturating_sub(since.elapsed())),
                _ => None,
            };
            self.shared.queue.take(until_sync, &mut jobs);
            self.evict();
            let mut is_closed = false;
            while let Some(job) = jobs.pop_front() {
                match job {
                    Job::Close => is_closed = true,
                    job => self.encode(job),
                }
                if self.group.buffer.len() >= GROUP_BYTES {
                    self.commit();
                }
            }
            self.commit();
            self.clean();
            self.sync_if_due();
            if is_closed {
                let result = self.settle().and(self.sync());
                self.unlock();
                self.shared.end.send_replace(Some(result));
                return;
            }
        }
    }

    /// Lets streams go whose time is over or whose room is needed.
    fn evict(&mut self) {
        let mut evicted: Vec<Arc<Stream>> = Vec::new();
        {
            let mut catalog = lock(&self.shared.catalog);
            let now = SystemTime::now();
            evicted.extend(std::iter::from_fn(|| catalog.expire(now)));
            // At once: whoever learns that they are gone finds no reader to which they are not.
            evicted.iter().for_each(|stream| stream.expire());
            // Segments in which little is left take room too. Twice the budget is what they may.
            if self.segments.bytes() / 2 > self.shared.options.max_bytes {
                // The oldest that frees one. Where an open stream lies in it too, it would free nothing; but a stream that
                // stays open while that much comes and goes may not hold all of it for ever.
                let must = self.segments.bytes() / OPEN_STREAMS_GO > self.shared.options.max_bytes;
                let current = self.current.as_ref().map(|current| current.number);
                let mut segments = self.segments.streams(current);
                if let Some(streams) =
                    segments.find(|streams| must || streams.iter().all(|id| !catalog.is_open(id)))
                {
                    evicted.extend(streams.iter().filter_map(|id| catalog.expire_this(id)));
                }
            }
        }
        for stream in evicted {
            self.encode(Job::Evict { stream });
        }
    }

    /// Puts a job's frames into the group, or answers it at once.
    fn encode(&mut self, job: Job) {
        if matches!(job, Job::Sweep) {
            self.mend();
            return;
        }
        let (number, salt, len) = match self.ensure_segment() {
            Ok(current) => (current.number, current.segment.salt, current.len),
            Err(error) => return self.refuse(job, &error),
        };
        if let Err(error) = self.check(&job) {
            return self.refuse(job, &error);
        }
        let Group { buffer, offsets, .. } = &mut self.group;
        let start = buffer.len();
        match &job {
            Job::Create { stream, header, .. } => {
                offsets.push_back((len + buffer.len() as u64) as u32);
                let frame = Frame::Create {
                    owner: stream.owner,
                    created: stream.created,
                    header,
                };
                frame::put(buffer, salt, stream.id, &frame);
            }
            Job::Records { stream, packed } => {
                let mut inner = stream.inner();
                for (piece, packed) in packed.iter() {
                    let offset = (len + buffer.len() as u64) as u32;
                    let frame = Frame::Records {
                        first_seq: inner.written.next_seq,
                        count: piece.count,
                        previous: inner.written.last.filter(|_| !piece.opens_block),
                        packed,
                    };
                    frame::put(buffer, salt, stream.id, &frame);
                    offsets.push_back(offset);
                    inner.written.next_seq += u64::from(piece.count);
                    inner.written.last = Some(Place {
                        segment: number,
                        offset,
                    });
                }
            }
            Job::Finish {
                stream, footer, at, ..
            } => {
                let frame = Frame::Finish {
                    next_seq: stream.inner().written.next_seq,
                    at: *at,
                    footer,
                };
                frame::put(buffer, salt, stream.id, &frame);
            }
            Job::Adopt { stream, .. } => {
                let next_seq = stream.inner().written.next_seq;
                frame::put(buffer, salt, stream.id, &Frame::Adopt { next_seq });
            }
            Job::Remove { stream, .. } | Job::Evict { stream } => {
                let frame = Frame::Drop {
                    owner: stream.owner,
                    has_expired: matches!(job, Job::Evict { .. }),
                };
                frame::put(buffer, salt, stream.id, &frame);
            }
            Job::Bury { id, grave, .. } => {
                let frame = Frame::Drop {
                    owner: grave.owner,
                    has_expired: grave.has_expired,
                };
                frame::put(buffer, salt, *id, &frame);
            }
            Job::Sweep | Job::Close => {}
        }
        let len = (buffer.len() - start) as u64;
        self.group.entries.push(Entry { job, len });
    }

    /// Whether the job's stream takes it still.
    fn check(&self, job: &Job) -> Result<(), Error> {
        match job {
            Job::Records { stream, .. } | Job::Finish { stream, .. } => {
                let inner = stream.inner();
                match (&inner.gone, &inner.stopped) {
                    (Some(_), _) => Err(Error::Fenced),
                    (None, Some(why)) => Err(why.clone()),
                    (None, None) => Ok(()),
                }
            }
            Job::Adopt { stream, .. } => match stream.inner().gone {
                Some(_) => Err(Error::Unknown),
                None => Ok(()),
            },
            Job::Remove { stream, owner, .. } => {
                let now = SystemTime::now();
                lock(&self.shared.catalog)
                    .find(&stream.id, owner, now)
                    .map(|_| ())
            }
            Job::Create { .. } | Job::Bury { .. } | Job::Evict { .. } | Job::Sweep | Job::Close => Ok(()),
        }
    }

    /// The segment to write to, a new one if the last one is full.
    fn ensure_segment(&mut self) -> Result<&Current, Error> {
        let full = self.shared.options.segment_bytes;
        let len = self.current.as_ref().map_or(0, |current| current.len) + self.group.buffer.len() as u64;
        if len >= full {
            self.commit();
            // What is not flushed by now would not be any more.
            if self.unsynced.is_some() {
                self.sync()?;
            }
            self.current = None;
        }
        if self.current.is_none() {
            let opened = self
                .open_segment()
                .map_err(|error| Error::io("begin a segment of the log", error));
            if let Err(error) = &opened {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the log cannot be written"
                );
            }
            self.current = Some(opened?);
        }
        self.current.as_ref().ok_or(Error::Closed)
    }

    fn open_segment(&mut self) -> io::Result<Current> {
        let number = self.next_number;
        // No number is used twice, whatever becomes of the file: one that cannot be removed would stop the log.
        self.next_number = number.saturating_add(1);
        let path = file::segment_path(&self.folder, number);
        let mut salt = [0; 4];
        getrandom::fill(&mut salt)?;
        let salt = u32::from_le_bytes(salt);
        self.mend();
        let mut start = frame::header(salt).to_vec();
        self.put_voids(&mut start, salt)?;
        let file = self.medium.create(&path)?;
        let written = self.medium.write(&file, &start, 0).and_then(|()| {
            if self.shared.options.fsync == Fsync::None {
                return Ok(());
            }
            self.medium.sync(&file)?;
            self.medium.sync_folder(&self.folder)
        });
        if let Err(error) = written {
            // One that stays all the same is found to hold nothing.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.voids_are_said_in(number);
        let len = start.len() as u64;
        self.segments.add(number, len);
        let segment = Arc::new(SegmentFile { file, salt });
        self.shared.add_segment(number, segment.clone());
        Ok(Current { number, segment, len })
    }

    /// Writes the group, and shows what is in it; or tells everybody that it could not be written.
    fn commit(&mut self) {
        if self.group.entries.is_empty() {
            return;
        }
        let mut group = std::mem::take(&mut self.group);
        match self.store(&group.buffer) {
            Ok(number) => {
                for entry in group.entries.drain(..) {
                    self.publish(entry, number, &mut group.offsets);
                }
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the log cannot be written"
                );
                self.abandon();
                for entry in group.entries.drain(..) {
                    self.refuse(entry.job, &error);
                }
            }
        }
        group.buffer.clear();
        group.buffer.shrink_to(GROUP_BYTES);
        group.offsets.clear();
        self.group = group;
    }

    fn store(&mut self, bytes: &[u8]) -> Result<u32, Error> {
        let current = self.current.as_mut().ok_or(Error::Closed)?;
        let file = &current.segment.file;
        self.medium
            .write(file, bytes, current.len)
            .map_err(|error| Error::io("write to the log", error))?;
        match self.shared.options.fsync {
            Fsync::Group => self
                .medium
                .sync(file)
                .map_err(|error| Error::io("flush the log to the disk", error))?,
            Fsync::Interval(_) | Fsync::None => {
                self.unsynced.get_or_insert_with(Instant::now);
            }
        }
        current.len += bytes.len() as u64;
        self.segments.add(current.number, bytes.len() as u64);
        Ok(current.number)
    }

    /// Removes the segments that nobody needs.
    fn clean(&mut self) {
        let mut after = 0;
        while let Some(number) = self
            .segments
            .idle(after, self.current.as_ref().map(|current| current.number))
        {
            after = number;
            if !self.may_go(number) {
                // The next sweep tries again.
                continue;
            }
            self.segments.remove(number);
            self.forget_void(number);
            self.shared.drop_segment(number);
            let removed = fs::remove_file(file::segment_path(&self.folder, number));
            // One at a time and for good, in this order.
            if let Err(error) = removed.and_then(|()| self.medium.sync_folder(&self.folder)) {
                tracing::error!(
                    segment = number,
                    error = &error as &dyn std::error::Error,
                    "a segment cannot be removed"
                );
            }
        }
    }

    /// Whether no restart misses the segment. What says of streams that they are gone stays as long as their beginnings do,
    /// it moves on; and it is on the disk before what it was written for is done.
    fn may_go(&mut self, number: u32) -> bool {
        for (begin, id, grave) in self.segments.graves_in(number) {
            self.encode(Job::Bury { begin, id, grave });
        }
        self.commit();
        if self.unsynced.is_some()
            && let Err(error) = self.sync()
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the log cannot be flushed"
            );
        }
        self.segments.graves_in(number).is_empty() && !self.is_needed_for_voids(number)
    }

    fn sync_if_due(&mut self) {
        if let (Fsync::Interval(interval), Some(since)) = (self.shared.options.fsync, self.unsynced)
            && since.elapsed() >= interval
            && let Err(error) = self.sync()
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what was shown last may not survive a loss of power"
            );
        }
    }

    /// Lets another process have the folder. Said, not left to the file's going: a process that is just being started by this
    /// one has a copy of it for a moment.
    fn unlock(&mut self) {
        if let Some(lock) = self.lock.take() {
            // Nothing can be done about it, and the lock goes with the process.
            let _ = lock.unlock();
        }
    }

    /// Tells whoever waits for more of a stream that none will come. What is finished stays readable.
    fn fail(&mut self) {
        let open = lock(&self.shared.catalog).open_ones();
        for stream in open {
            let mut woken = Woken::default();
            {
                let mut inner = stream.inner();
                inner.gone.get_or_insert(Error::Closed);
                inner.waiters.take(&mut woken);
            }
            woken.wake();
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.unsynced = None;
        let Some(current) = &self.current else {
            return Ok(());
        };
        let synced = self.medium.sync(&current.segment.file);
        if synced.is_err() {
            // What a failed flush has left on the disk, nobody knows; nothing more is put behind it.
            self.segments.unsay(current.number);
            self.current = None;
        }
        synced.map_err(|error| Error::io("flush the log to the disk", error))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Whatever made the thread end, nobody shall wait for it.
        self.shared.queue.close();
        self.shared.queue.discard();
        let has_ended = self.shared.end.borrow().is_some();
        if !has_ended {
            tracing::error!("the thread of the log has failed; nothing more is stored");
            self.unlock();
            self.fail();
            self.shared.end.send_replace(Some(Err(Error::Closed)));
        }
    }
}
