//! Which streams there are, whose they are, and which of them goes first: the rules of keeping, without I/O and without a
//! clock. What a stream is made of is the store's.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use crate::{Error, Owner, StreamId, Usage};

/// What a refused creation is told: streams end all the time, and a few seconds free what an answer takes.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a finished stream is kept.
    pub(crate) keep: Duration,
    /// The most bytes of all streams together.
    pub(crate) max_bytes: u64,
    /// Of how many expired streams it is remembered that they were there.
    pub(crate) tombstones: usize,
}

/// The streams of a store. `T` is what the store has of one.
#[derive(Debug)]
pub(crate) struct Catalog<T> {
    limits: Limits,
    entries: HashMap<StreamId, Entry<T>>,
    /// The finished ones, oldest first.
    finished: BTreeSet<(SystemTime, StreamId)>,
    orphans: BTreeSet<StreamId>,
    tombstones: Tombstones,
    bytes: u64,
    live_bytes: u64,
}

#[derive(Debug)]
struct Entry<T> {
    owner: Owner,
    value: T,
    bytes: u64,
    /// When it was finished; `None` while it is open.
    finished: Option<SystemTime>,
}

impl<T> Catalog<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            finished: BTreeSet::new(),
            orphans: BTreeSet::new(),
            tombstones: Tombstones::default(),
            bytes: 0,
            live_bytes: 0,
        }
    }

    /// Whether a new stream of `bytes` may come in: finished ones do not stand in its way, but open ones do.
    pub(crate) fn check_room(&self, id: &StreamId, bytes: u64) -> Result<(), Error> {
        if self.entries.contains_key(id) {
            return Err(Error::Exists);
        }
        if self.live_bytes.saturating_add(bytes) > self.limits.max_bytes {
            return Err(Error::Full {
                retry_after: RETRY_AFTER,
            });
        }
        Ok(())
    }

    /// That open streams take no more, if they fill the store. Those that have begun may take a quarter more than lets new
    /// ones in, so that few are cut short.
    pub(crate) fn check_growth(&self) -> Result<(), Error> {
        if self.live_bytes > self.limits.max_bytes.saturating_add(self.limits.max_bytes / 4) {
            return Err(Error::Full {
                retry_after: RETRY_AFTER,
            });
        }
        Ok(())
    }

    /// Takes a stream in, open and with a writer. The caller has [checked](Self::check_room).
    pub(crate) fn admit(&mut self, id: StreamId, owner: Owner, value: T, bytes: u64) {
        self.bytes += bytes;
        self.live_bytes += bytes;
        self.entries.insert(
            id,
            Entry {
                owner,
                value,
                bytes,
                finished: None,
            },
        );
    }

    /// The stream, if it is the owner's and its time is not over at `now`.
    ///
    /// An unknown stream and one of somebody else take the same steps.
    pub(crate) fn find(&self, id: &StreamId, owner: &Owner, now: SystemTime) -> Result<&T, Error> {
        let entry = self.entries.get(id);
        let tombstone = self.tombstones.owners.get(id);
        let holder = entry.map(|entry| &entry.owner).or(tombstone);
        // Compared in any case; nobody's fingerprint differs from its own complement.
        let other = Owner::from_bytes(owner.to_bytes().map(|byte| !byte));
        if holder.unwrap_or(&other) != owner {
            return Err(Error::Unknown);
        }
        match entry {
            Some(entry) if entry.finished.is_none_or(|at| now < self.expiry(at)) => Ok(&entry.value),
            _ => Err(Error::Expired),
        }
    }

    /// When a stream that was finished then is no longer kept.
    pub(crate) fn expiry(&self, finished: SystemTime) -> SystemTime {
        expiry(finished, self.limits.keep)
    }

    /// The stream takes so many bytes more, or fewer. Nothing happens if it is gone.
    pub(crate) fn grow(&mut self, id: &StreamId, by: i64) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.bytes = entry.bytes.saturating_add_signed(by);
            self.bytes = self.bytes.saturating_add_signed(by);
            if entry.finished.is_none() {
                self.live_bytes = self.live_bytes.saturating_add_signed(by);
            }
        }
    }

    /// The stream is finished.
    pub(crate) fn finish(&mut self, id: &StreamId, at: SystemTime) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.finished.is_none()
        {
            entry.finished = Some(at);
            self.live_bytes -= entry.bytes;
            self.finished.insert((at, *id));
            self.orphans.remove(id);
        }
    }

    /// The stream has lost its writer.
    pub(crate) fn orphan(&mut self, id: &StreamId) {
        if self.entries.get(id).is_some_and(|entry| entry.finished.is_none()) {
            self.orphans.insert(*id);
        }
    }

    pub(crate) fn orphans(&self) -> Vec<StreamId> {
        self.orphans.iter().copied().collect()
    }

    /// The streams that are not finished.
    pub(crate) fn open_ones(&self) -> Vec<T>
    where
        T: Clone,
    {
        let open = self.entries.values().filter(|entry| entry.finished.is_none());
        open.map(|entry| entry.value.clone()).collect()
    }

    /// Gives an orphan to a new writer.
    pub(crate) fn adopt(&mut self, id: &StreamId) -> Result<&T, Error> {
        let entry = self.entries.get(id).ok_or(Error::Unknown)?;
        if self.orphans.remove(id) {
            Ok(&entry.value)
        } else {
            Err(Error::NotOrphaned)
        }
    }

    /// Removes a stream on its owner's behalf; it leaves no tombstone.
    pub(crate) fn remove(&mut self, id: &StreamId, owner: &Owner, now: SystemTime) -> Result<T, Error> {
        self.find(id, owner, now)?;
        self.discard(id).ok_or(Error::Unknown)
    }

    /// Removes a stream on behalf of whoever writes it; it leaves no tombstone.
    pub(crate) fn discard(&mut self, id: &StreamId) -> Option<T> {
        self.take(id).map(|entry| entry.value)
    }

    /// Lets the next finished stream go whose time is over at `now`, or whose room is needed, oldest first.
    pub(crate) fn expire(&mut self, now: SystemTime) -> Option<T> {
        let (finished, _) = *self.finished.first()?;
        if now < self.expiry(finished) && self.bytes <= self.limits.max_bytes {
            return None;
        }
        let (_, id) = *self.finished.first()?;
        self.expire_this(&id)
    }

    /// Whether there is such a stream, and it is not finished.
    pub(crate) fn is_open(&self, id: &StreamId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.finished.is_none())
    }

    /// Lets a stream go, whatever its time.
    pub(crate) fn expire_this(&mut self, id: &StreamId) -> Option<T> {
        let Entry { owner, value, .. } = self.take(id)?;
        self.bury(*id, owner);
        Some(value)
    }

    /// Remembers that there was such a stream.
    pub(crate) fn bury(&mut self, id: StreamId, owner: Owner) {
        self.tombstones.add(id, owner, self.limits.tombstones);
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            bytes: self.bytes,
            live_bytes: self.live_bytes,
            max_bytes: self.limits.max_bytes,
            live: self.entries.len() - self.finished.len(),
            finished: self.finished.len(),
        }
    }

    fn take(&mut self, id: &StreamId) -> Option<Entry<T>> {
        let entry = self.entries.remove(id)?;
        self.bytes -= entry.bytes;
        match entry.finished {
            Some(at) => {
                self.finished.remove(&(at, *id));
            }
            None => self.live_bytes -= entry.bytes,
        }
        self.orphans.remove(id);
        Some(entry)
    }
}

/// When a stream that was finished then is no longer kept. Far beyond any clock, it is kept for ever.
pub(crate) fn expiry(finished: SystemTime, keep: Duration) -> SystemTime {
    /// Three hundred years.
    const FOREVER: Duration = Duration::from_secs(300 * 365 * 86_400);
    finished
        .checked_add(keep)
        .or_else(|| finished.checked_add(FOREVER))
        .unwrap_or(finished)
}

/// Who owned the streams that expired last.
#[derive(Debug, Default)]
struct Tombstones {
    owners: HashMap<StreamId, Owner>,
    /// Oldest first.
    order: VecDeque<StreamId>,
}

impl Tombstones {
    fn add(&mut self, id: StreamId, owner: Owner, most: usize) {
        if self.owners.insert(id, owner).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.owners.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
