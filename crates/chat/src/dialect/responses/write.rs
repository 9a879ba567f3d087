//! The fold of an answer's updates, as whoever serves them uses it.
//!
//! The order of fields is fixed and nothing comes from outside but the updates, so the same updates give the same bytes.
//! However text is cut into deltas, the events that end it and the object are the same.

use super::event::{Counter, Pen};
use super::response::Response;
use super::{Event, Settings, Status};
use crate::{Update, Verdict};

/// Folds one answer.
///
/// The events are `response.created`, for a background response `response.queued`, `response.in_progress` when the
/// source has begun, those of the output items, and one of these ends:
///
/// - `response.completed`;
/// - `response.incomplete`, for [`Verdict::Length`] and [`Verdict::Filtered`]: the item that was cut off is
///   `incomplete`, and if it is a call, no event says that its arguments are done;
/// - `response.failed` and then `error`, for an answer that broke off. Its open items are left as they are, without
///   events that would call them done. The error's type is
///   [`STREAM_INTERRUPTED`](crate::ending::STREAM_INTERRUPTED) where the source was cut off;
/// - `error` alone for [`Verdict::Cancelled`], which no event of the reference stands for; the object is `cancelled`.
///
/// An item ends when the next one begins, except calls: they end with the answer, since parallel ones may come
/// interleaved.
#[derive(Clone, Debug)]
pub struct Writer {
    response: Response,
    counter: Counter,
}

impl Writer {
    /// A writer for the response with this id (`resp_…`), of a request with these settings for this model, created at
    /// this Unix time in seconds. A source that names its model is believed more, from `response.in_progress` on.
    ///
    /// The ids of the items are made from the response's: `msg_…_0`, `rs_…_0`, `fc_…_0`, with the item's place in the
    /// output.
    #[must_use]
    pub fn new(id: impl Into<String>, model: impl Into<String>, created_at: u64, settings: Settings) -> Self {
        Self {
            response: Response::new(id.into(), model.into(), created_at, settings),
            counter: Counter::default(),
        }
    }

    /// The same writer, leaving out events up to this number, that one included: `starting_after`. With [`u64::MAX`] it
    /// writes none and only folds, which costs little more than a copy of the text.
    #[must_use]
    pub fn starting_after(mut self, sequence_number: u64) -> Self {
        self.counter.after = Some(sequence_number);
        self
    }

    /// The same writer with a limit of this many bytes on the answer, instead of
    /// [`DEFAULT_LIMIT`](crate::transcript::DEFAULT_LIMIT). An answer that outgrows it fails with
    /// [`Limit::Answer`](crate::Limit::Answer).
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.response.output.limit = bytes;
        self
    }

    /// Gives the sink the events that say that there is a response: `response.created`, and `response.queued` for one in
    /// the background. They need nothing from the source. It is done with the first update if not before, and does
    /// nothing after that.
    pub fn create(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let counter = &mut self.counter;
        self.response.create(&mut Pen { counter, sink });
    }

    /// Folds the next update and gives its events to the sink, in order. After the end it does nothing.
    pub fn update(&mut self, update: &Update, sink: &mut dyn FnMut(Event<'_>)) {
        let counter = &mut self.counter;
        self.response.update(update, &mut Pen { counter, sink });
    }

    /// The number that the next event will have: how many there were so far, those that were left out included.
    #[must_use]
    pub fn next_sequence_number(&self) -> u64 {
        self.counter.next
    }

    /// How far the response has come.
    #[must_use]
    pub fn status(&self) -> Status {
        self.response.status
    }

    /// How the answer ended; `None` before that.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.response.verdict
    }

    /// Appends the response object as it is now: JSON on one line.
    pub fn response(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, &self.response.object())
            .expect("what goes into the object always serialises, and a Vec takes every byte");
    }
}
