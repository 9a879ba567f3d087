//! The store on disk: all streams in shared segments, appended to by one thread, so that streams survive the process.
//!
//! What a writer flushes goes to the thread, which writes what has come from all of them in one go and flushes the disk once
//! for it ([`Fsync`]). Only then do readers see it. Readers that follow a stream read the last blocks from memory; others
//! load blocks from the segments. There is no file per stream.
//!
//! A segment is deleted when no stream that is kept lies in it. There is no compaction: a long stream keeps the segments in
//! which it lies, and with them what others have left there; where segments take twice the budget because of that, the
//! finished streams of the oldest one go in which no open stream lies. Open ones keep theirs up to four times the budget.

mod file;
mod frame;
mod queue;
mod reader;
mod recover;
mod segments;
mod stream;
mod thread;

use std::{
    collections::HashMap,
    future::poll_fn,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot, watch};

use self::{
    file::{Medium, Real},
    queue::{Done, Job, Queue},
    reader::SegmentFile,
    recover::Found,
    segments::Segments,
    stream::{DiskWriter, Handle, Inner, Stream},
    thread::{Group, Tails, Thread},
};
use crate::{
    Begun, Error, Log, MAX_RECORD, NewStream, Owner, State, Store, StreamId, Usage, Writer,
    blocks::Blocks,
    catalog::{Catalog, Limits},
    lock::lock,
    waiters::{Ticket, Waiters, Woken},
};

/// How many readers may read from the disk at a time; others wait their turn.
const READS_AT_ONCE: usize = 16;

/// How a [`Disk`] stores and what it keeps. Build with `..Options::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a finished stream is kept. Default: 24 hours.
    pub keep: Duration,
    /// The most bytes that all streams take on the disk; finished ones go, oldest first, to stay below. What streams that
    /// are gone leave between finished ones may take as much again, and what they leave between open ones three times as much.
    /// Beyond that open streams go too, those first that lie in the oldest segment: their writers are fenced, and
    /// readers told that they have expired. Open ones may take a quarter more before they take no further records.
    /// Default: 1 GiB.
    pub max_bytes: u64,
    /// The most bytes that one stream may take, packed. Default: 64 MiB.
    pub max_stream_bytes: u64,
    /// Of how many expired streams the store remembers that they were there, about 100 bytes each. After a restart only those
    /// are known whose segments are still there. Default: 65,536.
    pub tombstones: usize,
    /// When what was written counts as stored. Default: [`Fsync::Group`].
    pub fsync: Fsync,
    /// How long a segment becomes before the next one begins, between 64 KiB and 1 GiB. Default: 64 MiB; an eighth of
    /// `max_bytes` where that is less, so that room can be made.
    pub segment_bytes: u64,
    /// Memory for the last blocks of streams, which readers that follow need not load. Open streams keep their last block,
    /// whatever this says. Headers of up to 1 KiB and footers of all streams that are kept are in memory too, and do not
    /// count here; longer headers are read from the disk when they are asked for. Default: 64 MiB.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(86_400),
            max_bytes: 1 << 30,
            max_stream_bytes: 64 << 20,
            tombstones: 65_536,
            fsync: Fsync::Group,
            segment_bytes: 64 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

/// When what was written counts as stored, and is shown to readers. The death of the process loses nothing that was
/// shown in any of them; they differ in what a loss of power may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the operating system has it. A loss of power may take what the system had not yet written. The disk is flushed
    /// only when a segment is full and before one is deleted.
    None,
    /// When the operating system has it; the disk is flushed at this interval. A loss of power may take that much.
    Interval(Duration),
    /// When it is on the disk. All that waits is flushed together.
    Group,
}

/// A store in a folder. Cheap to clone; clones are the same store. When the last one goes it closes, and blocks until what
/// was flushed is written; [`Store::close`] beforehand waits without blocking.
///
/// Readers must be polled within a tokio runtime.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    /// The thread that writes, which ends with the last clone.
    _owner: Arc<ThreadOwner>,
}

