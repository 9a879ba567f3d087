//! The store in memory: nothing survives the process, and nothing waits for a disk. A record is visible when it is flushed.

mod stream;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;

use crate::{
    Begun, Error, Log, MAX_RECORD, NewStream, Owner, Store, StreamId, Usage, Writer,
    catalog::{Catalog, Limits},
    lock::lock,
};
use stream::{Handle, MemoryWriter, Stream};

/// What a [`Memory`] keeps. Build with `..Options::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a finished stream is kept. Default: 10 minutes.
    pub keep: Duration,
    /// The most bytes that all streams take together, what the store needs for itself included; finished ones go, oldest
    /// first, to stay below. Open ones may take a quarter more before they take no further records. Default: 256 MiB.
    pub max_bytes: u64,
    /// The most bytes that one stream may take, packed. Default: 64 MiB.
    pub max_stream_bytes: u64,
    /// Of how many expired streams the store remembers that they were there, about 100 bytes each. Default: 65,536.
    pub tombstones: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(600),
            max_bytes: 256 << 20,
            max_stream_bytes: 64 << 20,
            tombstones: 65_536,
        }
    }
}

/// A store that lives and dies with the process. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let limits = Limits {
            keep: options.keep,
            max_bytes: options.max_bytes,
            tombstones: options.tombstones,
        };
        Self {
            shared: Arc::new(Shared {
                options,
                catalog: Mutex::new(Catalog::new(limits)),
                is_closed: AtomicBool::new(false),
                is_full: AtomicBool::new(false),
            }),
        }
    }

    fn begin_now(&self, new: NewStream) -> Result<Begun, Error> {
        if new.header.len() > MAX_RECORD {
            return Err(Error::RecordTooLarge {
                len: new.header.len(),
                limit: MAX_RECORD,
            });
        }
        let (id, owner) = (new.id, new.owner);
        let stream = Arc::new(Stream::new(new, self.shared.options.keep));
        self.shared.check_open()?;
        self.shared.change(|catalog| {
            let bytes = stream.fixed_bytes();
            catalog.check_room(&id, bytes)?;
            catalog.admit(id, owner, stream.clone(), bytes);
            Ok(())
        })?;
        Ok(Begun {
            writer: Box::new(MemoryWriter::new(self.shared.clone(), stream)),
            stored: ready(Ok(())),
        })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Store for Memory {
    fn begin(&self, new: NewStream) -> BoxFuture<'_, Result<Begun, Error>> {
        ready(self.begin_now(new))
    }

    fn open<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<Arc<dyn Log>, Error>> {
        let now = SystemTime::now();
        let found = self.shared.catalog().find(id, owner, now).cloned();
        ready(found.map(|stream| Arc::new(Handle::new(stream)) as Arc<dyn Log>))
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<StreamId>, Error>> {
        ready(Ok(self.shared.catalog().orphans()))
    }

    fn adopt<'a>(&'a self, id: &'a StreamId) -> BoxFuture<'a, Result<Box<dyn Writer>, Error>> {
        let adopt = || self.shared.catalog().adopt(id).cloned();
        let adopted = self.shared.check_open().and_then(|()| adopt());
        ready(
            adopted.map(|stream| Box::new(MemoryWriter::new(self.shared.clone(), stream)) as Box<dyn Writer>),
        )
    }

    fn remove<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<(), Error>> {
        let now = SystemTime::now();
        let removed = self.shared.change(|catalog| catalog.remove(id, owner, now));
        ready(removed.map(|stream| stream.end(Error::Unknown)))
    }

    fn usage(&self) -> Usage {
        self.shared.catalog().usage()
    }

    fn sweep(&self) {
        self.shared.change(|_| ());
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.shared.is_closed.store(true, Ordering::Release);
        ready(Ok(()))
    }
}

/// What the store and its writers have in common.
#[derive(Debug)]
struct Shared {
    options: Options,
    catalog: Mutex<Catalog<Arc<Stream>>>,
    is_closed: AtomicBool,
    /// Open streams fill the store, so that they take no more.
    is_full: AtomicBool,
}

impl Shared {
    /// The lock is never held together with a stream's.
    fn catalog(&self) -> MutexGuard<'_, Catalog<Arc<Stream>>> {
        lock(&self.catalog)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Acquire) {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Changes something that may make streams go, and lets them go.
    fn change<R>(&self, change: impl FnOnce(&mut Catalog<Arc<Stream>>) -> R) -> R {
        let now = SystemTime::now();
        let mut evicted = Vec::new();
        let result = {
            let mut catalog = self.catalog();
            let result = change(&mut catalog);
            self.is_full
                .store(catalog.check_growth().is_err(), Ordering::Relaxed);
            evicted.extend(std::iter::from_fn(|| catalog.expire(now)));
            result
        };
        for stream in evicted {
            stream.end(Error::Expired);
        }
        result
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

#[cfg(test)]
mod tests;
