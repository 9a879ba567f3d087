//! Checks of the SmolLM2 model against a reference evaluation (llama.cpp in f32; see `data/`).
//!
//! They need the model's file, which is no part of the repository: `AURORA_TEST_MODEL` names it, and `.ci/run` fetches
//! it and sets that. Without it this program says what it leaves out. `AURORA_TEST_BACKEND` names what runs it, candle by
//! default. It has no test harness, because a harness hides what a passing test says.
//!
//! On a backend that is not exact two computations of the same may part where two tokens are nearly as likely. There,
//! what candle has to give to the last bit is compared up to the first token whose margin is under [`CLEAR`].

#![expect(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "checker/mod.rs"]
mod checker;
#[path = "model/margins.rs"]
mod margins;
#[path = "model/structured.rs"]
mod structured;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Delta, Message, Role, Update};
use aurora_local::evaluate::{Evaluator, Sequences, best};
use aurora_local::{Backend, Engine, Generation, Options, Refusal};
use margins::{alone, compared};
use serde_json::Value;

/// A margin between the best two logits at which no quantised engine may choose the second.
const CLEAR: f64 = 0.5;

type Check = (&'static str, fn(&Evaluator, &Path));

const CHECKS: &[Check] = &[
    ("token_ids_match_exactly", token_ids),
    ("rendered_conversations_have_the_reference_ids", conversations),
    ("forced_best_tokens_agree_when_read_at_once", |model, _| {
        forced(model, usize::MAX)
    }),
    ("forced_best_tokens_agree_when_read_in_pieces", |model, _| {
        forced(model, 5)
    }),
    ("greedy_text_follows_the_reference", greedy),
    ("greedy_text_does_not_depend_on_the_batch", together),
    ("logits_do_not_depend_on_the_pieces_of_a_prompt", pieces),
    ("what_is_kept_changes_no_answer", kept),
    ("answers_obey_their_schemas_at_any_temperature", structured::obey),
    (
        "what_is_held_to_a_schema_depends_on_its_request_alone",
        structured::together,
    ),
    ("calls_obey_their_parameters", structured::calls),
    ("log_probabilities_are_the_models_own", structured::likely),
    ("masks_are_cheap", structured::cost),
    ("many_requests_leave_nothing_behind", soak),
];

fn main() -> ExitCode {
    let Some(path) = std::env::var_os("AURORA_TEST_MODEL") else {
        println!(
            "left out: {} checks of the SmolLM2 model; AURORA_TEST_MODEL is not set (.ci/run sets it)",
            CHECKS.len()
        );
        return ExitCode::SUCCESS;
    };
    let path = Path::new(&path);
    println!("{} checks on {}", CHECKS.len(), options().backend);
    let model = match Evaluator::load(path, &options()) {
        Ok(model) => model,
        Err(error) => {
            println!("cannot load the model: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    for (name, check) in CHECKS {
        let run = std::panic::AssertUnwindSafe(|| check(&model, path));
        let passed = std::panic::catch_unwind(run).is_ok();
        failed += usize::from(!passed);
        println!("check {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    println!("{} passed, {failed} failed", CHECKS.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The settings all checks begin with.
fn options() -> Options {
    let mut options = Options::named("smollm2");
    if let Ok(name) = std::env::var("AURORA_TEST_BACKEND") {
        options.backend = name.parse().expect("a backend's name");
    }
    options
}

fn load(path: &Path) -> Engine {
    Engine::load(path, options()).expect("it loaded before")
}

fn token_ids(model: &Evaluator, _: &Path) {
    // The bytes of the vocabulary's holes, which no token spells.
    let hole = |byte: &u8| {
        matches!(
            byte,
            0x04 | 0x06 | 0x13 | 0x14 | 0x16 | 0x1d | 0xc0 | 0xc1 | 0xf1 | 0xf2 | 0xf5..=0xff
        )
    };
    let cases = cases(include_str!("data/smollm2-tokens.jsonl"));
    assert!(cases.len() > 100);
    for case in cases {
        let text = text(&case["text"]);
        let ids = model.encode(text);
        assert_eq!(ids, ids_of(&case["ids"]), "{}", case["name"]);
        let expected: Vec<u8> = text.bytes().filter(|byte| !hole(byte)).collect();
        assert_eq!(model.decode(&ids), expected, "{}", case["name"]);
    }
}

fn conversations(model: &Evaluator, _: &Path) {
    let cases = cases(include_str!("data/smollm2-chat.jsonl"));
    assert!(cases.iter().any(|case| case["ids_safe"].is_array()));
    for case in cases {
        let expected = if case["ids_safe"].is_array() {
            &case["ids_safe"]
        } else {
            &case["ids"]
        };
        let add_generation_prompt = case["add_generation_prompt"] == true;
        let ids = model
            .conversation(&request(&case), add_generation_prompt)
            .expect("the template takes it");
        assert_eq!(ids, ids_of(expected), "{}", case["name"]);
    }
}

/// Feeds each text in pieces, and compares the best token after each position, and the mean negative log likelihood.
fn forced(model: &Evaluator, piece: usize) {
    let (mut all, mut equal, mut clear, mut clear_equal) = (0, 0, 0, 0);
    for case in cases(include_str!("data/smollm2-forced.jsonl")) {
        let ids = ids_of(&case["ids"]);
        let top = ids_of(&case["top1"]);
        let margins = floats(&case["top1_logit_margin"]);
        let mut sequences = model.sequences(1, ids.len()).expect("there is memory");
        let mut nll = 0.0;
        let mut position = 0;
        for piece in ids.chunks(piece.min(ids.len())) {
            for logits in sequences.read_all(0, piece).expect("ids of the vocabulary") {
                let same = best(logits) == top[position];
                all += 1;
                equal += usize::from(same);
                clear += usize::from(margins[position] >= CLEAR);
                clear_equal += usize::from(same && margins[position] >= CLEAR);
                position += 1;
                if let Some(&next) = ids.get(position) {
                    nll += surprise(logits, next);
                }
            }
        }
        let mean = nll / (ids.len() - 1) as f64;
        let expected = case["nll_mean"].as_f64().expect("a number");
        assert!(
            (mean - expected).abs() < 0.05,
            "{}: {mean:.4} nats, reference {expected:.4}",
            case["name"]
        );
    }
    let (share, clear_share) = (equal as f64 / all as f64, clear_equal as f64 / clear as f64);
    println!(
        "  best tokens: {:.2} % of {all}, {:.2} % of the {clear} clear ones",
        share * 100.0,
        clear_share * 100.0
    );
    // llama.cpp in Q8_0, read at once, has 95.9 and 99.8 %.
    assert!(share >= 0.95 && clear_share >= 0.998);
}

fn greedy(model: &Evaluator, path: &Path) {
    let engine = load(path);
    for case in cases(include_str!("data/smollm2-greedy.jsonl")) {
        let margins = floats(&case["margins"]);
        // Up to here no quantised engine may go another way.
        let sure = margins
            .iter()
            .position(|&margin| margin < CLEAR)
            .unwrap_or(margins.len());
        let ids = ids_of(&case["ids"]);
        let request = ChatRequest {
            temperature: Some(0.0),
            max_tokens: Some(ids.len() as u32),
            ..request(&case)
        };
        let (text, finish) = answer(&engine, &request);
        let whole = self::text(&case["text"]);
        if sure == margins.len() {
            assert_eq!(
                (text.as_str(), finish.as_str()),
                (whole, self::text(&case["finish"])),
                "{}",
                case["name"]
            );
        } else {
            let certain = model.decode(&ids[..sure]);
            assert!(
                text.as_bytes().starts_with(&certain),
                "{}: {text:?} and {whole:?}",
                case["name"]
            );
        }
    }
}

/// The same prompts alone and with seven others give the same tokens.
fn together(model: &Evaluator, _: &Path) {
    let prompts: Vec<Vec<u32>> = cases(include_str!("data/smollm2-greedy.jsonl"))
        .iter()
        .map(|case| ids_of(&case["prompt_ids"]))
        .collect();
    let begin = |sequences: &mut Sequences, sequence, prompt: &Vec<u32>| {
        best(sequences.read(sequence, prompt).expect("ids of the vocabulary"))
    };
    let room = prompts.iter().map(Vec::len).max().unwrap_or(0) + 24;
    let mut sequences = model.sequences(prompts.len(), room).expect("there is memory");
    let mut tokens: Vec<u32> = prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| begin(&mut sequences, index, prompt))
        .collect();
    let mut batched: Vec<Vec<u32>> = tokens.iter().map(|&token| vec![token]).collect();
    for _ in 0..16 {
        tokens = sequences.read_together(&tokens).expect("there is room");
        tokens
            .iter()
            .zip(&mut batched)
            .for_each(|(&token, text)| text.push(token));
    }
    let (mut sure, mut all) = (0, 0);
    for (prompt, batched) in prompts.iter().zip(batched) {
        let (alone, margins) = alone(model, prompt, batched.len());
        let compared = compared(&margins);
        assert_eq!(alone[..compared], batched[..compared]);
        (sure, all) = (sure + compared, all + batched.len());
    }
    println!("  {sure} of {all} tokens compared");
    assert!(sure > all / 3);
}

/// To the last bit, for pieces that take the way of many, where the backend is exact.
fn pieces(model: &Evaluator, _: &Path) {
    let ids = model.encode(&"The keeper counted the ships that passed. ".repeat(40));
    let ids = &ids[..320];
    let read = |piece: usize| {
        let mut sequences = model.sequences(1, ids.len()).expect("there is memory");
        let mut logits = Vec::new();
        for piece in ids.chunks(piece) {
            logits = sequences.read(0, piece).expect("ids of the vocabulary").to_vec();
        }
        logits
    };
    let whole = read(ids.len());
    let mut furthest = 0.0;
    for piece in [16, 20, 64, 80, 160, 300] {
        let other = read(piece);
        let apart = whole.iter().zip(&other).map(|(a, b)| (a - b).abs());
        furthest = apart.fold(furthest, f32::max);
        assert!(
            options().backend != Backend::Candle || whole == other,
            "pieces of {piece}"
        );
    }
    println!("  logits at most {furthest:.4} apart");
    assert!(f64::from(furthest) < CLEAR * 2.0);
}

/// A conversation in an engine that keeps what it has read, and each of its turns in a new one.
fn kept(model: &Evaluator, path: &Path) {
    let keeping = load(path);
    let mut messages = vec![Message::text(
        Role::System,
        "You keep a lighthouse. ".repeat(12) + "Answer shortly.",
    )];
    for question in ["Who are you?", "Which ships passed today?", "Tell me of a storm."] {
        messages.push(Message::text(Role::User, question));
        let request = ChatRequest {
            messages: messages.clone(),
            temperature: Some(0.0),
            max_tokens: Some(40),
            ..ChatRequest::default()
        };
        let expected = answer(&load(path), &request);
        let prompt = model.conversation(&request, true).expect("the template takes it");
        let (tokens, margins) = alone(model, &prompt, 40);
        let sure = model.decode(&tokens[..compared(&margins)]);
        for again in ["first", "the same again"] {
            let got = answer(&keeping, &request);
            if options().backend.is_exact() {
                assert_eq!(got, expected, "{again}");
            } else {
                let agree = |text: &str| text.as_bytes().iter().zip(&sure).all(|(a, b)| a == b);
                assert!(
                    agree(&got.0) && agree(&expected.0),
                    "{again}: {got:?}, {expected:?}"
                );
            }
        }
        messages.push(Message::text(Role::Assistant, expected.0));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Requests of random lengths, of which half are dropped at a random moment, for `AURORA_ENGINE_SOAK` seconds or 5; then
/// as many as there is room for, and one more. Memory never grows beyond what the settings say.
fn soak(_: &Evaluator, path: &Path) {
    let seconds = std::env::var("AURORA_ENGINE_SOAK").map_or(5, |seconds| seconds.parse().expect("seconds"));
    let mut options = options();
    (options.max_streams, options.max_queue) = (8, 24);
    options.kv_bytes = Some(64 << 20);
    let engine = Engine::load(path, options).expect("it loaded before");
    let end = Instant::now() + Duration::from_secs(seconds);
    let half = end - Duration::from_secs(seconds) / 2;
    let before = resident();
    let (asked, whole) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (mut first, mut second) = (0, 0);
    std::thread::scope(|scope| {
        for client in 0..24_u64 {
            let (engine, asked, whole) = (&engine, &asked, &whole);
            scope.spawn(move || {
                let mut random = client;
                let mut draw = |below: u64| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (random >> 33) % below
                };
                while Instant::now() < end {
                    let words = "The keeper counted ships. ".repeat(draw(40) as usize);
                    let request = ChatRequest {
                        messages: vec![Message::text(Role::User, format!("{} {words}", draw(5)))],
                        max_tokens: Some(1 + draw(40) as u32),
                        ..ChatRequest::default()
                    };
                    let mut generation = begin_soon(engine, &request);
                    asked.fetch_add(1, Ordering::Relaxed);
                    let drop_after = if draw(2) == 0 { draw(20) } else { u64::MAX };
                    let mut updates = 0;
                    while updates < drop_after
                        && let Some(update) = generation.blocking_next()
                    {
                        updates += 1;
                        if let Update::End(end) = update {
                            assert!(end.finish_reason.is_some(), "{end:?}");
                            whole.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        while Instant::now() < end {
            let most = if Instant::now() < half {
                &mut first
            } else {
                &mut second
            };
            *most = resident().max(*most);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    println!(
        "  {} requests, {} whole; {before} MB before, at most {first} in the first half, {second} in the second",
        asked.into_inner(),
        whole.into_inner()
    );
    // Keys and values, and 64 MB for the rows of a step and what the allocator holds on to.
    assert!(first.max(second) <= before + 64 + 64, "memory grows");
    for _ in 0..2 {
        let all: Vec<_> = (0..32)
            .map(|_| begin_soon(&engine, &long("Who is there?")))
            .collect();
        assert!(matches!(
            engine.generate(&long("And you?")),
            Err(Refusal::Busy { .. })
        ));
        drop(all);
    }
}

/// Begins an answer as soon as those that were dropped have given back their places.
fn begin_soon(engine: &Engine, request: &ChatRequest) -> Generation {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        match engine.generate(request) {
            Ok(generation) => return generation,
            Err(Refusal::Busy { .. }) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

/// A request whose answer does not end before its limit.
fn long(question: &str) -> ChatRequest {
    // SmolLM2's tokens that end an answer.
    let never = [0, 2].map(|id| (id, -100.0));
    ChatRequest {
        messages: vec![Message::text(Role::User, question)],
        max_tokens: Some(400),
        logit_bias: never.into_iter().collect(),
        ..ChatRequest::default()
    }
}

/// Memory of this process, in MB; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes / 1024)
}

/// A whole answer and its finish reason.
fn answer(engine: &Engine, request: &ChatRequest) -> (String, String) {
    let mut generation = engine.generate(request).expect("a valid request");
    let (mut text, mut finish) = (String::new(), String::new());
    while let Some(update) = generation.blocking_next() {
        match update {
            Update::Delta(Delta::Text(piece)) => text.push_str(&piece),
            Update::Delta(Delta::Finish(reason)) => finish = reason.as_str().to_owned(),
            _ => {}
        }
    }
    (text, finish)
}

/// The negative log likelihood of a token, in nats.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let largest = f64::from(logits[best(logits) as usize]);
    let sum: f64 = logits
        .iter()
        .map(|&logit| (f64::from(logit) - largest).exp())
        .sum();
    sum.ln() + largest - f64::from(logits[token as usize])
}

fn request(case: &Value) -> ChatRequest {
    let message = |message: &Value| {
        let role = Role::from_wire(text(&message["role"])).expect("a role");
        Message::text(role, text(&message["content"]))
    };
    let messages = case["messages"]
        .as_array()
        .expect("an array")
        .iter()
        .map(message)
        .collect();
    ChatRequest {
        messages,
        ..ChatRequest::default()
    }
}

fn cases(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("valid JSON"))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn ids_of(value: &Value) -> Vec<u32> {
    let id = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("an id");
    value.as_array().expect("an array").iter().map(id).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("an array")
        .iter()
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}
