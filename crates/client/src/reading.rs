//! Reads the body of one successful response: bytes in, deltas and notices out, within the limits. It decides whether
//! the body is an event stream or one JSON value, whatever its header says; how the answer ended is the [`Call`](crate::call::Call)'s to say.

use std::fmt;

use aurora_chat::{
    Conclusion, Delta, Ending, Failure, FailureKind, Limit, Notice,
    dialect::openai::{DONE, Flow, Reader},
};
use aurora_sse::{DecodeError, Decoder, Event, Item};

use crate::{
    Limits,
    call::Head,
    continuation::Partial,
    mask::Mask,
    resume::{Cursors, Place, ResumeFrom},
};

/// The body of one response, as far as it has been read.
pub(crate) struct Reading {
    form: Form,
    /// What has come of an event stream that may yet turn out to be one JSON value.
    bare: Bare,
    reader: Reader,
    /// The place in the stream, where the server keeps streams.
    cursors: Option<Cursors>,
    /// What has come, if the answer is to be continued after a loss.
    partial: Option<Partial>,
    limits: Limits,
    mask: Mask,
    /// The answer's bytes so far.
    answer: usize,
    /// An event, or a byte of a body that is no event stream, has come.
    heard: bool,
}

/// What the body is.
enum Form {
    /// Not known before its first byte that is no white space: the header promises no event stream.
    Unknown,
    /// An event stream.
    Events(Box<Decoder>),
    /// One JSON value, or something that is no answer at all; kept whole, within the limit on events.
    Whole(Vec<u8>),
}

/// Whether a body that its header calls an event stream is JSON in truth, as some servers answer that do not stream. It
/// is read as what it is called, since a bare error may stand before events; but as long as there is no event, what has
/// come is kept.
enum Bare {
    /// Nothing but white space has come.
    Unknown,
    /// It begins as JSON does, and no event has come; within the limit on events.
    Kept(Vec<u8>),
    /// It is an event stream.
    No,
}

/// What reading on is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All bytes are read, and more are wanted.
    More,
    /// An event was read, and there may be another one in the bytes that are left.
    Event,
    /// The server said that it is done.
    Done,
}

/// What was read in one step.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The events' data, in order and without the key, where that is wanted.
    pub(crate) events: Vec<String>,
    /// In order.
    pub(crate) notices: Vec<Notice>,
    /// In order.
    pub(crate) deltas: Vec<Delta>,
    /// How many bytes of events this was made of.
    pub(crate) weight: usize,
}

impl Reading {
    /// The body of the response with this head; `events` is whether the events themselves are wanted.
    pub(crate) fn new(head: &Head, limits: Limits, mask: Mask, events: bool) -> Self {
        Self {
            form: Form::of(head, limits),
            bare: Bare::Unknown,
            reader: match events {
                true => Reader::new().keeping_events(),
                false => Reader::new(),
            },
            cursors: head.stream.as_deref().and_then(Cursors::new),
            partial: None,
            limits,
            mask,
            answer: 0,
            heard: false,
        }
    }

    /// The same, with the text kept so that the answer can be continued.
    pub(crate) fn keeping_text(mut self) -> Self {
        self.partial = Some(Partial::default());
        self
    }

    /// Whether the first event has come.
    pub(crate) fn heard(&self) -> bool {
        self.heard
    }

    /// The model that answers, once the server has named it.
    pub(crate) fn model(&self) -> Option<&str> {
        self.reader.model()
    }

