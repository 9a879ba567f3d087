//! The suite of all stores, and what is the memory store's own.

use std::future::poll_fn;

use super::*;
use crate::{Batch, conformance};

fn options(limits: conformance::Limits) -> Options {
    Options {
        keep: limits.keep,
        max_bytes: limits.max_bytes,
        max_stream_bytes: limits.max_stream_bytes,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    conformance::run(async |limits| Arc::new(Memory::new(options(limits))) as Arc<dyn Store>).await;
}

#[tokio::test]
async fn it_conforms_on_one_thread() {
    conformance::run(async |limits| Arc::new(Memory::new(options(limits))) as Arc<dyn Store>).await;
}

async fn create(store: &Memory) -> Box<dyn Writer> {
    let new = NewStream {
        id: StreamId::random().unwrap(),
        owner: Owner::ANYONE,
        created: SystemTime::now(),
        header: b"header"[..].into(),
    };
    store.create(new).await.unwrap()
}

#[tokio::test]
async fn every_byte_is_counted_and_given_back() {
    let store = Memory::default();
    let mut before = 0;
    let mut writers = Vec::new();
    for _ in 0..10 {
        let mut writer = create(&store).await;
        for n in 0..200_u32 {
            writer.append(&n.to_le_bytes()).unwrap();
            writer.flush().await.unwrap();
        }
        let usage = store.usage();
        assert!(usage.bytes > before + 200, "{usage:?}");
        before = usage.bytes;
        writers.push(writer);
    }
    for writer in writers {
        let id = writer.id();
        writer.finish(b"footer").await.unwrap();
        store.remove(&id, &Owner::ANYONE).await.unwrap();
    }
    assert_eq!((store.usage().bytes, store.usage().live_bytes), (0, 0));
}

#[tokio::test]
async fn an_idle_stream_is_small() {
    let store = Memory::default();
    let writer = create(&store).await;
    assert!(store.usage().bytes <= 1024, "{:?}", store.usage());
    drop(writer);
}

#[tokio::test]
async fn a_stream_gives_its_memory_back_when_it_goes_though_a_reader_holds_it() {
    let store = Memory::default();
    let mut writer = create(&store).await;
    let id = writer.id();
    writer.append(&[1; 100_000]).unwrap();
    let mut reader = writer.log().read(0);
    writer.finish(b"").await.unwrap();
    store.remove(&id, &Owner::ANYONE).await.unwrap();
    let mut batch = Batch::new();
    let read = poll_fn(|cx| reader.poll_batch(cx, &mut batch)).await;
    assert!(matches!(read, Err(Error::Unknown)));
}
