//! An event stream on its way to its client, after hyper has read the request: the response's head, then the events as
//! HTTP chunks, straight from the log to the socket.
//!
//! hyper holds 16 KiB for as long as a connection lives, of which an open stream needs nothing, and passes each event
//! through three layers. So it is let go when a stream begins, and comes back for the next request (see `connection`).
//! What is here is the least of RFC 9112: one head, the chunked coding (§7.1), and that a client hangs up. No request is
//! read here, and no other response is written.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use http::header::{CONNECTION, HeaderMap};
use http::{Method, Response, Version, request};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::patience::Patient;
use crate::stream::Events;

/// Room for the line before a chunk: the digits of any length, and the line's end.
const CHUNK_LINE: usize = 2 * size_of::<usize>() + 2;

/// A buffer that has grown beyond this for a large piece is given back with it.
const MAX_KEPT: usize = 1024;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

const CLOSE: &[u8] = b"connection: close\r\n";
const END_OF_HEAD: &[u8] = b"\r\n";

/// How a response of unknown length has to be written for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// `HEAD`: no body.
    head_only: bool,
    /// HTTP/1.1. A body for HTTP/1.0 ends with its connection (RFC 9112 §6.1).
    chunked: bool,
    keep_alive: bool,
}

/// A response under way.
pub(crate) struct Sending {
    /// Bytes for the socket, of which those before `at` are sent.
    out: Vec<u8>,
    at: usize,
    /// Nothing was written yet.
    is_new: bool,
    /// Where more comes from.
    events: Option<Box<Events>>,
    manner: Manner,
}

impl Manner {
    /// As this request wants it.
    pub(crate) fn of(request: &request::Parts) -> Self {
        let chunked = request.version >= Version::HTTP_11;
        Self {
            head_only: request.method == Method::HEAD,
            chunked,
            keep_alive: chunked && !says_close(&request.headers),
        }
    }
}

impl Sending {
    /// The response that begins with this head.
    pub(crate) fn new(head: &Response<()>, events: Box<Events>, manner: Manner) -> Self {
        let keep_alive = manner.keep_alive && !says_close(head.headers());
        let manner = Manner { keep_alive, ..manner };
        Self {
            out: write_head(head, manner, SystemTime::now()),
            at: 0,
            is_new: true,
            events: Some(events).filter(|_| !manner.head_only),
            manner,
        }
    }

    /// Whether another request may come on the same connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.manner.keep_alive
    }

    /// Lets no other request come after this response. Its head says so: to be told before any of it is written.
    pub(crate) fn close_after(&mut self) {
        if std::mem::replace(&mut self.manner.keep_alive, false) {
            let end = self.out.len() - END_OF_HEAD.len();
            self.out.splice(end..end, CLOSE.iter().copied());
        }
    }

    /// Writes what there is, as far as the socket takes it, and is ready after the last byte.
    ///
    /// # Errors
    /// The client is gone, or has not taken a byte for the time that it is given.
    pub(crate) fn poll<T>(&mut self, cx: &mut Context<'_>, socket: &mut Patient<T>) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        socket.poll_left(cx)?;
        if mem::take(&mut self.is_new) {
            // What there is by now leaves together with the head, which does not wait for more.
            let _more_to_come = self.poll_piece(cx);
        }
        loop {
            while self.at < self.out.len() {
                match ready!(Pin::new(&mut *socket).poll_write(cx, &self.out[self.at..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.at += written,
                }
            }
            self.at = 0;
            match self.out.capacity() {
                0..=MAX_KEPT => self.out.clear(),
                _ => self.out = Vec::new(),
            }
            if self.events.is_none() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_piece(cx));
        }
    }

    /// Appends the next piece of the body, if there is one now.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(events) = &mut self.events else {
            return Poll::Ready(());
        };
        let line = if self.manner.chunked { CHUNK_LINE } else { 0 };
        let start = self.out.len();
        let data = start + line;
        self.out.resize(data, 0);
        if events.poll(cx, &mut self.out).is_pending() {
            self.out.truncate(start);
            return Poll::Pending;
        }
        let is_over = events.is_over();
        if self.manner.chunked {
            self.at = frame(&mut self.out, data, is_over);
        }
        if is_over {
            self.events = None;
        }
        Poll::Ready(())
    }
}

/// Makes a chunk of what begins at `data`, behind as much room as its line may need. Gives where the bytes to be sent begin:
/// what room is left is in front of all. What comes before the data is moved for it, and not the data: a head, or nothing.
fn frame(out: &mut Vec<u8>, data: usize, is_last: bool) -> usize {
    let start = data - CHUNK_LINE;
    let at = match out.len() - data {
        // A chunk without data would be the last one.
        0 => {
            out.truncate(start);
            0
        }
        len => {
            let line = format!("{len:X}\r\n");
            let room = CHUNK_LINE - line.len();
            out.copy_within(..start, room);
            out[start + room..data].copy_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
            room
        }
    };
    if is_last {
        out.extend_from_slice(LAST_CHUNK);
    }
    at
}

