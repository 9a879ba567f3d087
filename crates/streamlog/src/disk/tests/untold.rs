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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_refused_is_found_after_a_restart() {
    for can_cut_later in [true, false] {
        let folder = Folder::new();
        let (medium, store, writer) = three_records(&folder).await;
        let (id, log) = (writer.id(), writer.log());
        let never = new_stream();
        let never_id = never.id;
        assert!(matches!(store.remove(&id, &OWNER).await, Err(Error::Io { .. })));
        medium.fails_to_sync.store(false, Ordering::SeqCst);
        let other = store.create(new_stream()).await.unwrap();
        let other_id = other.id();
        medium.fails_to_sync.store(true, Ordering::SeqCst);
        medium.fails_to_cut.store(!can_cut_later, Ordering::SeqCst);
        assert!(matches!(other.finish(b"complete").await, Err(Error::Io { .. })));
        medium.fails_to_sync.store(false, Ordering::SeqCst);
        let third = store.create(new_stream()).await.unwrap();
        medium.fails_to_sync.store(true, Ordering::SeqCst);
        assert!(matches!(store.create(never).await, Err(Error::Io { .. })));
        medium.fails_to_sync.store(false, Ordering::SeqCst);
        assert_eq!((log.state(), log.next_seq()), (State::Open, 3));

        // Nobody adopts anything, so nothing but the store itself says what is void.
        drop((writer, third));
        store.close().await.unwrap();
        drop(store);
        for _ in 0..2 {
            let store = Disk::open(folder.path(), durable()).unwrap();
            let log = open(&store, id).await;
            assert_eq!(log.state(), State::Open);
            assert_eq!(read(&*log, 0).await.unwrap().len(), 3);
            assert_eq!(open(&store, other_id).await.state(), State::Open);
            assert!(matches!(store.open(&never_id, &OWNER).await, Err(Error::Unknown)));
            assert_eq!(store.orphans().await.unwrap().len(), 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_that_something_is_void_stays_as_long_as_that() {
    let folder = Folder::new();
    let (medium, store, writer) = three_records(&folder).await;
    let id = writer.id();
    assert!(matches!(store.remove(&id, &OWNER).await, Err(Error::Io { .. })));
    medium.fails_to_cut.store(true, Ordering::SeqCst);
    medium.fails_to_sync.store(false, Ordering::SeqCst);
    let segments = || file::list_segments(folder.path()).unwrap();
    // Each is given up with its only stream gone, so that nothing but what it says of the first keeps it.
    for _ in 0..4 {
        let gone = store.create(new_stream()).await.unwrap();
        let gone_id = gone.id();
        gone.finish(b"").await.unwrap();
        store.remove(&gone_id, &OWNER).await.unwrap();
        medium.fails_to_sync.store(true, Ordering::SeqCst);
        assert!(store.create(new_stream()).await.is_err());
        store.sweep();
        medium.fails_to_sync.store(false, Ordering::SeqCst);
    }
    while segments().len() > 2 {
        store.sweep();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(segments()[0] == 1 && segments()[1] > 4, "{:?}", segments());
    drop((writer, store));
    let store = Disk::open(folder.path(), durable()).unwrap();
    assert_eq!(read(&*open(&store, id).await, 0).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_on_the_disk_before_it_is_shown() {
    let folder = Folder::new();
    let inner = folder.path().join("the").join("log");
    let medium = Faulty::new();
    let options = Options {
        fsync: Fsync::Interval(Duration::from_secs(3600)),
        ..options()
    };
    let store = Disk::open_on(&inner, options, medium.clone()).unwrap();
    let folders = std::mem::take(&mut *lock(&medium.folders));
    assert_eq!(
        folders,
        [
            folder.path().join("the"),
            folder.path().into(),
            std::env::temp_dir(),
            inner.clone()
        ],
        "whatever was made has a name on the disk"
    );
    let mut writer = store.create(new_stream()).await.unwrap();
    write(&mut *writer, [record(0)]).await;
    shown(&mut *writer).await;
    // What a process leaves that is killed now.
    let killed = Folder::new();
    std::fs::create_dir(killed.path()).unwrap();
    std::fs::copy(
        file::segment_path(&inner, 1),
        file::segment_path(killed.path(), 1),
    )
    .unwrap();

    let medium = Faulty::new();
    medium.fails_to_sync.store(true, Ordering::SeqCst);
    let failed = Disk::open_on(killed.path(), options, medium.clone());
    assert!(matches!(failed, Err(Error::Io { .. })));
    medium.fails_to_sync.store(false, Ordering::SeqCst);
    let again = Disk::open_on(killed.path(), options, medium.clone()).unwrap();
    assert_eq!(medium.syncs.load(Ordering::SeqCst), 1);
    assert_eq!(*lock(&medium.folders), [killed.path()]);
    assert_eq!(
        read(&*open(&again, writer.id()).await, 0).await.unwrap(),
        [record(0)]
    );
}

/// A stream that is open, in the first segment, and one that is finished, in the first and those behind it.
async fn side_by_side(folder: &Folder) -> (StreamId, StreamId) {
    let store = Disk::open(folder.path(), in_small_segments()).unwrap();
    let stays = store.create(new_stream()).await.unwrap();
    let mut goes = store.create(new_stream()).await.unwrap();
    let ids = (stays.id(), goes.id());
    for n in 0..100_u8 {
        write(&mut *goes, [n.to_string().repeat(512)]).await;
        goes.append(&[n; 1024]).unwrap();
    }
    goes.finish(b"complete").await.unwrap();
    assert!(file::list_segments(folder.path()).unwrap().len() > 2);
    ids
}

fn in_small_segments() -> Options {
    Options {
        segment_bytes: 64 << 10,
        fsync: Fsync::Interval(Duration::from_secs(3600)),
        ..options()
    }
}

/// Two turns of the thread, whatever they come to: all that was asked for before is done.
async fn turns(store: &Disk) {
    for _ in 0..2 {
        let _ = store.create(new_stream()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_a_stream_goes_that_could_not_be_let_go_in_words() {
    let folder = Folder::new();
    let (stays, goes) = side_by_side(&folder).await;
    let medium = Faulty::new();
    medium.room.store(0, Ordering::SeqCst);
    let now = Options {
        keep: Duration::ZERO,
        ..in_small_segments()
    };
    let store = Disk::open_on(folder.path(), now, medium.clone()).unwrap();
    turns(&store).await;
    assert!(matches!(store.open(&goes, &OWNER).await, Err(Error::Expired)));
    drop(store);
    let store = Disk::open(folder.path(), in_small_segments()).unwrap();
    assert_eq!(store.orphans().await.unwrap(), [stays], "nothing was cut short");
    assert!(matches!(open(&store, goes).await.state(), State::Finished { .. }));
    drop(store);

    let store = Disk::open_on(folder.path(), now, medium.clone()).unwrap();
    turns(&store).await;
    medium.room.store(u64::MAX, Ordering::SeqCst);
    while file::list_segments(folder.path()).unwrap().contains(&2) {
        store.sweep();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(store);
    let store = Disk::open(folder.path(), in_small_segments()).unwrap();
    assert!(matches!(store.open(&goes, &OWNER).await, Err(Error::Expired)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_segment_goes_for_is_on_the_disk_before() {
    for fsync in [Fsync::None, in_small_segments().fsync] {
        let folder = Folder::new();
        let (stays, goes) = side_by_side(&folder).await;
        let medium = Faulty::new();
        let options = Options {
            fsync,
            ..in_small_segments()
        };
        let store = Disk::open_on(folder.path(), options, medium.clone()).unwrap();
        turns(&store).await;
        medium.fails_to_sync.store(true, Ordering::SeqCst);
        store.remove(&goes, &OWNER).await.unwrap();
        turns(&store).await;
        // With `None`, the next segment needs no flush to begin; that it says so is not on the disk either.
        assert!(file::list_segments(folder.path()).unwrap().contains(&2));
        medium.fails_to_sync.store(false, Ordering::SeqCst);
        while file::list_segments(folder.path()).unwrap().contains(&2) {
            store.sweep();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(store);
        let store = Disk::open(folder.path(), options).unwrap();
        assert!(matches!(store.open(&goes, &OWNER).await, Err(Error::Unknown)));
        assert!(store.orphans().await.unwrap().contains(&stays));
    }
}
