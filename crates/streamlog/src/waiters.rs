//! Tasks that wait for a stream to grow. They are kept with the stream's length, under one lock, so that no wake-up falls
//! between looking and waiting; they are woken after the lock is let go.

use std::task::Waker;

/// The tasks that wait now.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// How often all were woken. A ticket of an earlier round is void.
    round: u64,
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// Where a reader waits, if it does. One for each reader; a new one waits nowhere.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<(u64, usize)>);

impl Waiters {
    /// Lets a reader's task be woken by the next [`take`](Self::take), in place of the one it gave before.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        if let Some(slot) = self.slot(ticket) {
            match &mut self.slots[slot] {
                Some(old) => old.clone_from(waker),
                empty => *empty = Some(waker.clone()),
            }
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(waker.clone());
        ticket.0 = Some((self.round, slot));
    }

    /// Forgets a reader that is gone, so that readers which come and go while nothing happens leave nothing behind.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) {
        if let Some(slot) = self.slot(ticket) {
            self.slots[slot] = None;
            self.free.push(slot);
        }
        ticket.0 = None;
    }

    /// Moves all who wait to `woken`, which is empty, and takes its memory. The caller wakes them without the lock.
    pub(crate) fn take(&mut self, woken: &mut Woken) {
        debug_assert!(woken.0.is_empty(), "those who were taken before have been woken");
        if !self.slots.is_empty() {
            self.round += 1;
            self.free.clear();
            std::mem::swap(&mut self.slots, &mut woken.0);
        }
    }

    /// The ticket's slot, unless all were woken since.
    fn slot(&self, ticket: &Ticket) -> Option<usize> {
        ticket
            .0
            .filter(|(round, _)| *round == self.round)
            .map(|(_, slot)| slot)
    }
}

/// Tasks to be woken.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Woken(Vec<Option<Waker>>);

impl Woken {
    /// Wakes them, and keeps the memory for the next round.
    pub(crate) fn wake(&mut self) {
        for waker in self.0.drain(..).flatten() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    #[test]
    fn everybody_who_waits_is_woken_once() {
        let mut waiters = Waiters::default();
        let mut woken = Woken::default();
        let (count, waker) = counted();
        let mut tickets: [Ticket; 3] = Default::default();
        for round in 1..=3 {
            for ticket in &mut tickets {
                waiters.wait(ticket, &waker);
                waiters.wait(ticket, &waker);
            }
            assert_eq!(waiters.slots.len(), 3, "whoever waits twice waits in one place");
            waiters.take(&mut woken);
            woken.wake();
            assert_eq!(count.0.load(Ordering::Relaxed), 3 * round);
        }
        waiters.take(&mut woken);
        woken.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 9, "nobody waits any more");
    }

    #[test]
    fn the_last_waker_given_is_the_one_woken() {
        let mut waiters = Waiters::default();
        let mut woken = Woken::default();
        let ((old, first), (new, second)) = (counted(), counted());
        let mut ticket = Ticket::default();
        waiters.wait(&mut ticket, &first);
        waiters.wait(&mut ticket, &second);
        waiters.take(&mut woken);
        woken.wake();
        assert_eq!(
            (old.0.load(Ordering::Relaxed), new.0.load(Ordering::Relaxed)),
            (0, 1)
        );
    }

    #[test]
    fn readers_that_come_and_go_leave_nothing() {
        let mut waiters = Waiters::default();
        let mut woken = Woken::default();
        let (count, waker) = counted();
        let mut stays = Ticket::default();
        waiters.wait(&mut stays, &waker);
        for _ in 0..1000 {
            let mut ticket = Ticket::default();
            waiters.wait(&mut ticket, &waker);
            waiters.leave(&mut ticket);
            waiters.leave(&mut ticket);
        }
        assert_eq!(waiters.slots.len(), 2);
        waiters.take(&mut woken);
        woken.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);

        // A ticket of an earlier round must not take the place of whoever holds it now.
        let mut other = Ticket::default();
        waiters.wait(&mut other, &waker);
        waiters.leave(&mut stays);
        waiters.take(&mut woken);
        woken.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
