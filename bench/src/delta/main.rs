//! From bytes to typed increments side by side, in one run: nanoseconds and allocations an event.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin delta`. The figures are CPU time of this thread, the
//! median of several rounds in which the readers take turns. Read the ratios.

mod corpus;
mod readers;

use aurora_client::Recording;
use corpus::Variety;
use readers::{Input, Run, Seen};

/// How much a socket gives at a time when its server is ahead.
const READ: usize = 16 << 10;

const ROUNDS: usize = 9;

const READERS: [(&str, Run); 6] = [
    ("aurora: aurora-sse, aurora-chat", readers::aurora),
    ("aurora: a whole call of aurora-client", readers::aurora_client),
    (
        "serde_json alone, borrowed, events given",
        readers::serde_json_alone,
    ),
    ("sse-stream 0.3, serde, borrowed", readers::sse_stream),
    (
        "eventsource-stream 0.2, serde, owned",
        readers::eventsource_stream,
    ),
    (
        "eventsource-stream 0.2, types of async-openai 0.43",
        readers::async_openai,
    ),
];

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    for (title, variety) in [
        ("plain", Variety::Plain),
        ("padded", Variety::Padded),
        ("counting", Variety::Counting),
    ] {
        if title.contains(&filter) {
            let answers = corpus::answers(64 << 20, variety);
            table(title, answers.into_iter().map(|answer| &*answer.leak()).collect());
        }
    }
}

fn table(title: &str, answers: Vec<&'static [u8]>) {
    let bytes: usize = answers.iter().map(|answer| answer.len()).sum();
    let events: usize = answers.iter().map(|answer| data(answer).len()).sum();
    let medians: [f64; READERS.len()] = aurora_bench::medians(ROUNDS, |n| inputs(n, &answers), read_all);
    let expected = read_all(0, inputs(0, &answers));
    assert_eq!(expected.ends, answers.len(), "every answer is whole");
    println!("### {title}\n");
    println!(
        "{} answers, {events} events, {:.0} bytes each.\n",
        answers.len(),
        bytes as f64 / events as f64
    );
    println!("| | ns an event | time, ours = 1 | MB/s | allocations an event |");
    println!("|---|---:|---:|---:|---:|");
    for (n, seconds) in medians.into_iter().enumerate() {
        let prepared = inputs(n, &answers);
        let (seen, allocations) = aurora_bench::count(|| read_all(n, prepared));
        assert_eq!(seen, expected, "{}", READERS[n].0);
        println!(
            "| {} | {:.0} | {:.1} | {:.0} | {:.2} |",
            READERS[n].0,
            seconds * 1e9 / events as f64,
            seconds / medians[0],
            bytes as f64 / seconds / 1e6,
            allocations as f64 / events as f64,
        );
    }
    println!();
}

fn read_all(reader: usize, inputs: Vec<Input>) -> Seen {
    let mut seen = Seen::default();
    for input in inputs {
        (READERS[reader].1)(input, &mut seen);
    }
    seen
}

/// The answers as this reader takes them.
fn inputs(reader: usize, answers: &[&'static [u8]]) -> Vec<Input> {
    let run = READERS[reader].1;
    let each = answers.iter().map(|answer| {
        if std::ptr::fn_addr_eq(run, readers::aurora_client as Run) {
            Input::Call(Box::new(recording(answer)))
        } else if std::ptr::fn_addr_eq(run, readers::serde_json_alone as Run) {
            Input::Data(data(answer))
        } else {
            Input::Bytes(answer, READ)
        }
    });
    each.collect()
}

/// The data of an answer's events.
fn data(answer: &'static [u8]) -> Vec<&'static str> {
    let answer = std::str::from_utf8(answer).expect("the corpus is text");
    answer
        .split_terminator("\n\n")
        .map(|event| &event["data: ".len()..])
        .collect()
}

/// The recording of a call whose body arrived in reads of [`READ`] bytes.
fn recording(answer: &[u8]) -> Recording {
    let header = serde_json::json!({
        "aurora_recording": 1, "endpoint": "bench", "model": "m", "began_unix_ms": 0, "request": null,
        "terms": {
            "connect_ms": 10_000, "headers_ms": 120_000, "first_event_ms": 120_000, "idle_ms": 60_000, "total_ms": null,
            "event_bytes": 8 << 20, "answer_bytes": 64 << 20, "header_bytes": 64 << 10, "retries": 4, "seed": 1,
        },
    });
    let head = serde_json::json!({"at_us": 0, "head": {
        "status": 200, "content_type": "text/event-stream", "should_retry": null, "retry_after_us": null,
        "stream": null, "location": null, "bytes": 100,
    }});
    let mut lines = format!("{header}\n{head}\n");
    for read in answer.chunks(READ) {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let hex: String = read
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect();
        lines.push_str(&format!("{{\"at_us\":0,\"hex\":\"{hex}\"}}\n"));
    }
    lines.push_str("{\"at_us\":0,\"end\":{\"failure\":null}}\n");
    Recording::parse(lines.as_bytes()).expect("a recording as the client writes it")
}
