//! The streams of this server: begun by requests, produced by relays, kept in a store, read by whoever may.
//!
//! Every answer goes this way, whole ones too: source, relay, log, readers. So a client may come, go, come back, or be
//! three browser tabs, and what it gets is the same bytes under the same ids. Who owns a stream is the store's to check;
//! this module never looks a stream up without an owner, but to bring those to an end that their server left behind.

pub(crate) mod collected;
pub(crate) mod follow;
pub(crate) mod footer;
pub(crate) mod live;
mod orphan;
pub(crate) mod records;
pub(crate) mod relay;
pub(crate) mod title;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aurora_streamlog::{Begun, Error, Log, NewStream, Owner, State, Store, StreamId};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::Refusal;
use crate::keys::Permit;
use crate::phase::{Phase, Watch};
use crate::source::Source;
use footer::Footer;
use live::{Attendance, Live};
use records::Records;
use relay::{Absence, Relay};
use title::Title;

/// How often the store lets go of what has expired, and streams without a server are looked for.
const SWEEP: Duration = Duration::from_secs(2);

/// How long a reader waits for the end of a stream whose relay is gone without leaving one: the next look for streams
/// without a server gives it one, if the store takes it.
const ORPHAN_TIME: Duration = Duration::from_secs(5);

/// How long a reader waits for the end of a stream that had no relay when it came. After a start there may be many of them,
/// which are ended one after the other; what cannot be ended at all is not waited for.
const ADOPTION_TIME: Duration = Duration::from_secs(30);

/// How long the end of a stream that was cancelled is waited for.
const CANCEL_TIME: Duration = Duration::from_secs(5);

/// All streams.
pub(crate) struct Streams {
    store: Arc<dyn Store>,
    live: Arc<Mutex<HashMap<StreamId, Arc<Live>>>>,
    relays: TaskTracker,
    phase: Watch,
    /// One for each stream that may be produced at a time.
    places: Arc<Semaphore>,
    max_live: usize,
}

/// A stream and somebody's presence at it.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) attendance: Attendance,
}

/// A stream's place among those that are produced. It is left however the relay ends, by a panic too: readers shall not
/// wait for what nobody writes, and what has a place is never ended as an orphan.
struct Registered {
    id: StreamId,
    live: Arc<Live>,
    registry: Arc<Mutex<HashMap<StreamId, Arc<Live>>>>,
    _place: OwnedSemaphorePermit,
    _permit: Permit,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.registry).remove(&self.id);
        self.live.end();
    }
}

/// On which terms a stream is produced.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) owner: Owner,
    pub(crate) absence: Absence,
    /// Given back when the stream has ended.
    pub(crate) permit: Permit,
    /// Whether the stream can be read later. If not, it goes when it has ended and nobody reads it any more.
    pub(crate) keep: bool,
}

impl Streams {
    pub(crate) fn new(store: Arc<dyn Store>, phase: Watch, max_live: usize) -> Self {
        Self {
            store,
            live: Arc::default(),
            relays: TaskTracker::new(),
            phase,
            places: Arc::new(Semaphore::new(max_live.min(Semaphore::MAX_PERMITS))),
            max_live,
        }
    }

    /// Begins a stream: from here on its source is read whether anybody listens or not, within `terms`. The stream is stored
    /// when this returns, and what its source has said by then is at least on its way there.
    pub(crate) async fn begin(
        &self,
        id: StreamId,
        source: Source,
        mut title: Title,
        terms: Terms,
    ) -> Result<Visit, Refusal> {
        let Terms {
            owner,
            absence,
            permit,
            keep,
        } = terms;
        let places = Arc::clone(&self.places).try_acquire_owned();
        let place = places.map_err(|_| too_many(self.max_live))?;
        let new = NewStream {
            id,
            owner,
            created: SystemTime::now(),
            header: title.header().into(),
        };
        // It is in the header, and nobody needs it while the answer is made.
        title.conversation = None;
        let begun = self.store.begin(new).await.map_err(|error| refusal(&error))?;
        let Begun { writer, stored } = begun;
        let log = writer.log();
        let live = Live::new();
        let attendance = live.attend();
        self.live().insert(id, Arc::clone(&live));
        let ending = Box::pin(self.phase.clone().reached(Phase::Ending));
        let relay = Relay::new(
            source,
            Records::new(title),
            writer,
            Arc::clone(&live),
            absence,
            ending,
        );
        let unkept = (!keep).then(|| {
            let (live, store) = (Arc::clone(&live), Arc::clone(&self.store));
            forget(live, store, id, owner, self.phase.clone())
        });
        let registered = Registered {
            id,
            live,
            registry: Arc::clone(&self.live),
            _place: place,
            _permit: permit,
        };
        let producing = async move {
            relay.await;
            drop(registered);
            if let Some(unkept) = unkept {
                unkept.await;
            }
        };
        let mut producing = Box::pin(producing.instrument(tracing::info_span!("stream", %id)));
        // What its source has said by now goes to the store together with its beginning, and to the reader with the response's
        // head. Of an answer that came at once, nothing is left for a task to do.
        if (&mut producing).now_or_never().is_none() {
            self.relays.spawn(producing);
        }
        stored.await.map_err(|error| refusal(&error))?;
        Ok(Visit { log, attendance })
    }

