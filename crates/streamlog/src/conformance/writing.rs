//! What a writer may do, and what becomes of it.

use std::time::SystemTime;

use bytes::Bytes;

use super::{OWNER, check, create, open, read_all, records, write};
use crate::{Batch, Error, MAX_LAST, MAX_RECORD, NewStream, State, Store, StreamId, Writer};

pub(super) async fn suite(store: &dyn Store) {
    nothing_is_seen_before_a_flush(store).await;
    numbers_are_dense(store).await;
    a_stream_may_be_empty(store).await;
    an_end_is_seen_when_finish_resolves(store).await;
    headers_of_any_length_come_back(store).await;
    finish_flushes(store).await;
    an_id_is_taken_once(store).await;
    long_records_are_refused(store).await;
    a_writer_that_never_flushes_is_stopped(store).await;
}

async fn nothing_is_seen_before_a_flush(store: &dyn Store) {
    let mut writer = create(store).await;
    let log = writer.log();
    writer.append(b"one").expect("a short record");
    assert_eq!((writer.next_seq(), log.next_seq()), (1, 0));
    writer.flush().await.expect("a store that can write");
    let mut batch = Batch::new();
    let more = log.read(0).next_batch(&mut batch).await.expect("an open stream");
    assert!(more);
    check(&batch, 0);
    assert_eq!(batch.iter().collect::<Vec<_>>(), [b"one"]);
    assert_eq!(log.next_seq(), 1);
    writer.finish(b"").await.expect("a store that can write");
}

async fn numbers_are_dense(store: &dyn Store) {
    let records = records(500);
    let mut writer = create(store).await;
    let id = writer.id();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(
            writer.append(record).expect("a record within the limits"),
            index as u64
        );
        if index % 7 == 0 {
            writer.flush().await.expect("a store that can write");
        }
    }
    writer.finish(b"").await.expect("a store that can write");
    let log = open(store, id).await;
    assert_eq!(log.next_seq(), 500);
    assert!(
        read_all(&*log, 0).await.expect("a whole stream") == records,
        "records come back as they were"
    );
}

async fn a_stream_may_be_empty(store: &dyn Store) {
    let mut writer = create(store).await;
    writer.flush().await.expect("nothing to flush");
    let log = writer.log();
    writer.finish(b"").await.expect("a store that can write");
    assert_eq!(
        (
            log.next_seq(),
            read_all(&*log, 0).await.expect("a whole stream").len()
        ),
        (0, 0)
    );
}

async fn an_end_is_seen_when_finish_resolves(store: &dyn Store) {
    let mut writer = create(store).await;
    let (id, log) = (writer.id(), writer.log());
    write(&mut *writer, &records(3)).await;
    assert_eq!((log.state(), log.expires()), (State::Open, None));
    writer
        .finish(b"the footer")
        .await
        .expect("a store that can write");
    for log in [log, open(store, id).await] {
        let State::Finished { footer, at } = log.state() else {
            panic!("finish has resolved, and the stream is open");
        };
        assert_eq!(footer, &b"the footer"[..]);
        assert!(log.expires().is_some_and(|expires| expires > at));
        assert_eq!(log.id(), id);
        assert_eq!(log.header().await.expect("a store that can read"), "header");
        assert!(log.created() <= at);
    }
}

async fn headers_of_any_length_come_back(store: &dyn Store) {
    for len in [0, 1, 1024, 1025, 1 << 20] {
        let header: Bytes = (0..len).map(|n| n as u8).collect::<Vec<_>>().into();
        let id = StreamId::random().expect("random numbers");
        let new = NewStream {
            id,
            owner: OWNER,
            created: SystemTime::now(),
            header: header.clone(),
        };
        let writer = store.create(new).await.expect("room");
        let log = writer.log();
        assert_eq!(
            log.header().await.expect("a store that can read"),
            header,
            "{len}"
        );
        writer.finish(b"").await.expect("a store that can write");
        assert_eq!(
            log.header().await.expect("a store that can read"),
            header,
            "{len}"
        );
        store.remove(&id, &OWNER).await.expect("the stream is there");
    }
}

async fn finish_flushes(store: &dyn Store) {
    let mut writer = create(store).await;
    let log = writer.log();
    writer.append(b"unflushed").expect("a short record");
    // The end is handed over by the call: who drops the future only does not hear of it.
    drop(writer.finish(b""));
    assert_eq!(read_all(&*log, 0).await.expect("a whole stream"), [b"unflushed"]);
}

async fn an_id_is_taken_once(store: &dyn Store) {
    let writer = create(store).await;
    let again = || NewStream {
        id: writer.id(),
        owner: OWNER,
        created: writer.log().created(),
        header: "another".into(),
    };
    assert!(matches!(store.create(again()).await, Err(Error::Exists)));
    let log = open(store, writer.id()).await;
    assert_eq!(log.header().await.expect("a store that can read"), "header");
    let again = again();
    writer.finish(b"").await.expect("a store that can write");
    assert!(matches!(store.create(again).await, Err(Error::Exists)));
}