    /// The place from which the rest can be asked for if the connection is lost now: the server keeps streams, and the
    /// answer is not whole yet.
    pub(crate) fn resume_from(&self) -> Option<ResumeFrom<'_>> {
        let events = !matches!(self.form, Form::Whole(_)) && !matches!(self.bare, Bare::Kept(_));
        let cursors = self.cursors.as_ref().filter(|cursors| cursors.can_resume());
        cursors
            .filter(|_| self.is_open() && events)
            .map(Cursors::resume_from)
    }

    /// The text from which the answer can be continued if the connection is lost now.
    pub(crate) fn partial(&self) -> Option<&str> {
        let partial = self.partial.as_ref().filter(|_| self.is_open());
        partial.and_then(Partial::text)
    }

    /// Whether the answer is not whole yet.
    pub(crate) fn is_open(&self) -> bool {
        self.reader.finish_reason().is_none() && !self.reader.is_done()
    }

    /// Another answer, of which this is the head, continues this one.
    pub(crate) fn go_on(&mut self, head: &Head) {
        self.form = Form::of(head, self.limits);
        self.bare = Bare::Unknown;
        self.reader = Reader::new();
        self.cursors = None;
        if let Some(partial) = &mut self.partial {
            partial.go_on();
        }
    }

    /// Another connection goes on where this one was lost. What the loss has cut off of an event comes again.
    pub(crate) fn reconnect(&mut self) {
        self.form = Form::events(self.limits);
        self.bare = Bare::No;
        if let Some(cursors) = &mut self.cursors {
            cursors.reconnect();
        }
    }

    /// Whether this connection brought an event that no earlier one had, or more of the text.
    pub(crate) fn has_advanced(&self) -> bool {
        self.cursors.as_ref().is_some_and(Cursors::has_advanced)
            || self.partial.as_ref().is_some_and(Partial::has_advanced)
    }

    /// Reads up to the end of the next event, and cuts off what was read. What was found before a failure is in `found`.
    ///
    /// # Errors
    ///
    /// The failure the server reports, or a limit. It ends the reading.
    pub(crate) fn feed(&mut self, bytes: &mut &[u8], found: &mut Found) -> Result<Step, Failure> {
        if matches!(self.form, Form::Unknown) {
            self.form = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                // White space alone decides nothing, and means nothing in either form.
                None => return Ok(Step::More),
                Some(b'{' | b'[' | b'<') => Form::Whole(Vec::new()),
                Some(_) => Form::events(self.limits),
            };
        }
        let item = match &mut self.form {
            Form::Unknown => return Ok(Step::More),
            Form::Whole(body) => {
                self.heard = true;
                append(body, bytes, self.limits.event)?;
                return Ok(Step::More);
            }
            Form::Events(decoder) => {
                let given = *bytes;
                let item = decoder.next_item(bytes);
                let taken = &given[..given.len() - bytes.len()];
                self.bare.see(taken, self.limits.event)?;
                match item {
                    Ok(Some(item)) => item,
                    Ok(None) => match says_done(decoder).then(|| decoder.finish()).flatten() {
                        Some(item) => item,
                        None => return Ok(Step::More),
                    },
                    Err(error) => return Err(event_limit(&error, self.limits.event)),
                }
            }
        };
        if let Item::Event(event) = &item {
            self.heard = true;
            self.bare = Bare::No;
            if let Some(cursors) = &mut self.cursors
                && cursors.place(event.id, says_something(event))? == Place::Seen
            {
                return Ok(Step::Event);
            }
        }
        let step = read(&mut self.reader, &item, &self.mask, found);
        self.answer += found.deltas.iter().map(Delta::weight).sum::<usize>();
        if let Some(partial) = &mut self.partial {
            partial.take(found);
            if !matches!(step, Ok(Step::Event)) {
                partial.finish(found);
            }
        }
        match step {
            Ok(_) if self.answer > self.limits.answer => Err(answer_limit(self.limits.answer)),
            step => step,
        }
    }

    /// Gives what is held back of the text, since nothing more of it is wanted.
    pub(crate) fn settle(&mut self, found: &mut Found) {
        if let Some(partial) = &mut self.partial {
            partial.finish(found);
        }
    }

    /// Reads what is left once no more bytes come: an event without its blank line, a bare JSON error without its
    /// newline, or the whole body.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed).
    pub(crate) fn finish(&mut self, found: &mut Found) -> Result<(), Failure> {
        match &mut self.form {
            Form::Unknown => {}
            Form::Whole(body) => {
                let body = std::mem::take(body);
                self.read_whole(&body, found)?;
            }
            Form::Events(decoder) => {
                let resumed = self.cursors.as_ref().is_some_and(Cursors::is_resumed);
                while let Some(item) = decoder.finish() {
                    if let Item::Event(event) = &item {
                        self.heard = true;
                        self.bare = Bare::No;
                        // Its cursor was cut off with its end: it may have been read before.
                        if resumed && says_something(event) {
                            continue;
                        }
                    }
                    let result = read(&mut self.reader, &item, &self.mask, found);
                    // An event that was cut cannot be read; the verdict says so already.
                    found.notices.clear();
                    result?;
                }
                if let Bare::Kept(body) = std::mem::replace(&mut self.bare, Bare::No) {
                    match self.read_whole(&body, found) {
                        // It is no JSON either, so it is what its header says: a stream, without an end.
                        Err(failure) if failure.kind == FailureKind::Protocol => {}
                        result => result?,
                    }
                }
            }
        }
        if let Some(partial) = &mut self.partial {
            partial.take(found);
            partial.finish(found);
        }
        Ok(())
    }

    /// Reads a body that is no event stream, with the key hidden first, as in events.
    fn read_whole(&mut self, body: &[u8], found: &mut Found) -> Result<(), Failure> {
        match self.reader.read_body(&self.mask.bytes(body), &mut found.deltas)? {
            Flow::Warning(notice) => found.notices.push(notice),
            Flow::Continue | Flow::Done => {}
        }
        Ok(())
    }

    /// How the answer ended, given how the bytes ended.
    pub(crate) fn conclude(&self, ending: Ending) -> Conclusion {
        self.reader.end(ending)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.form {
            Form::Unknown => "unknown",
            Form::Events(_) => "events",
            Form::Whole(_) => "whole",
        };
        f.debug_struct("Reading")
            .field("form", &form)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

impl Form {
    fn of(head: &Head, limits: Limits) -> Self {
        match head.promises_events() {
            true => Self::events(limits),
            false => Self::Unknown,
        }
    }

    fn events(limits: Limits) -> Self {
        Self::Events(Box::new(
            Decoder::new().with_limit(limits.event).with_stray_lines(),
        ))
    }
}

impl Bare {
    /// Takes bytes that were read of an event stream.
    fn see(&mut self, bytes: &[u8], limit: usize) -> Result<(), Failure> {
        match self {
            Self::Unknown => match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => {}
                Some(b'{' | b'[') => {
                    let mut body = Vec::new();
                    append(&mut body, bytes, limit)?;
                    *self = Self::Kept(body);
                }
                Some(_) => *self = Self::No,
            },
            Self::Kept(body) => append(body, bytes, limit)?,
            Self::No => {}
        }
        Ok(())
    }
}

