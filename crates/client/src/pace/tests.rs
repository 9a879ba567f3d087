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
fn an_answer_that_is_picked_up_keeps_its_place_and_is_charged_once() {
    let mut queue = Queue::new(pace(1, 2, 600), secs(0));
    let (first, second) = (join(&mut queue, 1), join(&mut queue, 400));
    assert_eq!(admitted(&mut queue, secs(0)), [first]);
    queue.leave(first, None, secs(0));
    assert_eq!(admitted(&mut queue, secs(0)), [second]);
    // The first tries again and waits for the place of the second, which must not wait behind it.
    queue.enqueue(first, 1).unwrap();
    queue.enqueue(second, 400).unwrap();
    assert!(!queue.is_running(second));
    assert_eq!(queue.wake_at(secs(0)), Some(secs(30)), "it is a request");
    assert_eq!(admitted(&mut queue, secs(30)), [second]);
    assert!(queue.is_running(second));
    queue.leave(second, Some(600), secs(30));
    assert_eq!(admitted(&mut queue, secs(60)), [first]);
    queue.leave(first, None, secs(60));
    queue.set_pace(pace(1, 0, 600), secs(60));
    join(&mut queue, 600);
    let missing = Duration::from_millis(200);
    assert_eq!(
        queue.wake_at(secs(60)),
        Some(secs(60) + missing),
        "602 were spent, 600 came in"
    );
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
    /// Its connection is lost after this long, and its answer picked up.
    loses_ms: Option<u64>,
    /// It gives up if it waits this long.
    patience_ms: Option<u64>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let spends = proptest::option::of(0_u64..200);
    let patience = proptest::option::weighted(0.2, 0_u64..60_000);
    let loses = proptest::option::weighted(0.2, 0_u64..30_000);
    (0_u64..20_000, 0_u64..150, 0_u64..90_000, spends, loses, patience).prop_map(
        |(arrives_ms, estimate, takes_ms, spends, loses_ms, patience_ms)| Plan {
            arrives_ms,
            estimate,
            takes_ms,
            spends,
            loses_ms,
            patience_ms,
        },
    )
}

/// One turn that was given.
struct Admission {
    at: Duration,
    ticket: Ticket,
    /// What the call had in mind.
    plan: usize,
    /// It is to pick an answer up.
    again: bool,
}

/// What became of all plans.
struct Outcome {
    admissions: Vec<Admission>,
    /// The most calls that were under way at once.
    most: usize,
    /// How many were left waiting for ever.
    forgotten: usize,
}

enum Event {
    Arrive,
    Lose(Ticket),
    Leave(Ticket, Option<u64>),
    LosePatience(Ticket),
}

/// Plays the plans against a queue, looking at it only when something happens or when it asks for it.
fn simulate(pace: Pace, plans: &[Plan]) -> Outcome {
    let mut queue = Queue::new(pace, Duration::ZERO);
    let mut events: Vec<(Duration, usize, Event)> = Vec::new();
    let mut now = Duration::ZERO;
    for (n, plan) in plans.iter().enumerate() {
        now += Duration::from_millis(plan.arrives_ms);
        events.push((now, n, Event::Arrive));
    }
    let (mut plan_of, mut begun) = (BTreeMap::new(), BTreeMap::new());
    let (mut admissions, mut most) = (Vec::new(), 0);
    now = Duration::ZERO;
    loop {
        while let Some(ticket) = queue.poll(now) {
            let plan: usize = plan_of[&ticket];
            let again = begun.insert(ticket, true).is_some();
            admissions.push(Admission {
                at: now,
                ticket,
                plan,
                again,
            });
            let Plan {
                takes_ms,
                loses_ms,
                spends,
                ..
            } = plans[plan];
            let loses = loses_ms.filter(|loses| !again && *loses < takes_ms);
            let event = match loses {
                Some(_) => Event::Lose(ticket),
                None => Event::Leave(ticket, spends),
            };
            let until = now + Duration::from_millis(loses.unwrap_or(takes_ms));
            events.push((until, plan, event));
        }
        most = most.max(queue.running.len());
        let next = (0..events.len()).min_by_key(|&at| events[at].0);
        let wake = queue.wake_at(now);
        let Some(next) = next.filter(|&at| wake.is_none_or(|wake| events[at].0 <= wake)) else {
            match wake {
                Some(wake) => now = wake,
                None => break,
            }
            continue;
        };
        let (time, n, event) = events.swap_remove(next);
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
            Event::Lose(ticket) => queue.enqueue(ticket, plans[n].estimate).unwrap(),
            Event::Leave(ticket, spent) => queue.leave(ticket, spent, now),
            Event::LosePatience(ticket) if !queue.is_running(ticket) => queue.leave(ticket, None, now),
            Event::LosePatience(_) => {}
        }
    }
    Outcome {
        admissions,
        most,
        forgotten: queue.waiting.len() + queue.running.len(),
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
        let Outcome { admissions, most, forgotten } = simulate(pace(at_once, requests, tokens), &plans);
        prop_assert_eq!(forgotten, 0);
        prop_assert!(at_once == 0 || most <= at_once as usize, "{most} at once");
        let begun: Vec<&Admission> = admissions.iter().filter(|admission| !admission.again).collect();
        let impatient = plans.iter().filter(|plan| plan.patience_ms.is_some()).count();
        prop_assert!(begun.len() + impatient >= plans.len());
        prop_assert!(begun.is_sorted_by(|a, b| a.ticket < b.ticket && a.at <= b.at), "in order");

        for (n, Admission { at: from, .. }) in admissions.iter().enumerate() {
            for (count, Admission { at: to, .. }) in admissions[n..].iter().enumerate() {
                let allowed = u128::from(requests) * (MINUTE + (*to - *from).as_nanos());
                prop_assert!(requests == 0 || (count as u128 + 1) * MINUTE <= allowed, "{requests} a minute");
            }
        }
    }

    #[test]
    fn tokens_are_held_to_the_estimates_where_nobody_counts(
        mut plans in proptest::collection::vec(plan(), 1..60),
        tokens in 1_u32..300,
    ) {
        plans.iter_mut().for_each(|plan| plan.spends = None);
        let mut admissions = simulate(pace(0, 0, tokens), &plans).admissions;
        // Who picks an answer up has paid for it.
        admissions.retain(|admission| !admission.again);
        for n in 0..admissions.len() {
            let mut spent = 0;
            for Admission { at, plan, .. } in &admissions[n..] {
                // The last of a window may be larger than the whole budget, if the bucket was full.
                let last = u128::from(plans[*plan].estimate.min(u64::from(tokens)));
                let allowed = u128::from(tokens) * (MINUTE + (*at - admissions[n].at).as_nanos());
                prop_assert!((spent + last) * MINUTE <= allowed);
                spent += u128::from(plans[*plan].estimate);
            }
        }
    }
}
