//! A socket whose other end may be slow, but not for ever, and may be handed on between two requests.
//!
//! hyper bounds how long a client takes for its headers; nothing bounds how long it leaves a response unread. A client
//! that stalls would keep a source, a connection and their buffers until the kernel gives up, which may be never.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Passes everything through to `T` and fails a write that makes no progress for `timeout`.
#[derive(Debug)]
pub(crate) struct Patient<T> {
    inner: T,
    timeout: Duration,
    /// Made by the first write that has to wait; most connections never do.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: Waiting,
    /// What was read and belongs to a later request: it is read again.
    ahead: Bytes,
}

/// Whether a [`Patient`]'s last write has to wait for the client, seen from outside of whoever holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// Whether bytes are held back because the socket does not take them.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Gives what it was before.
    fn set(&self, waiting: bool) -> bool {
        self.0.swap(waiting, Ordering::Relaxed)
    }
}

impl<T> Patient<T> {
    pub(crate) fn new(inner: T, timeout: Duration) -> Self {
        Self {
            inner,
            timeout,
            deadline: None,
            waiting: Waiting::default(),
            ahead: Bytes::new(),
        }
    }

    /// What it wraps.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }

    /// Whether it waits, now and later.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Takes back what was read and not used. It comes before what the socket gives.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        // Copied, and not held: what hyper gives back is a slice of its buffer, an empty one too.
        if !bytes.is_empty() {
            self.ahead = [bytes, &*self.ahead].concat().into();
        }
    }

    fn bound<R>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if progress.is_ready() {
            self.waiting.set(false);
            return progress;
        }
        let until = Instant::now() + self.timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.waiting.set(true) {
            deadline.as_mut().reset(until);
        }
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client took no byte for {:?}", self.timeout),
        )))
    }
}

impl<T: AsyncRead + Unpin> Patient<T> {
    /// Looks whether the client has hung up, and wakes the task when it does. What it sends meanwhile is kept for later,
    /// and then it is not looked any further.
    ///
    /// # Errors
    /// It has, or the connection broke.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.ahead.is_empty() {
            return Ok(());
        }
        let mut bytes = [MaybeUninit::uninit(); 512];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(read) => {
                self.ahead = Bytes::copy_from_slice(buffer.filled());
                read
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.bound(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.bound(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_flush(cx);
        self.bound(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.bound(cx, progress)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_is_given_up() {
        let (near, _far) = duplex(8);
        let mut near = Patient::new(near, TIMEOUT);
        let started = Instant::now();
        let error = near.write_all(&[0; 9]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for() {
        let (near, mut far) = duplex(8);
        let mut near = Patient::new(near, TIMEOUT);
        let reader = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(TIMEOUT - Duration::from_secs(1)).await;
                far.read_exact(&mut [0; 8]).await.expect("bytes come");
            }
        });
        near.write_all(&[0; 80])
            .await
            .expect("the reader is slow, not gone");
        reader.await.expect("the reader ends");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_too_early_is_read_again_in_order() {
        let (near, mut far) = duplex(64);
        let mut near = Patient::new(near, TIMEOUT);
        far.write_all(b"cd").await.expect("there is room");
        poll_fn(|cx| Poll::Ready(near.poll_left(cx)))
            .await
            .expect("bytes are no end");
        far.write_all(b"e").await.expect("there is room");
        drop(far);
        poll_fn(|cx| Poll::Ready(near.poll_left(cx)))
            .await
            .expect("not looked while something is kept");
        near.unread(b"ab");
        let mut all = String::new();
        near.read_to_string(&mut all).await.expect("text");
        assert_eq!(all, "abcde");
        let left = poll_fn(|cx| Poll::Ready(near.poll_left(cx))).await;
        assert_eq!(
            left.map_err(|error| error.kind()),
            Err(io::ErrorKind::UnexpectedEof)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whether_it_waits_is_seen_from_outside() {
        let (near, mut far) = duplex(4);
        let mut near = Patient::new(near, TIMEOUT);
        let waiting = near.waiting();
        near.write_all(b"full").await.expect("there is room");
        assert!(!waiting.is_on());
        let write = |near: &mut Patient<_>| {
            let mut cx = Context::from_waker(Waker::noop());
            Pin::new(near).poll_write(&mut cx, b"!").is_ready()
        };
        assert!(!write(&mut near));
        assert!(waiting.is_on());
        far.read_exact(&mut [0; 4]).await.expect("four bytes");
        assert!(write(&mut near));
        assert!(!waiting.is_on());
    }
}
