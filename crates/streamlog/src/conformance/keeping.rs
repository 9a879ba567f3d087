//! Who may read a stream, and when it goes.

use std::time::Duration;

use super::{OWNER, chunk, create, open, read_all, try_create, write};
use crate::{Batch, Error, Owner, State, Store, StreamId, Writer};

const STRANGER: Owner = Owner::from_bytes([8; 16]);

pub(super) async fn owners(store: &dyn Store) {
    let mut writer = create(store).await;
    let id = writer.id();
    write(&mut *writer, &[chunk(0)]).await;
    assert!(matches!(store.open(&id, &STRANGER).await, Err(Error::Unknown)));
    assert!(matches!(store.remove(&id, &STRANGER).await, Err(Error::Unknown)));
    writer.finish(b"").await.expect("a store that can write");
    assert!(matches!(
        store.open(&id, &Owner::ANYONE).await,
        Err(Error::Unknown)
    ));
    let log = open(store, id).await;

    let before = store.usage();
    store.remove(&id, &OWNER).await.expect("its owner may remove it");
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Unknown)));
    assert!(matches!(store.remove(&id, &OWNER).await, Err(Error::Unknown)));
    assert!(
        matches!(read_all(&*log, 0).await, Err(Error::Unknown)),
        "a reader loses it too"
    );
    let after = store.usage();
    assert_eq!(after.finished + 1, before.finished);
    assert!(after.bytes < before.bytes);

    let mut writer = create(store).await;
    let (id, log) = (writer.id(), writer.log());
    write(&mut *writer, &[chunk(0)]).await;
    drop(writer);
    let writer = store.adopt(&id).await.expect("an orphan");
    writer.discard().await.expect("a store that can write");
    assert!(!is_orphan(store, id).await);
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Unknown)));
    assert!(matches!(read_all(&*log, 0).await, Err(Error::Unknown)));
    assert!(matches!(log.header().await, Err(Error::Unknown)));

    let nobodys = StreamId::random().expect("random numbers");
    assert!(matches!(store.open(&nobodys, &OWNER).await, Err(Error::Unknown)));
    removed_while_written(store).await;
}

async fn removed_while_written(store: &dyn Store) {
    let mut writer = create(store).await;
    let (id, mut reader, mut batch) = (writer.id(), writer.log().read(0), Batch::new());
    let (read, removed) = tokio::join!(reader.next_batch(&mut batch), store.remove(&id, &OWNER));
    removed.expect("its owner may remove it");
    assert!(matches!(read, Err(Error::Unknown)), "a reader that waits is told");
    writer.append(b"late").expect("a short record");
    // A store may take a while to tell its writer.
    let fenced = loop {
        match writer.flush().await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => break error,
        }
        writer.append(b"late").expect("a short record");
    };
    assert!(matches!(fenced, Error::Fenced), "{fenced:?}");
    assert!(matches!(writer.finish(b"").await, Err(Error::Fenced)));
    assert!(
        !store
            .orphans()
            .await
            .expect("a store that can read")
            .contains(&id)
    );
    assert!(matches!(store.adopt(&id).await, Err(Error::Unknown)));
}

pub(super) async fn orphans(store: &dyn Store) {
    let mut writer = create(store).await;
    let (id, log) = (writer.id(), writer.log());
    write(&mut *writer, &[chunk(0), chunk(1)]).await;
    writer.append(b"not flushed").expect("a short record");
    assert!(!is_orphan(store, id).await);
    assert!(matches!(store.adopt(&id).await, Err(Error::NotOrphaned)));
    let mut reader = log.read(0);
    drop(writer);
    assert!(is_orphan(store, id).await);
    assert_eq!(log.state(), State::Open);

    let mut writer = store.adopt(&id).await.expect("an orphan");
    assert!(!is_orphan(store, id).await);
    assert!(matches!(store.adopt(&id).await, Err(Error::NotOrphaned)));
    assert_eq!(writer.next_seq(), 2, "what was not flushed is lost");
    assert_eq!(
        writer.log().header().await.expect("a store that can read"),
        "header"
    );
    write(&mut *writer, &[chunk(2)]).await;
    let adopted = writer.log();
    writer.finish(b"broken").await.expect("a store that can write");
    assert!(!is_orphan(store, id).await);
    assert!(matches!(store.adopt(&id).await, Err(Error::NotOrphaned)));

    let expected = [chunk(0), chunk(1), chunk(2)];
    let mut batch = Batch::new();
    let mut read = Vec::new();
    while reader.next_batch(&mut batch).await.expect("an intact stream") {
        read.extend(batch.iter().map(<[u8]>::to_vec));
    }
    assert_eq!(read, expected, "a reader of the old writer reads on");
    assert_eq!(read_all(&*adopted, 0).await.expect("a whole stream"), expected);
    let nobodys = StreamId::random().expect("random numbers");
    assert!(matches!(store.adopt(&nobodys).await, Err(Error::Unknown)));
}

async fn is_orphan(store: &dyn Store, id: StreamId) -> bool {
    store
        .orphans()
        .await
        .expect("a store that can read")
        .contains(&id)
}