    /// Comes to a stream that exists.
    pub(crate) async fn visit(&self, id: &StreamId, owner: &Owner) -> Result<Visit, Refusal> {
        let log = self.look(id, owner).await?;
        let attendance = self.live().get(id).map(Live::attend).unwrap_or_default();
        Ok(Visit { log, attendance })
    }

    /// Looks at a stream without being counted as its reader.
    pub(crate) async fn look(&self, id: &StreamId, owner: &Owner) -> Result<Arc<dyn Log>, Refusal> {
        self.store.open(id, owner).await.map_err(|error| refusal(&error))
    }

    /// Ends a stream that is still produced, and waits for its end; changes nothing about one that has ended.
    pub(crate) async fn cancel(&self, id: &StreamId, owner: &Owner) -> Result<Arc<dyn Log>, Refusal> {
        let log = self.look(id, owner).await?;
        let live = self.live().get(id).cloned();
        if let Some(live) = live {
            live.cancel();
            if tokio::time::timeout(CANCEL_TIME, live.ended()).await.is_err() {
                tracing::warn!(%id, "a cancelled stream is slow to end");
            }
        }
        Ok(log)
    }

    /// Ends a stream if it is still produced, and forgets it.
    pub(crate) async fn remove(&self, id: &StreamId, owner: &Owner) -> Result<(), Refusal> {
        self.cancel(id, owner).await?;
        self.store
            .remove(id, owner)
            .await
            .map_err(|error| refusal(&error))
    }

    /// Keeps house until dropped: expires what is over, and ends streams whose server died.
    pub(crate) async fn keep_house(&self) {
        let mut every = tokio::time::interval(SWEEP);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.store.sweep();
            if let Err(error) = self.end_orphans().await {
                tracing::warn!(%error, "streams without a server cannot be found");
            }
        }
    }

    /// Brings streams to an honest end whose relay is gone: because this server was killed, or could not write.
    async fn end_orphans(&self) -> Result<(), Error> {
        for id in self.store.orphans().await? {
            // Its relay may be about to report; what it left is found the next time.
            if self.live().contains_key(&id) {
                continue;
            }
            let ended = match self.store.adopt(&id).await {
                Ok(writer) => orphan::end(writer).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(Some(end)) => {
                    tracing::info!(%id, verdict = end.verdict.as_str(), "a stream that was left open is ended");
                }
                Ok(None) => {
                    tracing::info!(%id, "a stream that was left open and is not to be kept is removed")
                }
                Err(Error::NotOrphaned | Error::Unknown) => {}
                // The next one may be better off; this one is tried again the next time.
                Err(error) => tracing::warn!(%id, %error, "a stream without a server cannot be ended"),
            }
        }
        Ok(())
    }

    /// How many streams are being produced.
    pub(crate) fn producing(&self) -> usize {
        self.relays.len()
    }

    /// Waits until no stream is produced any more. Cancel safe.
    pub(crate) async fn quiet(&self) {
        self.relays.close();
        self.relays.wait().await;
    }

    /// Stores what is left, and takes nothing more.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "not everything could be stored");
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, Arc<Live>>> {
        lock(&self.live)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that is done under this lock can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets a stream once nobody reads it any more.
async fn forget(live: Arc<Live>, store: Arc<dyn Store>, id: StreamId, owner: Owner, phase: Watch) {
    tokio::select! {
        () = live.deserted() => {}
        () = phase.reached(Phase::Ending) => {}
    }
    if let Err(error) = store.remove(&id, &owner).await {
        tracing::warn!(%error, "a stream that is not to be kept is still there");
    }
}

/// How a stream ended; `None` as long as it is open.
pub(crate) fn ended(log: &dyn Log) -> Option<Footer> {
    match log.state() {
        State::Open => None,
        State::Finished { footer, .. } => Some(Footer::read(&footer).unwrap_or_default()),
    }
}

/// What the answer of a stream is called.
pub(crate) async fn title(log: &dyn Log) -> Result<Title, Refusal> {
    let header = log.header().await.map_err(|error| refusal(&error))?;
    Ok(Title::read(&header))
}

fn too_many(limit: usize) -> Refusal {
    let mut body = aurora_chat::dialect::openai::ErrorBody::new(
        "server_error",
        format!("{limit} answers are being produced, as many as this server allows; try again later"),
    );
    body.code = Some("busy".to_owned());
    Refusal::new(503, body).retry_after(Duration::from_secs(1))
}

/// What a client is told when the store cannot do what it asked for.
pub(crate) fn refusal(error: &Error) -> Refusal {
    let of = |status, code: &str, message: String| Refusal::invalid(status, message, None, Some(code));
    match error {
        Error::Unknown => of(404, "stream_not_found", "there is no such stream".to_owned()),
        Error::Expired => of(410, "stream_expired", "the stream is no longer kept".to_owned()),
        Error::Full { retry_after } => Refusal::full().retry_after(*retry_after),
        Error::Closed => Refusal::stopping(),
        error if error.is_retryable() => {
            tracing::error!(%error, "the store of streams has failed");
            Refusal::unkept()
        }
        error => {
            tracing::error!(%error, "the store of streams has failed");
            Refusal::internal("the store of streams has failed; the server's log has more")
        }
    }
}
