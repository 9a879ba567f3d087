//! Bytes to events: "Parsing an event stream" and "Interpreting an event stream" of the standard, for input that
//! comes in pieces.
//!
//! There are two ways through. An event whose lines all lie in one read is borrowed from it ([`whole`]). Whatever the
//! end of a read cuts is kept ([`pieces`]). Every byte is searched for a line end a fixed number of times on either way,
//! however long the line and however small the reads.

mod pieces;
mod whole;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr2;

use crate::field::Field;
use crate::utf8::{push_lossy, text};
use crate::{DecodeError, Event, Item};

/// The default limit on a line and its event: 8 MiB.
pub const DEFAULT_LIMIT: usize = 8 << 20;

/// A buffer that grew beyond this many bytes gives the rest back once its event is done.
const KEPT_CAPACITY: usize = 64 << 10;

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// A decoder of one event stream at a time.
///
/// # Memory
/// The decoder keeps only what the end of a read has cut, at most its limit: the limit is on the bytes of the current
/// line, comments excepted, plus what is kept of the event's earlier lines (every `data` line counts one byte beyond
/// its value). Comments take no memory and have no limit. Invalid bytes grow to three when they are replaced, and the
/// last event id lives on, so a hostile stream can hold a small multiple of the limit, never more.
///
/// Where the limit strikes depends on the bytes alone, not on how they were cut into reads.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    stray_lines: bool,
    /// Something is to be done before the next byte is read; see [`Decoder::settle`].
    unsettled: bool,
    /// The buffers hold a part of an event or of a line.
    open: bool,
    /// The last byte read was a CR: if an LF comes, it belongs to the same line end.
    after_cr: bool,
    stage: Stage,
    /// How many more bytes the current line may have. Kept up to date only while `open`.
    room: usize,
    /// The current line so far, unless `stage` says where else it went.
    line: Vec<u8>,
    /// The event's data so far, with an LF after each complete line.
    data: Vec<u8>,
    /// The event's type so far.
    event: Vec<u8>,
    /// The id the event will set, if `has_next_id`.
    next_id: Vec<u8>,
    has_next_id: bool,
    /// The last event id.
    id: String,
    retry: Option<Duration>,
    /// Where text is repaired that was not valid UTF-8.
    repaired_data: String,
    repaired_event: String,
}

/// What the bytes up to the next line end are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The beginning of the stream, which may be a byte order mark.
    Start,
    /// A line whose beginning is in `line`.
    Line,
    /// The value of a `data` field, which goes to `data`.
    Data,
    /// A comment, which goes nowhere.
    Comment,
    /// The event in the buffers was handed out and is to be cleared; a line begins.
    Spent,
    /// The stray line in `line` was handed out and is to be cleared; a line begins.
    SpentLine,
    /// The limit was exceeded.
    Failed,
}

