//! A disk that is full, that loses what it was given, or that is slow: who had something to store is told, nothing is shown
//! that is not stored, and all goes on when the disk does.

use std::{
    fs::File,
    io,
    sync::{
        Condvar,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::*;

/// A disk with so many bytes left.
#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) room: AtomicU64,
    /// It neither flushes nor cuts, though it writes.
    pub(super) fails_to_sync: AtomicBool,
    pub(super) fails_to_cut: AtomicBool,
    pub(super) syncs: AtomicU64,
    /// The folders that were flushed.
    pub(super) folders: Mutex<Vec<std::path::PathBuf>>,
    /// The next write is the thread's last.
    pub(super) panics: AtomicBool,
    /// Writes wait while this is so.
    is_stuck: Mutex<bool>,
    unstuck: Condvar,
}

impl Faulty {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            room: AtomicU64::new(u64::MAX),
            fails_to_sync: AtomicBool::new(false),
            fails_to_cut: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            folders: Mutex::default(),
            panics: AtomicBool::new(false),
            is_stuck: Mutex::new(false),
            unstuck: Condvar::new(),
        })
    }

    pub(super) fn set_stuck(&self, is_stuck: bool) {
        *lock(&self.is_stuck) = is_stuck;
        self.unstuck.notify_all();
    }
}

impl Medium for Faulty {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let stuck = lock(&self.is_stuck);
        drop(self.unstuck.wait_while(stuck, |is_stuck| *is_stuck).unwrap());
        assert!(!self.panics.load(Ordering::SeqCst), "on purpose");
        let room = self.room.load(Ordering::SeqCst);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        Real.write(file, &bytes[..fits], offset)?;
        if room != u64::MAX {
            self.room.fetch_sub(fits as u64, Ordering::SeqCst);
        }
        if fits == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn cut(&self, file: &File, offset: u64) -> io::Result<()> {
        if self.fails_to_sync.load(Ordering::SeqCst) || self.fails_to_cut.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is failing"));
        }
        Real.cut(file, offset)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        if self.fails_to_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is failing"));
        }
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        lock(&self.folders).push(folder.into());
        Ok(())
    }
}

pub(super) fn durable() -> Options {
    Options {
        fsync: Fsync::Group,
        ..options()
    }
}

/// Flushes until the store says that it could not store an earlier one.
async fn failed_flush(writer: &mut dyn Writer) -> Error {
    loop {
        writer.append(b"not stored").unwrap();
        match writer.flush().await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => return error,
        }
    }
}

