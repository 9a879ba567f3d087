//! What llama.cpp's cache holds, as far as it has to be known to stay within it: llama.cpp itself does not say how many of
//! its cells are free.
//!
//! A cell holds the keys and values of one token, for all sequences that begin with the same ones. Its number here is
//! not the one it has there.

/// The cells of a cache, and which sequences hold which.
#[derive(Debug)]
pub(super) struct Cells {
    /// How many sequences hold each.
    holders: Vec<u32>,
    free: Vec<u32>,
    sequences: Vec<Vec<u32>>,
}

impl Cells {
    /// So many empty cells, for so many sequences.
    pub(super) fn new(sequences: usize, cells: u32) -> Self {
        Self {
            holders: vec![0; cells as usize],
            free: (0..cells).rev().collect(),
            sequences: vec![Vec::new(); sequences],
        }
    }

    /// Cells that no sequence holds.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Cells that some sequence holds.
    pub(super) fn taken(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// How many tokens a sequence holds.
    pub(super) fn len(&self, sequence: usize) -> usize {
        self.sequences[sequence].len()
    }

    /// Adds tokens to a sequence, as many as there are free cells for.
    pub(super) fn add(&mut self, sequence: usize, tokens: usize) {
        let from = self.free.len().saturating_sub(tokens);
        for cell in self.free.drain(from..) {
            self.holders[cell as usize] = 1;
            self.sequences[sequence].push(cell);
        }
    }

    /// Takes all but the first `length` tokens from a sequence.
    pub(super) fn truncate(&mut self, sequence: usize, length: usize) {
        let held = &mut self.sequences[sequence];
        for cell in held.drain(length.min(held.len())..) {
            let holders = &mut self.holders[cell as usize];
            *holders -= 1;
            if *holders == 0 {
                self.free.push(cell);
            }
        }
    }

    /// Gives `to` the first `length` tokens of `from`, which has as many, instead of what it held.
    pub(super) fn copy(&mut self, from: usize, to: usize, length: usize) {
        let shared = self.sequences[from][..length].to_vec();
        for &cell in &shared {
            self.holders[cell as usize] += 1;
        }
        self.truncate(to, 0);
        self.sequences[to] = shared;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_free_when_nobody_holds_it() {
        let mut cells = Cells::new(3, 10);
        cells.add(0, 6);
        cells.copy(0, 1, 4);
        assert_eq!((cells.taken(), cells.len(1)), (6, 4));
        cells.add(1, 3);
        assert_eq!((cells.taken(), cells.free()), (9, 1));
        cells.truncate(0, 0);
        assert_eq!((cells.taken(), cells.len(0)), (7, 0), "four are the other's too");
        cells.truncate(1, 2);
        assert_eq!(cells.taken(), 2);
        cells.copy(1, 1, 1);
        assert_eq!((cells.taken(), cells.len(1)), (1, 1));
        cells.truncate(1, 5);
        assert_eq!(cells.len(1), 1, "it holds no more than that");
    }

    #[test]
    fn no_more_is_held_than_there_is() {
        let mut cells = Cells::new(2, 4);
        cells.add(0, 3);
        cells.add(1, 3);
        assert_eq!((cells.len(1), cells.free()), (1, 0));
    }
}
