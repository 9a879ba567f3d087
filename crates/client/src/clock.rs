//! The time of one call: how long it has run, with a laptop's sleep counted and without the jumps of a clock that is
//! set back.

use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    time::{Duration, Instant, SystemTime},
};

use tokio::time::Sleep;

/// How often the wall clock is looked at while nothing happens: so long after a laptop wakes a deadline that passed in
/// its sleep is seen.
const WALL_CLOCK_CHECK: Duration = Duration::from_secs(5);

/// How late a deadline may be noticed and still count as watched. Beyond this the process did not run: it was stopped, the
/// laptop slept, or the runtime was blocked.
const LATE: Duration = Duration::from_millis(50);

/// How long work is given whose time passed while nobody watched. Bytes that came meanwhile lie in the kernel, and the
/// connection's task needs its turn to bring them: they were not late.
const GRACE: Duration = Duration::from_millis(250);

/// Counts from 0 at its creation, and never goes back.
///
/// The monotonic clock stands still while the machine sleeps (Linux and macOS), the wall clock can be set. Between two
/// readings the larger of both advances counts: sleep is seen by the wall clock, and a wall clock that is set back is
/// outvoted. One that is set forward is taken for sleep, which nothing here can tell from it.
#[derive(Debug)]
pub(crate) struct Clock {
    elapsed: Duration,
    steady: Instant,
    wall: SystemTime,
    /// Wakes whoever waits for work. It stays set from one wait to the next: to set one for every read of a body and take
    /// it back costs two locks of the runtime's timers, for each event of a stream that trickles.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            elapsed: Duration::ZERO,
            steady: Instant::now(),
            wall: SystemTime::now(),
            alarm: None,
        }
    }

    /// Time since the start.
    pub(crate) fn now(&mut self) -> Duration {
        self.advance(Instant::now(), SystemTime::now())
    }

    /// What `work` gives, or `None` once it is `at`. Work that is ready is never late. Nor is what needs but a moment
    /// after a time that nobody saw pass: before this was called, as for a reader that takes its time, or while the
    /// process did not run. Cancel safe if `work` is.
    pub(crate) async fn bound<T>(
        &mut self,
        at: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(at) = at else {
            return Some(work.await);
        };
        let mut work = pin!(work);
        let mut watched = false;
        loop {
            let now = self.now();
            let left = at.saturating_sub(now);
            let (pause, last) = match left.is_zero() {
                true if watched && now.saturating_sub(at) <= LATE => return None,
                true => (GRACE, true),
                false => (left.min(WALL_CLOCK_CHECK), false),
            };
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = self.alarm(pause, last) => {}
            }
            if last {
                return None;
            }
            watched = true;
        }
    }

    /// An alarm that rings after this time, or before unless that `matters`.
    fn alarm(&mut self, pause: Duration, matters: bool) -> &mut Pin<Box<Sleep>> {
        let at = tokio::time::Instant::now() + pause;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if matters || alarm.is_elapsed() || alarm.deadline() > at {
            alarm.as_mut().reset(at);
        }
        alarm
    }

    /// Waits until it is `at`, or for ever.
    pub(crate) async fn wait(&mut self, at: Option<Duration>) {
        let Some(at) = at else {
            return pending().await;
        };
        loop {
            match at.saturating_sub(self.now()) {
                Duration::ZERO => return,
                left => tokio::time::sleep(left.min(WALL_CLOCK_CHECK)).await,
            }
        }
    }

    fn advance(&mut self, steady: Instant, wall: SystemTime) -> Duration {
        let by_steady = steady.saturating_duration_since(self.steady);
        let by_wall = wall.duration_since(self.wall).unwrap_or_default();
        self.steady = steady;
        self.wall = wall;
        self.elapsed += by_steady.max(by_wall);
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_bounded_by_either_clock_and_never_late_when_it_is_ready() {
        let hour = Duration::from_secs(3600);
        let mut awake = Clock::start();
        assert_eq!(awake.bound(None, async { 1 }).await, Some(1));
        assert_eq!(awake.bound(Some(Duration::ZERO), async { 2 }).await, Some(2));
        // What was there before anybody waited still has to be brought.
        let brought = async {
            tokio::task::yield_now().await;
            tokio::time::sleep(GRACE / 10).await;
            3
        };
        assert_eq!(awake.bound(Some(Duration::ZERO), brought).await, Some(3));
        let short = Duration::from_millis(20);
        assert_eq!(awake.bound(Some(short), pending::<()>()).await, None);
        let begun = Instant::now();
        let mut asleep = Clock::start();
        // The machine sleeps for an hour, which the monotonic clock does not see.
        asleep.wall -= hour;
        assert_eq!(asleep.bound(Some(hour), pending::<()>()).await, None);
        assert!(begun.elapsed() < hour / 60);
    }

    #[tokio::test]
    async fn what_came_while_the_process_did_not_run_is_not_late() {
        let short = Duration::from_millis(20);
        let stopped = async {
            tokio::task::yield_now().await;
            // Nothing else runs on this thread: the time passes unseen.
            std::thread::sleep(short + 2 * LATE);
            tokio::time::sleep(GRACE / 10).await;
            4
        };
        assert_eq!(Clock::start().bound(Some(short), stopped).await, Some(4));
        let stopped = async {
            tokio::task::yield_now().await;
            std::thread::sleep(short + 2 * LATE);
            pending::<()>().await;
        };
        assert_eq!(Clock::start().bound(Some(short), stopped).await, None);
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_time() {
        let short = Duration::from_millis(20);
        let mut clock = Clock::start();
        clock.wait(Some(short)).await;
        assert!(clock.now() >= short);
        let mut asleep = Clock::start();
        asleep.wall -= Duration::from_secs(3600);
        asleep.wait(Some(Duration::from_secs(3600))).await;
    }

    #[test]
    fn sleep_counts_and_a_clock_set_back_does_not() {
        let second = Duration::from_secs(1);
        let mut clock = Clock::start();
        let (steady, wall) = (clock.steady, clock.wall);
        assert_eq!(clock.advance(steady + second, wall + second), second);
        // An hour of sleep: the monotonic clock saw none of it.
        assert_eq!(
            clock.advance(steady + second, wall + 3601 * second),
            3601 * second
        );
        // The wall clock is set back by a day while a second passes.
        assert_eq!(
            clock.advance(steady + 2 * second, wall - 86_400 * second),
            3602 * second
        );
        assert_eq!(
            clock.advance(steady + 3 * second, wall - 86_399 * second),
            3603 * second
        );
    }
}
