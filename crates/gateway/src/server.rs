//! The listening socket: accepts connections, counts them, and brings them to an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aurora_streamlog::Store;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::connection::{linger, serve};
use crate::crew::Crew;
use crate::guard::Guard;
use crate::keys::Keyring;
use crate::phase::{self, Phase};
use crate::service::App;
use crate::streams::Streams;
use crate::{Backend, Error, Options, Refusal};

/// How many surplus connections are told that they are, at once; those beyond are just closed.
const POLITE_REFUSALS: usize = 64;

/// How long a surplus connection may take to hear it.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// How long the last error events may take to leave once the drain limit has passed.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long nothing is accepted after the system could not, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that is bound to its address and not yet running.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    phase: watch::Sender<Phase>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Checks the options and takes the address. Answers of `backend` are kept in `store`. Connections wait in the kernel's queue until [`Server::run`].
    ///
    /// # Errors
    /// [`Error::NotLoopback`], [`Error::AddressInUse`], [`Error::Bind`], or [`Error::Option`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub async fn bind(
        options: Options,
        backend: Arc<dyn Backend>,
        store: Arc<dyn Store>,
    ) -> Result<Self, Error> {
        options.check()?;
        let addr = options.listen;
        let bind_error = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => Error::AddressInUse(addr),
            _ => Error::Bind { addr, source },
        };
        let listener = TcpListener::bind(addr).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let (sender, phase) = phase::channel();
        let guard = Guard::new(address, &options.allowed_hosts);
        let streams = Streams::new(store, phase.clone(), options.max_streams);
        let keys = Keyring::new(&options.keys);
        let app = Arc::new(App {
            options,
            backend,
            guard,
            keys,
            streams,
            phase,
        });
        Ok(Self {
            listener,
            address,
            app,
            phase: sender,
        })
    }

    /// The address, with the port that was picked if port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then takes no more connections, lets requests under way go on for
    /// [`Options::drain`], and ends what is left with an error that says so.
    ///
    /// Dropping the future cuts every connection and every stream at once.
    ///
    /// # Errors
    /// [`Error::Threads`]. What goes wrong with one connection stays with it.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Self {
            listener,
            address,
            app,
            phase,
        } = self;
        let crew = Crew::start(app.options.threads).map_err(Error::Threads)?;
        tracing::info!(%address, threads = app.options.threads, "listening");
        let slots = Arc::new(Semaphore::new(app.options.max_connections));
        let refusals = Arc::new(Semaphore::new(POLITE_REFUSALS));
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut keeping_house = std::pin::pin!(app.streams.keep_house());
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = &mut keeping_house => {}
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((socket, _peer)) => admit(socket, &app, &slots, &refusals, crew.least(), &mut connections),
                    Err(error) => pause(&error).await,
                },
            }
        }
        // Before it can be seen from outside: whoever is answered after that is told.
        phase.send_replace(Phase::Draining);
        drop(listener);
        tracing::info!(
            connections = connections.len(),
            streams = app.streams.producing(),
            "stopping"
        );
        let done = async {
            tokio::select! {
                () = join_all(&mut connections) => {}
                // A stream that its relay has left needs an end still, or its readers hold their connections.
                () = &mut keeping_house => {}
            }
            app.streams.quiet().await;
        };
        if tokio::time::timeout(app.options.drain, done).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                streams = app.streams.producing(),
                "the drain limit has passed; ending what is left"
            );
            phase.send_replace(Phase::Ending);
            let done = async {
                app.streams.quiet().await;
                join_all(&mut connections).await;
            };
            if tokio::time::timeout(FAREWELL, done).await.is_err() {
                connections.shutdown().await;
            }
        }
        app.streams.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Gives a connection one of the slots, or tells it that there is none.
fn admit(
    socket: TcpStream,
    app: &Arc<App>,
    slots: &Arc<Semaphore>,
    refusals: &Arc<Semaphore>,
    runtime: &Handle,
    connections: &mut JoinSet<()>,
) {
    // Without it, Nagle's algorithm holds a small event back until the one before is acknowledged.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        let app = Arc::clone(app);
        // A socket belongs to the runtime that waits for it.
        let socket = match socket.into_std() {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "a connection is lost between two threads"),
        };
        let serving = async move {
            match TcpStream::from_std(socket) {
                Ok(socket) => serve(socket, app).await,
                Err(error) => tracing::error!(%error, "a connection cannot be served"),
            }
            drop(slot);
        };
        connections.spawn_on(serving, runtime);
    } else if let Ok(turn) = Arc::clone(refusals).try_acquire_owned() {
        connections.spawn(async move {
            refuse(socket).await;
            drop(turn);
        });
    }
}

/// Answers a connection whose request is not going to be read.
async fn refuse(mut socket: TcpStream) {
    tracing::debug!("the connection limit is reached");
    let mut body = Refusal::busy(Duration::from_secs(1)).body().clone();
    "this server has all the connections it allows; try again later".clone_into(&mut body.message);
    let body = body.to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nx-request-id: {}\r\nconnection: close\r\n\r\n",
        body.len(),
        crate::exchange::random_id("req_"),
    );
    let told = tokio::time::timeout(REFUSAL_TIME, async {
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(&body).await?;
        socket.shutdown().await
    });
    if matches!(told.await, Ok(Ok(()))) {
        linger(&mut socket, REFUSAL_TIME).await;
    }
}

async fn pause(error: &io::Error) {
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::error!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn join_all(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task crashed");
    }
}
