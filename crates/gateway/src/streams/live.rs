//! What a relay and the readers of its stream know of each other: how many readers there are, and that somebody wants
//! the stream to end.
//!
//! Readers come and go without a word to the relay but this; what they read, they read from the log.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;
use tokio::sync::watch;

use crate::BoxFuture;

/// A stream that is being produced in this process.
#[derive(Debug)]
pub(crate) struct Live {
    readers: AtomicUsize,
    visits: AtomicU64,
    cancelled: AtomicBool,
    /// The relay's, woken when one of the two above changes.
    relay: AtomicWaker,
    over: watch::Sender<bool>,
}

/// A reader's presence. The relay hears of it when the last one is dropped.
#[derive(Debug, Default)]
pub(crate) struct Attendance(Option<Arc<Live>>);

impl Live {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            readers: AtomicUsize::new(0),
            visits: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            relay: AtomicWaker::new(),
            over: watch::Sender::new(false),
        })
    }

    /// Counts a reader in.
    pub(crate) fn attend(self: &Arc<Self>) -> Attendance {
        self.visits.fetch_add(1, Ordering::AcqRel);
        self.readers.fetch_add(1, Ordering::AcqRel);
        self.relay.wake();
        Attendance(Some(Arc::clone(self)))
    }

    /// Wakes the relay when a reader comes or goes, or the stream is cancelled.
    pub(crate) fn watch(&self, relay: &Waker) {
        self.relay.register(relay);
    }

    /// Whether anybody reads.
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    /// How many readers have come so far.
    pub(crate) fn visits(&self) -> u64 {
        self.visits.load(Ordering::Acquire)
    }

    /// Waits until nobody reads. For the relay's task, once the relay itself is over. Cancel safe.
    pub(crate) async fn deserted(&self) {
        poll_fn(|cx| {
            self.watch(cx.waker());
            if self.has_readers() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Asks the relay to end the stream.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.relay.wake();
    }

    /// Whether somebody asked for that.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Nobody in this process writes the stream any more: its end is in the log, or could not be put there.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits for that. Cancel safe.
    pub(crate) async fn ended(&self) {
        // The sender is in `self`, so there is no error.
        let _gone = self.over.subscribe().wait_for(|over| *over).await.is_err();
    }
}

impl Attendance {
    /// Waits until the relay is gone; `None` if there is none in this process. Cancel safe.
    pub(crate) fn left_alone(&self) -> Option<BoxFuture<()>> {
        let live = self.0.clone()?;
        Some(Box::pin(async move { live.ended().await }))
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if let Some(live) = &self.0
            && live.readers.fetch_sub(1, Ordering::AcqRel) == 1
        {
            live.relay.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_relay_hears_of_the_last_reader_only() {
        let live = Live::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let (first, second) = (live.attend(), live.attend());
        live.watch(cx.waker());
        drop(first);
        assert!(live.has_readers());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        drop(second);
        assert!(!live.has_readers());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        live.watch(cx.waker());
        live.cancel();
        assert!(live.is_cancelled());
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }
}
