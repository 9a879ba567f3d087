//! The thread that writes: whoever has something to keep leaves it in a queue and goes on.
//!
//! So neither a disk that is slow nor a file that another process holds keeps an answer waiting. Text is gathered for
//! [`INTERVAL`]; everything else is written at once. Whatever goes wrong is told once, as a sentence, and after it
//! nothing more is taken: the queue cannot grow. A file that is held by another process is tried again until the log is
//! closed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::error::Error;
use super::schema;
use super::scribe::{Op, Scribe};

/// For how long text is gathered: what may be missing after the process was killed.
const INTERVAL: Duration = Duration::from_millis(250);

/// How much text is not gathered any longer, in bytes.
const ENOUGH: usize = 64 << 10;

/// How much may wait to be written, in bytes: an answer as long as the client takes, behind a disk that hangs.
const MOST: usize = 80 << 20;

/// What an entry of the queue counts for besides its text.
const COST: usize = 256;

/// How long a file is left alone that another process holds.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the end of the process waits for the last write.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way to the thread. Clones share it.
#[derive(Clone)]
pub(super) struct Log(Arc<Shared>);

/// The thread, and the way to it. The thread ends by itself once the log is closed, with all that was left written.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Log,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Something was left, or the log was closed.
    work: Condvar,
    /// Something was written, or never will be.
    done: Condvar,
}

struct State {
    queue: VecDeque<Op>,
    bytes: usize,
    /// Something in the queue is not to wait.
    urgent: bool,
    /// The thread is at it.
    writing: bool,
    /// Something was written.
    written: bool,
    closed: bool,
    /// Nothing is kept any more.
    dead: bool,
    /// What is to be told of that, until it was.
    trouble: Option<String>,
    id: String,
}

impl Writer {
    /// Starts the thread. The file is opened by it, and not before there is something to write.
    pub(super) fn start(scribe: Scribe) -> Self {
        let log = Log(Arc::new(Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                urgent: false,
                writing: false,
                written: false,
                closed: false,
                dead: false,
                trouble: None,
                id: scribe.id.clone(),
            }),
            work: Condvar::new(),
            done: Condvar::new(),
        }));
        let of_thread = log.clone();
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || of_thread.run(scribe));
        if let Err(error) = &thread {
            log.give_up(
                &mut log.lock(),
                format!("cannot start the thread that writes it: {error}"),
            );
        }
        let thread = thread.ok();
        Self { log, thread }
    }

    /// Waits until everything is written, [`PATIENCE`] at most; returns what went wrong, unless it was told.
    pub(super) fn close(mut self) -> Option<String> {
        self.log.close();
        if self.log.flush(PATIENCE) {
            // It has nothing left to do but to end. Its panic was told where it happened.
            let _ = self.thread.take().map(JoinHandle::join);
        } else {
            self.log
                .abandon("another process keeps the file locked, or the disk does not answer");
        }
        self.log.trouble()
    }
}

impl Drop for Writer {
    /// What is left is written still, if the process lives on.
    fn drop(&mut self) {
        self.log.close();
    }
}

impl Log {
    /// Leaves something to be written. Never waits for the disk.
    pub(super) fn push(&self, op: Op) {
        let mut state = self.lock();
        if state.dead {
            return;
        }
        let text = match &op {
            Op::Text(text) | Op::Reasoning(text) => text.len(),
            Op::Say { message, .. } | Op::Lead(Some(message)) => weight(message),
            _ => 0,
        };
        match (op, state.queue.back_mut()) {
            (Op::Text(text), Some(Op::Text(last))) | (Op::Reasoning(text), Some(Op::Reasoning(last))) => {
                last.push_str(&text);
                state.bytes += text.len();
            }
            (op, _) => {
                state.urgent |= !matches!(op, Op::Text(_) | Op::Reasoning(_));
                state.queue.push_back(op);
                state.bytes += text + COST;
            }
        }
        if state.bytes > MOST {
            let what = format!("more than {} MiB wait to be written", MOST >> 20);
            return self.give_up(&mut state, what);
        }
        // The thread wakes by itself for text.
        if state.urgent || state.bytes > ENOUGH || state.queue.len() == 1 {
            self.0.work.notify_one();
        }
    }

    /// The conversation's id, as far as it is known: it changes if another conversation turns out to have it.
    pub(super) fn id(&self) -> String {
        self.lock().id.clone()
    }

    /// What went wrong; told once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.take()
    }

    /// Waits until all is written, or nothing more will be, at most this long; whether it is.
    fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        state.urgent = true;
        self.0.work.notify_one();
        while !(state.dead || state.queue.is_empty() && !state.writing) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .0
                .done
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        !state.dead
    }

    /// Tells the thread that nothing more comes. What is left is written still.
    fn close(&self) {
        self.lock().closed = true;
        self.0.work.notify_one();
    }

    /// As for trouble of the file: what is left is given up, and told.
    fn abandon(&self, what: &str) {
        let mut state = self.lock();
        if !state.dead {
            self.give_up(&mut state, what.to_owned());
        }
    }

    fn run(&self, mut scribe: Scribe) {
        let mut connection = None;
        while let Some(ops) = self.next() {
            let result = loop {
                let result = write(&mut connection, &mut scribe, &ops);
                match result {
                    Err(error) if error.is_busy() && !self.lock().dead => thread::sleep(PAUSE),
                    result => break result,
                }
            };
            let mut state = self.lock();
            state.writing = false;
            state.id.clone_from(&scribe.id);
            match result {
                Ok(()) => state.written = true,
                Err(error) => self.give_up(&mut state, error.to_string()),
            }
            self.0.done.notify_all();
        }
    }

    /// What is to be written next, once it is time; `None` at the end.
    fn next(&self) -> Option<Vec<Op>> {
        let mut state = self.lock();
        let mut since: Option<Instant> = None;
        loop {
            if state.dead || state.closed && state.queue.is_empty() {
                return None;
            }
            let waited = since.map_or(Duration::ZERO, |since| since.elapsed());
            let due = state.urgent || state.closed || state.bytes > ENOUGH || waited >= INTERVAL;
            state = if state.queue.is_empty() {
                self.0.work.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else if due {
                state.urgent = false;
                state.writing = true;
                state.bytes = 0;
                return Some(state.queue.drain(..).collect());
            } else {
                since.get_or_insert_with(Instant::now);
                let left = INTERVAL.saturating_sub(waited);
                self.0
                    .work
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
        }
    }

    fn give_up(&self, state: &mut State, what: String) {
        state.dead = true;
        state.queue = VecDeque::new();
        state.bytes = 0;
        let since = if state.written { " from here on" } else { "" };
        state.trouble = Some(format!("this conversation is not kept{since}: {what}"));
        self.0.done.notify_all();
        self.0.work.notify_one();
    }

    /// The state holds no promise that a panic could break: at worst something is written twice or not at all.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

fn write(connection: &mut Option<Connection>, scribe: &mut Scribe, ops: &[Op]) -> Result<(), Error> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(schema::open(scribe.folder())?),
    };
    scribe.write(open, ops)
}

fn weight(message: &aurora_chat::Message) -> usize {
    match &message.content {
        aurora_chat::Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                aurora_chat::Part::Text(text) => text.len(),
                // An image is one long string in it.
                aurora_chat::Part::Other(part) => part.values().map(|value| value.to_string().len()).sum(),
            })
            .sum(),
        _ => message.plain_text().len(),
    }
}
