//! Event-stream decoders side by side, in one run: bytes a CPU second and allocations an event.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin sse`. The figures are CPU time of this thread, the
//! median of several rounds in which the decoders take turns, so that a busy machine slows all of them alike. Read the
//! ratios.

mod corpus;
mod decoders;

use decoders::{Run, Seen};

const DECODERS: [(&str, Run); 5] = [
    ("memchr, once a line", decoders::floor),
    ("aurora-sse", decoders::aurora),
    ("sse-stream 0.3.0", decoders::sse_stream),
    ("sse-core 0.2.3", decoders::sse_core),
    ("eventsource-stream 0.2.3", decoders::eventsource_stream),
];

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let chat = corpus::chat(64 << 20).leak();
    let chinese = corpus::chinese(64 << 20).leak();
    let line = corpus::one_line(4 << 20).leak();
    if filter.is_empty() || "chat".contains(&filter) {
        table("64 MiB of chat, reads of 16 KiB", chat, 16 << 10, 11);
        table("64 MiB of chat, reads of 7 bytes", chat, 7, 5);
        table(
            "64 MiB of chat in Chinese, reads of 16 KiB",
            chinese,
            16 << 10,
            11,
        );
    }
    if filter.is_empty() || "line".contains(&filter) {
        // A quadratic decoder needs seconds for one round of this.
        table("one line of 4 MiB, reads of 1 KiB", line, 1 << 10, 3);
    }
}

fn table(title: &str, stream: &'static [u8], read: usize, rounds: usize) {
    let medians: [f64; DECODERS.len()] =
        aurora_bench::medians(rounds, |_| (), |n, ()| (DECODERS[n].1)(stream, read));
    let (floor, ours) = (medians[0], medians[1]);
    let expected = decoders::aurora(stream, read);
    println!("### {title}\n");
    println!(
        "{} events, {:.0} bytes each.\n",
        expected.events,
        stream.len() as f64 / expected.events as f64
    );
    println!("| | MB/s | ms | of the floor | time, ours = 1 | allocations an event |");
    println!("|---|---:|---:|---:|---:|---:|");
    for ((name, run), seconds) in DECODERS.iter().zip(medians) {
        let (seen, allocations) = aurora_bench::count(|| run(stream, read));
        check(name, seen, expected);
        println!(
            "| {name} | {:.0} | {:.1} | {:.2} | {:.1} | {:.3} |",
            stream.len() as f64 / seconds / 1e6,
            seconds * 1e3,
            floor / seconds,
            seconds / ours,
            allocations as f64 / expected.events as f64,
        );
    }
    println!();
}

/// A decoder that is fast because it is wrong has no place in the table.
fn check(name: &str, seen: Seen, expected: Seen) {
    if !name.starts_with("memchr") {
        assert_eq!(seen, expected, "{name}");
    }
}
