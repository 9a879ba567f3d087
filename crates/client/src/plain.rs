//! HTTP/1.1 without TLS and without a proxy, straight on the socket: the way to model servers in the same house, where a
//! gateway has thousands of streams open.
//!
//! An HTTP library gives each connection a task with buffers of its own and hands bodies over chunk by chunk: 22 KiB a
//! stream that says nothing, and a wake-up between two tasks for each event (bench/README.md, `gateway`). Here whoever
//! waits for the body reads the socket, and between two reads nothing is held. What is left to libraries: finding and
//! reaching the host (happy eyeballs included), and reading heads. `framing` and `head` do no I/O. TLS, HTTP/2 and proxies are the
//! HTTP library's, in `transport`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::connect;
use framing::{Decoded, Framing, FramingError};
use head::{HeadError, Incoming, ResponseHead};
use idle::Idle;
use scratch::Scratch;

mod framing;
mod head;
mod idle;
mod scratch;

/// After how long a silent connection is asked whether it is still there, and how often before it is taken for lost: as
/// the HTTP library does.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;

/// A request's body up to this many bytes is written together with its head.
const SMALL: usize = 16 << 10;

/// The way for one runtime, with its idle connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    connector: HttpConnector,
    idle: Idle,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Option<&'a Bytes>,
}

/// A response whose head has come. Dropping it closes its connection, unless the end of its body is there.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    framing: Framing,
    /// What came together with the head.
    early: Vec<u8>,
    /// What the server has not taken of the request: it began to answer before.
    unsent: Bytes,
    /// `None` once the body is over.
    socket: Option<TcpStream>,
    /// Where the connection is left for the next call, if it may carry one.
    home: Option<(Idle, Arc<str>)>,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum SendError {
    /// No connection stood in time.
    TooLate,
    /// There is no connection.
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// The connection was lost before there was a response.
    Lost(io::Error),
    /// The response's head is larger than is read.
    TooLarge,
    /// What came is no response.
    NotHttp(String),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Lost(io::Error),
    #[error(transparent)]
    Framing(FramingError),
}

impl Plain {
    /// No connections yet; at most `max_idle` to one host are kept while no call uses them.
    pub(crate) fn new(max_idle: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // So that a host that vanished is noticed, and a connection through a NAT is not forgotten, while nothing is said.
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
        connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        connector.set_tcp_user_timeout(Some(2 * KEEPALIVE));
        Self {
            connector,
            idle: Idle::new(max_idle),
        }
    }

    /// Sends a request, and waits for the response's head. A connection has to stand within `connect`.
    pub(crate) async fn send(
        &self,
        request: Request<'_>,
        connect: Option<Duration>,
    ) -> Result<Reply, SendError> {
        let host: Arc<str> = request.uri.authority().map_or("", |host| host.as_str()).into();
        if let Some(socket) = self.idle.take(&host) {
            match self.ask(socket, request, &host).await {
                // It was closed before it was used, and this is nobody's failure.
                Err(Unanswered {
                    error: SendError::Lost(_),
                    silent: true,
                }) => {}
                asked => return asked.map_err(|unanswered| unanswered.error),
            }
        }
        let socket = self.connect(request.uri, connect).await?;
        let asked = self.ask(socket, request, &host).await;
        asked.map_err(|unanswered| unanswered.error)
    }

    async fn ask(
        &self,
        mut socket: TcpStream,
        request: Request<'_>,
        host: &Arc<str>,
    ) -> Result<Reply, Unanswered> {
        let Request {
            method,
            uri,
            headers,
            body,
        } = request;
        let out = head::write_request(method, uri.path(), host, headers, body.map(Bytes::len));
        let body = body.cloned().unwrap_or_default();
        let (head, early, unsent) = exchange(&mut socket, out, body).await?;
        let keep_alive =
            head.keep_alive && unsent.is_empty() && !head::lists(headers, http::header::CONNECTION, "close");
        let ResponseHead {
            status,
            headers,
            framing,
            ..
        } = head;
        Ok(Reply {
            status,
            headers,
            framing,
            early,
            unsent,
            socket: Some(socket),
            home: keep_alive.then(|| (self.idle.clone(), Arc::clone(host))),
        })
    }

    async fn connect(&self, uri: &Uri, within: Option<Duration>) -> Result<TcpStream, SendError> {
        let mut connector = self.connector.clone();
        let connecting = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(uri.clone()).await
        };
        match connect::within(within, connecting).await {
            Some(Ok(socket)) => Ok(socket.into_inner()),
            Some(Err(error)) => Err(SendError::Connect(error.into())),
            None => Err(SendError::TooLate),
        }
    }
}

/// Why a request has no response, and whether the server has said nothing at all.
struct Unanswered {
    error: SendError,
    silent: bool,
}