async fn long_records_are_refused(store: &dyn Store) {
    let long = vec![0; MAX_RECORD + 1];
    let too_large = |error: &Error| matches!(error, Error::RecordTooLarge { len, limit } if *len == MAX_RECORD + 1 && *limit == MAX_RECORD);
    let header = NewStream {
        id: StreamId::random().expect("random numbers"),
        owner: OWNER,
        created: std::time::SystemTime::UNIX_EPOCH,
        header: long.clone().into(),
    };
    assert!(store.create(header).await.is_err_and(|error| too_large(&error)));

    let mut writer = create(store).await;
    let log = writer.log();
    assert!(writer.append(&long).is_err_and(|error| too_large(&error)));
    assert_eq!(writer.append(&long[1..]).expect("a record at the limit"), 0);
    writer.flush().await.expect("a store that can write");
    assert!(writer.finish(&long).await.is_err_and(|error| too_large(&error)));
    let mut writer = store.adopt(&log.id()).await.expect("an orphan");
    assert_eq!(writer.append(b"short").expect("a short record"), 1);
    writer.finish(&long[1..]).await.expect("a footer at the limit");
    let lengths: Vec<_> = read_all(&*log, 0)
        .await
        .expect("a whole stream")
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(lengths, [MAX_RECORD, 5]);
}

async fn a_writer_that_never_flushes_is_stopped(store: &dyn Store) {
    let mut writer = create(store).await;
    let mut appended = 0_u64;
    let refused = loop {
        // Records that have nothing in common.
        match writer.append(&vec![appended as u8; 100_000]) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        assert!(appended < 100_000, "ten gigabytes were buffered");
    };
    assert!(matches!(refused, Error::Unflushed { .. }), "{refused:?}");
    let last = writer.append_last(b"the end fits").expect("room for the end");
    assert_eq!(last, appended);
    appended += 1;
    writer.flush().await.expect("a store that can write");
    assert_eq!(writer.append(b"again").expect("a short record"), appended);
    let log = writer.log();
    writer.finish(b"").await.expect("a store that can write");
    assert_eq!(
        read_all(&*log, appended).await.expect("a whole stream"),
        [b"again"]
    );
}

/// In a store that allows 10,000 bytes a stream.
pub(super) async fn too_long(store: &dyn Store) {
    let mut writer = create(store).await;
    let (log, mut written) = (writer.log(), Vec::new());
    let refused = loop {
        let record = vec![written.len() as u8; 1000];
        match writer.append(&record) {
            Ok(_) => written.push(record),
            Err(error) => break error,
        }
        writer.flush().await.expect("a store that can write");
        assert!(written.len() < 100, "a stream of 100,000 bytes");
    };
    assert!(
        matches!(refused, Error::StreamTooLong { limit: 10_000 }),
        "{refused:?}"
    );
    assert!(written.len() > 5);
    says_how_it_ends(&mut *writer, &mut written);
    writer
        .finish(b"too long")
        .await
        .expect("a stream that is full can be finished");
    assert_eq!(read_all(&*log, 0).await.expect("a whole stream"), written);
}

/// The end of a stream that takes no other record any more.
fn says_how_it_ends(writer: &mut dyn Writer, written: &mut Vec<Vec<u8>>) {
    for last in [&b"it is too long"[..], &[b'.'; MAX_LAST - 14]] {
        let seq = writer.append_last(last).expect("room for the end");
        assert_eq!(seq, written.len() as u64);
        written.push(last.to_vec());
    }
    let refused = writer.append_last(b".").expect_err("no room for two ends");
    assert!(
        matches!(refused, Error::RecordTooLarge { len: 1, limit: 0 }),
        "{refused:?}"
    );
    assert_eq!(writer.next_seq(), written.len() as u64);
}

/// Closes the store: the last thing that is done with it.
pub(super) async fn closing(store: &dyn Store) {
    let mut writer = create(store).await;
    writer.append(b"flushed").expect("a short record");
    writer.flush().await.expect("a store that can write");
    store.close().await.expect("a store that can write");
    let log = open(store, writer.id()).await;
    assert_eq!(
        log.next_seq(),
        1,
        "what was flushed is stored when close resolves"
    );
    assert!(matches!(super::try_create(store).await, Err(Error::Closed)));
    writer.append(b"late").expect("a short record");
    assert!(matches!(writer.flush().await, Err(Error::Closed)));
    assert!(matches!(writer.finish(b"").await, Err(Error::Closed)));
    store.close().await.expect("closing twice is closing once");
}
