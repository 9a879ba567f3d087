//! The keys and values of all sequences, so that a token's past is computed once.
//!
//! They lie in pages of [`PAGE`] positions, of which there is a fixed number: whatever runs or is kept, the memory they
//! take is bounded. Sequences with the same beginning share its pages; a page that is written belongs to one sequence
//! alone. Values are kept in half precision, which halves the memory and changes a token in a thousand, less than
//! quantised weights do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// Positions of a page.
pub(crate) const PAGE: usize = 32;

/// Keys and values of a number of sequences, in pages.
#[derive(Debug)]
pub(crate) struct KvStore {
    layout: Layout,
    sequences: Vec<Table>,
    /// Pages that may exist at once, and how many do.
    pages: usize,
    taken: Arc<AtomicUsize>,
}

/// One sequence: its pages, of which the last may be filled in part.
#[derive(Debug, Default)]
struct Table {
    pages: Vec<Arc<Page>>,
    length: usize,
}

/// For each block, the keys of each head, then its values: `PAGE` rows of a head's width.
#[derive(Debug)]
struct Page {
    values: Box<[f16]>,
    taken: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    blocks: usize,
    heads: usize,
    head_width: usize,
}

impl Layout {
    fn of(config: &Config) -> Self {
        Self {
            blocks: config.blocks,
            heads: config.kv_heads,
            head_width: config.head_width,
        }
    }

    /// Values of a page.
    fn page(&self) -> usize {
        2 * self.blocks * self.heads * self.head()
    }

    /// Keys, or values, of one head in a page.
    fn head(&self) -> usize {
        PAGE * self.head_width
    }

    /// Where a head's keys begin in a page.
    fn keys(&self, block: usize, head: usize) -> usize {
        (2 * block * self.heads + head) * self.head()
    }

    /// Where a head's values begin in a page.
    fn values(&self, block: usize, head: usize) -> usize {
        ((2 * block + 1) * self.heads + head) * self.head()
    }
}

impl KvStore {
    /// A store of empty sequences, with at most so many pages for all.
    pub(crate) fn new(config: &Config, sequences: usize, pages: usize) -> Self {
        Self {
            layout: Layout::of(config),
            sequences: (0..sequences).map(|_| Table::default()).collect(),
            pages,
            taken: Arc::default(),
        }
    }

    /// The size of a page, in bytes.
    pub(crate) fn page_bytes(config: &Config) -> usize {
        Layout::of(config).page() * size_of::<f16>()
    }

    /// Pages that may exist at once.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Pages that exist.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many tokens a sequence holds.
    pub(crate) fn len(&self, sequence: usize) -> usize {
        self.sequences[sequence].length
    }

    /// Makes room for the next `rows` tokens of a sequence, in pages that are its own.
    ///
    /// # Errors
    /// If there are no pages left. What was made remains, and goes with the next [`Self::truncate`].
    pub(super) fn reserve(&mut self, sequence: usize, rows: usize) -> Result<()> {
        let Table { pages, length } = &mut self.sequences[sequence];
        if !length.is_multiple_of(PAGE)
            && rows > 0
            && let Some(partial) = pages.get_mut(*length / PAGE)
            && Arc::get_mut(partial).is_none()
        {
            *partial = Arc::new(Page::new(&self.layout, self.pages, &self.taken)?.with(partial));
        }
        while pages.len() < (*length + rows).div_ceil(PAGE) {
            pages.push(Arc::new(Page::new(&self.layout, self.pages, &self.taken)?));
        }
        Ok(())
    }

    /// Counts tokens as held whose keys and values every block has stored.
    pub(super) fn advance(&mut self, sequence: usize, tokens: usize) {
        self.sequences[sequence].length += tokens;
    }

    /// Forgets all but the first `length` tokens of a sequence.
    pub(crate) fn truncate(&mut self, sequence: usize, length: usize) {
        let table = &mut self.sequences[sequence];
        table.length = table.length.min(length);
        table.pages.truncate(table.length.div_ceil(PAGE));
    }

    /// Gives `to` the first `length` tokens of `from`, instead of what it held; returns how many. Whole pages are shared,
    /// and one that is wanted in part is copied; where there is no page for that, `to` gets the whole ones.
    pub(crate) fn copy(&mut self, from: usize, to: usize, length: usize) -> usize {
        let length = length.min(self.len(from));
        let mut pages = self.sequences[from].pages[..length.div_ceil(PAGE)].to_vec();
        self.sequences[to] = Table::default();
        let mut held = length;
        if !length.is_multiple_of(PAGE)
            && let Some(shared) = pages.pop()
        {
            match Page::new(&self.layout, self.pages, &self.taken) {
                Ok(page) => pages.push(Arc::new(page.with(&shared))),
                Err(_none_left) => held = length / PAGE * PAGE,
            }
        }
        self.sequences[to] = Table { pages, length: held };
        held
    }

