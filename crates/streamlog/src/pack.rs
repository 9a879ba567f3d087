//! Records without what they repeat. The chunks of one answer are alike but for a few bytes in the middle, so a record is
//! kept as how many bytes at its start and at its end are those of the record before it, and the bytes between. That is
//! exact for any bytes, and turns a chunk of 300 bytes into about 10.
//!
//! Packed records form blocks. The first record of a block is whole, so that reading can begin at any block. Memory and
//! disk hold the same packed bytes.
//!
//! The form of a packed record: the lengths of prefix, suffix and middle as varints (LEB128: seven bits a byte, low ones
//! first), then the middle.

use crate::{Batch, Error, MAX_RECORD};

/// The most records of a block: what a reader may have to unpack before it comes to the record it wants.
pub(crate) const BLOCK_RECORDS: u32 = 64;

/// A block that has this many packed bytes takes no further record.
const BLOCK_BYTES: usize = 16 << 10;

/// A writer that holds this many packed bytes wants a flush first.
pub(crate) const MAX_UNFLUSHED: usize = 1 << 20;

/// What to call bytes that no packer wrote.
const NOT_PACKED: Error = Error::Damaged {
    what: "a record is not as it was packed",
};

/// Some packed records in a row, cut where blocks begin.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
}

/// Records of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// How many bytes of [`Packed::bytes`] they take, after those of the pieces before.
    pub(crate) len: usize,
    /// How many they are; at least one, at most [`BLOCK_RECORDS`].
    pub(crate) count: u32,
    /// Whether they begin a block. Otherwise they go on with the last one.
    pub(crate) opens_block: bool,
}

impl Packed {
    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
    }

    /// The pieces with their bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Piece, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.pieces.iter().map(move |piece| {
            let (bytes, after) = rest.split_at(piece.len);
            rest = after;
            (*piece, bytes)
        })
    }
}

/// Packs the records of one stream.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    previous: Vec<u8>,
    /// Records in the block that is open; 0 if the next one opens a block.
    block_records: u32,
    block_bytes: usize,
    /// What was packed since the last flush.
    pub(crate) pending: Packed,
}

impl Packer {
    /// Appends a record. Gives how many bytes it takes packed.
    pub(crate) fn push(&mut self, record: &[u8]) -> usize {
        if self.block_records == BLOCK_RECORDS || self.block_bytes >= BLOCK_BYTES {
            self.block_records = 0;
            self.block_bytes = 0;
        }
        let opens_block = self.block_records == 0;
        let (prefix, suffix) = if opens_block {
            (0, 0)
        } else {
            common_ends(&self.previous, record)
        };
        let middle = &record[prefix..record.len() - suffix];

        let before = self.pending.bytes.len();
        for length in [prefix, suffix, middle.len()] {
            put_varint(&mut self.pending.bytes, length);
        }
        self.pending.bytes.extend_from_slice(middle);
        let len = self.pending.bytes.len() - before;

        // Of what stays the same, nothing needs to be copied where the lengths agree, as they mostly do.
        self.previous
            .splice(prefix..self.previous.len() - suffix, middle.iter().copied());
        self.block_records += 1;
        self.block_bytes += len;
        match self.pending.pieces.last_mut() {
            Some(piece) if !opens_block => {
                piece.len += len;
                piece.count += 1;
            }
            _ => self.pending.pieces.push(Piece {
                len,
                count: 1,
                opens_block,
            }),
        }
        len
    }
}

/// Unpacks the records of one stream, from any place in it.
#[derive(Debug)]
pub(crate) struct Unpacker {
    /// The number of the record that is read next.
    seq: u64,
    /// The block that is being read, by the number of its first record, and how many of its bytes were taken.
    block: Option<(u64, usize)>,
    /// What was taken and is not unpacked yet begins at `at`.
    packed: Vec<u8>,
    at: usize,
    /// How many records come before `seq` in what was taken.
    skip: u64,
    /// The record before the next one, if they are of one block.
    previous: Vec<u8>,
}