/// Writes a request, and reads a response's head, which may come before all is written. Gives what came behind it, and
/// what is not written.
async fn exchange(
    socket: &mut TcpStream,
    out: Vec<u8>,
    body: Bytes,
) -> Result<(ResponseHead, Vec<u8>, Bytes), Unanswered> {
    // One write for a request of usual size. A large one is not copied.
    let (mut out, mut body) = match body.len() {
        0..=SMALL => (Bytes::from([&*out, &*body].concat()), Bytes::new()),
        _ => (out.into(), body),
    };
    let mut incoming = Incoming::default();
    let mut unwritten = None;
    let head = poll_fn(|cx| {
        while unwritten.is_none() && !(out.is_empty() && body.is_empty()) {
            let piece = if out.is_empty() { &mut body } else { &mut out };
            match poll_write(socket, cx, piece) {
                Poll::Ready(Ok(())) => {}
                // It may have said why.
                Poll::Ready(Err(error)) => unwritten = Some(error),
                Poll::Pending => break,
            }
        }
        loop {
            let read = match ready!(poll_read(socket, cx)) {
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err(SendError::Lost(unwritten.take().unwrap_or(error)))),
            };
            if read.bytes().is_empty() {
                let end = match incoming.is_empty() {
                    true => "the server closed it without an answer",
                    false => "the server closed it in the middle of the headers",
                };
                let end = io::Error::new(io::ErrorKind::UnexpectedEof, end);
                return Poll::Ready(Err(SendError::Lost(unwritten.take().unwrap_or(end))));
            }
            match incoming.take(read.bytes()) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(HeadError::TooLarge) => return Poll::Ready(Err(SendError::TooLarge)),
                Err(HeadError::NotHttp(reason)) => return Poll::Ready(Err(SendError::NotHttp(reason))),
            }
        }
    });
    match head.await {
        Err(error) => Err(Unanswered {
            error,
            silent: incoming.is_empty(),
        }),
        Ok(mut head) => {
            // Behind a request that was not taken whole, nothing else can be sent. What the server refuses it need not
            // read; otherwise it may be reading and answering at the same time.
            head.keep_alive &= unwritten.is_none();
            let unsent = match unwritten.is_some() || head.status >= 300 {
                true => Bytes::new(),
                false if out.is_empty() => body.clone(),
                false => [&*out, &*body].concat().into(),
            };
            head.keep_alive &= out.is_empty() && body.is_empty();
            Ok((head, incoming.rest(), unsent))
        }
    }
}

/// Writes some of what there is. Ready with an error if nothing more can be written.
fn poll_write(socket: &mut TcpStream, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<io::Result<()>> {
    match ready!(Pin::new(socket).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => {
            bytes.advance(written);
            Poll::Ready(Ok(()))
        }
    }
}

/// Reads what there is; nothing at the end.
fn poll_read(socket: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Scratch>> {
    let mut scratch = Scratch::take();
    let mut room = scratch.read_buf();
    ready!(Pin::new(socket).poll_read(cx, &mut room))?;
    let len = room.filled().len();
    Poll::Ready(Ok(scratch.filled(len)))
}

impl Reply {
    /// The next bytes of the body; `None` at its end. Cancel safe.
    ///
    /// # Errors
    /// The connection was lost before the end, or the body's framing is broken. Nothing comes after it.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Chunk>, BodyError> {
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            let data = self.decode(&mut early)?;
            if !data.is_empty() {
                early.truncate(data.end);
                early.drain(..data.start);
                return Ok(Some(Chunk::Early(early)));
            }
        }
        loop {
            if let Some(error) = self.framing.error() {
                return Err(self.broken(BodyError::Framing(error)));
            }
            if self.framing.is_over() {
                // Of a body without a byte, this is the first look.
                self.release();
                return Ok(None);
            }
            let Some(socket) = &mut self.socket else {
                return Ok(None);
            };
            let unsent = &mut self.unsent;
            let reading = poll_fn(|cx| {
                while !unsent.is_empty() {
                    match poll_write(socket, cx, unsent) {
                        Poll::Ready(Ok(())) => {}
                        // What it still says tells more than that it listens no more.
                        Poll::Ready(Err(_)) => unsent.clear(),
                        Poll::Pending => break,
                    }
                }
                poll_read(socket, cx)
            });
            let mut read = match reading.await {
                Ok(read) => read,
                Err(error) => return Err(self.broken(BodyError::Lost(error))),
            };
            if read.bytes().is_empty() {
                if self.framing.may_close() {
                    self.socket = None;
                    return Ok(None);
                }
                let end = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed it before the end of the response's body",
                );
                return Err(self.broken(BodyError::Lost(end)));
            }
            let data = self.decode(read.bytes_mut())?;
            if !data.is_empty() {
                read.narrow(data);
                return Ok(Some(Chunk::Read(read)));
            }
        }
    }

    fn decode(&mut self, bytes: &mut [u8]) -> Result<std::ops::Range<usize>, BodyError> {
        let all = bytes.len();
        match self.framing.decode(bytes) {
            Ok(Decoded { data, used }) => {
                if used < all {
                    // Whatever it is, it is not for the next call.
                    self.home = None;
                }
                if self.framing.is_over() {
                    self.release();
                }
                Ok(data)
            }
            Err(error) => Err(self.broken(BodyError::Framing(error))),
        }
    }

    fn broken(&mut self, error: BodyError) -> BodyError {
        self.socket = None;
        error
    }

    /// Leaves the connection to the next call.
    fn release(&mut self) {
        if let (Some(socket), Some((idle, host))) = (self.socket.take(), self.home.take()) {
            idle.leave(host, socket);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Whoever has read `[DONE]` looks no further. The end of the body often came with it, or is there by now.
        // Nobody is left to tell of what is broken; the connection closes with this.
        let mut early = std::mem::take(&mut self.early);
        let _broken = self.decode(&mut early).is_err();
        if let (Some(socket), Some(_)) = (&self.socket, &self.home) {
            let mut scratch = Scratch::take();
            if let Ok(len @ 1..) = socket.try_read(scratch.read_buf().initialize_unfilled()) {
                let _broken = self.decode(scratch.filled(len).bytes_mut()).is_err();
            }
        }
    }
}

/// Bytes of a body.
#[derive(Debug)]
pub(crate) enum Chunk {
    Early(Vec<u8>),
    Read(Scratch),
}

impl std::ops::Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Early(bytes) => bytes,
            Self::Read(scratch) => scratch.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