/// In a store that keeps streams for 50 ms.
pub(super) async fn expiry(store: &dyn Store) {
    let mut open_one = create(store).await;
    write(&mut *open_one, &[chunk(0)]).await;
    let mut writer = create(store).await;
    let (id, log) = (writer.id(), writer.log());
    write(&mut *writer, &[chunk(0)]).await;
    writer.finish(b"").await.expect("a store that can write");
    let error = loop {
        match store.open(&id, &OWNER).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Expired), "{error:?}");
    while store.usage().finished > 0 {
        store.sweep();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Expired)));
    assert!(matches!(store.remove(&id, &OWNER).await, Err(Error::Expired)));
    assert!(matches!(store.open(&id, &STRANGER).await, Err(Error::Unknown)));
    assert!(
        matches!(read_all(&*log, 0).await, Err(Error::Expired)),
        "no reader takes it for ended"
    );

    let id = open_one.id();
    open_one.finish(b"").await.expect("a store that can write");
    store
        .open(&id, &OWNER)
        .await
        .expect("an open stream does not age");
}

/// In a store of 256 KiB.
pub(super) async fn eviction(store: &dyn Store) {
    let mut live = create(store).await;
    write(&mut *live, &[chunk(0)]).await;
    let mut finished = Vec::new();
    for _ in 0..20 {
        let mut writer = create(store).await;
        finished.push((writer.id(), writer.log()));
        fill(&mut *writer, 32 << 10).await;
        writer.finish(b"").await.expect("a store that can write");
    }
    settle(store).await;
    let mut kept = 0;
    for (index, (id, log)) in finished.iter().enumerate() {
        match store.open(id, &OWNER).await {
            Ok(_) => {
                kept += 1;
                assert_eq!(read_all(&**log, 0).await.expect("a whole stream").len(), 32);
            }
            Err(Error::Expired) => {
                assert_eq!(kept, 0, "the oldest go first; stream {index} did not");
                assert!(matches!(read_all(&**log, 0).await, Err(Error::Expired)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        (1..=8).contains(&kept),
        "{kept} of 20 streams of 32 KiB are kept in 256 KiB"
    );
    write(&mut *live, &[chunk(1)]).await;
    let log = open(store, live.id()).await;
    live.finish(b"").await.expect("an open stream is never evicted");
    assert_eq!(
        read_all(&*log, 0).await.expect("a whole stream"),
        [chunk(0), chunk(1)]
    );
}

/// In a store of 256 KiB.
pub(super) async fn full(store: &dyn Store) {
    let mut writers = Vec::new();
    let refused = loop {
        match try_create(store).await {
            Ok(mut writer) => {
                fill(&mut *writer, 32 << 10).await;
                writers.push(writer);
            }
            Err(error) => break error,
        }
        settle(store).await;
        assert!(writers.len() < 100, "three megabytes in 256 KiB");
    };
    assert!(
        matches!(refused, Error::Full { retry_after } if retry_after > Duration::ZERO),
        "{refused:?}"
    );
    assert!(
        writers.len() >= 6,
        "only {} streams of 32 KiB in 256 KiB",
        writers.len()
    );
    for writer in &mut writers {
        write(&mut **writer, &[chunk(0)]).await;
    }
    for writer in writers {
        writer.finish(b"").await.expect("a store that can write");
    }
    let writer = create(store).await;
    settle(store).await;
    let usage = store.usage();
    assert_eq!(usage.live, 1);
    assert!(usage.bytes <= usage.max_bytes, "{usage:?}");
    assert!(usage.live_bytes < usage.bytes || usage.finished == 0, "{usage:?}");
    drop(writer);
}

/// In a store of 256 KiB.
pub(super) async fn overfull(store: &dyn Store) {
    let mut writers = [create(store).await, create(store).await];
    let mut kibibytes = 0;
    let refused = loop {
        let writer = &mut writers[kibibytes % 2];
        match writer.append(&vec![kibibytes as u8; 1024]) {
            Ok(_) => kibibytes += 1,
            Err(error) => break error,
        }
        shown(&mut **writer).await;
        assert!(kibibytes < 1000, "a megabyte in 256 KiB");
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused:?}");
    assert!(kibibytes > 200, "only {kibibytes} KiB in 256");
    let [mut first, mut second] = writers;
    for writer in [&mut first, &mut second] {
        assert!(matches!(writer.append(b"more"), Err(Error::Full { .. })));
    }
    first.append_last(b"cut short").expect("room for the end");
    shown(&mut *first).await;
    // Once it is finished it may be let go at once.
    first
        .finish(b"")
        .await
        .expect("a stream can be finished in a full store");
    second
        .append(b"there is room again")
        .expect("a finished stream leaves room");
    second.finish(b"").await.expect("a store that can write");
    create(store).await;
}

/// Appends that many bytes in records that have nothing in common.
async fn fill(writer: &mut dyn Writer, bytes: usize) {
    let records: Vec<_> = (0..bytes / 1024).map(|index| vec![index as u8; 1024]).collect();
    write(writer, &records).await;
    shown(writer).await;
}

/// Flushes, and waits until a reader has seen the last record; before that it may be under way.
async fn shown(writer: &mut dyn Writer) {
    writer.flush().await.expect("a store that can write");
    let mut batch = Batch::new();
    let mut reader = writer.log().read(writer.next_seq() - 1);
    assert!(reader.next_batch(&mut batch).await.expect("an open stream"));
}

/// Waits until the store has let go what it wants to let go.
async fn settle(store: &dyn Store) {
    loop {
        store.sweep();
        let usage = store.usage();
        if usage.finished == 0 || usage.bytes <= usage.max_bytes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