impl Unpacker {
    /// One that gives the record `seq` first.
    pub(crate) fn new(seq: u64) -> Self {
        Self {
            seq,
            block: None,
            packed: Vec::new(),
            at: 0,
            skip: 0,
            previous: Vec::new(),
        }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Makes `out` ready to be filled.
    pub(crate) fn begin(&self, out: &mut Batch) {
        out.begin(self.seq, &self.previous);
    }

    /// Remembers what the next batch builds on. To be called when `out` is given away.
    pub(crate) fn end(&mut self, out: &Batch) {
        self.previous.clear();
        self.previous.extend_from_slice(out.last());
    }

    /// Takes what is new of a block: the one that holds the record `seq`. All taken before has been unpacked.
    pub(crate) fn take(&mut self, first_seq: u64, bytes: &[u8]) -> Result<(), Error> {
        debug_assert_eq!(self.at, self.packed.len(), "nothing is left from before");
        let taken = match self.block {
            Some((block, taken)) if block == first_seq => taken,
            _ => {
                self.skip = self.seq - first_seq;
                0
            }
        };
        // The block holds a record that was not taken, so it has grown; otherwise it would be taken for ever.
        let new = bytes
            .get(taken..)
            .filter(|new| !new.is_empty())
            .ok_or(NOT_PACKED)?;
        self.block = Some((first_seq, bytes.len()));
        self.packed.clear();
        if self.packed.capacity() > 4 * BLOCK_BYTES {
            self.packed = Vec::new();
        }
        self.packed.extend_from_slice(new);
        self.at = 0;
        Ok(())
    }

    /// Unpacks into `out` until it is full (`true`) or nothing is left of what was taken (`false`).
    pub(crate) fn fill(&mut self, out: &mut Batch) -> Result<bool, Error> {
        while self.at < self.packed.len() {
            let step = Step::read(&self.packed, self.at)?;
            let last = if self.skip > 0 {
                &self.previous[..]
            } else {
                out.last()
            };
            if step.prefix + step.suffix > last.len() {
                return Err(NOT_PACKED);
            }
            let middle = &self.packed[step.middle..step.end];
            if self.skip > 0 {
                self.previous.splice(
                    step.prefix..self.previous.len() - step.suffix,
                    middle.iter().copied(),
                );
                self.skip -= 1;
                if self.skip == 0 {
                    self.begin(out);
                }
            } else if out.is_full_for(step.prefix + middle.len() + step.suffix) {
                return Ok(true);
            } else {
                out.push(step.prefix, middle, step.suffix);
                self.seq += 1;
            }
            self.at = step.end;
        }
        if self.skip > 0 {
            return Err(NOT_PACKED);
        }
        Ok(false)
    }
}

/// One packed record: the lengths of what it shares with the one before, and where its middle lies.
struct Step {
    prefix: usize,
    suffix: usize,
    middle: usize,
    end: usize,
}

impl Step {
    fn read(packed: &[u8], at: usize) -> Result<Self, Error> {
        let mut at = at;
        let mut length = || varint(packed, &mut at).ok_or(NOT_PACKED);
        let (prefix, suffix, len) = (length()?, length()?, length()?);
        if len > packed.len() - at || prefix + len + suffix > MAX_RECORD {
            return Err(NOT_PACKED);
        }
        Ok(Self {
            prefix,
            suffix,
            middle: at,
            end: at + len,
        })
    }
}

/// How many bytes two records have in common at the start, and at the end of what is left.
fn common_ends(old: &[u8], new: &[u8]) -> (usize, usize) {
    let prefix = common_prefix(old, new);
    (prefix, common_suffix(&old[prefix..], &new[prefix..]))
}

fn common_prefix(old: &[u8], new: &[u8]) -> usize {
    let mut same = 0;
    for (old, new) in old.chunks_exact(8).zip(new.chunks_exact(8)) {
        let differ = word(old) ^ word(new);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + old[same..]
        .iter()
        .zip(&new[same..])
        .take_while(|(old, new)| old == new)
        .count()
}

fn common_suffix(old: &[u8], new: &[u8]) -> usize {
    let mut same = 0;
    for (old, new) in old.rchunks_exact(8).zip(new.rchunks_exact(8)) {
        let differ = word(old) ^ word(new);
        if differ != 0 {
            return same + differ.leading_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = |record: &[u8]| record.len() - same;
    let (old, new) = (old[..rest(old)].iter().rev(), new[..rest(new)].iter().rev());
    same + old.zip(new).take_while(|(old, new)| old == new).count()
}

/// Eight bytes as a number of which the first byte is the lowest.
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"))
}

fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a varint of at most 28 bits, which is more than any length has.
fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
