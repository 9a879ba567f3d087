//! A model made of a hash, and requests that write down what they get.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result, corrupt};
use crate::generation::Progress;
use crate::model::{Logits, Model, Outcome, Run, Shape};
use crate::scheduler::{Job, Scheduler, Sink, sequences};

pub(super) const VOCABULARY: usize = 97;
/// Prompts of this many tokens take the way of many.
pub(super) const BULK: usize = 12;

/// Rows of a prompt beside answers.
pub(super) const BESIDE: usize = 64;

/// A token, and whether it took the way of many.
type Fed = (u32, bool);

/// What a step held: of each run the sequence, its first position, its rows, and whether they took the way of many.
pub(super) type Step = Vec<(usize, usize, usize, bool)>;

/// The next token depends on every token before it and on the way that each took, so a page that is not what it should
/// be changes all that follows.
#[derive(Debug)]
pub(super) struct Script {
    shape: Shape,
    sequences: Vec<Vec<Arc<Vec<Fed>>>>,
    logits: Vec<f32>,
    pub(super) steps: Vec<Step>,
    /// The step with this number fails.
    pub(super) fails: Option<usize>,
}

pub(super) fn script(max_streams: usize, page: usize, pages: usize, bulk: usize) -> Scheduler<Script> {
    let count = sequences(max_streams);
    let model = Script {
        shape: Shape {
            vocabulary: VOCABULARY,
            sequences: count,
            page,
            pages,
            bulk,
            prefixes: true,
        },
        sequences: vec![Vec::new(); count],
        logits: Vec::new(),
        steps: Vec::new(),
        fails: None,
    };
    Scheduler::new(model, max_streams, pages)
}

impl Script {
    pub(super) fn held(&self, sequence: usize) -> Vec<Fed> {
        self.sequences[sequence]
            .iter()
            .flat_map(|page| page.iter())
            .copied()
            .collect()
    }
}

impl Model for Script {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn beside(&self) -> usize {
        BESIDE
    }

    fn pages_taken(&self) -> usize {
        let pages = self.sequences.iter().flatten();
        pages.map(Arc::as_ptr).collect::<HashSet<_>>().len()
    }

    fn step(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome> {
        let step = |run: &Run<'_>| (run.sequence, run.position, run.tokens.len(), run.bulk);
        self.steps.push(runs.iter().map(step).collect());
        if self.fails == Some(self.steps.len()) {
            return Err(corrupt("on purpose"));
        }
        if stop() {
            return Ok(Outcome::Stopped);
        }
        self.logits.clear();
        let once: HashSet<usize> = runs.iter().map(|run| run.sequence).collect();
        assert_eq!(once.len(), runs.len(), "a sequence is in a step once");
        assert!(runs.iter().skip(1).all(|run| !run.bulk));
        for run in runs {
            assert!(!run.tokens.is_empty());
            assert_eq!(run.position, self.held(run.sequence).len());
            let pages = &mut self.sequences[run.sequence];
            for &token in run.tokens {
                if pages.last().is_none_or(|page| page.len() == self.shape.page) {
                    pages.push(Arc::default());
                }
                let last = pages.last_mut().expect("it was just pushed");
                Arc::get_mut(last)
                    .expect("a page that is shared is not written")
                    .push((token, run.bulk));
            }
            if run.logits == Logits::Last {
                let next = next(&self.held(run.sequence));
                let row = (0..VOCABULARY).map(|token| f32::from(token == next as usize));
                self.logits.extend(row);
            }
        }
        assert!(self.pages_taken() <= self.shape.pages, "the pages suffice");
        Ok(Outcome::Done)
    }

    fn logits(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        let held = self.held(sequence);
        self.sequences[sequence].truncate(length.div_ceil(self.shape.page));
        if let Some(last) = self.sequences[sequence].last_mut()
            && length < held.len()
            && !length.is_multiple_of(self.shape.page)
        {
            *last = Arc::new(held[length / self.shape.page * self.shape.page..length].to_vec());
        }
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) -> usize {
        assert!(length <= self.held(from).len());
        let whole = length / self.shape.page;
        let mut pages = self.sequences[from][..length.div_ceil(self.shape.page)].to_vec();
        self.sequences[to].clear();
        if let Some(last) = pages.get_mut(whole) {
            if self.pages_taken() == self.shape.pages {
                pages.pop();
            } else {
                *last = Arc::new(last[..length % self.shape.page].to_vec());
            }
        }
        self.sequences[to] = pages;
        self.held(to).len()
    }
}

fn next(held: &[Fed]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &(token, bulk) in held {
        hash = (hash ^ u64::from(token * 2 + u32::from(bulk))).wrapping_mul(0x0100_0000_01b3);
    }
    u32::try_from((hash >> 32) % VOCABULARY as u64).expect("below the vocabulary")
}

/// The answer to a prompt when nothing else runs and nothing is kept.
pub(super) fn answer(prompt: &[u32], limit: usize, bulk: usize) -> Vec<u32> {
    answer_with(|_| 0, prompt, limit, bulk)
}

/// How many tokens are certain after one, for requests of which some are: none, a few, or more than a step takes at once.
pub(super) fn some(token: u32) -> u32 {
    if token.is_multiple_of(3) { token % 40 } else { 0 }
}

/// The same where after each token that is chosen so many are certain.
pub(super) fn answer_with(certain: fn(u32) -> u32, prompt: &[u32], limit: usize, bulk: usize) -> Vec<u32> {
    let many = prompt.len() >= bulk;
    let mut held: Vec<Fed> = prompt.iter().map(|&token| (token, many)).collect();
    let mut answer = Vec::new();
    while answer.len() < limit {
        let token = next(&held);
        for token in follow(certain, token) {
            answer.push(token);
            held.push((token, false));
        }
    }
    answer.truncate(limit);
    answer
}

/// A token that was chosen, and what has to follow it.
fn follow(certain: fn(u32) -> u32, token: u32) -> impl Iterator<Item = u32> {
    (0..=certain(token)).map(move |n| (token + n) % VOCABULARY as u32)
}

/// What a request got.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) failed: Arc<AtomicBool>,
    /// Tokens taken over, or `NEVER`.
    began: Arc<AtomicUsize>,
    tokens: Arc<Mutex<Vec<u32>>>,
}

