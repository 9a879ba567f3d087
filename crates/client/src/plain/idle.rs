//! Connections that no call uses, kept for the next one.
//!
//! One task looks after all of them, as long as there are any: it closes those that have been idle for too long, and
//! those that their server has closed, which would hold a file for nothing. It ends with what it looks after, and what it
//! looks after ends with it, where its runtime is over.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
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
    /// To one host.
    most: usize,
}

#[derive(Debug, Default)]
struct List {
    /// Those idle for longest first.
    entries: VecDeque<Entry>,
    watch: Watch,
}

/// The task that looks after them.
#[derive(Debug, Default)]
enum Watch {
    #[default]
    None,
    /// It looks at all of them when it runs for the first time.
    Starting,
    Running(Waker),
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

    /// Keeps a connection, unless its server has closed it, or this is outside of a runtime.
    pub(crate) fn leave(&self, host: Arc<str>, mut socket: TcpStream) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut list = self.0.list();
        if let Watch::Running(waker) = &list.watch
            && poll_read(&mut socket, &mut Context::from_waker(waker)).is_ready()
        {
            return;
        }
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
        if matches!(list.watch, Watch::None) {
            list.watch = Watch::Starting;
            let shared = Arc::downgrade(&self.0);
            runtime.spawn(watch(Watching { shared, over: false }));
        }
    }
}

impl Shared {
    fn list(&self) -> MutexGuard<'_, List> {
        // Nothing that is done under this lock can panic half way.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what is over. When the next one will have been idle for too long; ready once there is none.
    fn poll_sweep(&self, cx: &mut Context<'_>) -> Poll<Instant> {
        let mut list = self.list();
        list.watch = Watch::Running(cx.waker().clone());
        let now = Instant::now();
        list.entries
            .retain_mut(|entry| entry.until > now && poll_read(&mut entry.socket, cx).is_pending());
        match list.entries.front() {
            Some(oldest) => Poll::Ready(oldest.until),
            None => {
                list.watch = Watch::None;
                Poll::Pending
            }
        }
    }
}

/// The task's hold on what it watches.
struct Watching {
    shared: Weak<Shared>,
    /// There was nothing left. Another task may have begun since.
    over: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Its runtime is over, and the connections are of no use any more.
        if !self.over
            && let Some(shared) = self.shared.upgrade()
        {
            *shared.list() = List::default();
        }
    }
}

/// Looks after what is idle, until there is nothing.
async fn watch(mut watching: Watching) {
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        loop {
            let Some(shared) = watching.shared.upgrade() else {
                return Poll::Ready(());
            };
            let Poll::Ready(until) = shared.poll_sweep(cx) else {
                watching.over = true;
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
        if let Watch::Running(waker) = &self.list().watch {
            waker.wake_by_ref();
        }
    }
}
