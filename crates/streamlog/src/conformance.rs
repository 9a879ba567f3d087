//! The suite that every store has to pass, whatever it stands on. It panics at the first thing that is not as [`Store`]
//! says, and names it.
//!
//! It is told nothing of the store but how to make one. What only some stores promise, that streams outlive the process
//! for one, is tested with them.

mod crowd;
mod keeping;
mod reading;
mod writing;

use std::{future::Future, sync::Arc, time::Duration, time::SystemTime};

use bytes::Bytes;

use crate::{Batch, Error, Log, NewStream, Owner, Store, StreamId, Writer};

/// What a store that is to be tested has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a finished stream is kept.
    pub keep: Duration,
    /// The most bytes of all streams together.
    pub max_bytes: u64,
    /// The most bytes of one stream.
    pub max_stream_bytes: u64,
}

/// Enough of everything for whatever the suite does.
const ROOMY: Limits = Limits {
    keep: Duration::from_secs(3600),
    max_bytes: 1 << 30,
    max_stream_bytes: 1 << 30,
};

/// Longer than anything takes on the busiest machine; what takes longer waits for what never comes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the suite. Every store that `make` makes is new and empty. Needs a tokio runtime with time, best one with several
/// threads.
///
/// # Panics
///
/// When the store does not do what [`Store`] says.
pub async fn run(make: impl AsyncFn(Limits) -> Arc<dyn Store>) {
    let store = make(ROOMY).await;
    within("writing", writing::suite(&*store)).await;
    within("reading", reading::suite(&*store)).await;
    within("a crowd of readers", crowd::suite(&store)).await;
    within("owners and removal", keeping::owners(&*store)).await;
    within("orphans", keeping::orphans(&*store)).await;

    let short = Limits {
        keep: Duration::from_millis(50),
        ..ROOMY
    };
    let store = make(short).await;
    within("expiry", keeping::expiry(&*store)).await;

    let small = Limits {
        max_bytes: 256 << 10,
        ..ROOMY
    };
    let store = make(small).await;
    within("eviction", keeping::eviction(&*store)).await;
    let store = make(small).await;
    within("a store that is full", keeping::full(&*store)).await;
    let store = make(small).await;
    within("open streams that fill the store", keeping::overfull(&*store)).await;

    let store = make(Limits {
        max_stream_bytes: 10_000,
        ..ROOMY
    })
    .await;
    within("a stream that is too long", writing::too_long(&*store)).await;
    within("closing", writing::closing(&*store)).await;
}

/// The owner of the suite's streams.
const OWNER: Owner = Owner::from_bytes([7; 16]);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| panic!("{what}: waited in vain"))
}

/// Begins a stream of the suite's owner.
async fn create(store: &dyn Store) -> Box<dyn Writer> {
    try_create(store).await.expect("a store with room takes a stream")
}

async fn try_create(store: &dyn Store) -> Result<Box<dyn Writer>, Error> {
    store
        .create(NewStream {
            id: StreamId::random().expect("random numbers"),
            owner: OWNER,
            created: SystemTime::now(),
            header: Bytes::from_static(b"header"),
        })
        .await
}

async fn open(store: &dyn Store, id: StreamId) -> Arc<dyn Log> {
    store.open(&id, &OWNER).await.expect("the stream is there")
}

/// Appends and flushes the records.
async fn write(writer: &mut dyn Writer, records: &[Vec<u8>]) {
    for record in records {
        let expected = writer.next_seq();
        assert_eq!(
            writer.append(record).expect("a record within the limits"),
            expected
        );
    }
    writer.flush().await.expect("a store that can write");
}

/// Reads to the end of a finished stream.
async fn read_all(log: &dyn Log, from: u64) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = log.read(from);
    let mut batch = Batch::new();
    let mut records = Vec::new();
    while reader.next_batch(&mut batch).await? {
        check(&batch, from + records.len() as u64);
        records.extend(batch.iter().map(<[u8]>::to_vec));
        assert_eq!(reader.next_seq(), from + records.len() as u64);
    }
    assert!(batch.is_empty(), "the end comes without records");
    Ok(records)
}

/// Checks that a batch is where it should be, and within its bounds.
fn check(batch: &Batch, seq: u64) {
    assert_eq!(batch.first_seq(), seq, "records come in order, without a gap");
    assert!(!batch.is_empty(), "a batch has at least one record");
    let bytes: usize = batch.iter().map(<[u8]>::len).sum();
    assert!(
        bytes <= Batch::MAX_BYTES || batch.len() == 1,
        "{bytes} bytes in a batch"
    );
    assert!(
        batch.len() <= Batch::MAX_RECORDS,
        "{} records in a batch",
        batch.len()
    );
}

/// Records of many kinds: chunks of an answer, empty ones, long ones, all bytes.
fn records(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(count as u64);
    (0..count)
        .map(|index| match random.below(40) {
            0 => Vec::new(),
            1 => vec![index as u8; random.below(70_000) as usize],
            2 => (0..random.below(300)).map(|_| random.below(256) as u8).collect(),
            _ => chunk(index),
        })
        .collect()
}

/// A chunk as a model's server sends it.
fn chunk(index: usize) -> Vec<u8> {
    let (head, tail) = (
        r#"{"id":"chatcmpl-9QyMXKsM","object":"chat.completion.chunk","created":1715000000,"choices":[{"index":0,"delta":{"content":""#,
        r#""},"finish_reason":null}]}"#,
    );
    format!("{head} word {index}{tail}").into_bytes()
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}