/// Appends to a body that is kept whole.
fn append(body: &mut Vec<u8>, bytes: &[u8], limit: usize) -> Result<(), Failure> {
    if body.len() + bytes.len() > limit {
        let message = format!("the response is no event stream and larger than the limit of {limit} bytes");
        return Err(Failure::new(FailureKind::Limit(Limit::Event), message));
    }
    body.extend_from_slice(bytes);
    Ok(())
}

/// Whether the stream's last event is there but for its blank line, which some servers never send.
fn says_done(decoder: &Decoder) -> bool {
    decoder.pending_data().trim_ascii() == DONE.as_bytes()
}

/// Whether an event is more than a ping, an end marker or an error.
fn says_something(event: &Event<'_>) -> bool {
    let data = event.data.trim();
    !data.is_empty() && data != DONE && !event.event.eq_ignore_ascii_case("error")
}

/// Reads one item of an event stream. The key is hidden first, so that whatever is made of the item lacks it, and is
/// what a recording gives too.
fn read(reader: &mut Reader, item: &Item<'_>, mask: &Mask, found: &mut Found) -> Result<Step, Failure> {
    let flow = match item {
        Item::Event(event) => {
            let data = mask.text(event.data);
            found.weight += data.len();
            reader.read(event.event, &data, &mut found.deltas)
        }
        Item::Stray(line) => {
            let line = mask.text(line);
            found.weight += line.len();
            reader.read_stray_line(&line)
        }
    };
    found.events.extend(reader.take_events());
    match (flow?, item) {
        (Flow::Continue, _) => Ok(Step::Event),
        (Flow::Done, _) => Ok(Step::Done),
        (Flow::Warning(_), Item::Stray(line)) => {
            tracing::debug!(
                bytes = line.len(),
                "a line that is no field of an event stream was ignored"
            );
            Ok(Step::Event)
        }
        (Flow::Warning(notice), Item::Event(_)) => {
            found.notices.push(notice);
            Ok(Step::Event)
        }
    }
}

fn event_limit(error: &DecodeError, limit: usize) -> Failure {
    let message = format!("the server sent an event larger than the limit of {limit} bytes ({error})");
    Failure::new(FailureKind::Limit(Limit::Event), message)
}

fn answer_limit(limit: usize) -> Failure {
    let message = format!("the answer is larger than the limit of {limit} bytes");
    Failure::new(FailureKind::Limit(Limit::Answer), message)
}
