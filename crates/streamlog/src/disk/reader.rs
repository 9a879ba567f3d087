//! Reading a stream on disk: from the tail in memory where that is enough, otherwise by positioned reads that do not hold
//! up the async threads.

use std::{
    collections::VecDeque,
    fs::File,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{
    Shared, file,
    frame::{self, Frame, Place},
    stream::{Stream, Wanted},
};
use crate::{
    Batch, Error, Reader, State, StreamId,
    blocks::Found,
    pack::{BLOCK_RECORDS, Unpacker},
    waiters::Ticket,
};

/// How many blocks are loaded at once: 512 records, some kilobytes of an answer.
const READ_AHEAD: usize = 8;

/// No further block is loaded once there are so many bytes.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// Most frames are read in one go of this many bytes.
const FIRST_READ: usize = 1024;

/// A file of the log.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) file: File,
    pub(super) salt: u32,
}

/// A block as it was read from the disk.
#[derive(Debug)]
struct Loaded {
    first_seq: u64,
    bytes: Vec<u8>,
}

pub(super) struct DiskReader {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    unpacker: Unpacker,
    ticket: Ticket,
    /// A task of its own, which goes on when nobody polls the reader: its turn to read from the disk is over when it has read,
    /// not when a client that has stalled wants more.
    loading: Option<JoinHandle<Result<Vec<Loaded>, Error>>>,
    loaded: VecDeque<Loaded>,
}

impl DiskReader {
    pub(super) fn new(shared: Arc<Shared>, stream: Arc<Stream>, from: u64) -> Self {
        Self {
            shared,
            stream,
            unpacker: Unpacker::new(from),
            ticket: Ticket::default(),
            loading: None,
            loaded: VecDeque::new(),
        }
    }

    /// Goes on with what is being loaded. `None` if nothing is.
    fn poll_loading(&mut self, cx: &mut Context<'_>) -> Option<Poll<Result<(), Error>>> {
        let loading = self.loading.as_mut()?;
        let Poll::Ready(loaded) = Pin::new(loading).poll(cx) else {
            return Some(Poll::Pending);
        };
        self.loading = None;
        // The runtime that would run it is going away.
        let loaded = loaded.unwrap_or(Err(Error::Closed));
        Some(Poll::Ready(match loaded {
            Ok(blocks) => {
                self.loaded.extend(blocks);
                Ok(())
            }
            // A stream that went away took its segments with it.
            Err(error) => Err(self.stream.inner().gone.clone().unwrap_or(error)),
        }))
    }
}

impl Reader for DiskReader {
    fn next_seq(&self) -> u64 {
        self.unpacker.seq()
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>, out: &mut Batch) -> Poll<Result<bool, Error>> {
        self.unpacker.begin(out);
        while !self.unpacker.fill(out)? {
            if let Some(block) = self.loaded.pop_front() {
                self.unpacker.take(block.first_seq, &block.bytes)?;
                continue;
            }
            // What there is goes out before anything is waited for.
            if !out.is_empty() && self.loading.is_some() {
                break;
            }
            match self.poll_loading(cx) {
                Some(Poll::Ready(loaded)) => {
                    loaded?;
                    continue;
                }
                Some(Poll::Pending) => return Poll::Pending,
                None => {}
            }
            let mut inner = self.stream.inner();
            if let Some(why) = &inner.gone {
                return Poll::Ready(Err(why.clone()));
            }
            match inner.tail.read(&mut self.unpacker)? {
                Found::Some => {}
                Found::Gone => {
                    let blocks = inner.blocks_at(self.unpacker.seq(), READ_AHEAD);
                    if blocks.is_empty() {
                        return Poll::Ready(Err(MISPLACED));
                    }
                    self.loading = Some(tokio::spawn(load(self.shared.clone(), self.stream.id, blocks)));
                }
                Found::End if !out.is_empty() => break,
                Found::End if inner.state == State::Open => {
                    inner.waiters.wait(&mut self.ticket, cx.waker());
                    return Poll::Pending;
                }
                Found::End => return Poll::Ready(Ok(false)),
            }
        }
        self.unpacker.end(out);
        Poll::Ready(Ok(true))
    }
}

impl Drop for DiskReader {
    fn drop(&mut self) {
        if let Some(loading) = &self.loading {
            loading.abort();
        }
        let mut ticket = mem::take(&mut self.ticket);
        self.stream.inner().waiters.leave(&mut ticket);
    }
}

