//! What is asked next, and how much at once: rules as values, without I/O, without a clock.
//!
//! Items go to *lanes*, one for each endpoint. A lane lets as many run as its server bears: it begins with all that the
//! caller allows, takes back a third when a server says that it is too much (429, 503, a time-out), and grows by one
//! for as many good answers as it lets run (AIMD). A few such signs among many answers are a server's weather and no load:
//! what counts is their share since the last step down. When a server asks to be left alone for a while, nothing goes to
//! its lane until then, whichever item was told so.
//!
//! Times count from any beginning.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many signs of overload there have to be before a lane gives way.
const SIGNS: u32 = 3;

/// A lane gives way if at least one in so many answers is a sign of overload.
const SHARE: u32 = 6;

/// What is left of a lane that gave way.
const CUT: f64 = 0.7;

/// After how many answers a lane forgets the signs so far, at least.
const MEMORY: u32 = 20;

/// A lane, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(pub(crate) usize);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// Ask for this.
    Start(Lane, T),
    /// Read the next item, and [`Pilot::offer`] it or say [`Pilot::read_all`].
    Read,
    /// Wait until something ends or, if there is one, until this time.
    Wait(Option<Duration>),
    /// Everything has ended.
    Done,
}

/// How an attempt went, as far as a lane cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The server bore it.
    Good,
    /// It was too much for the server.
    Overload,
    /// It failed for a reason that says nothing about load.
    Neither,
}

/// Decides what is asked next.
#[derive(Debug)]
pub(crate) struct Pilot<T> {
    /// The most that run at once, over all lanes.
    most: usize,
    lanes: Vec<State>,
    running: usize,
    /// What was read and could not be asked yet, because its lane is full.
    parked: VecDeque<(Lane, T)>,
    /// What is to be asked again, by when and in which order it came.
    later: BTreeMap<(Duration, u64), (Lane, T)>,
    next: u64,
    /// No item is left to be read, or none is to be begun.
    closed: bool,
}

#[derive(Debug)]
struct State {
    most: f64,
    limit: f64,
    running: usize,
    /// Nothing is sent before.
    held_until: Duration,
    /// Answers and signs of overload since the last step.
    answers: u32,
    signs: u32,
    /// How many steps there were: what began before the last one says nothing new.
    steps: u64,
}

/// An attempt that runs: what is to be told when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    lane: Lane,
    steps: u64,
}

