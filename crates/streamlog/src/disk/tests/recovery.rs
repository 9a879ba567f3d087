//! What is found when the folder is opened again: all that was shown, whatever happened to the end of the file; and only
//! that, whatever happened to its middle.

use std::{collections::HashMap, fs};

use bytes::Bytes;

use super::*;
use crate::{
    Batch,
    disk::{frame, stream::Header},
};

fn segment(folder: &Folder) -> std::path::PathBuf {
    file::segment_path(folder.path(), 1)
}

/// A folder with three streams, written side by side: one finished, one open, one removed.
async fn three_streams(folder: &Folder) -> (StreamId, StreamId, StreamId, SystemTime) {
    let store = Disk::open(folder.path(), options()).unwrap();
    let mut writers = Vec::new();
    for _ in 0..3 {
        writers.push(store.create(new_stream()).await.unwrap());
    }
    for n in 0..100 {
        for writer in &mut writers {
            write(&mut **writer, [record(n)]).await;
        }
    }
    let ids = [0, 1, 2].map(|n: usize| writers[n].id());
    let log = writers[0].log();
    writers.remove(0).finish(b"footer").await.unwrap();
    store.remove(&ids[2], &OWNER).await.unwrap();
    store.close().await.unwrap();
    let State::Finished { at, .. } = log.state() else {
        panic!("not finished")
    };
    (ids[0], ids[1], ids[2], at)
}

#[tokio::test]
async fn a_long_header_is_on_the_disk_and_not_in_memory() {
    let folder = Folder::new();
    let store = Disk::open(folder.path(), options()).unwrap();
    let header = |n: u8| Bytes::from(vec![n; 100_000]);
    let mut ids = Vec::new();
    for n in 0..3 {
        let new = NewStream {
            header: header(n),
            ..new_stream()
        };
        ids.push(new.id);
        store.create(new).await.unwrap().finish(b"").await.unwrap();
    }
    for (n, id) in ids.iter().enumerate() {
        let log = open(&store, *id).await;
        assert_eq!(log.header().await.unwrap(), header(n as u8));
        let found = lock(&store.shared.catalog)
            .find(id, &OWNER, SystemTime::now())
            .cloned();
        assert!(matches!(found.unwrap().inner().header, Header::At(_)));
    }
    let log = open(&store, ids[1]).await;
    store.remove(&ids[1], &OWNER).await.unwrap();
    // Its bytes are there still, and it is gone all the same.
    assert!(matches!(log.header().await, Err(Error::Unknown)));
    drop(store);
    let store = Disk::open(folder.path(), options()).unwrap();
    for (n, id) in [(0, ids[0]), (2, ids[2])] {
        assert_eq!(open(&store, id).await.header().await.unwrap(), header(n));
    }
}

#[tokio::test]
async fn everything_is_there_again() {
    let folder = Folder::new();
    let (finished, open_one, removed, at) = three_streams(&folder).await;
    for _ in 0..3 {
        let store = Disk::open(folder.path(), options()).unwrap();
        let expected: Vec<_> = (0..100).map(record).collect();
        let log = open(&store, finished).await;
        let footer = b"footer"[..].into();
        assert_eq!(log.state(), State::Finished { footer, at });
        assert_eq!(
            (log.next_seq(), log.header().await.unwrap()),
            (100, "header".into())
        );
        for from in [0, 1, 63, 64, 65, 99] {
            assert_eq!(read(&*log, from as u64).await.unwrap(), expected[from..]);
        }
        let log = open(&store, open_one).await;
        assert_eq!(
            (log.state(), read(&*log, 0).await.unwrap()),
            (State::Open, expected)
        );
        assert_eq!(store.orphans().await.unwrap(), [open_one]);
        assert!(matches!(store.open(&removed, &OWNER).await, Err(Error::Unknown)));
        assert!(matches!(
            store.open(&finished, &Owner::ANYONE).await,
            Err(Error::Unknown)
        ));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_orphan_is_brought_to_its_end_after_a_restart() {
    let folder = Folder::new();
    let (_, orphan, ..) = three_streams(&folder).await;
    let store = Disk::open(folder.path(), options()).unwrap();
    let mut writer = store.adopt(&orphan).await.unwrap();
    assert_eq!(writer.next_seq(), 100);
    write(&mut *writer, ["the server died".into()]).await;
    writer.finish(b"interrupted").await.unwrap();
    drop(store);
    let store = Disk::open(folder.path(), options()).unwrap();
    let log = open(&store, orphan).await;
    assert_eq!(
        read(&*log, 98).await.unwrap(),
        [record(98), record(99), "the server died".into()]
    );
    assert!(matches!(log.state(), State::Finished { .. }));
    assert_eq!(store.orphans().await.unwrap(), []);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = Folder::new();
    let store = Disk::open(folder.path(), options()).unwrap();
    assert!(matches!(
        Disk::open(folder.path(), options()),
        Err(Error::Locked { .. })
    ));
    store.close().await.unwrap();
    Disk::open(folder.path(), options()).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    three_streams(&folder).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(&segment(&folder))), (0o700, 0o600));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "a segment and a lock, whatever the number of streams"
    );
}

