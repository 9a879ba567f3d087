//! The keys and values of one sequence, so that a token's past is computed once.
//!
//! Its memory is set aside for the whole answer when the sequence begins, and the system provides pages only as they
//! are written: a short answer with room for 8192 tokens costs what a short answer costs.

use super::config::Config;

/// Keys and values of one sequence, for every block.
#[derive(Debug)]
pub(crate) struct KvCache {
    blocks: Vec<Block>,
    capacity: usize,
    length: usize,
    head_width: usize,
}

/// Keys and values of one block: for each head, `capacity` positions of `head_width` values.
#[derive(Debug)]
struct Block {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache for at most `capacity` tokens.
    pub(crate) fn new(config: &Config, capacity: usize) -> Self {
        let size = config.kv_heads * capacity * config.head_width;
        let block = || Block {
            keys: vec![0.0; size],
            values: vec![0.0; size],
        };
        let blocks = (0..config.blocks).map(|_| block()).collect();
        Self {
            blocks,
            capacity,
            length: 0,
            head_width: config.head_width,
        }
    }

    /// How many tokens are held.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many tokens fit.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Counts tokens as held whose keys and values every block has stored.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.length += tokens;
    }

    /// Stores the keys and values of all heads at a position.
    pub(super) fn store(&mut self, block: usize, position: usize, keys: &[f32], values: &[f32]) {
        let (width, capacity) = (self.head_width, self.capacity);
        let block = &mut self.blocks[block];
        let heads = keys.chunks_exact(width).zip(values.chunks_exact(width));
        for (head, (keys, values)) in heads.enumerate() {
            let at = (head * capacity + position) * width;
            block.keys[at..at + width].copy_from_slice(keys);
            block.values[at..at + width].copy_from_slice(values);
        }
    }

    /// The keys and values of one head for the first `positions` tokens, one row of `head_width` a position.
    pub(super) fn head(&self, block: usize, head: usize, positions: usize) -> (&[f32], &[f32]) {
        let start = head * self.capacity * self.head_width;
        let range = start..start + positions * self.head_width;
        let block = &self.blocks[block];
        (&block.keys[range.clone()], &block.values[range])
    }
}
