//! The way of events and lines that the end of a read has cut: what is needed of them is kept.
//!
//! Data goes to `data` as it comes, so that a long line is copied once; other fields wait in `line` until they are
//! whole; comments go nowhere.

use core::mem;

use super::{Decoder, Stage, Step, set_id};
use crate::DecodeError;
use crate::field::Field;

impl Decoder {
    /// Reads while something is open: one line, or as much of it as there is.
    #[inline]
    pub(super) fn pieces<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Step<'i>>, DecodeError> {
        let Some(rest) = self.next_line(input) else {
            self.keep_piece(input)?;
            return Ok(Some(Step::Dry));
        };
        let stage = mem::replace(&mut self.stage, Stage::Line);
        let step = match stage {
            Stage::Data => {
                self.take_room(rest, input)?;
                self.data.extend_from_slice(rest);
                self.data.push(b'\n');
                None
            }
            Stage::Comment => None,
            _ if self.line.is_empty() => {
                if rest.is_empty() {
                    return Ok(self.blank_line());
                }
                if rest[0] != b':' {
                    self.take_room(rest, input)?;
                }
                self.keep_field(rest).then_some(Step::Stray(rest))
            }
            _ => {
                self.take_room(rest, input)?;
                self.line.extend_from_slice(rest);
                let line = mem::take(&mut self.line);
                let stray = self.keep_field(&line);
                self.line = line;
                if stray {
                    self.stage = Stage::SpentLine;
                    self.unsettled = true;
                    return Ok(Some(Step::StrayKept));
                }
                self.line.clear();
                None
            }
        };
        self.settle_line();
        Ok(step)
    }

    /// Keeps the rest of the input, which is a piece of a line without its end.
    #[inline]
    pub(super) fn keep_piece(&mut self, input: &mut &[u8]) -> Result<(), DecodeError> {
        let piece = mem::take(input);
        if self.stage == Stage::Data {
            self.take_room(piece, input)?;
            self.data.extend_from_slice(piece);
            return Ok(());
        }
        if self.stage == Stage::Comment || piece.is_empty() {
            return Ok(());
        }
        self.keep_beginning(piece, input)
    }

    /// Keeps a piece of a line of which it is not known yet that it is data or a comment.
    fn keep_beginning(&mut self, piece: &[u8], input: &mut &[u8]) -> Result<(), DecodeError> {
        self.open = true;
        if self.line.is_empty() && piece[0] == b':' {
            self.stage = Stage::Comment;
            return Ok(());
        }
        self.take_room(piece, input)?;
        self.line.extend_from_slice(piece);
        // One byte of the value tells whether the value begins with a space.
        if let [b'd', b'a', b't', b'a', b':', first, rest @ ..] = self.line.as_slice() {
            if *first != b' ' {
                self.data.push(*first);
            }
            self.data.extend_from_slice(rest);
            self.line.clear();
            self.stage = Stage::Data;
        }
        Ok(())
    }

    /// Keeps what of an event is in the input, because it is not the whole event.
    pub(super) fn keep_event(&mut self, event: Option<&[u8]>, data: Option<&[u8]>, id: Option<&[u8]>) {
        if let Some(data) = data {
            self.keep_data(data);
        }
        if let Some(event) = event {
            self.event.extend_from_slice(event);
        }
        if let Some(id) = id {
            self.next_id.extend_from_slice(id);
            self.has_next_id = true;
        }
        self.settle_line();
    }

    pub(super) fn keep_data(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
    }

    /// Keeps what a whole line says; true if it is a stray line the caller wants to see.
    fn keep_field(&mut self, line: &[u8]) -> bool {
        match Field::of(line) {
            Field::Data(value) => self.keep_data(value),
            Field::Event(value) => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            Field::Id(value) => {
                self.next_id.clear();
                self.next_id.extend_from_slice(value);
                self.has_next_id = true;
            }
            Field::Retry(retry) => self.retry = Some(retry),
            Field::Stray => return self.stray_lines,
            Field::Ignored => {}
        }
        false
    }

    /// At the end of a line that was kept: is there still something open, and how long may the next line be?
    #[inline]
    pub(super) fn settle_line(&mut self) {
        let kept = self.data.len() + self.event.len() + self.next_id.len();
        self.open = kept > 0 || self.has_next_id;
        self.room = self.limit - kept;
    }

    /// The end of an event in the buffers.
    fn blank_line(&mut self) -> Option<Step<'static>> {
        if self.has_next_id {
            set_id(&mut self.id, &self.next_id);
        }
        if self.data.is_empty() {
            self.clear();
            return None;
        }
        self.stage = Stage::Spent;
        self.unsettled = true;
        Some(Step::Kept)
    }

    #[inline]
    fn take_room(&mut self, piece: &[u8], input: &mut &[u8]) -> Result<(), DecodeError> {
        match self.room.checked_sub(piece.len()) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => Err(self.fail(input)),
        }
    }
}
