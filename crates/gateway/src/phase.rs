//! The three phases of a server's life, and how everyone hears of them.

use tokio::sync::watch;

/// Where the server stands. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connections are accepted.
    Serving,
    /// No new requests; those under way go on.
    Draining,
    /// The drain limit has passed: whatever still runs ends now, and says so.
    Ending,
}

/// A view of the phase. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watch(watch::Receiver<Phase>);

/// The server's end of it.
pub(crate) fn channel() -> (watch::Sender<Phase>, Watch) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (sender, Watch(receiver))
}

impl Watch {
    /// Waits until this phase has begun, also if it has already. A server that is gone is in every phase.
    ///
    /// Cancel safe.
    pub(crate) async fn reached(mut self, phase: Phase) {
        // The only error is that the sender is gone.
        let _gone = self.0.wait_for(|now| *now >= phase).await.is_err();
    }
}