impl<T> Pilot<T> {
    /// Lets at most `most` run at once, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            lanes: Vec::new(),
            running: 0,
            parked: VecDeque::new(),
            later: BTreeMap::new(),
            next: 0,
            closed: false,
        }
    }

    /// A new lane, in which at most `most` run at once.
    pub(crate) fn lane(&mut self, most: usize) -> Lane {
        let most = most.clamp(1, self.most) as f64;
        self.lanes.push(State {
            most,
            limit: most,
            running: 0,
            held_until: Duration::ZERO,
            answers: 0,
            signs: 0,
            steps: 0,
        });
        Lane(self.lanes.len() - 1)
    }

    /// What to do now. What it says to start counts as running; [`Pilot::run`] gives its ticket.
    pub(crate) fn poll(&mut self, now: Duration) -> Step<T> {
        if self.running < self.most {
            if let Some(key) = self.due(now)
                && let Some((lane, item)) = self.later.remove(&key)
            {
                return self.start(lane, item);
            }
            let free = (0..self.parked.len()).find(|at| self.is_free(self.parked[*at].0, now));
            if let Some((lane, item)) = free.and_then(|at| self.parked.remove(at)) {
                return self.start(lane, item);
            }
            if !self.closed && self.parked.len() < self.most && self.later.len() < 2 * self.most {
                return Step::Read;
            }
        }
        if self.running == 0 && self.is_empty() && self.closed {
            return Step::Done;
        }
        Step::Wait(self.wake_at(now))
    }

    /// An item that was read.
    pub(crate) fn offer(&mut self, lane: Lane, item: T) {
        self.parked.push_back((lane, item));
    }

    /// There is nothing more to read.
    pub(crate) fn read_all(&mut self) {
        self.closed = true;
    }

    /// Nothing is begun any more: what waits is forgotten.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.parked.clear();
        self.later.clear();
    }

    /// The ticket of an attempt that begins now.
    pub(crate) fn run(&self, lane: Lane) -> Run {
        Run {
            lane,
            steps: self.lanes[lane.0].steps,
        }
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, run: Run, sign: Sign) {
        self.running -= 1;
        let lane = &mut self.lanes[run.lane.0];
        lane.running -= 1;
        if run.steps == lane.steps {
            lane.take(sign);
        }
    }

    /// An item is to be asked again, not before `at`.
    pub(crate) fn again(&mut self, lane: Lane, item: T, at: Duration) {
        self.next += 1;
        self.later.insert((at, self.next), (lane, item));
    }

    /// Nothing is sent in this lane before `until`.
    pub(crate) fn hold(&mut self, lane: Lane, until: Duration) {
        let held = &mut self.lanes[lane.0].held_until;
        *held = (*held).max(until);
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// How many may run at once, where servers let fewer run than the caller does.
    pub(crate) fn given_way(&self) -> Option<usize> {
        let gave_way = self.lanes.iter().any(|lane| lane.limit() < lane.most as usize);
        let all: usize = self.lanes.iter().map(State::limit).sum();
        gave_way.then(|| all.min(self.most))
    }

    /// The longest wait that a server asked for and that is not over.
    pub(crate) fn held_for(&self, now: Duration) -> Option<Duration> {
        let longest = self.lanes.iter().map(|lane| lane.held_until).max()?;
        longest.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn start(&mut self, lane: Lane, item: T) -> Step<T> {
        self.running += 1;
        self.lanes[lane.0].running += 1;
        Step::Start(lane, item)
    }

    fn is_empty(&self) -> bool {
        self.parked.is_empty() && self.later.is_empty()
    }

    fn is_free(&self, lane: Lane, now: Duration) -> bool {
        let lane = &self.lanes[lane.0];
        lane.running < lane.limit() && lane.held_until <= now
    }

    fn due(&self, now: Duration) -> Option<(Duration, u64)> {
        let due = self.later.range(..=(now, u64::MAX));
        let mut free = due.filter(|(_, (lane, _))| self.is_free(*lane, now));
        free.next().map(|(key, _)| *key)
    }

    /// When something may begin although nothing ends: a wait is over, or a hold is.
    fn wake_at(&self, now: Duration) -> Option<Duration> {
        if self.running >= self.most {
            return None;
        }
        let later = self.later.iter().map(|((at, _), (lane, _))| (*at, *lane));
        let parked = self.parked.iter().map(|(lane, _)| (Duration::ZERO, *lane));
        later
            .chain(parked)
            .filter(|(_, lane)| {
                let lane = &self.lanes[lane.0];
                lane.running < lane.limit()
            })
            .map(|(at, lane)| at.max(self.lanes[lane.0].held_until))
            .filter(|at| *at > now)
            .min()
    }
}

impl State {
    fn limit(&self) -> usize {
        (self.limit as usize).max(1)
    }

    fn take(&mut self, sign: Sign) {
        self.answers += 1;
        match sign {
            Sign::Good => self.limit = (self.limit + 1.0 / self.limit).min(self.most),
            Sign::Overload => self.signs += 1,
            Sign::Neither => {}
        }
        if self.signs >= SIGNS && self.signs * SHARE >= self.answers {
            self.limit = (self.limit * CUT).max(1.0);
            self.steps += 1;
        } else if self.answers < MEMORY.max(self.limit() as u32) {
            return;
        }
        (self.answers, self.signs) = (0, 0);
    }
}

#[cfg(test)]
#[path = "pilot/tests.rs"]
mod tests;