impl Disk {
    /// Opens the store in a folder, which is made if it does not exist. Blocks, and reads all that is stored.
    ///
    /// Streams that were open when the process ended are [orphans](Store::orphans).
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process has it open, [`Error::Version`] if another version of the program wrote it,
    /// [`Error::Io`] if it cannot be read.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        Self::open_on(folder.as_ref(), options, Arc::new(Real))
    }

    fn open_on(folder: &Path, mut options: Options, medium: Arc<dyn Medium>) -> Result<Self, Error> {
        options.segment_bytes = options
            .segment_bytes
            .min(options.max_bytes / 8)
            .clamp(64 << 10, 1 << 30);
        file::make_folder(folder, &*medium).map_err(|error| Error::io("make the log's folder", error))?;
        let locked = file::lock_folder(folder).map_err(|error| Error::io("lock the log's folder", error))?;
        let lock = locked.ok_or_else(|| Error::Locked { path: folder.into() })?;
        let found = recover::recover(folder, &*medium)?;
        let next_number = found.next_number;
        let (shared, segments) = Shared::new(options, found);
        let shared = Arc::new(shared);
        let thread = Thread {
            shared: shared.clone(),
            folder: folder.into(),
            medium,
            segments,
            next_number,
            lock: Some(lock),
            current: None,
            group: Group::default(),
            tails: Tails::default(),
            woken: Woken::default(),
            voids: Vec::new(),
            unsynced: None,
        };
        let thread = std::thread::Builder::new()
            .name("streamlog".into())
            .spawn(move || thread.run())
            .map_err(|error| Error::io("start the log's thread", error))?;
        // What expired while nobody looked goes first.
        shared.queue.sweep();
        let owner = ThreadOwner {
            shared: shared.clone(),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self {
            shared,
            _owner: Arc::new(owner),
        })
    }

    async fn begin_stream(&self, new: NewStream) -> Result<Begun, Error> {
        let len = new.header.len();
        if len > MAX_RECORD {
            return Err(Error::RecordTooLarge {
                len,
                limit: MAX_RECORD,
            });
        }
        self.shared.wait_for_room().await?;
        let (id, owner, header) = (new.id, new.owner, new.header.clone());
        let stream = Arc::new(Stream::new(new, self.shared.options.keep));
        {
            let mut catalog = lock(&self.shared.catalog);
            catalog.check_room(&id, len as u64)?;
            catalog.admit(id, owner, stream.clone(), 0);
        }
        let (done, answer) = oneshot::channel();
        let job = Job::Create {
            stream: stream.clone(),
            header,
            done,
        };
        if let Err(error) = self.shared.queue.push(job) {
            let _ = lock(&self.shared.catalog).remove(&id, &owner, SystemTime::now());
            return Err(error);
        }
        Ok(Begun {
            writer: Box::new(DiskWriter::new(self.shared.clone(), stream)),
            stored: Box::pin(async move { answer.await.unwrap_or(Err(Error::Closed)) }),
        })
    }

    async fn adopt_stream(&self, id: &StreamId) -> Result<Box<dyn Writer>, Error> {
        self.shared.queue.check_open()?;
        let stream = lock(&self.shared.catalog).adopt(id)?.clone();
        let mut writer = Box::new(DiskWriter::new(self.shared.clone(), stream.clone()));
        // Comes after all that the last writer has handed over; if it fails, the stream is an orphan again.
        self.shared.ask(|done| Job::Adopt { stream, done }).await?;
        writer.go_on();
        Ok(writer)
    }
}