#[tokio::test]
async fn another_version_is_left_alone() {
    let folder = Folder::new();
    three_streams(&folder).await;
    let mut bytes = fs::read(segment(&folder)).unwrap();
    bytes[7] = 2;
    fs::write(segment(&folder), &bytes).unwrap();
    assert!(matches!(
        Disk::open(folder.path(), options()),
        Err(Error::Version { found: 2, .. })
    ));
    assert!(fs::read(segment(&folder)).unwrap() == bytes);
}

/// Frames of a segment: where each begins and how long it is.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let frame::Header::Salt(salt) = frame::parse_header(bytes) else {
        panic!("no segment")
    };
    let (mut at, mut frames) = (frame::HEADER_LEN, Vec::new());
    while let Some(parsed) = frame::parse(&bytes[at..], salt) {
        frames.push((at, parsed.len));
        at += parsed.len;
    }
    assert_eq!(at, bytes.len());
    frames
}

/// Opens a copy of the segment as `bytes`, and gives how many records of the stream are there and whether it is finished.
/// All that are there are the right ones.
async fn reopened(bytes: &[u8], id: StreamId) -> (usize, bool) {
    let folder = Folder::new();
    file::make_folder(folder.path(), &Real).unwrap();
    fs::write(segment(&folder), bytes).unwrap();
    let store = Disk::open(folder.path(), options()).unwrap();
    let Ok(log) = store.open(&id, &OWNER).await else {
        return (0, false);
    };
    let records = read(&*log, 0).await.unwrap();
    assert_eq!(records, (0..records.len()).map(record).collect::<Vec<_>>());
    let is_finished = log.state() != State::Open;
    assert_eq!(store.orphans().await.unwrap().contains(&id), !is_finished);
    if !is_finished {
        // Whatever was cut off, the stream can go on from where it stops, and does so once more after that.
        let mut writer = store.adopt(&id).await.unwrap();
        write(&mut *writer, ["end".into()]).await;
        writer.finish(b"").await.unwrap();
        drop(store);
        let store = Disk::open(folder.path(), options()).unwrap();
        let log = open(&store, id).await;
        assert_eq!(read(&*log, records.len() as u64).await.unwrap(), ["end"]);
        assert!(matches!(log.state(), State::Finished { .. }));
    }
    (records.len(), is_finished)
}

/// One stream in one segment: create, 20 frames of records, finish.
async fn one_stream(folder: &Folder) -> (StreamId, Vec<u8>) {
    let store = Disk::open(folder.path(), options()).unwrap();
    let mut writer = store.create(new_stream()).await.unwrap();
    let (id, mut reader, mut batch) = (writer.id(), writer.log().read(0), Batch::new());
    for n in 0..20 {
        write(&mut *writer, [record(n)]).await;
        reader.next_batch(&mut batch).await.unwrap();
    }
    writer.finish(b"footer").await.unwrap();
    drop(store);
    (id, fs::read(segment(folder)).unwrap())
}

