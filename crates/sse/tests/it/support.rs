//! What the tests share: events that own their text, and a way to feed a decoder.

use aurora_sse::{DecodeError, Decoder, Event, Item};

/// An event or stray line that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An event: type, data, id, reconnection time in milliseconds.
    Event(String, String, String, Option<u64>),
    /// A stray line.
    Stray(String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        let retry = event.retry.map(|retry| u64::try_from(retry.as_millis()).unwrap());
        Self::Event(
            event.event.to_owned(),
            event.data.to_owned(),
            event.id.to_owned(),
            retry,
        )
    }
}

impl From<Item<'_>> for Seen {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Event(event) => event.into(),
            Item::Stray(line) => Self::Stray(line.to_owned()),
        }
    }
}

/// Everything a stream gives, in order, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What came before the end of input.
    pub(crate) items: Vec<Seen>,
    /// What [`Decoder::finish`] gave.
    pub(crate) left_over: Vec<Seen>,
    /// The error that ended it, if one did.
    pub(crate) error: Option<DecodeError>,
    /// The last event id in the end.
    pub(crate) last_id: String,
    /// The reconnection time in the end, in milliseconds.
    pub(crate) retry: Option<u64>,
}

/// Feeds `reads` to `decoder`, to the end.
pub(crate) fn decode<'a>(mut decoder: Decoder, reads: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut outcome = Outcome::default();
    for read in reads {
        let mut input = read;
        loop {
            match decoder.next_item(&mut input) {
                Ok(Some(item)) => outcome.items.push(item.into()),
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            }
        }
        assert!(input.is_empty(), "input is always used up");
    }
    while let Some(item) = decoder.finish() {
        outcome.left_over.push(item.into());
    }
    outcome.last_id = decoder.last_event_id().to_owned();
    outcome.retry = decoder
        .retry()
        .map(|retry| u64::try_from(retry.as_millis()).unwrap());
    outcome
}

/// Cuts `bytes` into reads of `size` bytes.
pub(crate) fn reads(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(size)
}
