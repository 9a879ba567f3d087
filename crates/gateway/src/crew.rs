//! The threads that serve connections, each with a runtime of its own.
//!
//! All that is done for an answer stays on the thread of the connection that asked for it: its call to an upstream, its
//! relay, its first reader. So each of them wakes the next by putting it into a queue of the same thread. In one runtime
//! for all threads, a wake-up also wakes an idle thread to share the work, for each event of each stream
//! (bench/README.md, `gateway`). Nothing moves between threads later; a connection is given to the thread that has the
//! fewest tasks, relays that nobody reads included.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. Dropping it ends them, and with them whatever they still had to do.
#[derive(Debug)]
pub(crate) struct Crew {
    members: Vec<Member>,
    /// Where to look first, so that those who have equally much take turns.
    turn: AtomicUsize,
}

/// A thread.
#[derive(Debug)]
struct Member {
    runtime: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Crew {
    /// Starts this many threads, at least one.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let members = (0..threads.max(1)).map(|number| Member::start(&format!("aurora-serve-{number}")));
        Ok(Self {
            members: members.collect::<io::Result<_>>()?,
            turn: AtomicUsize::new(0),
        })
    }

    /// The runtime of the thread that has the least to do.
    pub(crate) fn least(&self) -> &Handle {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len();
        let (before, after) = self.members.split_at(turn);
        let least = after
            .iter()
            .chain(before)
            .min_by_key(|member| member.runtime.metrics().num_alive_tasks());
        &least.expect("there is at least one").runtime
    }
}

impl Member {
    fn start(name: &str) -> io::Result<Self> {
        let (tell, told) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        // Made by the thread itself: a runtime must not be dropped within another one, as it would be without a thread.
        let work = move || match Builder::new_current_thread().enable_all().build() {
            Err(error) => drop(tell.send(Err(error))),
            Ok(runtime) => {
                drop(tell.send(Ok(runtime.handle().clone())));
                // Nothing is sent: the sender goes.
                let _gone = runtime.block_on(stopped).is_err();
                // Not waiting for threads that load a model or read a disk.
                runtime.shutdown_background();
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        let runtime = told.recv().map_err(io::Error::other)??;
        Ok(Self {
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.stop = None;
        }
        for thread in self.members.iter_mut().filter_map(|member| member.thread.take()) {
            // What its tasks did is reported where they are joined.
            let _panicked = thread.join().is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn work_is_given_to_who_has_least_and_in_turn_to_equals() {
        let crew = Crew::start(3).expect("threads");
        let equal: HashSet<_> = (0..3).map(|_| crew.least().id()).collect();
        assert_eq!(equal.len(), 3);
        let busy = crew.least();
        busy.spawn(std::future::pending::<()>());
        assert!((0..6).all(|_| crew.least().id() != busy.id()));
        let (send, receive) = mpsc::channel();
        for member in &crew.members {
            let send = send.clone();
            member
                .runtime
                .spawn(async move { send.send(thread::current().id()) });
        }
        let threads: HashSet<_> = (0..3).map(|_| receive.recv().expect("all run")).collect();
        assert_eq!(threads.len(), 3);
    }

    #[test]
    fn tasks_end_with_the_crew() {
        let crew = Crew::start(1).expect("a thread");
        let alive = Arc::new(());
        let task = Arc::clone(&alive);
        crew.least().spawn(async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        drop(crew);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
