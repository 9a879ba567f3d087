//! A store that fails while it is used: every reader is told, nobody waits for ever, and nothing incomplete looks whole.

mod support;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_chat::{Delta, End, FinishReason, Update};
use aurora_client::Passage;
use aurora_gateway::Options;
use aurora_streamlog::{
    Begun, Disk, DiskOptions, Error, Fsync, Log, Memory, MemoryOptions, NewStream, Owner, Store, StreamId,
    Usage, Writer,
};
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use support::{Answer, Client, Folder, Gateway, begun, get, prompt, request, soon, unchunked};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

/// What fails from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// The writer panics.
    Panic,
    /// What is appended cannot be stored.
    Flush,
    /// The end cannot be stored.
    Finish,
}

/// A store that works until it is told not to.
#[derive(Clone, Debug)]
struct Faulty {
    inner: Arc<dyn Store>,
    fault: Arc<Mutex<Fault>>,
    /// Orphans that cannot be adopted.
    lost: Arc<Mutex<HashSet<StreamId>>>,
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn Writer>,
    fault: Arc<Mutex<Fault>>,
}

impl Faulty {
    fn new(inner: impl Store + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            fault: Arc::new(Mutex::new(Fault::None)),
            lost: Arc::default(),
        }
    }

    fn fail(&self, fault: Fault) {
        *locked(&self.fault) = fault;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn disk_full() -> Error {
    Error::Io {
        doing: "write to the log",
        source: Arc::new(io::ErrorKind::StorageFull.into()),
    }
}

impl Store for Faulty {
    fn begin(&self, new: NewStream) -> BoxFuture<'_, Result<Begun, Error>> {
        Box::pin(async move {
            let Begun { writer, stored } = self.inner.begin(new).await?;
            let fault = Arc::clone(&self.fault);
            let writer = Box::new(FaultyWriter { inner: writer, fault });
            Ok(Begun { writer, stored })
        })
    }

    fn open<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<Arc<dyn Log>, Error>> {
        self.inner.open(id, owner)
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<StreamId>, Error>> {
        self.inner.orphans()
    }

    fn adopt<'a>(&'a self, id: &'a StreamId) -> BoxFuture<'a, Result<Box<dyn Writer>, Error>> {
        if locked(&self.lost).contains(id) {
            return Box::pin(std::future::ready(Err(disk_full())));
        }
        self.inner.adopt(id)
    }

    fn remove<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.remove(id, owner)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn sweep(&self) {
        self.inner.sweep();
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}

impl Writer for FaultyWriter {
    fn id(&self) -> StreamId {
        self.inner.id()
    }

    fn next_seq(&self) -> u64 {
        self.inner.next_seq()
    }

    fn log(&self) -> Arc<dyn Log> {
        self.inner.log()
    }

    fn append(&mut self, record: &[u8]) -> Result<u64, Error> {
        self.inner.append(record)
    }

    fn append_last(&mut self, record: &[u8]) -> Result<u64, Error> {
        self.inner.append_last(record)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let fault = *locked(&self.fault);
        match fault {
            Fault::Panic => panic!("a bug in the store"),
            Fault::Flush => Poll::Ready(Err(disk_full())),
            Fault::None | Fault::Finish => self.inner.poll_flush(cx),
        }
    }

    fn discard(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        self.inner.discard()
    }

    fn finish(self: Box<Self>, footer: &[u8]) -> BoxFuture<'static, Result<(), Error>> {
        if *locked(&self.fault) == Fault::None {
            self.inner.finish(footer)
        } else {
            Box::pin(std::future::ready(Err(disk_full())))
        }
    }
}

/// Everything that a stream has for a reader who comes now.
async fn replay(gateway: &Gateway, id: &str) -> String {
    let mut client = gateway.client().await;
    client
        .write(request("GET", &format!("/v1/streams/{id}"), &[], ""))
        .await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200, "{head:?}");
    unchunked(&client.stream_end().await)
}

