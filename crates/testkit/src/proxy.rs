//! A TCP proxy that spoils what a server sends: latency, slices, and an end in mid-stream. What the client sends passes
//! untouched.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::server::Server;

/// How long a reset waits after the last write, so that the peer has read it.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// A running proxy.
#[derive(Debug)]
pub struct FaultProxy {
    server: Server,
    counts: Arc<Counts>,
}

/// How many connections came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoiled {
    /// All that were made, whatever became of them.
    pub connections: usize,
    /// Those that the proxy closed before the server did.
    pub cut: usize,
    /// Those that it reset.
    pub reset: usize,
    /// Those that it let fall silent.
    pub stalled: usize,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    cut: AtomicUsize,
    reset: AtomicUsize,
    stalled: AtomicUsize,
}

/// What the proxy does to the bytes of each connection. Nothing by default.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    latency: Duration,
    slice: usize,
    ending: Option<(usize, Ending)>,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Cut,
    Reset,
    Stall,
}

impl FaultProxy {
    /// Starts to listen on a free port of 127.0.0.1, in front of `server`.
    #[must_use]
    pub fn start(server: SocketAddr, faults: Faults) -> Self {
        Self::varied(server, move |_| faults)
    }

    /// As [`start`](Self::start), with the faults of each connection by its number, from 0.
    #[must_use]
    pub fn varied(server: SocketAddr, faults: impl Fn(usize) -> Faults + Send + 'static) -> Self {
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let serve = move |client| {
            let number = counted.connections.fetch_add(1, Ordering::Relaxed);
            let (faults, counts) = (faults(number), Arc::clone(&counted));
            async move {
                // The test sees what the client sees; there is nobody here to tell.
                let _ = pass(client, server, faults, &counts).await;
            }
        };
        Self {
            server: Server::start(serve),
            counts,
        }
    }

    /// What has become of connections so far.
    #[must_use]
    pub fn spoiled(&self) -> Spoiled {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Spoiled {
            connections: read(&self.counts.connections),
            cut: read(&self.counts.cut),
            reset: read(&self.counts.reset),
            stalled: read(&self.counts.stalled),
        }
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
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Faults {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self {
            latency: Duration::ZERO,
            slice: usize::MAX,
            ending: None,
        }
    }

    /// Waits this long before each write.
    #[must_use]
    pub fn latency(mut self, pause: Duration) -> Self {
        self.latency = pause;
        self
    }

    /// Writes at most this many bytes at a time, at least 1.
    #[must_use]
    pub fn slice(mut self, bytes: usize) -> Self {
        self.slice = bytes.max(1);
        self
    }

    /// Closes the connection after this many bytes of the server's, head included.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.ending = Some((bytes, Ending::Cut));
        self
    }

    /// Resets the connection after this many bytes of the server's.
    #[must_use]
    pub fn reset_after(mut self, bytes: usize) -> Self {
        self.ending = Some((bytes, Ending::Reset));
        self
    }

    /// Falls silent after this many bytes of the server's, with the connection open.
    #[must_use]
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.ending = Some((bytes, Ending::Stall));
        self
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, faults: Faults, counts: &Counts) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let down = async {
        let mut left = faults.ending.map_or(usize::MAX, |(bytes, _)| bytes);
        let mut buffer = vec![0; 16 << 10];
        while left > 0 {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return Ok(None);
            }
            let passed = read.min(left);
            for piece in buffer[..passed].chunks(faults.slice) {
                match faults.latency {
                    // A sleep of no time takes a millisecond; slices shall stay slices all the same.
                    Duration::ZERO if faults.slice < usize::MAX => tokio::task::yield_now().await,
                    Duration::ZERO => {}
                    latency => tokio::time::sleep(latency).await,
                }
                to_client.write_all(piece).await?;
            }
            left -= passed;
        }
        Ok::<_, io::Error>(faults.ending.map(|(_, ending)| ending))
    };
    // The client's end ends both: it has nothing more to ask, and is not waiting for more.
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let ending = tokio::select! {
        ending = down => ending?,
        _ = up => return Ok(()),
    };
    let count = match ending {
        None => None,
        Some(Ending::Cut) => Some(&counts.cut),
        Some(Ending::Reset) => Some(&counts.reset),
        Some(Ending::Stall) => Some(&counts.stalled),
    };
    if let Some(count) = count {
        count.fetch_add(1, Ordering::Relaxed);
    }
    match ending {
        None | Some(Ending::Cut) => client.shutdown().await,
        Some(Ending::Reset) => {
            tokio::time::sleep(BEFORE_RESET).await;
            client.set_zero_linger()
        }
        Some(Ending::Stall) => {
            let mut byte = [0];
            while client.read(&mut byte).await? > 0 {}
            Ok(())
        }
    }
}
