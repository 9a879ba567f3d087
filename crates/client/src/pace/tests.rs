//! Whatever the arrivals: no limit is passed, the order is kept, and everybody goes in the end.

use aurora_chat::{Message, Role};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pace(max_concurrent: u32, requests: u32, tokens: u32) -> Pace {
    Pace {
        max_concurrent: NonZeroU32::new(max_concurrent),
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU32::new(tokens),
    }
}

/// Enqueues a new call.
fn join(queue: &mut Queue, estimate: u64) -> Ticket {
    let ticket = queue.ticket();
    queue.enqueue(ticket, estimate).unwrap();
    ticket
}

fn admitted(queue: &mut Queue, now: Duration) -> Vec<Ticket> {
    std::iter::from_fn(|| queue.poll(now)).collect()
}

#[test]
fn calls_at_once_are_bounded_and_the_next_goes_when_one_leaves() {
    let mut queue = Queue::new(pace(2, 0, 0), secs(0));
    let tickets: Vec<Ticket> = (0..4).map(|_| join(&mut queue, 1)).collect();
    assert_eq!(admitted(&mut queue, secs(0)), tickets[..2]);
    assert_eq!(queue.wake_at(secs(0)), None, "time does not help");
    queue.leave(tickets[2], None, secs(1));
    assert_eq!(admitted(&mut queue, secs(1)), [], "one that waited made no room");
    queue.leave(tickets[0], None, secs(1));
    assert_eq!(admitted(&mut queue, secs(1)), tickets[3..]);
}

#[test]
fn requests_burst_to_a_minutes_worth_and_then_come_evenly() {
    let mut queue = Queue::new(pace(0, 3, 0), secs(0));
    let tickets: Vec<Ticket> = (0..5).map(|_| join(&mut queue, 1)).collect();
    assert_eq!(admitted(&mut queue, secs(0)), tickets[..3]);
    assert_eq!(queue.wake_at(secs(5)), Some(secs(20)));
    assert_eq!(admitted(&mut queue, secs(20) - Duration::from_nanos(1)), []);
    assert_eq!(admitted(&mut queue, secs(20)), tickets[3..4]);
    assert_eq!(admitted(&mut queue, secs(1000)), tickets[4..]);
}

#[test]
fn what_an_attempt_cost_takes_the_place_of_what_was_thought() {
    let mut queue = Queue::new(pace(0, 0, 600), secs(0));
    let (first, second) = (join(&mut queue, 600), join(&mut queue, 500));
    assert_eq!(admitted(&mut queue, secs(0)), [first]);
    assert_eq!(queue.wake_at(secs(0)), Some(secs(50)));
    queue.leave(first, Some(200), secs(1));
    assert_eq!(queue.wake_at(secs(1)), Some(secs(10)), "400 came back");
    assert_eq!(admitted(&mut queue, secs(10)), [second]);
    queue.leave(second, Some(u64::MAX), secs(10));
    join(&mut queue, 600);
    assert_eq!(
        queue.wake_at(secs(10)),
        Some(secs(130)),
        "a wild claim makes a debt of one minute, and a full bucket takes another"
    );
}

#[test]
fn a_call_larger_than_the_budget_goes_when_the_bucket_is_full_and_is_paid_for() {
    let mut queue = Queue::new(pace(0, 0, 60), secs(0));
    let (small, large, last) = (join(&mut queue, 30), join(&mut queue, 300), join(&mut queue, 1));
    assert_eq!(
        admitted(&mut queue, secs(0)),
        [small],
        "nobody goes before the large one"
    );
    assert_eq!(queue.wake_at(secs(0)), Some(secs(30)));
    assert_eq!(admitted(&mut queue, secs(30)), [large]);
    assert_eq!(queue.wake_at(secs(30)), Some(secs(30 + 241)));
    assert_eq!(admitted(&mut queue, secs(271)), [last]);
}

