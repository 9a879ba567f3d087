//! What the tests of the server share: a backend that does what a test tells it, a server on a free port, and a client
//! that sees every byte.
//!
//! The client is no HTTP library on purpose: what is tested is what is on the wire and when.

#![expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_chat::{ChatRequest, Delta, End, FinishReason, Start, Update};
use aurora_client::Passage;
use aurora_gateway::{Backend, BoxFuture, Model, Options, PassageStream, Refusal, Server};
use aurora_streamlog::{Memory, Store, StreamId};
use futures_core::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Longer than anything here takes on the busiest machine; no test waits for it unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer the test gives by hand.
pub struct Job {
    pub request: ChatRequest,
    /// Ends the wait of `Backend::start`.
    pub start: oneshot::Sender<Result<PassageStream, Refusal>>,
}

/// A running answer: updates in, and the news that it was dropped.
pub struct Feed {
    updates: mpsc::Sender<Update>,
}

/// A backend that hands every request to the test.
pub struct Scripted(mpsc::Sender<Job>);

/// A server under test.
pub struct Gateway {
    pub addr: SocketAddr,
    pub jobs: mpsc::Receiver<Job>,
    stop: Option<oneshot::Sender<()>>,
    pub running: JoinHandle<()>,
}

impl Backend for Scripted {
    fn models(&self) -> Vec<Model> {
        let model = |id: &str| Model {
            id: id.to_owned(),
            created: 7,
            owned_by: "test".to_owned(),
        };
        vec![model("plain"), model("org/slashed")]
    }

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        let jobs = self.0.clone();
        Box::pin(async move {
            let (start, started) = oneshot::channel();
            jobs.send(Job { request, start }).await.expect("the test listens");
            started.await.expect("the test starts or refuses every job")
        })
    }
}

impl Job {
    /// Lets the answer run, with nothing said yet.
    pub fn run(self) -> Feed {
        let (updates, receiver) = mpsc::channel(1);
        let stream: PassageStream = Box::pin(Fed(receiver));
        assert!(
            self.start.send(Ok(stream)).is_ok(),
            "the server waits for the start"
        );
        Feed { updates }
    }

    pub fn refuse(self, refusal: Refusal) {
        assert!(
            self.start.send(Err(refusal)).is_ok(),
            "the server waits for the start"
        );
    }
}

impl Feed {
    pub async fn send(&self, update: Update) {
        self.updates.send(update).await.expect("the server listens");
    }

    /// False if the server does not listen any more.
    pub async fn try_send(&self, update: Update) -> bool {
        self.updates.send(update).await.is_ok()
    }

    pub async fn text(&self, text: &str) {
        self.send(Update::Delta(Delta::Text(text.to_owned()))).await;
    }

    pub async fn finish(self) {
        self.send(Update::Delta(Delta::Finish(FinishReason::Stop))).await;
        self.send(Update::End(End::finished(Some(FinishReason::Stop))))
            .await;
    }

    pub async fn start(&self) {
        self.send(Update::Start(Start {
            model: "real".to_owned(),
            ..Start::default()
        }))
        .await;
    }

    /// Waits until the server has dropped the answer.
    pub async fn dropped(&self) {
        soon(self.updates.closed()).await;
    }
}

struct Fed(mpsc::Receiver<Update>);

impl Stream for Fed {
    type Item = Passage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Passage>> {
        self.0.poll_recv(cx).map(|update| update.map(Passage::Update))
    }
}

impl Gateway {
    /// A server on a free port. `options.listen` is replaced.
    pub async fn start(options: Options) -> Self {
        Self::kept(options, Arc::new(Memory::default())).await
    }

    /// A server on a free port whose streams are kept in this store.
    pub async fn kept(options: Options, store: Arc<dyn Store>) -> Self {
        let (sender, jobs) = mpsc::channel(64);
        let (addr, stop, running) = serve_kept(options, Arc::new(Scripted(sender)), store).await;
        Self {
            addr,
            jobs,
            stop: Some(stop),
            running,
        }
    }

    pub async fn job(&mut self) -> Job {
        soon(self.jobs.recv())
            .await
            .expect("the server keeps the backend")
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        let stop = self.stop.take().expect("it is stopped once");
        stop.send(()).expect("the server runs");
    }
}

pub async fn serve(
    options: Options,
    backend: Arc<dyn Backend>,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    serve_kept(options, backend, Arc::new(Memory::default())).await
}