/// A client of HTTP/1.0 reads HTTP/1.1 here too: a server names the highest version of its own (RFC 9110 §2.5). What that
/// client would not understand, chunks and a connection that stays, it is not sent. hyper writes the client's version.
fn write_head(head: &Response<()>, manner: Manner, now: SystemTime) -> Vec<u8> {
    let status = head.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    for (name, value) in head.headers() {
        field(name.as_str(), value.as_bytes());
    }
    if manner.chunked {
        field("transfer-encoding", b"chunked");
    }
    field("date", httpdate::fmt_http_date(now).as_bytes());
    if !manner.keep_alive && !says_close(head.headers()) {
        out.extend_from_slice(CLOSE);
    }
    out.extend_from_slice(END_OF_HEAD);
    out
}

/// Whether one side wants the connection closed after this (RFC 9112 §9.6).
fn says_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    let mut options = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    options.any(|option| option.trim().eq_ignore_ascii_case("close"))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use aurora_streamlog::{Memory, NewStream, Owner, Store, StreamId};
    use http::{HeaderValue, Request};
    use tokio::io::ReadBuf;

    use super::*;
    use crate::exchange::Exchange;
    use crate::resume;
    use crate::streams::Visit;
    use crate::streams::live::Attendance;

    fn manner(method: Method, version: Version, connection: &'static str) -> Manner {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.version_mut() = version;
        request
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static(connection));
        Manner::of(&request.into_parts().0)
    }

    #[test]
    fn the_request_decides_how_the_body_is_framed() {
        let of = |head_only, chunked, keep_alive| Manner {
            head_only,
            chunked,
            keep_alive,
        };
        for (method, version, connection, expected) in [
            (Method::POST, Version::HTTP_11, "", of(false, true, true)),
            (Method::GET, Version::HTTP_11, "x, Close", of(false, true, false)),
            (
                Method::GET,
                Version::HTTP_10,
                "keep-alive",
                of(false, false, false),
            ),
            (Method::HEAD, Version::HTTP_11, "", of(true, true, true)),
        ] {
            assert_eq!(manner(method, version, connection), expected, "{connection}");
        }
    }

    #[test]
    fn a_head_is_written_as_it_is_with_what_only_the_connection_knows() {
        let mut head = Response::new(());
        head.headers_mut()
            .insert("x-stream-id", HeaderValue::from_static("abc"));
        let write = |manner| {
            let bytes = write_head(&head, manner, SystemTime::UNIX_EPOCH);
            String::from_utf8(bytes).expect("text")
        };
        assert_eq!(
            write(manner(Method::POST, Version::HTTP_11, "")),
            "HTTP/1.1 200 OK\r\nx-stream-id: abc\r\ntransfer-encoding: chunked\r\n\
             date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
        );
        assert_eq!(
            write(manner(Method::POST, Version::HTTP_10, "")),
            "HTTP/1.1 200 OK\r\nx-stream-id: abc\r\n\
             date: Thu, 01 Jan 1970 00:00:00 GMT\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_piece_becomes_one_chunk_behind_what_is_there() {
        let framed = |data: &[u8], is_last| {
            let mut out = b"head".to_vec();
            out.extend_from_slice(&[0; CHUNK_LINE]);
            let start = out.len();
            out.extend_from_slice(data);
            let at = frame(&mut out, start, is_last);
            String::from_utf8(out.split_off(at)).expect("text")
        };
        assert_eq!(
            framed(b"0123456789abcdef", false),
            "head10\r\n0123456789abcdef\r\n"
        );
        assert_eq!(framed(b"x", true), "head1\r\nx\r\n0\r\n\r\n");
        assert_eq!(framed(b"", true), "head0\r\n\r\n");
    }

    /// Takes everything, and says nothing.
    #[derive(Default)]
    struct Wire(Vec<String>);

    impl AsyncRead for Wire {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_there_leaves_in_one_write_with_its_head() {
        let new = NewStream {
            id: StreamId::from_bytes([7; 16]),
            owner: Owner::ANYONE,
            created: SystemTime::UNIX_EPOCH,
            header: "".into(),
        };
        let mut writer = Memory::default().create(new).await.expect("room");
        let log = writer.log();
        let attendance = Attendance::default();
        let live = resume::live(Visit { log, attendance }, None).expect("a stream without a cursor");
        let exchange = Exchange::begin(&Method::GET, "/");
        let events = Box::new(Events::new(live, exchange, Duration::from_secs(15)));
        let manner = manner(Method::GET, Version::HTTP_11, "");
        let mut sending = Sending::new(&Response::new(()), events, manner);
        for record in ["one", "two"] {
            writer.append(record.as_bytes()).expect("room");
        }
        writer.finish(b"").await.expect("room");
        let mut wire = Patient::new(Wire::default(), Duration::from_secs(60));
        poll_fn(|cx| sending.poll(cx, &mut wire))
            .await
            .expect("all is sent");
        let [written] = &*wire.into_inner().0 else {
            panic!("more than one write")
        };
        let (head, body) = written.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            body.contains("data: one\n\nid: ") && body.ends_with("\r\n0\r\n\r\n"),
            "{body}"
        );
    }
}
