//! The thread that owns the model: it lets waiting requests in, runs one step after the other, and gives every sequence
//! its next token.
//!
//! A step holds one row for every sequence that is answering, and one piece of one prompt; prompts take turns. So a
//! long prompt makes nobody wait for longer than a piece of it takes, and the weights are read once for all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::generation::{Progress, Writer};
use crate::nn::{DENSE_ROWS, KvCache, Llama, Logits, Outcome, Pool, Slot, Workspace};
use crate::text::Tokenizer;

/// Rows of a prompt in one step when nobody else is there: long enough that turning the weights into floats is paid for.
const ALONE: usize = 512;
/// Rows of a prompt in one step when others are answering or have prompts of their own: short, so that they get on.
const IN_COMPANY: usize = 64;

/// A request that was checked and tokenised.
#[derive(Debug)]
pub(crate) struct Job {
    /// At least one token.
    pub(crate) prompt: Vec<u32>,
    /// Tokens of prompt and answer together; at most the model's context.
    pub(crate) capacity: usize,
    pub(crate) writer: Writer,
}

/// What the thread works with.
pub(crate) struct Scheduler {
    pub(crate) model: Arc<Llama>,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) pool: Pool,
    pub(crate) jobs: Receiver<Job>,
    /// Sequences that run at once; the others wait.
    pub(crate) max_streams: usize,
}

/// A sequence that runs.
struct Sequence {
    job: Job,
    cache: KvCache,
    /// How much of the prompt is in the cache.
    fed: usize,
    /// The token to feed next, once the prompt is.
    next: u32,
}

impl Sequence {
    fn is_answering(&self) -> bool {
        self.fed == self.job.prompt.len()
    }
}

impl Scheduler {
    /// Runs until the engine is dropped.
    pub(crate) fn run(self) {
        let mut waiting = VecDeque::new();
        let mut running: Vec<Sequence> = Vec::new();
        let mut workspace = Workspace::default();
        loop {
            if running.is_empty() && waiting.is_empty() {
                let Ok(job) = self.jobs.recv() else { return };
                waiting.push_back(job);
            }
            loop {
                match self.jobs.try_recv() {
                    Ok(job) => waiting.push_back(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            waiting.retain(|job| !job.writer.is_cancelled());
            running.retain(|sequence| !sequence.job.writer.is_cancelled());
            while running.len() < self.max_streams
                && let Some(job) = waiting.pop_front()
            {
                let cache = KvCache::new(self.model.config(), job.capacity);
                running.push(Sequence {
                    job,
                    cache,
                    fed: 0,
                    next: 0,
                });
            }
            if !running.is_empty() {
                self.step(&mut running, &mut workspace);
            }
        }
    }

    /// One step of all sequences that answer, and a piece of the first prompt that is not fed yet.
    fn step(&self, running: &mut Vec<Sequence>, workspace: &mut Workspace) {
        // The sequence whose prompt is fed comes first in a step; the scheduler keeps it first here, too.
        if let Some(prompt) = running.iter().position(|sequence| !sequence.is_answering()) {
            running[..=prompt].rotate_right(1);
        }
        let piece = if running.iter().any(Sequence::is_answering) {
            IN_COMPANY
        } else {
            ALONE
        };
        let mut fed = Vec::with_capacity(running.len());
        let mut slots = Vec::with_capacity(running.len());
        let mut writers = Vec::with_capacity(running.len());
        for (index, sequence) in running.iter_mut().enumerate() {
            let is_answering = sequence.is_answering();
            let (tokens, logits) = if is_answering {
                (std::slice::from_ref(&sequence.next), Logits::Last)
            } else if index == 0 {
                let prompt = &sequence.job.prompt;
                let end = prompt.len().min(sequence.fed + piece);
                let logits = if end == prompt.len() {
                    Logits::Last
                } else {
                    Logits::None
                };
                (&prompt[sequence.fed..end], logits)
            } else {
                continue;
            };
            let dense = !is_answering && sequence.job.prompt.len() >= DENSE_ROWS;
            fed.push((index, tokens.len(), logits));
            slots.push(Slot {
                tokens,
                cache: &mut sequence.cache,
                logits,
                dense,
            });
            writers.push(&sequence.job.writer);
        }
        // A client that leaves ends the step at once, unless others would lose their work by it.
        let alone = writers.len() == 1;
        let stop = || alone && writers[0].is_cancelled();
        let model = &*self.model;
        let outcome = self.pool.run(|| model.step(&mut slots, workspace, &stop));
        match outcome {
            Ok(Outcome::Done) => self.write(running, &fed, workspace),
            Ok(Outcome::Stopped) => {}
            Err(error) => {
                tracing::error!(%error, "a step failed");
                for (index, _, _) in fed.into_iter().rev() {
                    running.remove(index).job.writer.fail(&error);
                }
            }
        }
    }

    /// Counts what was fed, and gives every sequence with logits its next token.
    fn write(&self, running: &mut Vec<Sequence>, fed: &[(usize, usize, Logits)], workspace: &mut Workspace) {
        let vocabulary = self.model.config().vocabulary;
        let mut rows = workspace.logits_mut().chunks_exact_mut(vocabulary);
        let mut finished = Vec::new();
        for &(index, tokens, logits) in fed {
            let sequence = &mut running[index];
            if !sequence.is_answering() {
                sequence.fed += tokens;
            }
            if logits == Logits::None {
                continue;
            }
            let Some(row) = rows.next() else { break };
            match sequence.job.writer.advance(row, &self.tokenizer) {
                Progress::Next(token) => sequence.next = token,
                Progress::Finished => finished.push(index),
            }
        }
        for index in finished.into_iter().rev() {
            running.remove(index);
        }
        // Prompts take turns: the one that was just fed goes behind the others.
        if running.first().is_some_and(|first| !first.is_answering()) {
            running.rotate_left(1);
        }
    }
}
