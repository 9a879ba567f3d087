//! Room to read into, one piece a thread: a stream that is silent holds none of it, and one that speaks needs it only
//! until what was read is understood.

use std::cell::Cell;
use std::ops::Range;

use tokio::io::ReadBuf;

/// As much as one read takes.
const ROOM: usize = 32 << 10;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// What one read brought.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Taken only when dropped.
    room: Option<Box<[u8]>>,
    range: Range<usize>,
}

impl Scratch {
    /// Room, with nothing in it.
    pub(crate) fn take() -> Self {
        let spare = SPARE.take();
        Self {
            room: Some(spare.unwrap_or_else(|| vec![0; ROOM].into())),
            range: 0..0,
        }
    }

    /// Where to read to.
    pub(crate) fn read_buf(&mut self) -> ReadBuf<'_> {
        ReadBuf::new(self.room.as_deref_mut().unwrap_or_default())
    }

    /// So many bytes were read.
    pub(crate) fn filled(mut self, len: usize) -> Self {
        self.range = 0..len;
        self
    }

    /// What is in it.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.room
            .as_deref()
            .and_then(|room| room.get(self.range.clone()))
            .unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let range = self.range.clone();
        self.room
            .as_deref_mut()
            .and_then(|room| room.get_mut(range))
            .unwrap_or_default()
    }

    /// Only this part of what is in it.
    pub(crate) fn narrow(&mut self, to: Range<usize>) {
        let start = self.range.start;
        self.range = start + to.start..start + to.end;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // While a thread ends, its spare may be gone; then this goes too.
        let _gone = SPARE.try_with(|spare| spare.set(self.room.take())).is_err();
    }
}