async fn verdict(gateway: &Gateway, id: &str) -> serde_json::Value {
    let path = format!("/v1/streams/{id}");
    let answer = get(gateway, &path, &["accept: application/json"]).await;
    answer.json()["verdict"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_kept_is_ended_for_its_readers_as_for_all_others() {
    for fault in [Fault::Panic, Fault::Flush, Fault::Finish] {
        let store = Faulty::new(Memory::default());
        let mut gateway = Gateway::kept(Options::default(), Arc::new(store.clone())).await;
        let (mut client, feed, id) = begun(&mut gateway, &[]).await;
        store.fail(fault);
        feed.text("never kept").await;
        if fault == Fault::Finish {
            feed.finish().await;
        } else {
            feed.dropped().await;
        }
        // The end has its place: it is the one that all later readers are given.
        let rest = unchunked(&client.stream_end().await);
        let all = replay(&gateway, &id).await;
        assert!(all.contains("first") && all.ends_with(&rest), "{fault:?}: {all}");
        assert!(!all.contains("[DONE]"), "{fault:?}: {all}");
        let end = all.trim_end().rsplit("\n\n").next().expect("events");
        assert!(end.starts_with(&format!("id: {id}.")), "{fault:?}: {end}");
        assert!(end.contains(r#""type":"stream_interrupted""#), "{fault:?}: {end}");
        assert_eq!(verdict(&gateway, &id).await, "interrupted");
        assert_eq!(store.usage().live, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_ended_does_not_keep_others_from_their_end() {
    let store = Faulty::new(Memory::default());
    let mut gateway = Gateway::kept(Options::default(), Arc::new(store.clone())).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (_client, feed, id) = begun(&mut gateway, &[]).await;
        store.fail(Fault::Flush);
        feed.text("never kept").await;
        feed.dropped().await;
        store.fail(Fault::None);
        ids.push(id);
    }
    ids.sort_by_key(|id| id.parse::<StreamId>().expect("an id").to_bytes());
    locked(&store.lost).insert(ids[0].parse().expect("an id"));
    for id in &ids[1..] {
        soon(replay(&gateway, id)).await;
    }
    assert_eq!(verdict(&gateway, &ids[0]).await, serde_json::Value::Null);
    locked(&store.lost).clear();
    soon(replay(&gateway, &ids[0])).await;
    assert_eq!(verdict(&gateway, &ids[0]).await, "interrupted");
}

#[tokio::test]
async fn a_stream_that_is_too_long_says_so_in_its_place() {
    let store = Memory::new(MemoryOptions {
        max_stream_bytes: 2000,
        ..MemoryOptions::default()
    });
    let mut gateway = Gateway::kept(Options::default(), Arc::new(store)).await;
    let (mut client, feed, id) = begun(&mut gateway, &[]).await;
    let mut sent = 0;
    while sent < 100 && feed.try_send(Update::Delta(Delta::Text(noise(sent, 300)))).await {
        sent += 1;
    }
    assert!((6..20).contains(&sent), "{sent}");
    let rest = unchunked(&client.stream_end().await);
    let end = rest.trim_end().rsplit("\n\n").next().expect("events");
    assert!(end.starts_with(&format!("id: {id}.")), "{end}");
    assert!(
        end.contains(r#"{"error":"#) && end.contains("limit of 2000 bytes"),
        "{end}"
    );
    assert!(!rest.contains("[DONE]"), "{rest}");
    assert!(replay(&gateway, &id).await.ends_with(&rest));
    assert_eq!(verdict(&gateway, &id).await, "failed");
}

#[tokio::test]
async fn much_that_comes_at_once_is_handed_over_in_time() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let job = gateway.job().await;
    // Four times what a writer buffers, of which nothing repeats.
    let deltas = (0..64).map(|n| Update::Delta(Delta::Text(noise(n, 64 << 10))));
    let updates = deltas.chain([
        Update::Delta(Delta::Finish(FinishReason::Stop)),
        Update::End(End::finished(Some(FinishReason::Stop))),
    ]);
    let source = stream::iter(updates.collect::<Vec<_>>()).map(Passage::Update);
    assert!(job.start.send(Ok(Box::pin(source))).is_ok());
    client.until("\r\n\r\n").await;
    let body = unchunked(&client.stream_end().await);
    assert!(
        body.ends_with("data: [DONE]\n\n"),
        "{}",
        &body[body.len() - 300..]
    );
    assert!((0..64).all(|n| body.contains(&noise(n, 64 << 10))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_behind_gets_all_that_is_kept_of_a_stream_without_end() {
    let folder = Folder::new();
    // Without a tail in memory, every block is loaded, which takes a moment.
    let options = DiskOptions {
        fsync: Fsync::None,
        cache_bytes: 0,
        ..DiskOptions::default()
    };
    let store = Faulty::new(Disk::open(folder.path(), options).expect("a new folder"));
    let mut gateway = Gateway::kept(Options::default(), Arc::new(store.clone())).await;
    let (_first, feed, id) = begun(&mut gateway, &[]).await;
    locked(&store.lost).insert(id.parse().expect("an id"));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a small window");
    let mut client = Client {
        socket: socket.connect(gateway.addr).await.expect("the server listens"),
        seen: Vec::new(),
    };
    client
        .write(request("GET", &format!("/v1/streams/{id}"), &[], ""))
        .await;
    client.until("\r\n\r\n").await;
    // Twice more than the sockets hold; the client does not read meanwhile.
    let texts = 200;
    for n in 0..texts {
        feed.text(&noise(n, 64 << 10)).await;
    }
    let path = format!("/v1/streams/{id}");
    soon(async {
        while get(&gateway, &path, &["accept: application/json"]).await.json()["events"] != texts + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    store.fail(Fault::Flush);
    feed.text("never kept").await;
    feed.dropped().await;
    // The reader learns that the stream is given up, and takes longer for the rest than an end is waited for. Nobody can
    // give the stream one, so this reader's is of its own.
    while client.seen.len() < 6 << 20 {
        let read = client.socket.read_buf(&mut client.seen).await;
        assert!(read.expect("bytes") > 0);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let rest = unchunked(&client.stream_end().await);
    assert!((0..texts).all(|n| rest.contains(&noise(n, 64 << 10))));
    assert!(
        rest.contains(r#""type":"stream_interrupted""#) && !rest.contains("[DONE]"),
        "{}",
        &rest[rest.len() - 300..]
    );
}

/// Letters that have nothing in common with those of another number.
fn noise(number: usize, len: usize) -> String {
    let mut state = number as u64 + 1;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + (state >> 59) as u8 % 26)
    });
    letters.take(len).collect()
}
