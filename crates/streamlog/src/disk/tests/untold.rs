//! What was refused does not happen later: whoever was told that it could not be stored need not reckon with it, after a
//! restart either.

use std::sync::atomic::Ordering;

use super::{
    faults::{Faulty, durable, shown},
    *,
};

/// A stream with three records, in a store on a disk that then fails to flush.
async fn three_records(folder: &Folder) -> (Arc<Faulty>, Disk, Box<dyn Writer>) {
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let mut writer = store.create(new_stream()).await.unwrap();
    write(&mut *writer, (0..3).map(record)).await;
    shown(&mut *writer).await;
    medium.fails_to_sync.store(true, Ordering::SeqCst);
    (medium, store, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_refused_is_none_after_an_adoption() {
    let folder = Folder::new();
    let (medium, store, writer) = three_records(&folder).await;
    let id = writer.id();
    assert!(matches!(writer.finish(b"complete").await, Err(Error::Io { .. })));
    medium.fails_to_sync.store(false, Ordering::SeqCst);
    assert_eq!(open(&store, id).await.state(), State::Open);
    let mut writer = store.adopt(&id).await.unwrap();
    write(&mut *writer, [record(3)]).await;
    shown(&mut *writer).await;
    drop((writer, store));

    let store = Disk::open(folder.path(), durable()).unwrap();
    let log = open(&store, id).await;
    assert_eq!((log.state(), log.next_seq()), (State::Open, 4));
    assert_eq!(store.orphans().await.unwrap(), [id]);
}
