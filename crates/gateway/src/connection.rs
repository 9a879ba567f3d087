//! One connection: HTTP/1.1 by hyper, with a bound on everything a client can make the server hold or wait for.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::Patient;
use crate::phase::Phase;
use crate::service::{App, Handler};

/// How much hyper keeps of a request's head, and of a response that the socket does not take yet.
const BUFFER: usize = 64 * 1024;

/// How long, and for how many bytes, a client that is still sending is listened to after its response.
const LINGER: Duration = Duration::from_secs(3);
const LINGER_BYTES: usize = 256 * 1024 * 1024;

/// Serves a connection until either side closes it, or the server drains.
pub(crate) async fn serve(socket: TcpStream, app: Arc<App>) {
    let handler = Handler::new(Arc::clone(&app));
    let io = TokioIo::new(Patient::new(socket, app.options.write_timeout));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.options.header_timeout)
        .max_buf_size(BUFFER)
        .serve_connection(io, handler.clone());

    let mut draining = pin!(app.phase.clone().reached(Phase::Draining));
    let mut is_draining = false;
    let served = poll_fn(|cx| {
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            // Finishes the request under way, if there is one, and takes no other.
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;

    let malformed = match served {
        Ok(()) => false,
        Err(error) => {
            tracing::debug!(%error, "a connection ended early");
            error.is_parse()
        }
    };
    let mut socket = connection.into_parts().io.into_inner();
    if socket.shutdown().await.is_ok() && (malformed || handler.left_something_unread()) {
        linger(&mut socket, LINGER).await;
    }
}

/// Reads what a client is still sending, and throws it away.
///
/// Closing a socket that has unread bytes resets the connection, and a reset takes back a response that the client
/// has not read yet: it would see a broken pipe instead of the 413 that explains it.
pub(crate) async fn linger(socket: &mut (impl AsyncReadExt + Unpin), time: Duration) {
    let mut buffer = [0; 8 * 1024];
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
