//! Append-only logs of streams: written once, read by any number of readers from any place, byte for byte the same.
//!
//! A [`Store`] makes streams and keeps them for a while. Each has one [`Writer`], which numbers records from 0, and any
//! number of [`Reader`]s, each with its own place; a reader that is slow, late, or one of many costs neither the writer nor
//! the others anything. A record is logged before it is shown: what one reader has seen, every later one will see.
//!
//! ```
//! use std::time::SystemTime;
//! use aurora_streamlog::{Batch, Error, Memory, NewStream, Owner, Store, StreamId};
//!
//! async fn write_and_read(store: &dyn Store) -> Result<(), Error> {
//!     let (id, owner) = (StreamId::random()?, Owner::ANYONE);
//!     let new = NewStream { id, owner, created: SystemTime::now(), header: "a greeting".into() };
//!     let mut writer = store.create(new).await?;
//!     writer.append(b"hello, ")?;
//!     writer.append(b"world")?;
//!     writer.flush().await?;
//!     writer.finish(b"done").await?;
//!
//!     let log = store.open(&id, &owner).await?;
//!     let (mut reader, mut batch, mut text) = (log.read(0), Batch::new(), Vec::<u8>::new());
//!     while reader.next_batch(&mut batch).await? {
//!         text.extend(batch.iter().flatten());
//!     }
//!     assert_eq!(text, b"hello, world");
//!     Ok(())
//! }
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
//! # runtime.block_on(write_and_read(&Memory::default())).expect("a store with room");
//! ```
//!
//! Inside, `pack` keeps records without what they repeat, `blocks` holds packed records, `catalog` has the rules of who may
//! read what for how long, and `waiters` the tasks to wake. [`Memory`] is made of these; [`Disk`] adds segments, a thread that writes them, and recovery.
//! `conformance` is the suite that every store has to pass. What is not here: what a record means, who holds which API key, HTTP.

mod batch;
mod blocks;
mod catalog;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod disk;
mod error;
mod id;
mod lock;
mod memory;
mod pack;
mod store;
mod waiters;

pub use batch::Batch;
pub use disk::{Disk, Fsync, Options as DiskOptions};
pub use error::Error;
pub use id::{Cursor, Owner, ParseError, StreamId};
pub use memory::{Memory, Options as MemoryOptions};
pub use store::{Begun, Log, MAX_LAST, MAX_RECORD, NewStream, Reader, State, Store, Usage, Writer};
