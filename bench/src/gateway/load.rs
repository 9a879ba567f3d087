//! The clients: connections that ask again and again, or hold streams open and note how late events come.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::upstream::DUE;
use crate::wire::Response;

/// How long one answer may take, and one stream to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is read at a time.
const READ: usize = 32 << 10;

/// What a load came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Answers that came whole.
    pub answers: usize,
    pub events: usize,
    /// Of each answer in microseconds, or of each event how late it was; sorted.
    pub micros: Vec<u32>,
    pub seconds: f64,
}

impl Outcome {
    /// The time that this share does not exceed, in milliseconds.
    pub fn millis(&self, share: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.micros
            .get(index)
            .map_or(f64::NAN, |&micros| f64::from(micros) / 1e3)
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.events += other.events;
        self.micros.extend(other.micros);
    }
}

/// So many connections ask for so long, each as soon as it has its answer; every answer has to have as many events, or
/// one more: a server may write the role as an event of its own.
///
/// # Errors
/// The first answer that is not as it has to be.
pub async fn saturate(
    address: SocketAddr,
    request: Vec<u8>,
    connections: usize,
    time: Duration,
    events: usize,
) -> io::Result<Outcome> {
    let begun = Instant::now();
    let request: Arc<[u8]> = request.into();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let mut socket = connect(address).await?;
            let mut buffer = vec![0; READ];
            let mut outcome = Outcome::default();
            while begun.elapsed() < time {
                let asked = Instant::now();
                let response = ask(&mut socket, &request, &mut buffer).await?;
                let surplus = response.events().checked_sub(events);
                if !matches!(surplus, Some(0 | 1)) || !response.is_done() {
                    return Err(other(format!("{} events of {events}", response.events())));
                }
                outcome.answers += 1;
                outcome.events += response.events();
                outcome.micros.push(asked.elapsed().as_micros() as u32);
            }
            Ok(outcome)
        });
    }
    let mut sum = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        sum.add(outcome.map_err(io::Error::other)??);
    }
    sum.seconds = begun.elapsed().as_secs_f64();
    sum.micros.sort_unstable();
    Ok(sum)
}

/// One whole answer.
pub async fn ask(socket: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> io::Result<Response> {
    let whole = async {
        socket.write_all(request).await?;
        let mut response = Response::default();
        loop {
            let read = socket.read(buffer).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if response.feed(&buffer[..read], |_| ()).map_err(other)? {
                return Ok(response);
            }
        }
    };
    tokio::time::timeout(PATIENCE, whole).await?
}

/// Streams that are held open. Dropping it closes them.
#[derive(Debug)]
pub struct Open {
    shared: Arc<Shared>,
    notes: Vec<Arc<Mutex<Note>>>,
    tasks: JoinSet<io::Result<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Streams of which an event has come.
    begun: AtomicUsize,
    measuring: AtomicBool,
}

/// What came of one stream.
#[derive(Debug, Default)]
struct Note {
    /// As the server calls it, if it does.
    name: String,
    outcome: Outcome,
}

impl Open {
    /// Opens one stream for each request, a thousand a second, and waits until all have begun.
    ///
    /// # Errors
    /// Some did not begin.
    pub async fn new(address: SocketAddr, requests: Vec<Vec<u8>>) -> io::Result<Self> {
        let mut open = Self {
            shared: Arc::default(),
            notes: requests.iter().map(|_| Arc::default()).collect(),
            tasks: JoinSet::new(),
        };
        for (request, note) in requests.into_iter().zip(&open.notes) {
            let (shared, note) = (Arc::clone(&open.shared), Arc::clone(note));
            open.tasks
                .spawn(async move { follow(address, &request, &shared, &note).await });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let deadline = Instant::now() + PATIENCE;
        while open.shared.begun.load(Ordering::Relaxed) < open.notes.len() {
            open.check()?;
            if Instant::now() > deadline {
                let begun = open.shared.begun.load(Ordering::Relaxed);
                return Err(other(format!(
                    "only {begun} of {} streams have begun",
                    open.notes.len()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(open)
    }

    /// Notes for so long what comes and how late it is.
    pub async fn measure(&self, time: Duration) {
        self.shared.measuring.store(true, Ordering::Relaxed);
        tokio::time::sleep(time).await;
        self.shared.measuring.store(false, Ordering::Relaxed);
    }

    /// Closes all streams; gives what was noted, and what the streams are called.
    ///
    /// # Errors
    /// A stream broke before.
    pub async fn close(mut self, time: Duration) -> io::Result<(Outcome, Vec<String>)> {
        self.check()?;
        self.tasks.shutdown().await;
        let mut sum = Outcome::default();
        let mut names = Vec::new();
        for note in &self.notes {
            let Note { name, outcome } = std::mem::take(&mut *lock(note));
            sum.add(outcome);
            names.push(name);
        }
        sum.seconds = time.as_secs_f64();
        sum.micros.sort_unstable();
        Ok((sum, names))
    }

    /// None of them ends by itself.
    fn check(&mut self) -> io::Result<()> {
        match self.tasks.try_join_next() {
            Some(ended) => ended.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

/// Reads one stream until it breaks.
async fn follow(address: SocketAddr, request: &[u8], shared: &Shared, note: &Mutex<Note>) -> io::Result<()> {
    let mut socket = connect(address).await?;
    socket.write_all(request).await?;
    let mut response = Response::default();
    let mut begun = false;
    // Small, since there are thousands; an event of a paced stream fits.
    let mut buffer = vec![0; 2048];
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let measuring = shared.measuring.load(Ordering::Relaxed);
        let before = response.events();
        let mut note = lock(note);
        let ended = response
            .feed(&buffer[..read], |payload| {
                if measuring {
                    note.outcome.micros.extend(lateness(payload));
                }
            })
            .map_err(other)?;
        if measuring {
            note.outcome.events += response.events() - before;
        }
        if !begun && response.events() > 0 {
            begun = true;
            note.name = response.header("x-stream-id").unwrap_or_default().to_owned();
            shared.begun.fetch_add(1, Ordering::Relaxed);
        }
        if ended {
            return Err(other("a stream has ended before its time".to_owned()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How late the events of this piece are, by the times that they carry. An event that was cut is not among them.
fn lateness(payload: &[u8]) -> impl Iterator<Item = u32> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros() as u64;
    memchr::memmem::find_iter(payload, DUE).filter_map(move |at| {
        let digits = payload.get(at + DUE.len()..)?.get(..16)?;
        let due: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        u32::try_from(now.saturating_sub(due)).ok()
    })
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn other(what: String) -> io::Error {
    io::Error::other(what)
}