/// What [`Decoder::step`] came upon. It borrows from the input only, so that the search can go on after it.
enum Step<'i> {
    /// The input is used up.
    Dry,
    /// An event of one data line and nothing else, in the input.
    Plain(&'i str),
    /// An event whose lines are all in the input. Its id is already committed.
    Whole { event: &'i [u8], data: &'i [u8] },
    /// The event in the buffers.
    Kept,
    /// A stray line in the input.
    Stray(&'i [u8]),
    /// A stray line in `line`.
    StrayKept,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a stream, with the [default limit](DEFAULT_LIMIT) and without stray lines.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            stray_lines: false,
            unsettled: true,
            open: false,
            after_cr: false,
            stage: Stage::Start,
            room: 0,
            line: Vec::new(),
            data: Vec::new(),
            event: Vec::new(),
            next_id: Vec::new(),
            has_next_id: false,
            id: String::new(),
            retry: None,
            repaired_data: String::new(),
            repaired_event: String::new(),
        }
    }

    /// Sets the limit on a line and its event, in bytes.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes [`next_item`](Self::next_item) and [`finish`](Self::finish) yield lines with a field name the standard
    /// does not know.
    #[must_use]
    pub const fn with_stray_lines(mut self) -> Self {
        self.stray_lines = true;
        self
    }

    /// Reads on in `input` up to the end of the next event, and cuts off what it has read.
    ///
    /// `None` means that all input is used up and more is needed. Input is never read ahead: what is left of it after
    /// an event may be passed in again at any time, and must be before anything newer.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], once all events before it have been returned. Input is then used up, the buffers are
    /// freed, and every further call gives the same error until [`reset`](Self::reset).
    #[inline]
    pub fn next_event<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, DecodeError> {
        loop {
            match self.step(input)? {
                Step::Dry => return Ok(None),
                Step::Plain(data) => return Ok(Some(self.plain_event(data))),
                Step::Whole { event, data } => return Ok(Some(self.whole_event(event, data))),
                Step::Kept => return Ok(Some(self.kept_event())),
                Step::Stray(_) | Step::StrayKept => {}
            }
        }
    }

    /// Like [`next_event`](Self::next_event), but stops at stray lines too, if the decoder was made
    /// [`with_stray_lines`](Self::with_stray_lines).
    ///
    /// A stray line comes when it ends, which is before the event in whose middle it may stand.
    ///
    /// # Errors
    /// As for [`next_event`](Self::next_event).
    #[inline]
    pub fn next_item<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Item<'a>>, DecodeError> {
        Ok(match self.step(input)? {
            Step::Dry => None,
            Step::Plain(data) => Some(Item::Event(self.plain_event(data))),
            Step::Whole { event, data } => Some(Item::Event(self.whole_event(event, data))),
            Step::Kept => Some(Item::Event(self.kept_event())),
            Step::Stray(line) => Some(Item::Stray(text(line, &mut self.repaired_data))),
            Step::StrayKept => Some(Item::Stray(text(&self.line, &mut self.repaired_data))),
        })
    }

    /// Ends the input and yields, one by one until `None`, what the end of input has cut: first a stray line, if
    /// wanted, then an event without its blank line. `None` leaves the decoder as [`reset`](Self::reset) does.
    ///
    /// The standard discards an incomplete event, and who wants that calls [`reset`](Self::reset) instead. But some
    /// servers send a last `data: [DONE]` without its blank line, and an error that is cut short still says more than
    /// none. Data may be cut anywhere. An `event`, `id` or `retry` line without its end is dropped, and an `id` line
    /// that has one still does not count: the event carries the id of the last complete one, which is where a resumed
    /// stream has to go on.
    pub fn finish(&mut self) -> Option<Item<'_>> {
        match self.stage {
            Stage::Failed | Stage::Spent => self.clear(),
            Stage::Data => self.data.push(b'\n'),
            Stage::Start | Stage::Line => match Field::of(&self.line) {
                // It is still here because it ends before its value begins.
                Field::Data(_) => self.data.push(b'\n'),
                Field::Stray if self.stray_lines && !self.line.is_empty() => {
                    self.stage = Stage::SpentLine;
                    self.unsettled = true;
                    return Some(Item::Stray(text(&self.line, &mut self.repaired_data)));
                }
                _ => {}
            },
            Stage::SpentLine | Stage::Comment => {}
        }
        if self.data.is_empty() {
            self.reset();
            return None;
        }
        self.stage = Stage::Spent;
        self.unsettled = true;
        Some(Item::Event(self.kept_event()))
    }

    /// The data of the event that is being read, as it would be if the blank line came now; empty if there is none, and
    /// while a `data` line is cut. [`finish`](Self::finish) gives the event.
    ///
    /// Some servers send a last `data: [DONE]` without its blank line and keep the connection open.
    #[must_use]
    pub fn pending_data(&self) -> &[u8] {
        match self.stage {
            Stage::Data | Stage::Spent | Stage::Failed => &[],
            Stage::Start | Stage::Line | Stage::Comment | Stage::SpentLine => {
                self.data.split_last().map_or(&[], |(_, data)| data)
            }
        }
    }

    /// Makes the decoder ready for the start of another stream, and drops what it keeps of this one.
    ///
    /// The last event id and the reconnection time stay, for they belong to the source and not to one connection.
    /// (The standard has an event without id clear the last event id, if it is the first after a reconnection. No
    /// browser does so, and neither does this decoder.)
    pub fn reset(&mut self) {
        self.clear();
        self.after_cr = false;
        self.stage = Stage::Start;
        self.unsettled = true;
    }

    /// The id of the last complete event that had one, for a `Last-Event-ID` header; empty if there is none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.id
    }

    /// The reconnection time the stream has set, if any.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Reads on to the next thing worth telling.
    #[inline]
    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, DecodeError> {
        match self.quick_step(input) {
            Some(step) => Ok(step),
            None => self.full_step(input),
        }
    }

    fn full_step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, DecodeError> {
        if self.unsettled {
            self.settle(input)?;
        }
        loop {
            let step = if self.open {
                self.pieces(input)?
            } else {
                self.whole(input)?
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// The next line of the input without its end, or `None` if the input ends before it.
    #[inline]
    fn next_line<'i>(&mut self, input: &mut &'i [u8]) -> Option<&'i [u8]> {
        // A blank line follows every event; it is found without a search.
        let at = if input.first() == Some(&b'\n') {
            0
        } else {
            memchr2(b'\n', b'\r', input)?
        };
        let line = &input[..at];
        let mut end = at + 1;
        if input[at] == b'\r' {
            match input.get(end) {
                Some(b'\n') => end += 1,
                Some(_) => {}
                None => {
                    self.after_cr = true;
                    self.unsettled = true;
                }
            }
        }
        *input = &input[end..];
        Some(line)
    }

    /// Does what the last call could not: clears what it handed out, pairs a CR with its LF, finds the byte order mark.
    #[cold]
    fn settle(&mut self, input: &mut &[u8]) -> Result<(), DecodeError> {
        self.unsettled = false;
        match self.stage {
            Stage::Failed => return Err(self.fail(input)),
            Stage::Start => return self.settle_start(input),
            Stage::Spent => {
                self.clear();
                self.stage = Stage::Line;
            }
            Stage::SpentLine => {
                release(&mut self.line);
                self.settle_line();
                self.stage = Stage::Line;
            }
            Stage::Line | Stage::Data | Stage::Comment => {}
        }
        if self.after_cr {
            match input.first() {
                None => self.unsettled = true,
                Some(first) => {
                    self.after_cr = false;
                    if *first == b'\n' {
                        *input = &input[1..];
                    }
                }
            }
        }
        Ok(())
    }

    /// Collects in `line` what may become a byte order mark. It is not counted before it turns out to be none.
    fn settle_start(&mut self, input: &mut &[u8]) -> Result<(), DecodeError> {
        while let Some((first, rest)) = input.split_first() {
            if *first != MARK[self.line.len()] {
                self.stage = Stage::Line;
                self.open = !self.line.is_empty();
                return match self.limit.checked_sub(self.line.len()) {
                    Some(room) => {
                        self.room = room;
                        Ok(())
                    }
                    None => Err(self.fail(input)),
                };
            }
            self.line.push(*first);
            *input = rest;
            if self.line.len() == MARK.len() {
                self.line.clear();
                self.stage = Stage::Line;
                return Ok(());
            }
        }
        self.unsettled = true;
        Ok(())
    }

    #[inline]
    fn plain_event<'a>(&'a self, data: &'a str) -> Event<'a> {
        Event {
            event: "message",
            data,
            id: &self.id,
            retry: self.retry,
        }
    }

    #[inline]
    fn whole_event<'a>(&'a mut self, event: &'a [u8], data: &'a [u8]) -> Event<'a> {
        Event {
            event: if event.is_empty() {
                "message"
            } else {
                text(event, &mut self.repaired_event)
            },
            data: text(data, &mut self.repaired_data),
            id: &self.id,
            retry: self.retry,
        }
    }

    fn kept_event(&mut self) -> Event<'_> {
        // Every complete line of data left an LF behind it, and the standard removes the last one.
        let data = self.data.split_last().map_or(&[][..], |(_, data)| data);
        Event {
            event: if self.event.is_empty() {
                "message"
            } else {
                text(&self.event, &mut self.repaired_event)
            },
            data: text(data, &mut self.repaired_data),
            id: &self.id,
            retry: self.retry,
        }
    }

    #[cold]
    fn fail(&mut self, input: &mut &[u8]) -> DecodeError {
        *input = &[];
        self.clear();
        self.stage = Stage::Failed;
        self.unsettled = true;
        DecodeError::TooLarge { limit: self.limit }
    }

    fn clear(&mut self) {
        release(&mut self.line);
        release(&mut self.data);
        release(&mut self.event);
        release(&mut self.next_id);
        self.repaired_data.clear();
        self.repaired_data.shrink_to(KEPT_CAPACITY);
        self.repaired_event.clear();
        self.repaired_event.shrink_to(KEPT_CAPACITY);
        self.has_next_id = false;
        self.open = false;
    }
}

fn set_id(id: &mut String, bytes: &[u8]) {
    id.clear();
    id.shrink_to(KEPT_CAPACITY);
    push_lossy(bytes, id);
}

/// Empties a buffer, and gives its memory back if that was much.
fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEPT_CAPACITY);
}
