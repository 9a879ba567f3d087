//! The threads that serve connections, each with a runtime of its own.
//!
//! All that is done for an answer stays on the thread of the connection that asked for it: its call to an upstream, its
//! relay, its first reader. So each of them wakes the next by putting it into a queue of the same thread. In one runtime
//! for all threads, a wake-up also wakes an idle thread to share the work, for each event of each stream
//! (bench/README.md, `gateway`). Nothing moves between threads later; a connection is given to the thread that has the
//! fewest.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. Dropping it ends them, and with them whatever they still had to do.
#[derive(Debug)]
pub(crate) struct Crew(Vec<Member>);

/// A thread.
#[derive(Debug)]
struct Member {
    runtime: Handle,
    /// Cloned for each connection.
    seats: Arc<()>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection's place on a thread, counted as long as this exists.
#[derive(Debug)]
pub(crate) struct Seat {
    runtime: Handle,
    _seat: Arc<()>,
}

impl Crew {
    /// Starts this many threads, at least one.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let members = (0..threads.max(1)).map(|number| Member::start(&format!("aurora-serve-{number}")));
        members.collect::<io::Result<_>>().map(Self)
    }

    /// A place on the thread that has the fewest connections.
    pub(crate) fn seat(&self) -> Seat {
        let least = self
            .0
            .iter()
            .min_by_key(|member| Arc::strong_count(&member.seats))
            .expect("there is at least one");
        Seat {
            runtime: least.runtime.clone(),
            _seat: Arc::clone(&least.seats),
        }
    }
}

impl Seat {
    /// The thread's runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Member {
    fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nothing is sent: the sender goes.
            let _gone = runtime.block_on(stopped).is_err();
            // Not waiting for threads that load a model or read a disk.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            runtime: handle,
            seats: Arc::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.0 {
            member.stop = None;
        }
        for thread in self.0.iter_mut().filter_map(|member| member.thread.take()) {
            // What its tasks did is reported where they are joined.
            let _panicked = thread.join().is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_and_stay_on_their_thread() {
        let crew = Crew::start(2).expect("threads");
        let seats = [crew.seat(), crew.seat()];
        assert_ne!(seats[0].runtime().id(), seats[1].runtime().id());
        let freed = seats[1].runtime().id();
        let [kept, left] = seats;
        drop(left);
        assert_eq!(crew.seat().runtime().id(), freed);
        let (send, receive) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let send = send.clone();
            kept.runtime()
                .spawn(async move { send.send(thread::current().id()).is_ok() });
        }
        assert_eq!(receive.recv(), receive.recv());
    }

    #[test]
    fn tasks_end_with_the_crew() {
        let crew = Crew::start(1).expect("a thread");
        let alive = Arc::new(());
        let task = Arc::clone(&alive);
        crew.seat().runtime().spawn(async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        drop(crew);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