impl std::fmt::Debug for DiskReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskReader")
            .field("stream", &self.stream.id)
            .field("next_seq", &self.unpacker.seq())
            .finish_non_exhaustive()
    }
}

/// Loads the header of a stream from the frame with which it begins.
pub(super) async fn load_header(shared: Arc<Shared>, stream: StreamId, at: Place) -> Result<Bytes, Error> {
    in_turn(shared, move |shared| {
        with_frame(shared, stream, at, |frame| match *frame {
            Frame::Create { header, .. } => Some(Bytes::copy_from_slice(header)),
            _ => None,
        })
    })
    .await
}

/// Loads the first of the blocks, and more of them while that is little.
async fn load(shared: Arc<Shared>, stream: StreamId, blocks: Vec<Wanted>) -> Result<Vec<Loaded>, Error> {
    in_turn(shared, move |shared| {
        let mut loaded: Vec<Loaded> = Vec::new();
        let mut bytes = 0;
        for block in blocks {
            if bytes >= READ_AHEAD_BYTES {
                break;
            }
            let block = load_block(shared, stream, block)?;
            bytes += block.bytes.len();
            loaded.push(block);
        }
        Ok(loaded)
    })
    .await
}

/// Reads from the disk, on a thread that may wait for it. Not more than a few do so at a time.
async fn in_turn<T: Send + 'static>(
    shared: Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let permit = shared
        .reads
        .clone()
        .acquire_owned()
        .await
        .map_err(|_| Error::Closed)?;
    let work = move || {
        let _permit = permit;
        work(&shared)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Error::Closed))
}

/// Follows a block's frames from the last to the first.
fn load_block(shared: &Shared, stream: StreamId, wanted: Wanted) -> Result<Loaded, Error> {
    let first_seq = wanted.block.first_seq;
    let mut parts = Vec::new();
    let mut place = wanted.block.last;
    // Every frame has a record at least.
    for _ in 0..BLOCK_RECORDS {
        let records = read_records(shared, stream, place)?;
        if records.first_seq < wanted.end_seq {
            parts.push(records.packed);
        }
        match records.previous {
            Some(previous) => place = previous,
            None if records.first_seq == first_seq => {
                parts.reverse();
                let bytes = parts.concat();
                return Ok(Loaded { first_seq, bytes });
            }
            None => break,
        }
    }
    Err(MISPLACED)
}

/// A frame with records.
struct Records {
    first_seq: u64,
    /// The frame before it in its block.
    previous: Option<Place>,
    packed: Vec<u8>,
}

fn read_records(shared: &Shared, stream: StreamId, place: Place) -> Result<Records, Error> {
    with_frame(shared, stream, place, |frame| match *frame {
        Frame::Records {
            first_seq,
            previous,
            packed,
            ..
        } => Some(Records {
            first_seq,
            previous,
            packed: packed.to_vec(),
        }),
        _ => None,
    })
}

/// What `take` takes from the stream's frame that lies there.
fn with_frame<T>(
    shared: &Shared,
    stream: StreamId,
    place: Place,
    take: impl FnOnce(&Frame<'_>) -> Option<T>,
) -> Result<T, Error> {
    let segment = shared.segment(place.segment).ok_or(MISPLACED)?;
    let bytes = read_frame(&segment.file, place.offset).map_err(|error| Error::io("read the log", error))?;
    let parsed = frame::parse(&bytes, segment.salt).ok_or(Error::Damaged {
        what: "a frame's checksum does not match",
    })?;
    let taken = (parsed.stream == stream).then(|| take(&parsed.frame)).flatten();
    taken.ok_or(MISPLACED)
}

/// What to say where something else lies than was put there.
const MISPLACED: Error = Error::Damaged {
    what: "a frame is not where it was written",
};

fn read_frame(file: &File, offset: u32) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST_READ];
    let read = file::read_at(file, &mut bytes, u64::from(offset))?;
    bytes.truncate(read);
    if let Some(len) = frame::frame_len(&bytes)
        && len > read
        && read == FIRST_READ
    {
        bytes.resize(len, 0);
        let more = file::read_at(file, &mut bytes[read..], u64::from(offset) + read as u64)?;
        bytes.truncate(read + more);
    }
    Ok(bytes)
}
