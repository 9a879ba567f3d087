//! What the segments of a folder say, after a shutdown or a crash: the scan that makes the index again.
//!
//! What lies behind the last whole frame of the last segment was never acknowledged: it is cut off. Damage anywhere else is
//! reported, and the scan goes on with the next whole frame. A stream of which records are missing is taken back to the last
//! record before the gap and is open from there, without a writer, so that whoever adopts it ends it honestly.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;

use super::{
    file::{self, Medium},
    frame::{self, Frame, Place},
    reader::SegmentFile,
    segments::Grave,
    stream::{BlockAt, Header, Written},
};
use crate::{Error, Owner, State, StreamId};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) streams: HashMap<StreamId, FoundStream>,
    /// Segments with their lengths.
    pub(super) segments: Vec<(u32, Arc<SegmentFile>, u64)>,
    /// Streams that are gone, with the segments in which they began.
    pub(super) graves: Vec<(u32, StreamId, Grave)>,
    /// Streams that had expired.
    pub(super) expired: Vec<(StreamId, Owner)>,
    /// The number of the next segment.
    pub(super) next_number: u32,
    /// Where segments end, whatever lies behind.
    ends: HashMap<u32, u32>,
}

/// A stream that was found.
#[derive(Debug)]
pub(super) struct FoundStream {
    pub(super) owner: Owner,
    pub(super) created: SystemTime,
    pub(super) header: Header,
    pub(super) index: Vec<BlockAt>,
    pub(super) state: State,
    pub(super) written: Written,
    /// Bytes of its frames.
    pub(super) bytes: u64,
    /// Records are missing after what was found.
    has_gap: bool,
}

/// Reads the folder, and mends the ends of segments. What is found is on the disk then: readers are shown it, segments are
/// deleted because of it, and the process that wrote it may have died before it had flushed it.
pub(super) fn recover(folder: &Path, medium: &dyn Medium) -> Result<Found, Error> {
    let numbers = file::list_segments(folder).map_err(|error| Error::io("list the log's folder", error))?;
    let mut found = Found {
        next_number: 1,
        ends: ends(folder, &numbers)?,
        ..Found::default()
    };
    for number in &numbers {
        found.next_number = number.saturating_add(1);
        found.read_segment(folder, *number, Some(number) == numbers.last())?;
    }
    let mut files = found.segments.iter().map(|(_, segment, _)| &segment.file);
    files
        .try_for_each(|file| medium.sync(file))
        .and_then(|()| medium.sync_folder(folder))
        .map_err(|error| Error::io("flush what was found of the log", error))?;
    Ok(found)
}

/// Where segments end that could not be cut off, as later ones say.
fn ends(folder: &Path, numbers: &[u32]) -> Result<HashMap<u32, u32>, Error> {
    let mut ends = HashMap::new();
    for number in numbers {
        let opened = File::open(file::segment_path(folder, *number));
        let file = opened.map_err(|error| Error::io("open a segment of the log", error))?;
        let mut start = vec![0; frame::START_LEN];
        let read = file::read_at(&file, &mut start, 0)
            .map_err(|error| Error::io("read a segment of the log", error))?;
        let voids = frame::voids(&start[..read]).into_iter();
        ends.extend(
            voids
                .filter(|end| end.segment < *number)
                .map(|end| (end.segment, end.offset)),
        );
    }
    Ok(ends)
}