#[test]
fn a_call_that_tries_again_keeps_its_place() {
    let mut queue = Queue::new(pace(1, 0, 0), secs(0));
    let (first, second) = (join(&mut queue, 1), join(&mut queue, 1));
    assert_eq!(admitted(&mut queue, secs(0)), [first]);
    let third = join(&mut queue, 1);
    queue.leave(first, None, secs(0));
    queue.enqueue(first, 1).unwrap();
    assert_eq!(admitted(&mut queue, secs(0)), [first]);
    queue.leave(first, None, secs(0));
    assert_eq!(admitted(&mut queue, secs(0)), [second]);
    queue.leave(second, None, secs(0));
    assert_eq!(admitted(&mut queue, secs(0)), [third]);
}

#[test]
fn the_queue_is_bounded() {
    let mut queue = Queue::new(pace(1, 0, 0), secs(0));
    for _ in 0..MAX_WAITING {
        join(&mut queue, 1);
    }
    let ticket = queue.ticket();
    assert_eq!(queue.enqueue(ticket, 1), Err(Full));
    assert_eq!(admitted(&mut queue, secs(0)).len(), 1);
    assert_eq!(queue.enqueue(ticket, 1), Ok(()));
}

#[test]
fn another_pace_keeps_what_was_spent() {
    let mut queue = Queue::new(pace(0, 60, 0), secs(0));
    for _ in 0..60 {
        join(&mut queue, 1);
    }
    assert_eq!(admitted(&mut queue, secs(0)).len(), 60);
    queue.set_pace(pace(0, 120, 10), secs(0));
    join(&mut queue, 1);
    assert_eq!(queue.wake_at(secs(0)), Some(Duration::from_millis(500)));
    queue.set_pace(pace(61, 0, 10), secs(0));
    assert_eq!(
        admitted(&mut queue, secs(0)).len(),
        1,
        "no limit on requests any more"
    );
}

#[test]
fn a_queue_is_at_rest_when_nobody_is_in_it_and_nothing_is_owed() {
    let mut queue = Queue::new(pace(1, 60, 60), secs(0));
    assert!(queue.is_at_rest(secs(0)));
    let ticket = join(&mut queue, 1);
    assert!(!queue.is_at_rest(secs(0)));
    admitted(&mut queue, secs(0));
    queue.leave(ticket, None, secs(0));
    assert!(!queue.is_at_rest(secs(0)));
    assert!(queue.is_at_rest(secs(1)));
}

#[test]
fn estimates() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:…"}});
    let mut message = Message::text(Role::User, "");
    message.content = Content::Parts(vec![
        Part::Text("12345".into()),
        Part::Other(image.as_object().cloned().unwrap()),
    ]);
    let request = ChatRequest {
        messages: vec![Message::text(Role::System, "1234567"), message],
        max_tokens: Some(50),
        tools: vec![json!({"a": 1})],
        ..ChatRequest::default()
    };
    assert_eq!(estimate(&ChatRequest::default()), 0);
    assert_eq!(estimate(&request), (5_u64 + 7 + 7).div_ceil(4) + 1000 + 50);
}

#[test]
fn the_limits_in_words() {
    assert_eq!(pace(2, 0, 9000).to_string(), "2 at once, 9000 tokens a minute");
    assert!(pace(0, 0, 0).is_unlimited() && !pace(0, 1, 0).is_unlimited());
}

/// One call of a simulation.
#[derive(Clone, Debug)]
struct Plan {
    /// After the one before it.
    arrives_ms: u64,
    estimate: u64,
    takes_ms: u64,
    spends: Option<u64>,
    /// It gives up if it waits this long.
    patience_ms: Option<u64>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let spends = proptest::option::of(0_u64..200);
    let patience = proptest::option::weighted(0.2, 0_u64..60_000);
    (0_u64..20_000, 0_u64..150, 0_u64..90_000, spends, patience).prop_map(
        |(arrives_ms, estimate, takes_ms, spends, patience_ms)| Plan {
            arrives_ms,
            estimate,
            takes_ms,
            spends,
            patience_ms,
        },
    )
}

