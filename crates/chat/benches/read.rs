//! Event data to typed delta, with and without the short way (`dialect/openai/fast.rs`), in CPU time's nearest stand-in:
//! the best of many rounds of wall time. It measures no SSE framing.
#![expect(clippy::print_stdout, reason = "a benchmark reports on stdout")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aurora_chat::dialect::openai::Reader;

const EVENTS: usize = 20_000;
const ROUNDS: usize = 30;

fn main() {
    let chunk = |n: usize, created: usize| {
        format!(
            r#"{{"id":"chatcmpl-9lMgfRSWPHcw51s6wxKT1YEO2CKpd","object":"chat.completion.chunk","created":{created},"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_5bd87c427a","choices":[{{"index":0,"delta":{{"content":" word{}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#,
            n % 97
        )
    };
    let alike: Vec<String> = (0..EVENTS).map(|n| chunk(n, 1_721_075_653)).collect();
    // A field that changes with every chunk defeats the short way: this is the full parser and the vain learning.
    let unlike: Vec<String> = (0..EVENTS).map(|n| chunk(n, 1_721_075_653 + n)).collect();
    println!("{} bytes an event", alike[0].len());
    println!("short way   {:>6.0} ns an event", best(&alike));
    println!("full parser {:>6.0} ns an event", best(&unlike));
}

/// Nanoseconds an event, in the best of the rounds.
#[expect(clippy::cast_precision_loss, reason = "a report for people")]
fn best(events: &[String]) -> f64 {
    let round = |_| {
        let mut reader = Reader::new();
        let mut deltas = Vec::with_capacity(4);
        let start = Instant::now();
        for data in events {
            let _ = black_box(reader.read("message", data, &mut deltas));
            black_box(&deltas);
            deltas.clear();
        }
        start.elapsed()
    };
    let best = (0..ROUNDS).map(round).min().unwrap_or(Duration::ZERO);
    best.as_nanos() as f64 / events.len() as f64
}
