//! What a reader sees: the same, wherever it begins and whenever it comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{Random, check, chunk, create, open, read_all, records, write};
use crate::{Batch, Store};

pub(super) async fn suite(store: &dyn Store) {
    a_replay_from_any_place_is_the_same(store).await;
    beyond_the_end(store).await;
    a_reader_that_waits_is_woken(store).await;
    the_last_waker_counts(store).await;
    a_slow_reader_misses_nothing(store).await;
    any_cut_gives_the_same(store).await;
}

async fn a_replay_from_any_place_is_the_same(store: &dyn Store) {
    let records = records(300);
    let mut writer = create(store).await;
    let id = writer.id();
    for part in records.chunks(11) {
        write(&mut *writer, part).await;
    }
    writer.finish(b"").await.expect("a store that can write");
    let log = open(store, id).await;
    for from in 0..=records.len() {
        let read = read_all(&*log, from as u64).await.expect("a whole stream");
        assert!(read == records[from..], "from {from}");
    }
}

async fn beyond_the_end(store: &dyn Store) {
    let mut writer = create(store).await;
    let log = writer.log();
    write(&mut *writer, &[chunk(0)]).await;
    let mut ahead = log.read(3);
    let mut batch = Batch::new();
    assert!(
        polled(&mut *ahead, &mut batch).is_pending(),
        "a reader waits for a record to come"
    );
    write(&mut *writer, &[chunk(1), chunk(2), chunk(3), chunk(4)]).await;
    assert!(ahead.next_batch(&mut batch).await.expect("an open stream"));
    check(&batch, 3);
    assert_eq!(batch.iter().next(), Some(&chunk(3)[..]));
    let mut far = log.read(u64::MAX);
    assert!(polled(&mut *far, &mut batch).is_pending());
    writer.finish(b"").await.expect("a store that can write");
    for from in [5, 6, u64::MAX] {
        assert_eq!(
            read_all(&*log, from).await.expect("a whole stream").len(),
            0,
            "from {from}"
        );
    }
    assert!(!far.next_batch(&mut batch).await.expect("a finished stream"));
    assert!(!far.next_batch(&mut batch).await.expect("and so it stays"));
}

async fn a_reader_that_waits_is_woken(store: &dyn Store) {
    let mut writer = create(store).await;
    let mut reader = writer.log().read(0);
    let mut batch = Batch::new();
    for index in 0..100_u64 {
        let (read, ()) = tokio::join!(reader.next_batch(&mut batch), async {
            writer.append(&chunk(index as usize)).expect("a short record");
            writer.flush().await.expect("a store that can write");
        });
        assert!(read.expect("an open stream"));
        check(&batch, index);
        assert_eq!(batch.iter().collect::<Vec<_>>(), [chunk(index as usize)]);
    }
    let (read, finished) = tokio::join!(reader.next_batch(&mut batch), writer.finish(b""));
    finished.expect("a store that can write");
    assert!(!read.expect("a finished stream"));
}

/// A reader that moves from task to task wakes the last one, and may be polled as often as anybody likes.
async fn the_last_waker_counts(store: &dyn Store) {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let counts: [Arc<Count>; 2] = Default::default();
    let mut writer = create(store).await;
    let mut reader = writer.log().read(0);
    let mut batch = Batch::new();
    for count in [&counts[0], &counts[1], &counts[1]] {
        let waker = count.clone().into();
        assert!(
            reader
                .poll_batch(&mut Context::from_waker(&waker), &mut batch)
                .is_pending()
        );
    }
    write(&mut *writer, &[chunk(0)]).await;
    // Whoever reads the record knows that all who waited for it have been woken, or are about to be.
    let mut second = writer.log().read(0);
    assert!(second.next_batch(&mut batch).await.expect("an open stream"));
    while counts[1].0.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        counts[0].0.load(Ordering::SeqCst),
        0,
        "a task that no longer reads is left alone"
    );
    assert_eq!(counts[1].0.load(Ordering::SeqCst), 1);
    writer.finish(b"").await.expect("a store that can write");
}

async fn a_slow_reader_misses_nothing(store: &dyn Store) {
    let mut writer = create(store).await;
    let (mut fast, mut slow) = (writer.log().read(0), writer.log().read(0));
    let (mut batch, mut kept) = (Batch::new(), Vec::new());
    let total = 5000;
    let mut ahead = 0;
    for index in 0..total {
        write(&mut *writer, &[chunk(index)]).await;
        while ahead <= index as u64 {
            assert!(fast.next_batch(&mut batch).await.expect("an open stream"));
            check(&batch, ahead);
            ahead += batch.len() as u64;
        }
        if index % 1000 == 0 {
            assert!(slow.next_batch(&mut batch).await.expect("an open stream"));
            check(&batch, kept.len() as u64);
            kept.extend(batch.iter().map(<[u8]>::to_vec));
        }
    }
    writer.finish(b"").await.expect("a store that can write");
    while slow.next_batch(&mut batch).await.expect("a whole stream") {
        check(&batch, kept.len() as u64);
        kept.extend(batch.iter().map(<[u8]>::to_vec));
    }
    assert!(kept == (0..total).map(chunk).collect::<Vec<_>>());
}

async fn any_cut_gives_the_same(store: &dyn Store) {
    let mut random = Random(1);
    for round in 0..20 {
        let records = records(50 + round * 10);
        let mut writer = create(store).await;
        let log = writer.log();
        let mut rest = &records[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(random.below(20) as usize));
            write(&mut *writer, part).await;
            rest = after;
        }
        writer.finish(b"").await.expect("a store that can write");
        let from = random.below(records.len() as u64);
        let read = read_all(&*log, from).await.expect("a whole stream");
        assert!(read == records[from as usize..], "round {round}");
    }
}

/// One poll, as a task that is woken for no reason does it.
fn polled(reader: &mut dyn crate::Reader, batch: &mut Batch) -> Poll<Result<bool, crate::Error>> {
    let mut context = Context::from_waker(Waker::noop());
    reader.poll_batch(&mut context, batch)
}
