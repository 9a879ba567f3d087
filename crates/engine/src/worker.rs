//! The engine's thread: it takes requests from the handles, and gives the scheduler its turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::Error;
use crate::generation::{Progress, Writer};
use crate::model::Model;
use crate::scheduler::{Job, Scheduler, Sink};
use crate::text::Tokenizer;

/// An answer whose tokens become text.
pub(crate) struct Answer {
    pub(crate) writer: Writer,
    pub(crate) tokenizer: Arc<Tokenizer>,
}

impl Sink for Answer {
    fn is_cancelled(&self) -> bool {
        self.writer.is_cancelled()
    }

    fn begin(&mut self, taken_over: usize) {
        self.writer.begin(taken_over);
    }

    fn advance(&mut self, logits: &mut [f32], tokens: &mut Vec<u32>) -> Progress {
        self.writer.advance(logits, &self.tokenizer, tokens)
    }

    fn fail(&mut self, error: &Error) {
        self.writer.fail(error);
    }
}

/// Runs until the last handle is dropped. `called` is set by whoever sends a job or drops the handle, after doing so.
pub(crate) fn run<M: Model>(mut scheduler: Scheduler<M>, jobs: &Receiver<Job>, called: &AtomicBool) {
    let mut rested = true;
    loop {
        if scheduler.is_idle() && rested {
            let Ok(job) = jobs.recv() else { return };
            scheduler.push(job);
        }
        called.store(false, Ordering::Release);
        loop {
            match jobs.try_recv() {
                Ok(job) => scheduler.push(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        if scheduler.is_idle() {
            rested = !scheduler.rest(&|| called.load(Ordering::Acquire));
        } else {
            scheduler.turn();
            rested = false;
        }
    }
}
