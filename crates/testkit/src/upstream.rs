//! An HTTP/1.1 server that plays a [`Script`]: it records each request, answers it step by step, and notes when the
//! peer has left.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};

use crate::{
    Reply, Request, Script,
    reply::{Ending, Framing, Step},
    server::Server,
};

/// How long a reset waits after the last write.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// A running scripted upstream.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    log: Arc<Log>,
}

/// What has happened so far.
#[derive(Debug)]
struct Log {
    exchanges: Mutex<Vec<Exchange>>,
    connections: AtomicUsize,
    bytes_written: AtomicUsize,
    /// Raised on every change, for those who wait.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Exchange {
    request: Request,
    left: bool,
}

impl Upstream {
    /// Starts to listen on a free port of 127.0.0.1.
    #[must_use]
    pub fn start(script: impl Into<Script>) -> Self {
        let script = script.into();
        let log = Arc::new(Log {
            connections: AtomicUsize::new(0),
            bytes_written: AtomicUsize::new(0),
            exchanges: Mutex::default(),
            changed: watch::channel(()).0,
        });
        let shared = Arc::clone(&log);
        let server = Server::start(move |socket| {
            let (script, log) = (script.clone(), Arc::clone(&shared));
            async move { serve(socket, &script, &log).await }
        });
        Self { server, log }
    }

    /// The base URL, version part included: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The requests so far, in the order in which they were complete.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.log.with(|exchanges| {
            exchanges
                .iter()
                .map(|exchange| exchange.request.clone())
                .collect()
        })
    }

    /// How many connections have been made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::Relaxed)
    }

    /// How many bytes of bodies, less their framing, the system has taken from us so far: what the peer does not read
    /// soon stops here.
    #[must_use]
    pub fn bytes_written(&self) -> usize {
        self.log.bytes_written.load(Ordering::Relaxed)
    }

    /// Waits until the peer has closed the connection that carried request `n`, counted from 0.
    pub async fn left(&self, n: usize) {
        let mut changed = self.log.changed.subscribe();
        while !self.has_left(n) {
            // The sender lives in `self`, so this cannot fail.
            let _ = changed.changed().await;
        }
    }

    /// As [`left`](Self::left), blocking, for at most this long; false if the peer is still there. Not
    /// for async tests: a client that runs on the blocked thread could not close anything.
    #[must_use]
    pub fn left_within(&self, n: usize, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        while !self.has_left(n) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    fn has_left(&self, n: usize) -> bool {
        self.log
            .with(|exchanges| exchanges.get(n).is_some_and(|exchange| exchange.left))
    }
}

impl Log {
    fn with<T>(&self, read: impl FnOnce(&mut Vec<Exchange>) -> T) -> T {
        read(&mut self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, request: Request) -> usize {
        let n = self.with(|exchanges| {
            exchanges.push(Exchange { request, left: false });
            exchanges.len() - 1
        });
        self.changed.send_replace(());
        n
    }

    fn leave(&self, served: &[usize]) {
        self.with(|exchanges| served.iter().for_each(|&n| exchanges[n].left = true));
        self.changed.send_replace(());
    }
}

/// Serves the requests of one connection until either side ends it.
async fn serve(mut socket: TcpStream, script: &Script, log: &Log) {
    log.connections.fetch_add(1, Ordering::Relaxed);
    let mut served = Vec::new();
    // An error is the peer leaving in its own way: the log says so as it does for a proper close.
    while let Ok(Some(request)) = Request::read(&mut socket).await {
        let n = log.add(request.clone());
        served.push(n);
        match play(&mut socket, &script.reply(n, &request), log).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => break,
        }
    }
    log.leave(&served);
}

/// Plays one reply. `Ok(true)` if the connection can carry another request, `Ok(false)` if we ended it, an error if
/// the peer did.
async fn play(socket: &mut TcpStream, reply: &Reply, log: &Log) -> io::Result<bool> {
    let (mut reader, mut writer) = socket.split();
    let body = async {
        tokio::time::sleep(reply.delay).await;
        writer.write_all(&reply.head()).await?;
        for step in &reply.steps {
            match step {
                // An empty chunk would be the last one.
                Step::Write(bytes) if bytes.is_empty() => {}
                Step::Write(bytes) if reply.framing == Framing::Chunked => {
                    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                    chunk.extend_from_slice(bytes);
                    chunk.extend_from_slice(b"\r\n");
                    writer.write_all(&chunk).await?;
                }
                Step::Write(bytes) => writer.write_all(bytes).await?,
                Step::Wait(pause) => tokio::time::sleep(*pause).await,
                Step::Hold(gate) => gate.passed().await,
            }
            log.bytes_written.fetch_add(step.len(), Ordering::Relaxed);
        }
        match (reply.ending, reply.framing) {
            (Ending::Proper, Framing::Chunked) => {
                writer.write_all(b"0\r\n\r\n").await?;
                Ok::<_, io::Error>(Ending::Proper)
            }
            (Ending::Proper, Framing::UntilClose) => Ok(Ending::Cut),
            (Ending::Stall, _) => std::future::pending().await,
            (ending, _) => Ok(ending),
        }
    };
    // The client sends nothing while it is answered, so a read that returns means that it has left.
    let gone = async {
        let mut byte = [0];
        match reader.read(&mut byte).await? {
            0 => Err::<Ending, _>(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => std::future::pending().await,
        }
    };
    let ending = tokio::select! { ended = body => ended?, left = gone => left? };
    match ending {
        Ending::Proper => return Ok(true),
        Ending::Reset => {
            tokio::time::sleep(BEFORE_RESET).await;
            socket.set_zero_linger()?;
        }
        Ending::Cut | Ending::Stall => socket.shutdown().await?,
    }
    Ok(false)
}