/// Plays the plans against a queue, looking at it only when something happens or when it asks for it. Gives the
/// admissions in order, and how many were left waiting for ever.
fn simulate(pace: Pace, plans: &[Plan]) -> (Vec<(Duration, Ticket, usize)>, usize) {
    enum Event {
        Arrive,
        Leave(Ticket, Option<u64>),
        LosePatience(Ticket),
    }
    let mut queue = Queue::new(pace, Duration::ZERO);
    let mut events: Vec<(Duration, usize, Event)> = Vec::new();
    let mut now = Duration::ZERO;
    for (n, plan) in plans.iter().enumerate() {
        now += Duration::from_millis(plan.arrives_ms);
        events.push((now, n, Event::Arrive));
    }
    let (mut admissions, mut plan_of) = (Vec::new(), BTreeMap::new());
    now = Duration::ZERO;
    loop {
        while let Some(ticket) = queue.poll(now) {
            let n = plan_of[&ticket];
            let plan: &Plan = &plans[n];
            admissions.push((now, ticket, n));
            let end = now + Duration::from_millis(plan.takes_ms);
            events.push((end, n, Event::Leave(ticket, plan.spends)));
        }
        let next = (0..events.len()).min_by_key(|&at| events[at].0);
        let wake = queue.wake_at(now);
        match next {
            Some(at) if wake.is_none_or(|wake| events[at].0 <= wake) => {
                let (time, n, event) = events.swap_remove(at);
                now = time;
                match event {
                    Event::Arrive => {
                        let ticket = join(&mut queue, plans[n].estimate);
                        plan_of.insert(ticket, n);
                        if let Some(patience) = plans[n].patience_ms {
                            let until = now + Duration::from_millis(patience);
                            events.push((until, n, Event::LosePatience(ticket)));
                        }
                    }
                    Event::Leave(ticket, spent) => queue.leave(ticket, spent, now),
                    Event::LosePatience(ticket) if !queue.is_running(ticket) => {
                        queue.leave(ticket, None, now)
                    }
                    Event::LosePatience(_) => {}
                }
            }
            _ => match wake {
                Some(wake) => now = wake,
                None => return (admissions, queue.waiting.len()),
            },
        }
    }
}

/// A minute, in nanoseconds.
const MINUTE: u128 = 60_000_000_000;

proptest! {
    #[test]
    fn no_limit_is_passed_the_order_is_kept_and_nobody_is_forgotten(
        plans in proptest::collection::vec(plan(), 1..60),
        at_once in 0_u32..4,
        requests in 0_u32..20,
        tokens in prop_oneof![Just(0_u32), 1_u32..500],
    ) {
        let (admissions, forgotten) = simulate(pace(at_once, requests, tokens), &plans);
        prop_assert_eq!(forgotten, 0);
        let impatient = plans.iter().filter(|plan| plan.patience_ms.is_some()).count();
        prop_assert!(admissions.len() + impatient >= plans.len());
        prop_assert!(admissions.is_sorted_by(|a, b| a.1 < b.1 && a.0 <= b.0), "in order");

        for (n, &(from, ..)) in admissions.iter().enumerate() {
            for (count, (to, ..)) in admissions[n..].iter().enumerate() {
                let allowed = u128::from(requests) * (MINUTE + (*to - from).as_nanos());
                prop_assert!(requests == 0 || (count as u128 + 1) * MINUTE <= allowed, "{requests} a minute");
            }
            if at_once > 0 {
                let running = admissions[..=n].iter().filter(|(began, _, plan)| {
                    *began + Duration::from_millis(plans[*plan].takes_ms) > from
                });
                prop_assert!(running.count() <= at_once as usize, "{at_once} at once");
            }
        }
    }

    #[test]
    fn tokens_are_held_to_the_estimates_where_nobody_counts(
        mut plans in proptest::collection::vec(plan(), 1..60),
        tokens in 1_u32..300,
    ) {
        plans.iter_mut().for_each(|plan| plan.spends = None);
        let (admissions, _) = simulate(pace(0, 0, tokens), &plans);
        for n in 0..admissions.len() {
            let mut spent = 0;
            for &(to, _, plan) in &admissions[n..] {
                // The last of a window may be larger than the whole budget, if the bucket was full.
                let last = u128::from(plans[plan].estimate.min(u64::from(tokens)));
                let allowed = u128::from(tokens) * (MINUTE + (to - admissions[n].0).as_nanos());
                prop_assert!((spent + last) * MINUTE <= allowed);
                spent += u128::from(plans[plan].estimate);
            }
        }
    }
}
