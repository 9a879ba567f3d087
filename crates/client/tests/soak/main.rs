//! Many streams at once with random faults: every one ends with the verdict and the text that its script demands, and
//! afterwards the client holds no more memory and no more files than before.
//!
//! Client and upstream share this process. A gate in the upstream holds every stream's first byte back until all
//! have arrived, so they are open at the same time by construction. A first, smaller round warms up what is made once;
//! what is held after it is what must be held after the second, with the same client still there.
//!
//! `AURORA_SOAK` is the number of streams, 200 by default; `AURORA_SOAK_SEED` draws other faults:
//!
//! ```text
//! AURORA_SOAK=2000 cargo test -p aurora-client --test soak -- --nocapture
//! ```
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "the soak reports what it did")]

mod maker;
mod plan;
mod resources;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aurora_chat::{ChatRequest, Delta, End, Message, Notice, Role, Update};
use aurora_client::{Answer, Client};
use aurora_testkit::{Gate, Script, Upstream};
use maker::Maker;
use plan::{Consumer, Plan, census};
use resources::{Held, allow_files};
use tokio::task::JoinSet;

/// Within this a round has to be over, and what it held given back. Some seconds are what it takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What may stay for each stream that has been, in bytes: tables that have grown do not shrink.
const LEFT_BEHIND: usize = 64;

/// The files of the upstream itself, and of the connections that a client keeps idle: 128, both ends of which are here.
const IDLE_FILES: usize = 16 + 2 * 128;

#[test]
fn every_stream_ends_as_its_script_demands_and_nothing_is_left_behind() {
    let number = |name: &str, default: usize| match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    };
    let streams = number("AURORA_SOAK", 200);
    let seed = number("AURORA_SOAK_SEED", 1) as u64;
    // Two ends of every connection, and a retry may open a second one before the first is closed.
    allow_files(4 * streams as u64 + 200);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = Client::new().expect("a client");
        let cold = Held::now();
        round(&client, streams.div_ceil(4), !seed).await;
        let warm = settled(|held| held.files <= cold.files).await;

        let begun = Instant::now();
        let open = round(&client, streams, seed).await;
        let elapsed = begun.elapsed();
        let bound = warm.bytes + streams * LEFT_BEHIND;
        let after = settled(|held| held.files <= warm.files && held.bytes <= bound).await;

        println!("{streams} streams, seed {seed}, in {elapsed:.1?}");
        println!(
            "held by client and upstream while all were open: {} files, {} KiB a stream",
            open.files - warm.files,
            open.bytes.saturating_sub(warm.bytes) / streams / 1024,
        );
        println!(
            "held before: {} files, {} KiB; after: {} files, {} KiB",
            warm.files,
            warm.bytes / 1024,
            after.files,
            after.bytes / 1024,
        );
    });
}

/// Plays this many streams, and says what was held while all of them were open.
async fn round(client: &Client, streams: usize, seed: u64) -> Held {
    let before = Held::now();
    let gate = Gate::new();
    let mut maker = Maker::new(seed, gate.clone());
    let plans: Arc<[Plan]> = (0..streams).map(|_| maker.draw()).collect();
    println!("{}", census(&plans));

    let arrived = Arc::new(AtomicUsize::new(0));
    let (script_plans, script_arrived) = (Arc::clone(&plans), Arc::clone(&arrived));
    let upstream = Upstream::start(Script::with(move |_, request| {
        let body = request.json();
        let number = body["model"]
            .as_str()
            .and_then(|model| model.parse::<usize>().ok());
        let (reply, first) = script_plans[number.expect("the stream's number")].reply();
        script_arrived.fetch_add(usize::from(first), Ordering::Relaxed);
        reply
    }));
    let mut calls = JoinSet::new();
    for number in 0..streams {
        let (client, plans, url) = (client.clone(), Arc::clone(&plans), upstream.url());
        calls.spawn(async move { follow(&client, &plans[number], number, &url).await });
        // A listener's queue is short.
        if number % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let open = within("all streams to arrive", async {
        while arrived.load(Ordering::Relaxed) < streams {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Held::now()
    })
    .await;
    gate.open();
    let wrong: Vec<String> = within("all streams to end", calls.join_all())
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    let shown: Vec<_> = wrong.iter().take(10).collect();
    assert!(
        wrong.is_empty(),
        "{} of {streams} streams, seed {seed}: {shown:#?}",
        wrong.len()
    );
    settled(|held| held.files <= before.files + IDLE_FILES).await;
    // The idle connections close with their server. The HTTP library forgets closed ones to a host when it is asked for
    // one to that host.
    let url = upstream.url();
    drop(upstream);
    settled(|held| held.files <= before.files).await;
    let mut endpoint = plan::endpoint(&url);
    endpoint.retries = 0;
    let told = read(client.start(&endpoint, ChatRequest::default()), Consumer::Stays).await;
    assert!(told.end.is_some_and(|end| end.failure.is_some()));
    open
}

/// Reads one stream and compares.
///
/// # Errors
///
/// What is not as planned.
async fn follow(client: &Client, plan: &Plan, number: usize, url: &str) -> Result<(), String> {
    let request = ChatRequest {
        model: number.to_string(),
        messages: vec![Message::text(Role::User, "Hello?")],
        ..ChatRequest::default()
    };
    let told = read(client.start(&plan.endpoint(url), request), plan.consumer).await;
    let expected = &plan.expected;
    let text = match expected.prefix {
        true => expected.text.starts_with(&told.text),
        false => expected.text == told.text,
    };
    let end = match (&told.end, plan.consumer) {
        (None, consumer) => consumer == Consumer::Leaves,
        (Some(end), _) => end.verdict == expected.verdict,
    };
    let retries = expected.retries.is_none_or(|retries| retries == told.retries);
    let garbage = match expected.prefix {
        true => told.garbage <= expected.garbage,
        false => told.garbage == expected.garbage,
    };
    match told.in_order && text && end && retries && garbage {
        true => Ok(()),
        false => Err(format!(
            "{} (stream {number}): {told:?}, but {expected:?}",
            plan.kind
        )),
    }
}

/// What an answer said.
#[derive(Debug, Default)]
struct Told {
    text: String,
    retries: usize,
    garbage: usize,
    end: Option<End>,
    /// At most one start, before any delta; one end, the last thing.
    in_order: bool,
}

async fn read(mut answer: Answer, consumer: Consumer) -> Told {
    let mut told = Told {
        in_order: true,
        ..Told::default()
    };
    let mut started = false;
    while let Some(update) = answer.next().await {
        told.in_order &= told.end.is_none();
        match update {
            Update::Start(_) => {
                told.in_order &= !started;
                started = true;
            }
            Update::Delta(delta) => {
                told.in_order &= started;
                let Delta::Text(text) = delta else { continue };
                told.text += &text;
                match consumer {
                    Consumer::Stays => {}
                    Consumer::Leaves => return told,
                    Consumer::Cancels => answer.cancel(),
                }
            }
            Update::Notice(Notice::Retry { .. }) => told.retries += 1,
            Update::Notice(Notice::Warning { kind: "bad_json", .. }) => told.garbage += 1,
            Update::Notice(_) => {}
            Update::End(end) => told.end = Some(end),
        }
    }
    told
}

/// Waits until what is held is within bounds: closed connections are noticed in the background.
async fn settled(within_bounds: impl Fn(Held) -> bool) -> Held {
    let begun = Instant::now();
    loop {
        let held = Held::now();
        if within_bounds(held) {
            return held;
        }
        assert!(begun.elapsed() < PATIENCE, "still held: {held:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}
