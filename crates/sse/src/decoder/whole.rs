//! The way of events that need no buffer: everything is borrowed from the input.
//!
//! Whatever the end of the input cuts is handed over to [`pieces`](super::pieces).

use core::mem;

use memchr::memchr2;

use super::{Decoder, Stage, Step, set_id};
use crate::field::Field;
use crate::{DecodeError, utf8};

/// Reads up to this size are "short": their line ends are looked for here and not by `memchr`, whose call would take
/// longer than the search.
const SHORT: usize = 16;

impl Decoder {
    /// The two commonest cases by far, small enough to be inlined where the decoder is called: a whole event of one
    /// data line (every chunk of a chat stream), and a short read from the middle of a data line. `None` means it is
    /// neither, and nothing has been read.
    ///
    /// In the benchmark (`bench/README.md`) the first is worth a tenth at reads of 16 KiB, the second makes reads of 7
    /// bytes twice as fast.
    #[inline]
    pub(super) fn quick_step<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        if self.unsettled {
            return None;
        }
        if !self.open {
            return plain_data(input, self.limit).map(Step::Plain);
        }
        let fits = self.stage == Stage::Data && input.len() <= SHORT && input.len() <= self.room;
        if !fits || has_line_end(input) {
            return None;
        }
        self.room -= input.len();
        self.data.extend_from_slice(mem::take(input));
        Some(Step::Dry)
    }

    /// Reads while nothing is open: up to the end of an event, or of the last line in the input, whose event it then
    /// moves to the buffers.
    #[inline]
    pub(super) fn whole<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Step<'i>>, DecodeError> {
        let mut event: Option<&[u8]> = None;
        let mut data: Option<&[u8]> = None;
        let mut id: Option<&[u8]> = None;
        let mut room = self.limit;
        while let Some(line) = self.next_line(input) {
            if line.is_empty() {
                if let Some(id) = id {
                    set_id(&mut self.id, id);
                }
                match data {
                    Some(data) => {
                        return Ok(Some(Step::Whole {
                            event: event.unwrap_or_default(),
                            data,
                        }));
                    }
                    None => {
                        event = None;
                        id = None;
                        room = self.limit;
                        continue;
                    }
                }
            }
            let field = Field::of(line);
            if line.len() > room && line[0] != b':' {
                return Err(self.fail(input));
            }
            match field {
                Field::Data(value) if data.is_none() => data = Some(value),
                Field::Data(value) => {
                    self.keep_event(event, data, id);
                    self.keep_data(value);
                    self.settle_line();
                    return Ok(None);
                }
                Field::Event(value) => event = Some(value),
                Field::Id(value) => id = Some(value),
                Field::Retry(retry) => self.retry = Some(retry),
                Field::Stray if self.stray_lines => {
                    self.keep_event(event, data, id);
                    return Ok(Some(Step::Stray(line)));
                }
                Field::Stray | Field::Ignored => {}
            }
            room = self.limit
                - data.map_or(0, |data| data.len() + 1)
                - event.map_or(0, <[u8]>::len)
                - id.map_or(0, <[u8]>::len);
        }
        self.keep_event(event, data, id);
        self.keep_piece(input)?;
        Ok(Some(Step::Dry))
    }
}

/// Cuts `data: …` and its blank line off the input.
#[inline]
fn plain_data<'i>(input: &mut &'i [u8], limit: usize) -> Option<&'i str> {
    let value = input.strip_prefix(b"data: ")?;
    let at = memchr2(b'\n', b'\r', value)?;
    let rest = value[at..].strip_prefix(b"\n\n")?;
    if at + b"data: ".len() > limit {
        return None;
    }
    let data = utf8::valid(&value[..at])?;
    *input = rest;
    Some(data)
}

/// Whether there is a CR or LF in these few bytes: eight or four at a time, the last ones twice rather than singly.
#[inline]
fn has_line_end(short: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (short.first_chunk::<8>(), short.last_chunk::<8>()) {
        debug_assert!(short.len() <= SHORT, "the middle is not looked at");
        return word_has_line_end(u64::from_ne_bytes(*first)) || word_has_line_end(u64::from_ne_bytes(*last));
    }
    if let (Some(first), Some(last)) = (short.first_chunk::<4>(), short.last_chunk::<4>()) {
        let (first, last) = (u32::from_ne_bytes(*first), u32::from_ne_bytes(*last));
        return word_has_line_end(u64::from(first) << 32 | u64::from(last));
    }
    short.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

#[inline]
const fn word_has_line_end(word: u64) -> bool {
    (zero_bytes(word ^ (ONES * b'\n' as u64)) | zero_bytes(word ^ (ONES * b'\r' as u64))) != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Not zero if and only if a byte of `word` is.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_found_at_every_place() {
        for length in 0..=SHORT {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for other in [b'a', 0, 0x09, 0x0B, 0x0C, 0x0E, 0x8A, 0x8D, 0xFF] {
                        let mut bytes = [other; SHORT];
                        bytes[at] = byte;
                        assert_eq!(has_line_end(&bytes[..length]), matches!(byte, b'\n' | b'\r'));
                    }
                }
            }
        }
    }
}
