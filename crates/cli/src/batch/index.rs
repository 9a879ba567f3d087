//! Which items there are, and what has become of each: 12 bytes an item, so that millions of them fit into memory.
//!
//! An item is known by a 64-bit hash of its id, keyed anew in every run. Two items with one hash are looked at once more,
//! by their ids themselves, before they are called the same; see [`Index::twins`].

use std::hash::{BuildHasher, RandomState};

use super::key::Key;

/// The most items of one input: 1.5 GiB of this index.
pub(crate) const MAX_ITEMS: usize = 1 << 27;

/// What has become of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Missing,
    /// There is a result without an error.
    Answered,
    /// There is a result with an error.
    Failed,
}

/// All items of an input.
#[derive(Debug)]
pub(crate) struct Index<S = RandomState> {
    hasher: S,
    entries: Vec<Entry>,
}

/// Three words, so that nothing is lost to alignment: the halves of the hash; and 30 bits of the print above 2 of the fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    high: u32,
    low: u32,
    rest: u32,
}

/// There are more than [`MAX_ITEMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// What an index knows of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Where it is.
    pub(crate) place: usize,
    pub(crate) fate: Fate,
    /// Whether the item still has the print it had.
    pub(crate) same: bool,
}

impl Index {
    /// An index without items.
    pub(crate) fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }
}

impl<S: BuildHasher> Index<S> {
    fn with_hasher(hasher: S) -> Self {
        Self {
            hasher,
            entries: Vec::new(),
        }
    }

    /// Adds an item. To be followed by [`Index::seal`].
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn add(&mut self, key: &Key, print: u64) -> Result<(), TooMany> {
        if self.entries.len() >= MAX_ITEMS {
            return Err(TooMany);
        }
        let (high, low) = halves(self.hash(key));
        let rest = Fate::Missing.with(print);
        self.entries.push(Entry { high, low, rest });
        Ok(())
    }

    /// Makes items findable, once all are there.
    pub(crate) fn seal(&mut self) {
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The hashes that more than one item has, no more than `most`.
    pub(crate) fn twins(&self, most: usize) -> Vec<u64> {
        let mut twins: Vec<u64> = self
            .entries
            .windows(2)
            .filter(|two| two[0].hash() == two[1].hash())
            .map(|two| two[0].hash())
            .take(2 * most)
            .collect();
        twins.dedup();
        twins.truncate(most);
        twins
    }

    /// The hash of an id.
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    /// What is known of the item with this id; `None` if there is none.
    pub(crate) fn find(&self, key: &Key, print: u64) -> Option<Known> {
        let hash = self.hash(key);
        let place = self.entries.binary_search_by_key(&hash, Entry::hash).ok()?;
        let rest = self.entries[place].rest;
        Some(Known {
            place,
            fate: Fate::of(rest),
            same: rest >> 2 == Fate::Missing.with(print) >> 2,
        })
    }

    /// Notes what has become of the item at this place.
    pub(crate) fn set(&mut self, place: usize, fate: Fate) {
        let rest = &mut self.entries[place].rest;
        *rest = *rest & !3 | fate as u32;
    }

    /// Makes the items missing that have this fate.
    pub(crate) fn forget(&mut self, fate: Fate) {
        for entry in &mut self.entries {
            if Fate::of(entry.rest) == fate {
                entry.rest &= !3;
            }
        }
    }

    /// How many items have this fate.
    pub(crate) fn count(&self, fate: Fate) -> usize {
        self.entries
            .iter()
            .filter(|entry| Fate::of(entry.rest) == fate)
            .count()
    }
}

impl Entry {
    fn hash(&self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

impl Fate {
    fn with(self, print: u64) -> u32 {
        let (high, low) = halves(print);
        (high ^ low) << 2 | self as u32
    }

    fn of(rest: u32) -> Self {
        match rest & 3 {
            0 => Self::Missing,
            1 => Self::Answered,
            _ => Self::Failed,
        }
    }
}

/// The upper and the lower half.
fn halves(hash: u64) -> (u32, u32) {
    ((hash >> 32) as u32, hash as u32)
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    /// Gives ids of one length one hash.
    #[derive(Clone, Default)]
    struct ByLength(u64);

    impl Hasher for ByLength {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len() as u64;
        }
    }

    impl BuildHasher for ByLength {
        type Hasher = Self;

        fn build_hasher(&self) -> Self {
            Self(0)
        }
    }

    fn key(text: &str) -> Key {
        Key::Text(text.to_owned())
    }

    #[test]
    fn items_are_found_with_what_became_of_them() {
        let mut index = Index::new();
        for n in 0..1000_u64 {
            index.add(&key(&n.to_string()), n << 33 | n).unwrap();
        }
        index.seal();
        assert_eq!((index.len(), index.twins(9)), (1000, vec![]));
        for n in 0..1000_u64 {
            let known = index.find(&key(&n.to_string()), n << 33 | n).unwrap();
            assert_eq!((known.fate, known.same), (Fate::Missing, true));
            let fate = [Fate::Missing, Fate::Answered, Fate::Failed][n as usize % 3];
            index.set(known.place, fate);
            let known = index.find(&key(&n.to_string()), 5000).unwrap();
            assert_eq!((known.fate, known.same), (fate, false));
        }
        assert_eq!(index.find(&key("1000"), 0), None);
        assert_eq!(index.find(&Key::Number("7".to_owned()), 0), None);
        assert_eq!(
            [Fate::Missing, Fate::Answered, Fate::Failed].map(|fate| index.count(fate)),
            [334, 333, 333]
        );
    }

    #[test]
    fn hashes_that_several_items_have_are_told() {
        let mut index = Index::with_hasher(ByLength::default());
        for id in ["a", "b", "cc", "ddd", "eee", "fff"] {
            index.add(&key(id), 0).unwrap();
        }
        index.seal();
        let expected = [index.hash(&key("x")), index.hash(&key("xxx"))];
        assert_eq!(index.twins(9), expected);
        assert_eq!(index.twins(1), expected[..1]);
    }

    #[test]
    fn an_entry_is_twelve_bytes() {
        assert_eq!(size_of::<Entry>(), 12);
    }
}
