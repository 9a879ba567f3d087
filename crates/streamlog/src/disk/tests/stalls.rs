//! Nobody waits for somebody who does not move: neither for readers that have stalled, nor for a thread that has failed, nor
//! behind a file that is in the way.

use std::{
    future::Future,
    sync::{atomic::Ordering, mpsc},
    task::{Context, Poll, Waker},
};

use super::{
    faults::{Faulty, durable},
    *,
};

/// Waits no longer than a busy machine may need.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("nobody waits for ever")
}

/// Polls once, as a task does that then stalls.
fn poll_once<T>(future: &mut BoxFuture<'_, T>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn readers_that_have_stalled_do_not_stop_those_that_read() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = Folder::new();
        let store = Disk::open(folder.path(), options()).unwrap();
        let mut writer = store.create(new_stream()).await.unwrap();
        let id = writer.id();
        write(&mut *writer, (0..200).map(record)).await;
        writer.finish(b"").await.unwrap();
        drop(store);
        let store = Disk::open(folder.path(), options()).unwrap();
        let log = open(&store, id).await;

        // The disk is slow until all of them wait.
        let (free, is_free) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || is_free.recv());
        let mut stalled: Vec<_> = (0..2 * READS_AT_ONCE)
            .map(|_| (log.read(0), Batch::new()))
            .collect();
        for (reader, batch) in &mut stalled {
            let polled = reader.poll_batch(&mut Context::from_waker(Waker::noop()), batch);
            assert!(polled.is_pending());
        }
        drop(free);
        let _ = busy.await.unwrap();

        assert_eq!(soon(read(&*log, 0)).await.unwrap().len(), 200);
        for (mut reader, mut batch) in stalled {
            assert!(soon(reader.next_batch(&mut batch)).await.unwrap());
            assert_eq!(batch.iter().next().unwrap(), record(0).as_bytes());
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_thread_that_has_failed() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let done = {
        let mut writer = store.create(new_stream()).await.unwrap();
        write(&mut *writer, (0..3).map(record)).await;
        let log = writer.log();
        writer.finish(b"").await.unwrap();
        log
    };
    let mut writer = store.create(new_stream()).await.unwrap();
    let (mut reader, mut batch) = (writer.log().read(0), Batch::new());
    let waits = tokio::spawn(async move { reader.next_batch(&mut batch).await });

    medium.set_stuck(true);
    medium.panics.store(true, Ordering::SeqCst);
    let mut creations: Vec<_> = (0..3).map(|_| store.create(new_stream())).collect();
    for creation in &mut creations {
        assert!(poll_once(creation).is_pending());
    }
    let mut closing = store.close();
    assert!(poll_once(&mut closing).is_pending());
    medium.set_stuck(false);
    for creation in creations {
        assert!(matches!(soon(creation).await, Err(Error::Closed)));
    }
    assert!(matches!(soon(closing).await, Err(Error::Closed)));
    assert!(matches!(soon(store.close()).await, Err(Error::Closed)));
    assert!(matches!(soon(waits).await.unwrap(), Err(Error::Closed)));
    writer.append(b"more").unwrap();
    assert!(writer.flush().await.is_err());
    assert_eq!(
        read(&*done, 0).await.unwrap().len(),
        3,
        "what is stored is readable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_closes_waits_until_all_is_stored() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let mut writer = store.create(new_stream()).await.unwrap();
    let id = writer.id();
    medium.set_stuck(true);
    write(&mut *writer, [record(0)]).await;
    let (mut first, mut second) = (store.close(), store.close());
    assert!(poll_once(&mut first).is_pending());
    assert!(poll_once(&mut second).is_pending());
    drop(first);
    medium.set_stuck(false);
    soon(second).await.unwrap();
    soon(store.close()).await.unwrap();
    let again = Disk::open(folder.path(), durable()).unwrap();
    assert_eq!(read(&*open(&again, id).await, 0).await.unwrap(), [record(0)]);
}

#[tokio::test]
async fn a_file_in_the_way_is_gone_around() {
    let folder = Folder::new();
    let store = Disk::open(folder.path(), durable()).unwrap();
    // As where a segment could neither be begun nor removed.
    std::fs::write(file::segment_path(folder.path(), 1), b"aurora").unwrap();
    assert!(matches!(store.create(new_stream()).await, Err(Error::Io { .. })));
    let writer = store.create(new_stream()).await.unwrap();
    let id = writer.id();
    writer.finish(b"").await.unwrap();
    drop(store);
    let store = Disk::open(folder.path(), durable()).unwrap();
    assert!(matches!(open(&store, id).await.state(), State::Finished { .. }));
    assert_eq!(
        file::list_segments(folder.path()).unwrap(),
        [2],
        "there was nothing in it"
    );
}
