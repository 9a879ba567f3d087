//! What a reader fills: some records in a row, in buffers that are used again.

/// Records in a row. Made once and filled again and again, so that reading allocates nothing in the long run.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    first_seq: u64,
    /// How much of `data` is not part of the batch: the record before its first one, on which that one builds.
    carried: usize,
    data: Vec<u8>,
    /// Where each record ends in `data`. The first begins at `carried`, every other where the one before it ends.
    ends: Vec<usize>,
}

impl Batch {
    /// The most bytes that the records of a batch have together: 32 KiB. One record that is longer comes alone.
    pub const MAX_BYTES: usize = 32 << 10;

    /// The most records of a batch.
    pub const MAX_RECORDS: usize = 1024;

    /// Buffers that have grown beyond this for long records are given back.
    const MAX_KEPT: usize = 4 * Self::MAX_BYTES;

    /// A batch without records, which takes no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the first record. Those after it are numbered one by one.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() - self.carried
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.record(index))
    }

    /// Makes the batch empty, to be filled from `first_seq` on. The record that would come before is `carried`.
    pub(crate) fn begin(&mut self, first_seq: u64, carried: &[u8]) {
        if self.data.capacity() > Self::MAX_KEPT {
            self.data = Vec::new();
        }
        self.data.clear();
        self.data.extend_from_slice(carried);
        self.carried = carried.len();
        self.ends.clear();
        self.first_seq = first_seq;
    }

    /// Whether a record of `len` bytes is more than the batch may hold.
    pub(crate) fn is_full_for(&self, len: usize) -> bool {
        !self.is_empty() && (self.bytes() + len > Self::MAX_BYTES || self.len() == Self::MAX_RECORDS)
    }

    /// The last record, or the one before the first.
    pub(crate) fn last(&self) -> &[u8] {
        match self.len() {
            0 => &self.data[..self.carried],
            len => self.record(len - 1),
        }
    }

    /// Appends the record that begins with `prefix` bytes of the last one, goes on with `middle`, and ends with the `suffix`
    /// last bytes of the last one. The caller has seen to it that the last one has as many.
    pub(crate) fn push(&mut self, prefix: usize, middle: &[u8], suffix: usize) {
        let end = self.data.len();
        let start = end - self.last().len();
        self.data.extend_from_within(start..start + prefix);
        self.data.extend_from_slice(middle);
        self.data.extend_from_within(end - suffix..end);
        self.ends.push(self.data.len());
    }

    fn record(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => self.carried,
            _ => self.ends[index - 1],
        };
        &self.data[start..self.ends[index]]
    }
}
