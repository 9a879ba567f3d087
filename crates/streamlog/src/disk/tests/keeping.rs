//! What is deleted and what is not: whole segments, once nothing in them is kept, and nothing comes back.

use std::fs;

use super::*;

fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        ..options()
    }
}

fn segments(folder: &Folder) -> Vec<u32> {
    file::list_segments(folder.path()).unwrap()
}

/// A finished stream of some 20 KiB.
async fn finished(store: &Disk) -> StreamId {
    let mut writer = store.create(new_stream()).await.unwrap();
    let id = writer.id();
    for n in 0..20 {
        write(&mut *writer, [n.to_string().repeat(1024)]).await;
        writer.append(&[n; 1024]).unwrap();
    }
    writer.finish(b"").await.unwrap();
    id
}

/// Sweeps until it is so.
async fn until(store: &Disk, is_so: impl Fn() -> bool) {
    while !is_so() {
        store.sweep();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn segments_go_when_all_in_them_has_expired() {
    let folder = Folder::new();
    let store = Disk::open(folder.path(), small()).unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(finished(&store).await);
    }
    assert!(segments(&folder).len() > 3, "{:?}", segments(&folder));
    drop(store);
    let now = Options {
        keep: Duration::ZERO,
        ..small()
    };
    let store = Disk::open(folder.path(), now).unwrap();
    until(&store, || segments(&folder).len() <= 1).await;
    for id in &ids {
        assert!(matches!(store.open(id, &OWNER).await, Err(Error::Expired)));
    }
    assert_eq!(store.usage().bytes, 0);
    // What says that they expired is still there, where they were not.
    drop(store);
    let store = Disk::open(folder.path(), small()).unwrap();
    assert!(matches!(store.open(&ids[0], &OWNER).await, Err(Error::Expired)));
    assert!(matches!(
        store.open(&ids[0], &Owner::ANYONE).await,
        Err(Error::Unknown)
    ));
}

#[tokio::test]
async fn an_open_stream_keeps_the_segments_it_lies_in_however_old() {
    let folder = Folder::new();
    let now = Options {
        keep: Duration::ZERO,
        ..small()
    };
    let store = Disk::open(folder.path(), now).unwrap();
    let mut long = store.create(new_stream()).await.unwrap();
    let id = long.id();
    for n in 0..30 {
        if n % 15 == 0 {
            write(&mut *long, [record(n)]).await;
        }
        finished(&store).await;
    }
    until(&store, || store.usage().finished == 0).await;
    // The first and that in the middle are needed, and the last is being written.
    until(&store, || segments(&folder).len() <= 3).await;
    assert!(segments(&folder).last().is_some_and(|last| *last > 10));
    assert_eq!(read(&*long.log(), 0).await.unwrap(), [record(0), record(15)]);
    drop((long, store));
    let store = Disk::open(folder.path(), now).unwrap();
    assert_eq!(store.orphans().await.unwrap(), [id]);
    assert_eq!(
        read(&*open(&store, id).await, 0).await.unwrap(),
        [record(0), record(15)]
    );
}

#[tokio::test]
async fn what_was_removed_does_not_come_back_while_its_segment_stays() {
    let folder = Folder::new();
    let store = Disk::open(folder.path(), small()).unwrap();
    let mut long = store.create(new_stream()).await.unwrap();
    write(&mut *long, [record(0)]).await;
    let removed = finished(&store).await;
    let others = [
        finished(&store).await,
        finished(&store).await,
        finished(&store).await,
    ];
    assert!(segments(&folder).len() > 1);
    store.remove(&removed, &OWNER).await.unwrap();
    let said_in = *segments(&folder).last().unwrap();
    for _ in 0..6 {
        finished(&store).await;
    }
    for id in others {
        store.remove(&id, &OWNER).await.unwrap();
    }
    drop((long, store));
    let now = Options {
        keep: Duration::ZERO,
        ..small()
    };
    let store = Disk::open(folder.path(), now).unwrap();
    until(&store, || store.usage().finished == 0).await;
    until(&store, || !segments(&folder).contains(&said_in)).await;
    assert!(segments(&folder).contains(&1));
    drop(store);
    let store = Disk::open(folder.path(), small()).unwrap();
    assert!(matches!(store.open(&removed, &OWNER).await, Err(Error::Unknown)));
    assert_eq!(store.usage().live, 1);
    let orphan = store.orphans().await.unwrap()[0];
    store.adopt(&orphan).await.unwrap().finish(b"").await.unwrap();
    store.remove(&orphan, &OWNER).await.unwrap();
    until(&store, || !segments(&folder).contains(&1)).await;
}

#[tokio::test]
async fn segments_take_no_more_than_twice_the_budget_and_some() {
    let folder = Folder::new();
    let options = Options {
        max_bytes: 1 << 20,
        ..small()
    };
    let store = Disk::open(folder.path(), options).unwrap();
    let taken = || {
        let sizes = segments(&folder).into_iter().map(|number| {
            let path = file::segment_path(folder.path(), number);
            fs::metadata(path).map_or(0, |metadata| metadata.len())
        });
        sizes.sum::<u64>()
    };
    // Of each segment's streams one is kept, and the others are removed.
    for _ in 0..60 {
        finished(&store).await;
        for _ in 0..3 {
            let removed = finished(&store).await;
            store.remove(&removed, &OWNER).await.unwrap();
        }
    }
    until(&store, || {
        taken() <= 2 * options.max_bytes + options.segment_bytes
    })
    .await;
    assert!(store.usage().finished > 10);
}

#[tokio::test]
async fn nothing_goes_in_vain_for_a_segment_that_an_open_stream_keeps() {
    let folder = Folder::new();
    let options = Options {
        max_bytes: 1 << 20,
        ..small()
    };
    let store = Disk::open(folder.path(), options).unwrap();
    let mut slow = store.create(new_stream()).await.unwrap();
    // The slow one lies in every segment, so that they take more than twice the budget, whatever goes.
    let taken = || segments(&folder).len() as u64 * options.segment_bytes;
    for n in 0.. {
        if taken() > 3 * options.max_bytes {
            break;
        }
        finished(&store).await;
        for _ in 0..3 {
            write(&mut *slow, [record(n)]).await;
            let removed = finished(&store).await;
            store.remove(&removed, &OWNER).await.unwrap();
        }
    }
    let kept = store.usage().finished;
    assert!(kept > 5, "{kept} finished streams are kept");
    slow.finish(b"").await.unwrap();
    until(&store, || {
        taken() <= 2 * options.max_bytes + options.segment_bytes
    })
    .await;
}

#[tokio::test]
async fn an_open_stream_goes_before_what_it_keeps_takes_any_room_there_is() {
    let folder = Folder::new();
    let options = Options {
        max_bytes: 1 << 20,
        ..small()
    };
    let store = Disk::open(folder.path(), options).unwrap();
    let mut slow = store.create(new_stream()).await.unwrap();
    let (id, mut reader) = (slow.id(), slow.log().read(0));
    let mut most = 0;
    for n in 0..1000 {
        slow.append(record(n).as_bytes()).unwrap();
        if slow.flush().await.is_err() {
            break;
        }
        finished(&store).await;
        most = most.max(segments(&folder).len() as u64 * options.segment_bytes);
    }
    assert!(most > 3 * options.max_bytes, "{most} bytes is no reason");
    assert!(
        most <= 4 * options.max_bytes + 4 * options.segment_bytes,
        "{most} bytes"
    );
    assert!(matches!(slow.flush().await, Err(Error::Fenced)));
    assert!(matches!(slow.finish(b"").await, Err(Error::Fenced)));
    let mut batch = Batch::new();
    let end = loop {
        match reader.next_batch(&mut batch).await {
            Ok(true) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Err(Error::Expired)), "{end:?}");
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Expired)));
    assert_eq!(store.orphans().await.unwrap(), []);
    until(&store, || {
        segments(&folder).len() as u64 * options.segment_bytes <= 3 * options.max_bytes
    })
    .await;
}