pub(super) async fn shown(writer: &mut dyn Writer) {
    let (mut reader, mut batch) = (writer.log().read(writer.next_seq() - 1), Batch::new());
    assert!(reader.next_batch(&mut batch).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_gone_on_from() {
    for room in [0, 1, 20, 60, 150, 1000] {
        let folder = Folder::new();
        let medium = Faulty::new();
        let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
        let mut writer = store.create(new_stream()).await.unwrap();
        let id = writer.id();
        write(&mut *writer, (0..10).map(record)).await;
        shown(&mut *writer).await;

        medium.room.store(room, Ordering::SeqCst);
        let error = failed_flush(&mut *writer).await;
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
        assert!(error.is_retryable());
        assert!(
            matches!(writer.flush().await, Err(Error::Io { .. })),
            "and so it stays"
        );
        let log = writer.log();
        let before = log.next_seq();
        assert!(matches!(store.create(new_stream()).await, Err(Error::Io { .. })));
        assert!(matches!(writer.finish(b"").await, Err(Error::Io { .. })));
        assert_eq!((log.next_seq(), log.state()), (before, State::Open));
        assert_eq!(store.orphans().await.unwrap(), [id]);
        assert!(matches!(store.adopt(&id).await, Err(Error::Io { .. })));
        assert_eq!(store.usage().live, 1, "what could not be made is not there");
        assert_eq!(
            read(&*log, 0).await.unwrap()[..10],
            (0..10).map(record).collect::<Vec<_>>()
        );

        medium.room.store(u64::MAX, Ordering::SeqCst);
        let mut writer = store.adopt(&id).await.unwrap();
        assert_eq!(writer.next_seq(), before);
        write(&mut *writer, ["an honest end".into()]).await;
        writer.finish(b"").await.unwrap();
        store.create(new_stream()).await.unwrap();
        let shown = read(&*log, 0).await.unwrap();
        assert_eq!(shown.len() as u64, before + 1);
        drop(store);
        let store = Disk::open(folder.path(), durable()).unwrap();
        assert_eq!(
            read(&*open(&store, id).await, 0).await.unwrap(),
            shown,
            "{room} bytes of room"
        );
        assert!(matches!(open(&store, id).await.state(), State::Finished { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_nobody_was_shown_do_not_come_back() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let mut writer = store.create(new_stream()).await.unwrap();
    let (id, log) = (writer.id(), writer.log());
    write(&mut *writer, (0..10).map(record)).await;
    shown(&mut *writer).await;

    // What comes now is written, over more than one block, but not said to be; and it cannot be cut off.
    medium.fails_to_sync.store(true, Ordering::SeqCst);
    write(&mut *writer, (100..300).map(record)).await;
    let error = failed_flush(&mut *writer).await;
    assert!(matches!(error, Error::Io { .. }));
    assert_eq!(log.next_seq(), 10);
    drop(writer);
    medium.fails_to_sync.store(false, Ordering::SeqCst);

    let mut writer = store.adopt(&id).await.unwrap();
    write(&mut *writer, (10..90).map(record)).await;
    writer.finish(b"").await.unwrap();
    let expected: Vec<_> = (0..90).map(record).collect();
    assert_eq!(read(&*log, 0).await.unwrap(), expected);
    drop(store);
    let store = Disk::open(folder.path(), durable()).unwrap();
    let log = open(&store, id).await;
    for from in [0, 5, 10, 11, 80] {
        assert_eq!(read(&*log, from as u64).await.unwrap(), expected[from..]);
    }
    assert!(matches!(log.state(), State::Finished { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_holds_writers_up_and_then_lets_them_go() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), options(), medium.clone()).unwrap();
    let mut writers = [
        store.create(new_stream()).await.unwrap(),
        store.create(new_stream()).await.unwrap(),
    ];
    medium.set_stuck(true);
    let mut handed_over = 0;
    'full: loop {
        for writer in &mut writers {
            // Bytes that have nothing in common.
            writer.append(&vec![handed_over as u8; 500_000]).unwrap();
            if writer
                .poll_flush(&mut Context::from_waker(Waker::noop()))
                .is_pending()
            {
                break 'full;
            }
            handed_over += 1;
        }
        assert!(handed_over < 100, "fifty megabytes are under way");
    }
    assert_eq!(writers[0].log().next_seq() + writers[1].log().next_seq(), 0);
    let waits = tokio::spawn(async move {
        let [mut first, mut second] = writers;
        let flushed = (first.flush().await, second.flush().await);
        flushed.0.and(flushed.1).unwrap();
        let total = first.next_seq() + second.next_seq();
        let logs = [first.log(), second.log()];
        first.finish(b"").await.unwrap();
        second.finish(b"").await.unwrap();
        assert_eq!(logs[0].next_seq() + logs[1].next_seq(), total);
        total
    });
    medium.set_stuck(false);
    assert_eq!(waits.await.unwrap(), handed_over + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_gives_up_waiting_leaves_an_orphan() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), options(), medium.clone()).unwrap();
    medium.set_stuck(true);
    let new = new_stream();
    let id = new.id;
    let mut creating = store.create(new);
    let polled = creating.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    drop(creating);
    medium.set_stuck(false);
    assert_eq!(store.orphans().await.unwrap(), [id]);
    store.adopt(&id).await.unwrap().finish(b"").await.unwrap();
    assert!(matches!(open(&store, id).await.state(), State::Finished { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_takes_one_flush_with_its_beginning_and_its_end() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let mut first = store.create(new_stream()).await.unwrap();
    medium.set_stuck(true);
    write(&mut *first, [record(0)]).await;
    let before = medium.syncs.load(Ordering::SeqCst);
    // While the disk is busy with another stream, all of this comes.
    let Begun { mut writer, stored } = store.begin(new_stream()).await.unwrap();
    let log = writer.log();
    write(&mut *writer, (0..10).map(record)).await;
    let finished = writer.finish(b"end");
    assert_eq!(log.next_seq(), 0, "nothing is shown that is not stored");
    medium.set_stuck(false);
    finished.await.unwrap();
    stored.await.unwrap();
    assert_eq!(log.next_seq(), 10);
    let syncs = medium.syncs.load(Ordering::SeqCst) - before;
    assert!(
        syncs <= 2,
        "one for what was under way, and one for all of it: {syncs}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_could_not_begin_has_no_records() {
    let folder = Folder::new();
    let medium = Faulty::new();
    let store = Disk::open_on(folder.path(), durable(), medium.clone()).unwrap();
    let other = store.create(new_stream()).await.unwrap();
    medium.room.store(30, Ordering::SeqCst);
    let Begun { mut writer, stored } = store.begin(new_stream()).await.unwrap();
    let id = writer.id();
    assert!(matches!(stored.await, Err(Error::Io { .. })));
    medium.room.store(u64::MAX, Ordering::SeqCst);
    writer.append(b"without a beginning").unwrap();
    assert!(matches!(writer.flush().await, Err(Error::Io { .. })));
    assert!(matches!(writer.finish(b"").await, Err(Error::Io { .. })));
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Unknown)));
    assert_eq!(store.orphans().await.unwrap(), []);
    other.finish(b"").await.unwrap();
    drop(store);
    let store = Disk::open(folder.path(), durable()).unwrap();
    assert!(matches!(store.open(&id, &OWNER).await, Err(Error::Unknown)));
}
