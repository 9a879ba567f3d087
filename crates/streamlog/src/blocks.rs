//! The packed records of a stream, in memory, in blocks.

use std::collections::VecDeque;

use crate::{
    Error,
    pack::{Packed, Piece, Unpacker},
};

/// The last blocks of a stream; all of them, unless earlier ones were let go.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: VecDeque<Block>,
    next_seq: u64,
    /// Bytes that the blocks take.
    held: usize,
}

#[derive(Debug)]
struct Block {
    first_seq: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }
}

/// What there was for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Records that it had not seen.
    Some,
    /// It has seen all there is.
    End,
    /// Its block was let go.
    Gone,
}

impl Blocks {
    /// No blocks, of a stream that has `next_seq` records.
    pub(crate) fn new(next_seq: u64) -> Self {
        Self {
            blocks: VecDeque::new(),
            next_seq,
            held: 0,
        }
    }

    /// How many records the stream has.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Bytes of memory that the blocks take.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn extend(&mut self, packed: &Packed) {
        for (piece, bytes) in packed.iter() {
            self.push(piece, bytes);
        }
    }

    /// Appends records of one block.
    pub(crate) fn push(&mut self, piece: Piece, bytes: &[u8]) {
        let first_seq = self.next_seq;
        self.next_seq += u64::from(piece.count);
        if piece.opens_block {
            // A block that is done keeps no room for more.
            self.change_last(Vec::shrink_to_fit);
            self.blocks.push_back(Block {
                first_seq,
                bytes: bytes.to_vec(),
            });
            self.held += self.blocks.back().map_or(0, Block::held);
        } else {
            // A block of which the beginning was let go cannot be read; what goes on with it is not kept either.
            self.change_last(|last| last.extend_from_slice(bytes));
        }
    }

    /// Gives the reader what it has not seen of the block that it is in.
    pub(crate) fn read(&self, reader: &mut Unpacker) -> Result<Found, Error> {
        let seq = reader.seq();
        if seq >= self.next_seq {
            return Ok(Found::End);
        }
        let after = self.blocks.partition_point(|block| block.first_seq <= seq);
        let Some(block) = after.checked_sub(1).and_then(|index| self.blocks.get(index)) else {
            return Ok(Found::Gone);
        };
        reader.take(block.first_seq, &block.bytes)?;
        Ok(Found::Some)
    }

    /// Lets the first blocks go until the others take no more than `keep` bytes. The last one stays, since it may grow.
    pub(crate) fn trim(&mut self, keep: usize) {
        while self.held > keep && self.blocks.len() > 1 {
            self.held -= self.blocks.pop_front().map_or(0, |block| block.held());
        }
    }

    /// Lets all blocks go.
    pub(crate) fn clear(&mut self) {
        self.blocks = VecDeque::new();
        self.held = 0;
    }

    fn change_last(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(last) = self.blocks.back_mut() {
            let before = last.held();
            change(&mut last.bytes);
            self.held = self.held - before + last.held();
        }
    }
}