impl Found {
    fn read_segment(&mut self, folder: &Path, number: u32, is_last: bool) -> Result<(), Error> {
        let path = file::segment_path(folder, number);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|error| Error::io("open a segment of the log", error))?;
        let mut bytes = fs::read(&path).map_err(|error| Error::io("read a segment of the log", error))?;
        let salt = match frame::parse_header(&bytes) {
            frame::Header::Salt(salt) => salt,
            frame::Header::Version(found) => return Err(Error::Version { path, found }),
            frame::Header::None if bytes.len() <= frame::HEADER_LEN => {
                // It could not be made, or the process died meanwhile. There is nothing in it.
                return fs::remove_file(&path)
                    .map_err(|error| Error::io("remove an empty segment of the log", error));
            }
            frame::Header::None => {
                tracing::error!(path = %path.display(), "this is no segment of a log; it is left as it is");
                return Ok(());
            }
        };
        if let Some(end) = self.ends.get(&number).map(|end| *end as usize)
            && end < bytes.len()
        {
            tracing::warn!(path = %path.display(), from = end, to = bytes.len(), "cut off what could not be stored");
            bytes.truncate(end);
            cut(&file, end)?;
        }
        let mut at = frame::HEADER_LEN;
        while at < bytes.len() {
            if let Some(parsed) = frame::parse(&bytes[at..], salt) {
                let place = Place {
                    segment: number,
                    offset: at as u32,
                };
                self.apply(parsed.stream, &parsed.frame, place, parsed.len as u64);
                at += parsed.len;
            } else if let Some(next) = frame::search(&bytes, salt, at + 1) {
                tracing::error!(path = %path.display(), from = at, to = next, "the log is damaged here");
                at = next;
            } else if is_last {
                tracing::warn!(path = %path.display(), from = at, to = bytes.len(), "cut off what was not written to its end");
                cut(&file, at)?;
                break;
            } else {
                tracing::error!(path = %path.display(), from = at, to = bytes.len(), "the log is damaged here");
                break;
            }
        }
        // What follows damage at the end of an earlier segment is counted too: it takes room until the segment goes.
        let len = if is_last { at } else { bytes.len() };
        self.segments
            .push((number, Arc::new(SegmentFile { file, salt }), len as u64));
        Ok(())
    }

    fn apply(&mut self, id: StreamId, frame: &Frame<'_>, place: Place, len: u64) {
        if let Frame::Create {
            owner,
            created,
            header,
        } = *frame
        {
            self.streams
                .entry(id)
                .or_insert_with(|| FoundStream::new(owner, created, header, place));
        }
        if let Frame::Drop { owner, has_expired } = *frame {
            let segments = self.streams.remove(&id).map(|stream| stream.written.segments);
            let ends = segments.and_then(|segments| Some((*segments.first()?, *segments.last()?)));
            self.graves.extend(ends.map(|(begin, last)| {
                let grave = Grave {
                    owner,
                    has_expired,
                    last,
                    said_in: Some(place.segment),
                };
                (begin, id, grave)
            }));
            if has_expired {
                self.expired.push((id, owner));
            }
            return;
        }
        // Of a stream that begins in a segment which was removed, what is left is of no use to anybody.
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.bytes += len;
            if stream.written.segments.last() != Some(&place.segment) {
                stream.written.segments.push(place.segment);
            }
            stream.apply(id, frame, place);
        }
    }
}

fn cut(file: &File, end: usize) -> Result<(), Error> {
    let cut = file.set_len(end as u64).and_then(|()| file.sync_all());
    cut.map_err(|error| Error::io("cut the end of the log off", error))
}

impl FoundStream {
    fn new(owner: Owner, created: SystemTime, header: &[u8], at: Place) -> Self {
        Self {
            owner,
            created,
            header: Header::Here(Bytes::copy_from_slice(header)).stored(at),
            index: Vec::new(),
            state: State::Open,
            written: Written::default(),
            bytes: 0,
            has_gap: false,
        }
    }

    fn apply(&mut self, id: StreamId, frame: &Frame<'_>, place: Place) {
        match *frame {
            Frame::Records {
                first_seq,
                count,
                previous,
                ..
            } => {
                let goes_on = previous.is_none() || previous == self.written.last;
                if first_seq == self.written.next_seq && goes_on && !self.has_gap {
                    self.add(first_seq, count, place, previous.is_none());
                } else {
                    self.gap(id);
                }
            }
            Frame::Finish { next_seq, at, footer } => {
                if next_seq == self.written.next_seq && !self.has_gap {
                    self.state = State::Finished {
                        footer: Bytes::copy_from_slice(footer),
                        at,
                    };
                } else {
                    self.gap(id);
                }
            }
            Frame::Adopt { next_seq } => {
                if next_seq > self.written.next_seq {
                    self.gap(id);
                } else {
                    self.take_back(next_seq);
                    self.has_gap = false;
                    // Only what is open is adopted: an end before this was one that could not be stored.
                    self.state = State::Open;
                }
            }
            Frame::Create { .. } | Frame::Drop { .. } | Frame::Void { .. } => {}
        }
    }

    fn add(&mut self, first_seq: u64, count: u32, place: Place, opens_block: bool) {
        match self.index.last_mut() {
            Some(block) if !opens_block => block.last = place,
            _ => self.index.push(BlockAt {
                first_seq,
                last: place,
            }),
        }
        self.written.next_seq += u64::from(count);
        self.written.last = Some(place);
    }

    /// Goes back to where the stream had `next_seq` records, which is where a frame ends. The last block that is left may
    /// have void frames at its end; readers know from where the next one begins.
    fn take_back(&mut self, next_seq: u64) {
        if next_seq < self.written.next_seq {
            self.index.retain(|block| block.first_seq < next_seq);
            self.written.next_seq = next_seq;
            self.written.last = None;
        }
    }

    fn gap(&mut self, id: StreamId) {
        if !self.has_gap {
            tracing::error!(stream = %id, next_seq = self.written.next_seq, "records of the stream are lost from here on");
        }
        self.has_gap = true;
        self.state = State::Open;
    }
}
