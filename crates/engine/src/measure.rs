//! Measuring a loaded model on this machine, as those who ask it see it: requests in, times of what comes out.
//!
//! A round takes each figure once. How many rounds there are, what is made of their figures and when it is enough is the
//! caller's to say; it hears of each figure as soon as it is there.

use std::thread;
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Delta, Message, Role, Update, Usage};

use crate::engine::Engine;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// Tokens of a long prompt read in a second.
    Prefill,
    /// Tokens of one answer written in a second.
    Decode,
    /// Milliseconds to the first token after a short question.
    FirstShort,
    /// Milliseconds to the first token after a long prompt that begins as no other did.
    FirstCold,
    /// Milliseconds to the first token after another question behind the same long start.
    FirstWarm,
    /// Milliseconds to the first token after the very same long prompt.
    FirstSame,
    /// Tokens of many answers at the same time written in a second, prompts included.
    Streams,
}

impl Figure {
    /// All of them, in the order they are measured in.
    pub const ALL: [Self; 7] = [
        Self::FirstShort,
        Self::FirstCold,
        Self::Prefill,
        Self::FirstSame,
        Self::FirstWarm,
        Self::Decode,
        Self::Streams,
    ];

    /// Whether it is a time in milliseconds; otherwise it is a rate, in tokens a second.
    #[must_use]
    pub fn is_time(self) -> bool {
        match self {
            Self::Prefill | Self::Decode | Self::Streams => false,
            Self::FirstShort | Self::FirstCold | Self::FirstWarm | Self::FirstSame => true,
        }
    }
}

/// How much a round asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Tokens of a long prompt, roughly.
    pub prompt: usize,
    /// Tokens of an answer.
    pub answer: u32,
    /// Answers at the same time.
    pub streams: usize,
}

impl Plan {
    /// Prompts of 512 tokens, answers of 64 and so many streams, but less where the model's context is short.
    #[must_use]
    pub fn within(context: usize, streams: usize) -> Self {
        let answer = u32::try_from(context / 8).unwrap_or(u32::MAX).clamp(2, 64);
        Self {
            prompt: (context / 2).min(512),
            answer,
            streams: streams.max(1),
        }
    }
}

const SENTENCE: &str = "The keeper counted the ships that passed, and wrote their names down. ";
/// Tokens of it, roughly, in any vocabulary.
const SENTENCE_TOKENS: usize = 15;

/// Measures every figure once. `number` makes this round's prompts unlike those of others; `told` hears each figure.
///
/// Blocks, for as long as the model takes: some 3 s with SmolLM2 on two cores.
///
/// # Errors
/// What the engine says when it refuses a request or fails, for a person.
pub fn round(
    engine: &Engine,
    plan: &Plan,
    number: usize,
    told: &mut dyn FnMut(Figure, f64),
) -> Result<(), String> {
    let ask = |system: Option<&str>, question: &str, tokens: u32| {
        let system = system.map(|system| Message::text(Role::System, system));
        let asked = Message::text(Role::User, question);
        let request = ChatRequest {
            messages: system.into_iter().chain([asked]).collect(),
            temperature: Some(0.0),
            max_tokens: Some(tokens),
            // An answer that ended early would be measured as a shorter one.
            logit_bias: engine.ends().iter().map(|&id| (id, -1e6)).collect(),
            ..ChatRequest::default()
        };
        let since = Instant::now();
        let generation = engine.generate(&request).map_err(|refusal| refusal.to_string())?;
        Ok::<_, String>((since, generation))
    };
    let answer = |system: Option<&str>, question: &str, tokens: u32| {
        ask(system, question, tokens).and_then(|(since, generation)| follow(since, generation))
    };

    let short = answer(
        None,
        &format!("Name {} fruits that grow on trees.", number + 2),
        2,
    )?;
    told(Figure::FirstShort, short.first_ms());

    // A short context may not hold a whole sentence beside what the template writes.
    let start = format!(
        "In the year {} {}",
        1000 + number,
        SENTENCE.repeat(plan.prompt / SENTENCE_TOKENS)
    );
    let cold = answer(Some(&start), "Who is the keeper?", 2)?;
    told(Figure::FirstCold, cold.first_ms());
    let read = cold.usage.input_tokens - cold.usage.cached_input_tokens.unwrap_or(0);
    told(Figure::Prefill, read as f64 / cold.first.as_secs_f64());
    let same = answer(Some(&start), "Who is the keeper?", 2)?;
    told(Figure::FirstSame, same.first_ms());
    let warm = answer(Some(&start), "How many ships passed today, and which?", 2)?;
    told(Figure::FirstWarm, warm.first_ms());

    let one = answer(
        None,
        &format!("Tell me of the year {}.", 1500 + number),
        plan.answer,
    )?;
    let written = one.usage.output_tokens.saturating_sub(1);
    told(
        Figure::Decode,
        written as f64 / (one.last - one.first).as_secs_f64(),
    );

    let since = Instant::now();
    let question = |n: usize| format!("Tell me of the year {}.", 1600 + number * plan.streams + n);
    let all: Vec<_> = (0..plan.streams)
        .map(|n| ask(None, &question(n), plan.answer))
        .collect::<Result<_, _>>()?;
    let written = thread::scope(|scope| {
        let readers: Vec<_> = all
            .into_iter()
            .map(|(since, generation)| scope.spawn(move || follow(since, generation)))
            .collect();
        let ended = readers.into_iter().map(|reader| {
            let answer = reader.join().map_err(|_| "a reader panicked".to_owned())??;
            Ok(answer.usage.output_tokens)
        });
        ended.sum::<Result<u64, String>>()
    })?;
    told(Figure::Streams, written as f64 / since.elapsed().as_secs_f64());
    Ok(())
}

/// What was seen of an answer; times from when it was asked for.
struct Seen {
    first: Duration,
    last: Duration,
    usage: Usage,
}

impl Seen {
    fn first_ms(&self) -> f64 {
        self.first.as_secs_f64() * 1e3
    }
}

fn follow(since: Instant, mut generation: crate::Generation) -> Result<Seen, String> {
    let (mut first, mut last) = (None, Duration::ZERO);
    let mut usage = Usage::default();
    while let Some(update) = generation.blocking_next() {
        match update {
            Update::Delta(Delta::Text(_) | Delta::Reasoning(_)) => {
                last = since.elapsed();
                first.get_or_insert(last);
            }
            Update::Delta(Delta::Usage(told)) => usage = told,
            Update::End(end) => {
                if let Some(failure) = end.failure {
                    return Err(failure.to_string());
                }
            }
            _ => {}
        }
    }
    let first = first.ok_or("the model answered nothing that is text")?;
    Ok(Seen { first, last, usage })
}

/// The most memory this process has held, in bytes, where the system says (Linux).
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
