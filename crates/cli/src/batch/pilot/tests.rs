//! What runs at once under servers of every kind.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Reads numbers until `items` are read, and starts what may be started.
struct Feed {
    pilot: Pilot<u32>,
    lane: Lane,
    left: u32,
    running: Vec<(u32, Run)>,
}

impl Feed {
    fn new(most: usize, items: u32) -> Self {
        let mut pilot = Pilot::new(most);
        Self {
            lane: pilot.lane(usize::MAX),
            pilot,
            left: items,
            running: Vec::new(),
        }
    }

    /// Does all that can be done at this time; returns what is waited for, or `None` at the end.
    fn go(&mut self, now: Duration) -> Option<Option<Duration>> {
        loop {
            match self.pilot.poll(now) {
                Step::Start(lane, item) => self.running.push((item, self.pilot.run(lane))),
                Step::Read if self.left == 0 => self.pilot.read_all(),
                Step::Read => {
                    self.left -= 1;
                    self.pilot.offer(self.lane, self.left);
                }
                Step::Wait(until) => return Some(until),
                Step::Done => return None,
            }
        }
    }

    /// Ends what began first.
    fn end(&mut self, sign: Sign) -> u32 {
        let (item, run) = self.running.remove(0);
        self.pilot.ended(run, sign);
        item
    }
}

#[test]
fn no_more_run_than_may_and_all_are_done() {
    let mut feed = Feed::new(3, 10);
    let mut done = 0;
    while feed.go(ms(0)).is_some() {
        assert!((1..=3).contains(&feed.running.len()));
        assert_eq!(feed.running.len(), feed.pilot.running());
        feed.end(Sign::Good);
        done += 1;
    }
    assert_eq!(done, 10);
}

#[test]
fn a_lane_gives_way_where_its_server_has_too_much_and_comes_back() {
    // A server that bears four at once and refuses all others at once.
    let mut feed = Feed::new(64, u32::MAX);
    let mut refused = 0;
    for round in 0..200 {
        feed.go(ms(round));
        let running = feed.running.len();
        for at in 0..running {
            let sign = if at < 4 { Sign::Good } else { Sign::Overload };
            feed.end(sign);
            refused += u32::from(sign == Sign::Overload);
        }
        if round > 20 {
            assert!((3..=6).contains(&running), "{running} in round {round}");
        }
    }
    assert!(refused < 600, "{refused}");
    // It recovers, and so does the lane, one by one.
    for round in 0..200 {
        feed.go(ms(1000 + round));
        for _ in 0..feed.running.len() {
            feed.end(Sign::Good);
        }
    }
    assert_eq!(feed.pilot.given_way(), None);
}

#[test]
fn a_few_failures_among_many_answers_are_no_load() {
    let mut feed = Feed::new(32, u32::MAX);
    let mut given_way = false;
    for n in 0..20_000_u32 {
        feed.go(ms(0));
        let sign = if n % 50 == 49 { Sign::Overload } else { Sign::Good };
        feed.end(sign);
        given_way |= feed.pilot.given_way().is_some();
    }
    assert!(!given_way);
}

#[test]
fn what_began_before_a_step_says_nothing_new() {
    let mut feed = Feed::new(100, u32::MAX);
    feed.go(ms(0));
    for _ in 0..100 {
        feed.end(Sign::Overload);
    }
    assert_eq!(feed.pilot.given_way(), Some(70), "one step for all of them");
}

#[test]
fn one_at_least_always_runs() {
    let mut feed = Feed::new(8, u32::MAX);
    for _ in 0..1000 {
        feed.go(ms(0));
        feed.end(Sign::Overload);
    }
    assert_eq!(feed.pilot.given_way(), Some(1));
}

#[test]
fn nothing_is_sent_while_a_server_wants_to_be_left_alone() {
    let mut feed = Feed::new(4, 8);
    feed.go(ms(0));
    let item = feed.end(Sign::Overload);
    feed.pilot.hold(feed.lane, ms(5000));
    feed.pilot.again(feed.lane, item, ms(5000));
    assert_eq!(feed.go(ms(10)), Some(Some(ms(5000))), "although there is room");
    while !feed.running.is_empty() {
        feed.end(Sign::Good);
    }
    // A shorter wait that somebody else was told does not end the longer one.
    feed.pilot.hold(feed.lane, ms(1000));
    assert_eq!(feed.go(ms(4999)), Some(Some(ms(5000))));
    assert_eq!(feed.pilot.held_for(ms(4999)), Some(ms(1)));
    feed.go(ms(5000));
    assert_eq!(feed.running[0].0, item, "who has waited goes first");
    assert_eq!(feed.running.len(), 4);
}

#[test]
fn lanes_do_not_wait_for_each_other() {
    let mut pilot = Pilot::new(4);
    let (slow, fast) = (pilot.lane(4), pilot.lane(2));
    pilot.hold(slow, ms(1000));
    pilot.offer(slow, 's');
    for _ in 0..3 {
        pilot.offer(fast, 'f');
    }
    pilot.read_all();
    let mut runs = Vec::new();
    while let Step::Start(lane, item) = pilot.poll(ms(0)) {
        assert_eq!((lane, item), (fast, 'f'));
        runs.push(pilot.run(lane));
    }
    assert_eq!(runs.len(), 2, "its own limit holds");
    assert_eq!(pilot.poll(ms(0)), Step::Wait(Some(ms(1000))));
    assert_eq!(pilot.poll(ms(1000)), Step::Start(slow, 's'));
}

#[test]
fn what_waits_is_bounded() {
    let mut feed = Feed::new(4, u32::MAX);
    for _ in 0..100 {
        feed.go(ms(0));
        if feed.running.is_empty() {
            break;
        }
        let item = feed.end(Sign::Neither);
        feed.pilot.again(feed.lane, item, ms(60_000));
    }
    assert!(
        feed.pilot.later.len() <= 16 && feed.pilot.parked.len() <= 4,
        "{:?}",
        feed.pilot
    );
    feed.pilot.close();
    while !feed.running.is_empty() {
        feed.end(Sign::Good);
    }
    assert_eq!(feed.go(ms(0)), None, "nothing is begun any more");
}