#[tokio::test]
async fn an_end_that_was_cut_at_any_byte_is_cut_off() {
    let folder = Folder::new();
    let (id, bytes) = one_stream(&folder).await;
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 22);
    assert_eq!(reopened(&bytes, id).await, (20, true));
    // Within the last three frames, and at every boundary.
    let begin_of_last = frames[frames.len() - 3].0;
    let boundaries = frames.iter().map(|(at, _)| *at).filter(|at| *at < begin_of_last);
    for cut in boundaries.chain(begin_of_last..bytes.len()).chain([0, 1, 15]) {
        let whole = frames.iter().filter(|(at, len)| at + len <= cut).count();
        assert_eq!(
            reopened(&bytes[..cut], id).await,
            (whole.saturating_sub(1), false),
            "cut at {cut}"
        );
    }
}

#[tokio::test]
async fn an_end_of_rubbish_is_cut_off() {
    let folder = Folder::new();
    let (id, bytes) = one_stream(&folder).await;
    let frames = frames(&bytes);
    for rubbish in [
        &[0; 4096][..],
        &[0xff; 300],
        b"\xf5log\xff\xff\xff\xff",
        &bytes[frames[3].0..frames[3].0 + 20],
    ] {
        let folder_bytes = [&bytes[..], rubbish].concat();
        assert_eq!(reopened(&folder_bytes, id).await, (20, true));
    }
}

#[tokio::test]
async fn a_flipped_bit_takes_what_it_hits_and_what_comes_after_in_its_stream() {
    let folder = Folder::new();
    let (id, bytes) = one_stream(&folder).await;
    let frames = frames(&bytes);
    for (index, (at, len)) in frames.iter().enumerate() {
        for offset in [0, 5, 9, 13, len - 1] {
            let mut damaged = bytes.clone();
            damaged[at + offset] ^= 0x10;
            let expected = index.saturating_sub(1);
            assert_eq!(
                reopened(&damaged, id).await,
                (expected, false),
                "frame {index}, byte {offset}"
            );
        }
    }
}

#[tokio::test]
async fn damage_to_one_stream_is_nothing_to_another() {
    let folder = Folder::new();
    let (finished, open_one, ..) = three_streams(&folder).await;
    let mut bytes = fs::read(segment(&folder)).unwrap();
    let frames = frames(&bytes);
    let salt = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    let mut seen = HashMap::new();
    let (at, _) = *frames
        .iter()
        .find(|(at, _)| {
            let parsed = frame::parse(&bytes[*at..], salt).unwrap();
            let count = seen.entry(parsed.stream).or_insert(0);
            *count += 1;
            parsed.stream == finished && *count > 40
        })
        .unwrap();
    bytes[at + 30] ^= 1;
    fs::write(segment(&folder), &bytes).unwrap();
    let store = Disk::open(folder.path(), options()).unwrap();
    let log = open(&store, finished).await;
    assert_eq!(log.state(), State::Open, "a stream with a gap is not finished");
    let before = read(&*log, 0).await.unwrap();
    assert_eq!(before, (0..39).map(record).collect::<Vec<_>>());
    let mut orphans = store.orphans().await.unwrap();
    orphans.sort();
    let mut expected = [finished, open_one];
    expected.sort();
    assert_eq!(orphans, expected);
    assert_eq!(read(&*open(&store, open_one).await, 0).await.unwrap().len(), 100);
}

#[tokio::test]
async fn damage_under_a_reader_is_an_error_and_no_gap() {
    let folder = Folder::new();
    let (finished, ..) = three_streams(&folder).await;
    let store = Disk::open(folder.path(), options()).unwrap();
    let log = open(&store, finished).await;
    let mut bytes = fs::read(segment(&folder)).unwrap();
    let end = bytes.len();
    bytes[frame::HEADER_LEN..end].fill(0);
    fs::write(segment(&folder), &bytes).unwrap();
    assert!(matches!(read(&*log, 0).await, Err(Error::Damaged { .. })));
}