const NEVER: usize = usize::MAX;

impl Default for Asked {
    fn default() -> Self {
        Self {
            cancelled: Arc::default(),
            failed: Arc::default(),
            began: Arc::new(AtomicUsize::new(NEVER)),
            tokens: Arc::default(),
        }
    }
}

impl Asked {
    pub(super) fn tokens(&self) -> Vec<u32> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of the prompt's tokens were taken over, once it was read.
    pub(super) fn taken_over(&self) -> Option<usize> {
        let began = self.began.load(Ordering::Relaxed);
        (began != NEVER).then_some(began)
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Limited {
    asked: Asked,
    limit: usize,
    certain: fn(u32) -> u32,
}

impl Sink for Limited {
    fn is_cancelled(&self) -> bool {
        self.asked.cancelled.load(Ordering::Relaxed)
    }

    fn begin(&mut self, taken_over: usize) {
        let before = self.asked.began.swap(taken_over, Ordering::Relaxed);
        assert_eq!(before, NEVER, "it is said once");
    }

    fn advance(&mut self, logits: &mut [f32], next: &mut Vec<u32>) -> Progress {
        assert!(self.asked.taken_over().is_some(), "it is said first");
        let mut tokens = self.asked.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        for token in follow(self.certain, crate::text::best(logits)) {
            tokens.push(token);
            if tokens.len() == self.limit {
                return Progress::Finished;
            }
            next.push(token);
        }
        Progress::Next
    }

    fn fail(&mut self, _: &Error) {
        self.asked.failed.store(true, Ordering::Relaxed);
    }
}

/// Asks for an answer of `limit` tokens.
pub(super) fn ask(scheduler: &mut Scheduler<Script>, prompt: &[u32], limit: usize) -> Asked {
    ask_with(|_| 0, scheduler, prompt, limit)
}

/// The same where after each token that is chosen so many are certain.
pub(super) fn ask_with(
    certain: fn(u32) -> u32,
    scheduler: &mut Scheduler<Script>,
    prompt: &[u32],
    limit: usize,
) -> Asked {
    let asked = Asked::default();
    scheduler.push(Job {
        prompt: prompt.to_vec(),
        capacity: prompt.len() + limit,
        sink: Box::new(Limited {
            asked: asked.clone(),
            limit,
            certain,
        }),
    });
    asked
}