impl Store for Disk {
    fn begin(&self, new: NewStream) -> BoxFuture<'_, Result<Begun, Error>> {
        Box::pin(self.begin_stream(new))
    }

    fn open<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<Arc<dyn Log>, Error>> {
        let found = lock(&self.shared.catalog)
            .find(id, owner, SystemTime::now())
            .cloned();
        let log = found.map(|stream| {
            let shared = self.shared.clone();
            Arc::new(Handle { shared, stream }) as Arc<dyn Log>
        });
        Box::pin(std::future::ready(log))
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<StreamId>, Error>> {
        Box::pin(std::future::ready(Ok(lock(&self.shared.catalog).orphans())))
    }

    fn adopt<'a>(&'a self, id: &'a StreamId) -> BoxFuture<'a, Result<Box<dyn Writer>, Error>> {
        Box::pin(self.adopt_stream(id))
    }

    fn remove<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let found = lock(&self.shared.catalog)
                .find(id, owner, SystemTime::now())
                .cloned();
            let (stream, owner) = (found?, *owner);
            self.shared.ask(|done| Job::Remove { stream, owner, done }).await
        })
    }

    fn usage(&self) -> Usage {
        lock(&self.shared.catalog).usage()
    }

    fn sweep(&self) {
        self.shared.queue.sweep();
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.shared.queue.close();
        let mut end = self.shared.end.subscribe();
        Box::pin(async move {
            let end = end.wait_for(Option::is_some).await;
            end.ok().and_then(|end| end.clone()).unwrap_or(Err(Error::Closed))
        })
    }
}

/// What the store, its thread, its writers and its readers have in common.
#[derive(Debug)]
struct Shared {
    options: Options,
    catalog: Mutex<Catalog<Arc<Stream>>>,
    queue: Queue,
    segments: RwLock<HashMap<u32, Arc<SegmentFile>>>,
    reads: Arc<Semaphore>,
    /// Open streams fill the store, so that they take no more.
    is_full: AtomicBool,
    /// How the thread ended, once it has.
    end: watch::Sender<Option<Result<(), Error>>>,
}

impl Shared {
    fn new(options: Options, found: Found) -> (Self, Segments) {
        let mut segments = Segments::default();
        let mut files = HashMap::new();
        for (number, file, len) in found.segments {
            segments.add(number, len);
            files.insert(number, file);
        }
        let mut catalog = Catalog::new(Limits {
            keep: options.keep,
            max_bytes: options.max_bytes,
            tombstones: options.tombstones,
        });
        for (id, owner) in found.expired {
            catalog.bury(id, owner);
        }
        for (id, stream) in found.streams {
            for number in &stream.written.segments {
                segments.pin(*number, id);
            }
            let finished = match &stream.state {
                State::Open => None,
                State::Finished { at, .. } => Some(*at),
            };
            let (owner, created, bytes) = (stream.owner, stream.created, stream.bytes);
            let inner = Inner {
                header: stream.header,
                tail: Blocks::new(stream.written.next_seq),
                index: stream.index,
                state: stream.state,
                stopped: None,
                gone: None,
                waiters: Waiters::default(),
                written: stream.written,
            };
            catalog.admit(
                id,
                owner,
                Arc::new(Stream::recovered(id, owner, created, options.keep, inner)),
                bytes,
            );
            match finished {
                Some(at) => catalog.finish(&id, at),
                None => catalog.orphan(&id),
            }
        }
        for (begin, id, grave) in found.graves {
            segments.bury(begin, id, grave);
        }
        let shared = Self {
            options,
            catalog: Mutex::new(catalog),
            queue: Queue::default(),
            segments: RwLock::new(files),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            is_full: AtomicBool::new(false),
            end: watch::Sender::new(None),
        };
        (shared, segments)
    }

    /// Hands a job over, and waits for its answer.
    async fn ask(&self, job: impl FnOnce(Done) -> Job) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.queue.push(job(done))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Waits until the thread is not too far behind.
    async fn wait_for_room(&self) -> Result<(), Error> {
        let mut waiting = Waiting {
            queue: &self.queue,
            ticket: Ticket::default(),
        };
        poll_fn(|cx| waiting.queue.poll_room(cx, &mut waiting.ticket)).await
    }

    fn segment(&self, number: u32) -> Option<Arc<SegmentFile>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.get(&number).cloned()
    }

    fn add_segment(&self, number: u32, segment: Arc<SegmentFile>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.insert(number, segment);
    }

    fn drop_segment(&self, number: u32) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.remove(&number);
    }
}

/// A place in the queue's waiting room, left in any case.
struct Waiting<'a> {
    queue: &'a Queue,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.leave(&mut self.ticket);
    }
}

/// Ends the thread, and waits until it has.
#[derive(Debug)]
struct ThreadOwner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for ThreadOwner {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the thread has been reported by then.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
