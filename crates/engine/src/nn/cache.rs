//! The keys and values of one sequence, so that a token's past is computed once.
//!
//! Its memory is set aside for the whole answer when the sequence begins, and the system provides pages only as they
//! are written: a short answer with room for 8192 tokens costs what a short answer costs.

use super::config::Config;

/// Keys and values of one sequence: for each block and head, `capacity` positions of `head_width` values.
///
/// All blocks share two allocations. One for each block would lie below the size from which the system's allocator asks
/// the kernel for zeroed pages; it would clear them itself, and a request would pay for room that it never uses.
#[derive(Debug)]
pub(crate) struct KvCache {
    keys: Vec<f32>,
    values: Vec<f32>,
    heads: usize,
    head_width: usize,
    capacity: usize,
    length: usize,
}

impl KvCache {
    /// An empty cache for at most `capacity` tokens.
    pub(crate) fn new(config: &Config, capacity: usize) -> Self {
        let (heads, head_width) = (config.kv_heads, config.head_width);
        let size = config.blocks * heads * capacity * head_width;
        Self {
            keys: vec![0.0; size],
            values: vec![0.0; size],
            heads,
            head_width,
            capacity,
            length: 0,
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
        let width = self.head_width;
        for (head, (keys, values)) in keys
            .chunks_exact(width)
            .zip(values.chunks_exact(width))
            .enumerate()
        {
            let at = self.start(block, head) + position * width;
            self.keys[at..at + width].copy_from_slice(keys);
            self.values[at..at + width].copy_from_slice(values);
        }
    }

    /// The keys and values of one head for the first `positions` tokens, one row of `head_width` a position.
    pub(super) fn head(&self, block: usize, head: usize, positions: usize) -> (&[f32], &[f32]) {
        let start = self.start(block, head);
        let range = start..start + positions * self.head_width;
        (&self.keys[range.clone()], &self.values[range])
    }

    fn start(&self, block: usize, head: usize) -> usize {
        (block * self.heads + head) * self.capacity * self.head_width
    }
}
