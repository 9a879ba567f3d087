//! One connection: HTTP/1.1 by hyper, but for event streams, with a bound on everything a client can make the server hold
//! or wait for.
//!
//! A client that closes its sending half has left, as far as anybody can tell, and so it is taken, by hyper and while an
//! event stream is sent: only who keeps a connection whole gets an answer. A stream's producer is told as for any other
//! reader that leaves, and the stream can be resumed.
//!
//! While an event stream is sent, hyper is not there (see `sending`). What it has read of the next request by then, it gets
//! back afterwards.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::Patient;
use crate::phase::Phase;
use crate::sending::Sending;
use crate::service::{App, Handler};

/// How much hyper keeps of a request's head, and of a whole response that the socket does not take yet.
const BUFFER: usize = 64 * 1024;

/// How long, and for how many bytes, a client that is still sending is listened to after its response.
const LINGER: Duration = Duration::from_secs(3);
const LINGER_BYTES: usize = 256 * 1024 * 1024;

/// Why hyper let go of a connection.
enum Pause {
    /// It is over: by either side's wish, or because it broke.
    Over { is_malformed: bool },
    /// A request is answered with an event stream, which is sent without it.
    Sending(Sending),
}

/// Serves a connection until either side closes it, or the server drains.
pub(crate) async fn serve(socket: TcpStream, app: Arc<App>) {
    let handler = Handler::new(Arc::clone(&app));
    let mut socket = Patient::new(socket, app.options.write_timeout);
    let mut draining = Box::pin(app.phase.clone().reached(Phase::Draining).fuse());
    let is_malformed = loop {
        let pause;
        // In a box, since it is large, and gone while an event stream is sent.
        (socket, pause) = Box::pin(requests(socket, &handler, &mut draining)).await;
        let mut sending = match pause {
            Pause::Over { is_malformed } => break is_malformed,
            Pause::Sending(sending) => sending,
        };
        if let Err(error) = poll_fn(|cx| sending.poll(cx, &mut socket)).await {
            tracing::debug!(%error, "a client left its event stream");
            break false;
        }
        if !sending.keeps_alive() {
            break false;
        }
    };
    if socket.shutdown().await.is_ok() && (is_malformed || handler.left_something_unread()) {
        linger(&mut socket, LINGER).await;
    }
}

/// Lets hyper serve requests until one is answered with an event stream.
async fn requests(
    socket: Patient<TcpStream>,
    handler: &Handler,
    draining: &mut (impl FusedFuture<Output = ()> + Unpin),
) -> (Patient<TcpStream>, Pause) {
    let waiting = socket.waiting();
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(handler.options().header_timeout)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), handler.clone());
    let mut pause = poll_fn(|cx| {
        if !draining.is_terminated() && draining.poll_unpin(cx).is_ready() {
            // Finishes the request under way, if there is one, and takes no other.
            Pin::new(&mut connection).graceful_shutdown();
        }
        let served = connection.poll_without_shutdown(cx);
        // What hyper could not write yet would be lost with it. Today that is an interim response at most: it takes no
        // request before the socket has the responses to those before.
        if !waiting.is_on()
            && let Some(sending) = handler.take_sending()
        {
            return Poll::Ready(Pause::Sending(sending));
        }
        served.map(|served| match served {
            Ok(()) => Pause::Over { is_malformed: false },
            Err(error) => {
                tracing::debug!(%error, "a connection ended early");
                Pause::Over {
                    is_malformed: error.is_parse(),
                }
            }
        })
    })
    .await;
    let parts = connection.into_parts();
    let mut socket = parts.io.into_inner();
    socket.unread(&parts.read_buf);
    // Once more: it may have begun since, on another thread, and before this answer did.
    if let Pause::Sending(sending) = &mut pause
        && (draining.is_terminated() || (&mut *draining).now_or_never().is_some())
    {
        sending.close_after();
    }
    (socket, pause)
}

/// Reads what a client is still sending, and throws it away.
///
/// Closing a socket that has unread bytes resets the connection, and a reset takes back a response that the client
/// has not read yet: it would see a broken pipe instead of the 413 that explains it.
pub(crate) async fn linger(socket: &mut (impl AsyncReadExt + Unpin), time: Duration) {
    // Not part of the future: every connection would carry it along, and few come here.
    let mut buffer = vec![0; 8 * 1024];
    let mut left = LINGER_BYTES;
    let drained = tokio::time::timeout(time, async {
        while left > 0 {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    });
    if drained.await.is_err() {
        tracing::debug!("a client was still sending when its connection was closed");
    }
}