    /// Stores the keys and values of all heads at a position that was reserved.
    pub(super) fn store(
        &mut self,
        sequence: usize,
        block: usize,
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let width = self.layout.head_width;
        let page = Arc::get_mut(&mut self.sequences[sequence].pages[position / PAGE])
            .expect("a reserved page belongs to one sequence");
        let heads = keys.chunks_exact(width).zip(values.chunks_exact(width));
        for (head, (keys, values)) in heads.enumerate() {
            let row = position % PAGE * width;
            let at = self.layout.keys(block, head) + row;
            page.values[at..at + width].convert_from_f32_slice(keys);
            let at = self.layout.values(block, head) + row;
            page.values[at..at + width].convert_from_f32_slice(values);
        }
    }

    /// The keys of one head in a sequence's page, as floats: all rows of it that `out` has room for.
    pub(super) fn keys(&self, sequence: usize, page: usize, block: usize, head: usize, out: &mut [f32]) {
        let at = self.layout.keys(block, head);
        let page = &self.sequences[sequence].pages[page];
        page.values[at..at + out.len()].convert_to_f32_slice(out);
    }

    /// The values, likewise.
    pub(super) fn values(&self, sequence: usize, page: usize, block: usize, head: usize, out: &mut [f32]) {
        let at = self.layout.values(block, head);
        let page = &self.sequences[sequence].pages[page];
        page.values[at..at + out.len()].convert_to_f32_slice(out);
    }
}

impl Page {
    fn new(layout: &Layout, most: usize, taken: &Arc<AtomicUsize>) -> Result<Self> {
        if taken.fetch_add(1, Ordering::Relaxed) >= most {
            taken.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(
                ErrorKind::Machine,
                format!("the {most} pages for keys and values are all taken"),
            ));
        }
        Ok(Self {
            values: vec![f16::ZERO; layout.page()].into_boxed_slice(),
            taken: Arc::clone(taken),
        })
    }

    /// This page with what another holds.
    fn with(mut self, other: &Self) -> Self {
        self.values.copy_from_slice(&other.values);
        self
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(pages: usize) -> KvStore {
        KvStore {
            layout: Layout {
                blocks: 2,
                heads: 2,
                head_width: 4,
            },
            sequences: (0..3).map(|_| Table::default()).collect(),
            pages,
            taken: Arc::default(),
        }
    }

    fn add(store: &mut KvStore, sequence: usize, tokens: usize, value: f32) {
        store.reserve(sequence, tokens).expect("there are pages");
        let start = store.len(sequence);
        for position in start..start + tokens {
            for block in 0..2 {
                store.store(sequence, block, position, &[value; 8], &[-value; 8]);
            }
        }
        store.advance(sequence, tokens);
    }

    fn key(store: &KvStore, sequence: usize, position: usize) -> f32 {
        let (mut keys, mut values) = (vec![0.0; PAGE * 4], vec![0.0; PAGE * 4]);
        store.keys(sequence, position / PAGE, 1, 1, &mut keys);
        store.values(sequence, position / PAGE, 1, 1, &mut values);
        let at = position % PAGE * 4;
        assert_eq!(keys[at], -values[at]);
        keys[at]
    }

    #[test]
    fn whole_pages_are_shared_and_a_part_of_one_is_copied() {
        let mut store = store(8);
        add(&mut store, 0, 2 * PAGE + 5, 1.0);
        assert_eq!(store.taken(), 3);
        assert_eq!(store.copy(0, 1, 2 * PAGE), 2 * PAGE);
        assert_eq!(store.taken(), 3);
        assert_eq!(store.copy(0, 2, PAGE + 3), PAGE + 3);
        assert_eq!(store.taken(), 4);
        // Each goes on its own way.
        add(&mut store, 1, 2, 2.0);
        add(&mut store, 2, 2, 3.0);
        add(&mut store, 0, 2, 4.0);
        let last = |sequence| key(&store, sequence, store.len(sequence) - 1);
        assert_eq!([last(0), last(1), last(2)], [4.0, 2.0, 3.0]);
        assert_eq!(key(&store, 0, PAGE + 4), 1.0);
        for sequence in 0..3 {
            store.truncate(sequence, 0);
        }
        assert_eq!(store.taken(), 0);
    }

    #[test]
    fn a_sequence_that_is_cut_inside_a_shared_page_goes_on_in_its_own() {
        let mut store = store(8);
        add(&mut store, 0, 2 * PAGE, 1.0);
        store.copy(0, 1, 2 * PAGE);
        store.truncate(1, PAGE + 3);
        add(&mut store, 1, 1, 2.0);
        assert_eq!((key(&store, 1, PAGE + 3), key(&store, 0, PAGE + 3)), (2.0, 1.0));
    }

    #[test]
    fn there_are_never_more_pages_than_there_may_be() {
        let mut store = store(2);
        add(&mut store, 0, PAGE + 1, 1.0);
        assert_eq!(store.copy(0, 1, PAGE + 1), PAGE, "no page to copy the rest into");
        assert!(store.reserve(0, PAGE).is_err());
        store.truncate(0, PAGE + 1);
        assert_eq!(store.taken(), 2);
        store.truncate(0, 0);
        assert_eq!(store.taken(), 1);
    }
}