/// A server whose streams are kept in this store.
pub async fn serve_kept(
    options: Options,
    backend: Arc<dyn Backend>,
    store: Arc<dyn Store>,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(Options { listen, ..options }, backend, store)
        .await
        .expect("a free port");
    let addr = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(async move {
        let shutdown = async {
            // A test that ends without stopping the server drops the sender, and the runtime drops the server.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        server.run(shutdown).await.expect("running does not fail");
    });
    (addr, stop, running)
}

/// A connection, and what came over it and was not looked at yet.
pub struct Client {
    pub socket: TcpStream,
    pub seen: Vec<u8>,
}

/// A response that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(addr).await.expect("the server listens"),
            seen: Vec::new(),
        }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket
            .write_all(bytes.as_ref())
            .await
            .expect("the server reads");
    }

    /// A chat request with a right `Host` and a length.
    pub async fn chat(&mut self, body: &str) {
        self.write(request("POST", "/v1/chat/completions", &[], body))
            .await;
    }

    /// Reads until the bytes are there, and returns all up to their end.
    pub async fn until(&mut self, bytes: &str) -> String {
        soon(async {
            loop {
                if let Some(at) = find(&self.seen, bytes.as_bytes()) {
                    let rest = self.seen.split_off(at + bytes.len());
                    let head = std::mem::replace(&mut self.seen, rest);
                    return String::from_utf8(head).expect("text");
                }
                let more = self.more().await;
                assert!(
                    more,
                    "the end came before {bytes:?}: {}",
                    String::from_utf8_lossy(&self.seen)
                );
            }
        })
        .await
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> String {
        soon(async { while self.more().await {} }).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }

    /// One response with a `Content-Length`, or without a body.
    pub async fn answer(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").await;
        let mut answer = Answer::parse(&head);
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().expect("a number"));
        soon(async {
            while self.seen.len() < length {
                assert!(self.more().await, "the body is cut off");
            }
        })
        .await;
        let rest = self.seen.split_off(length);
        answer.body = std::mem::replace(&mut self.seen, rest);
        answer
    }

    /// Everything up to the last chunk of a stream, marks of chunks included. Looks at each byte once, unlike
    /// [`Client::until`].
    pub async fn stream_end(&mut self) -> String {
        let over = |seen: &[u8]| seen.ends_with(b"\r\n0\r\n\r\n") || seen == b"0\r\n\r\n";
        soon(async { while !over(&self.seen) && self.more().await {} }).await;
        String::from_utf8(std::mem::take(&mut self.seen)).expect("text")
    }

    async fn more(&mut self) -> bool {
        // A reset is an end too: some tests are about connections that are cut.
        self.socket.read_buf(&mut self.seen).await.unwrap_or(0) > 0
    }
}

impl Answer {
    pub fn parse(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.parse().expect("a number"),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// A request as bytes.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{head}\r\n{body}")
}

/// A request for an answer.
pub fn prompt(stream: bool) -> String {
    format!(r#"{{"model":"plain","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#)
}

/// The body of a chunked response, without the marks of the chunks.
pub fn unchunked(body: &str) -> String {
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("{size:?} is no chunk's size"));
        whole.push_str(&tail[..size]);
        rest = tail[size..].strip_prefix("\r\n").expect("a chunk ends in CRLF");
        if size == 0 {
            break;
        }
    }
    whole
}

/// A future that is going to be ready; if not, the test fails instead of hanging.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it should have happened by now")
}

/// A stream that has begun: its client has seen the first text.
pub async fn begun(gateway: &mut Gateway, headers: &[&str]) -> (Client, Feed, String) {
    let mut client = gateway.client().await;
    client
        .write(request("POST", "/v1/chat/completions", headers, &prompt(true)))
        .await;
    let feed = gateway.job().await.run();
    feed.text("first").await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200);
    let id = head
        .header("x-stream-id")
        .expect("the stream has a name")
        .to_owned();
    client.until("first").await;
    client.until("\n\n\r\n").await;
    (client, feed, id)
}

/// The response to a GET.
pub async fn get(gateway: &Gateway, path: &str, headers: &[&str]) -> Answer {
    let mut client = gateway.client().await;
    client.write(request("GET", path, headers, "")).await;
    client.answer().await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A folder that goes with the test.
pub struct Folder(std::path::PathBuf);

impl Folder {
    pub fn new() -> Self {
        let id = StreamId::random().expect("random numbers");
        Self(std::env::temp_dir().join(format!("aurora-gateway-{id}")))
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
