//! What a decoder yields.

use core::time::Duration;

/// One dispatched event.
///
/// All text is valid UTF-8: what the wire had wrong is U+FFFD here, as the standard decodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's type, `message` if the stream named none; never empty.
    pub event: &'a str,
    /// The values of the `data` lines, joined by LF. May be empty: a lone `data` line is an event.
    pub data: &'a str,
    /// The last event id in force: this event's own, else the last one before it, else empty.
    pub id: &'a str,
    /// The reconnection time in force, in whole milliseconds; `None` until the stream has set one.
    pub retry: Option<Duration>,
}

/// An event, or a line that is none of the standard's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// A whole line, without its end, whose field name the standard does not know, and which it therefore ignores.
    ///
    /// Servers in trouble are known to write a bare `{"error":…}` into an event stream. Only decoders made with
    /// [`Decoder::with_stray_lines`](crate::Decoder::with_stray_lines) yield these. Comments are not stray.
    Stray(&'a str),
}
