//! Events to bytes. Lines end in LF, fields come in a fixed order, and the same frame always gives the same bytes.

use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr2;

use crate::EncodeError;

/// One event to be written.
///
/// What a [`Decoder`](crate::Decoder) makes of it is the same event again, except that every CR and CRLF in the data
/// has become an LF, the only line end that data can carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's type; empty and `message` mean the same and are not written.
    pub event: &'a str,
    /// The event's id. `None` leaves the reader's last event id as it is, `Some("")` clears it.
    pub id: Option<&'a str>,
    /// The reconnection time the reader is to keep from now on; fractions of a millisecond are cut off.
    pub retry: Option<Duration>,
    /// The event's data, of any number of lines.
    pub data: &'a str,
}

impl<'a> Frame<'a> {
    /// A frame that has data and nothing else.
    #[must_use]
    pub const fn new(data: &'a str) -> Self {
        Self {
            event: "",
            id: None,
            retry: None,
            data,
        }
    }

    /// Appends the frame to `out`, blank line included.
    ///
    /// # Errors
    /// If the type or the id can not be written truthfully: [`EncodeError`] says which and why. `out` is then as it
    /// was.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        // Enough for all but data of many lines: names, colons and ends of four fields, and a number of 20 digits.
        out.reserve(self.event.len() + self.id.map_or(0, str::len) + self.data.len() + 64);
        if !self.event.is_empty() && self.event != "message" {
            push_field(b"event", self.event.as_bytes(), out);
        }
        if let Some(id) = self.id {
            push_field(b"id", id.as_bytes(), out);
        }
        if let Some(retry) = self.retry {
            push_retry(retry, out);
        }
        push_data(self.data.as_bytes(), out);
        out.push(b'\n');
        Ok(())
    }

    fn check(&self) -> Result<(), EncodeError> {
        if has_newline(self.event) {
            return Err(EncodeError::NewlineInEvent);
        }
        let id = self.id.unwrap_or_default();
        if has_newline(id) {
            return Err(EncodeError::NewlineInId);
        }
        if id.contains('\0') {
            return Err(EncodeError::NulInId);
        }
        Ok(())
    }
}

/// Appends a comment to `out`: one line, and no blank line after it.
///
/// Comments keep a connection visibly alive. A blank line ends an event even where there is none, and some official
/// SDKs then fail (openai-python#2722), so it is not sent here.
///
/// # Errors
/// [`EncodeError::NewlineInComment`]; `out` is then as it was.
pub fn encode_comment(text: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if has_newline(text) {
        return Err(EncodeError::NewlineInComment);
    }
    push_field(b"", text.as_bytes(), out);
    Ok(())
}

fn has_newline(text: &str) -> bool {
    memchr2(b'\n', b'\r', text.as_bytes()).is_some()
}

/// The space is written always except before nothing, so that a value's own leading space survives.
fn push_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(if value.is_empty() { b":" } else { b": " });
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// One `data` line for every line of the data, the empty one after a final line end included.
fn push_data(mut data: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr2(b'\n', b'\r', data) {
        push_field(b"data", &data[..at], out);
        let end = if data[at..].starts_with(b"\r\n") { 2 } else { 1 };
        data = &data[at + end..];
    }
    push_field(b"data", data, out);
}

/// Digits by hand: `write!` into a `Vec` needs `std`, and a `String` on the way would be an allocation.
fn push_retry(retry: Duration, out: &mut Vec<u8>) {
    let mut millis = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (millis % 10) as u8;
        millis /= 10;
        if millis == 0 {
            break;
        }
    }
    push_field(b"retry", &digits[start..], out);
}
