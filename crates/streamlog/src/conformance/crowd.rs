//! Many readers and writers at once: every reader sees everything, and nobody sleeps through an append.

use std::sync::Arc;

use super::{Random, check, chunk, create, write};
use crate::{Batch, Error, Log, Store};

/// Readers at once, each a task.
const READERS: usize = 200;

/// Records that they read.
const RECORDS: usize = 2000;

pub(super) async fn suite(store: &Arc<dyn Store>) {
    readers_of_one_stream(&**store).await;
    writers_of_many_streams(store).await;
}

async fn readers_of_one_stream(store: &dyn Store) {
    let mut writer = create(store).await;
    let log = writer.log();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            // Some begin at the start, some in the middle, some ahead of the writer.
            let from = reader as u64 * 7 % (RECORDS as u64 + 100);
            tokio::spawn(read(log.clone(), from, reader as u64))
        })
        .collect();
    let mut random = Random(7);
    let mut next = 0;
    while next < RECORDS {
        let count = (1 + random.below(5) as usize).min(RECORDS - next);
        let part: Vec<_> = (next..next + count).map(chunk).collect();
        write(&mut *writer, &part).await;
        next += count;
        // Let readers run dry at times, and be behind at others.
        for _ in 0..random.below(4) {
            tokio::task::yield_now().await;
        }
    }
    writer.finish(b"").await.expect("a store that can write");
    for reader in readers {
        reader.await.expect("no reader panics").expect("an intact stream");
    }
}

async fn writers_of_many_streams(store: &Arc<dyn Store>) {
    let writers: Vec<_> = (0..50_u64)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut writer = create(&*store).await;
                let readers = [0, 10].map(|from| tokio::spawn(read(writer.log(), from, seed)));
                for index in 0..200 {
                    write(&mut *writer, &[chunk(index)]).await;
                    if (index as u64).is_multiple_of(seed + 1) {
                        tokio::task::yield_now().await;
                    }
                }
                let log = writer.log();
                writer.finish(b"").await.expect("a store that can write");
                for reader in readers {
                    reader.await.expect("no reader panics").expect("an intact stream");
                }
                assert_eq!(log.next_seq(), 200);
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no writer panics");
    }
}

/// Reads to the end, sometimes through a new reader that begins where the old one was.
async fn read(log: Arc<dyn Log>, from: u64, seed: u64) -> Result<(), Error> {
    let (mut reader, mut batch, mut next) = (log.read(from), Batch::new(), from);
    let mut random = Random(seed);
    while reader.next_batch(&mut batch).await? {
        check(&batch, next);
        for record in batch.iter() {
            assert_eq!(record, chunk(next as usize));
            next += 1;
        }
        match random.below(10) {
            0 => reader = log.read(next),
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
    assert_eq!(
        next,
        from.max(log.next_seq()),
        "the end comes after the last record"
    );
    Ok(())
}
