//! Connections that no call uses, kept for the next one.
//!
//! One task looks after all of them, as long as there are any: it closes those that have been idle for too long, and
//! those that their server has closed, which would hold a file for nothing. It ends with what it looks after.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::poll_read;

/// How long an idle connection is kept: as long as the HTTP library keeps one.
const IDLE_TIME: Duration = Duration::from_secs(90);

/// The idle connections of one runtime. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Idle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: Mutex<List>,
    /// The task's.
    waker: AtomicWaker,
    /// To one host.
    most: usize,
}

#[derive(Debug, Default)]
struct List {
    /// Those idle for longest first.
    entries: VecDeque<Entry>,
    is_watched: bool,
}

#[derive(Debug)]
struct Entry {
    host: Arc<str>,
    socket: TcpStream,
    until: Instant,
}

impl Idle {
    /// None yet; at most `most` to one host.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            list: Mutex::default(),
            waker: AtomicWaker::new(),
            most,
        }))
    }

    /// The connection to `host` that was used last, and that its server has not closed since.
    pub(crate) fn take(&self, host: &str) -> Option<TcpStream> {
        loop {
            let socket = {
                let entries = &mut self.0.list().entries;
                let at = entries.iter().rposition(|entry| *entry.host == *host)?;
                entries.remove(at)?.socket
            };
            // Bytes that nobody asked for are as bad as an end.
            let read = socket.try_read(&mut [0]);
            if matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Some(socket);
            }
        }
    }

    /// Keeps a connection.
    ///
    /// # Panics
    /// Outside of the connection's runtime.
    pub(crate) fn leave(&self, host: Arc<str>, socket: TcpStream) {
        let mut list = self.0.list();
        let mut to_host = list
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.host == host);
        if let (Some((oldest, _)), others) = (to_host.next(), to_host.count())
            && others + 1 >= self.0.most
        {
            list.entries.remove(oldest);
        }
        list.entries.push_back(Entry {
            host,
            socket,
            until: Instant::now() + IDLE_TIME,
        });
        if !std::mem::replace(&mut list.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(&self.0)));
        }
        drop(list);
        self.0.waker.wake();
    }
}

impl Shared {
    fn list(&self) -> MutexGuard<'_, List> {
        // Nothing that is done under this lock can panic half way.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what is over. When the next one will have been idle for too long; ready once there is none.
    fn poll_sweep(&self, cx: &mut Context<'_>) -> Poll<Instant> {
        self.waker.register(cx.waker());
        let mut list = self.list();
        let now = Instant::now();
        list.entries
            .retain_mut(|entry| entry.until > now && poll_read(&mut entry.socket, cx).is_pending());
        match list.entries.front() {
            Some(oldest) => Poll::Ready(oldest.until),
            None => {
                list.is_watched = false;
                Poll::Pending
            }
        }
    }
}

/// Looks after what is idle, until there is nothing.
async fn watch(shared: Weak<Shared>) {
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        loop {
            let Some(shared) = shared.upgrade() else {
                return Poll::Ready(());
            };
            let Poll::Ready(until) = shared.poll_sweep(cx) else {
                return Poll::Ready(());
            };
            let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if alarm.deadline() != until {
                alarm.as_mut().reset(until);
            }
            ready!(alarm.as_mut().poll(cx));
        }
    })
    .await;
}

impl Drop for Shared {
    fn drop(&mut self) {
        // So that the task ends too.
        self.waker.wake();
    }
}
