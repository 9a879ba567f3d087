//! Which sequence gets its turn, and what memory it may take: waiting requests are let in, one step runs after the
//! other, and every sequence is given its next token. It knows neither what runs the model nor what becomes of a token,
//! and has no thread, channel or clock.
//!
//! A step holds one row for every sequence that is answering, more where a grammar leaves no choice of the next tokens, and
//! one piece of one prompt; prompts take turns. So a
//! long prompt makes nobody wait for longer than a piece of it takes, and the weights are read once for all.
//!
//! Memory comes in pages, of which the model has a fixed number. A request is let in when what it is about to need is
//! there beside what the others are. Where they need more after all, what is kept of finished sequences goes first, the
//! longest unused before the others; then the request that was let in last gives up its pages, and is read again when
//! there is room. The first one always goes on, so all of them end.

mod kept;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::error::{Error, ErrorKind};
use crate::generation::Progress;
use crate::model::{Logits, Model, Outcome, Run, Shape};

use kept::Kept;
use sequence::Sequence;

/// Rows of a prompt in one step when nobody else is there: long enough that turning the weights into floats is paid for.
const ALONE: usize = 512;
/// When others have prompts too: a short one does not wait long for a long one's piece.
const BESIDE_PROMPTS: usize = 256;
/// Rows that take the way of few, at once.
const FEW: usize = 16;
/// Tokens that a sequence is about to need: with room for these it is let in.
const AHEAD: usize = 256;
/// Finished sequences that are kept, if there is memory.
const KEPT: usize = 64;

/// What becomes of an answer's tokens.
pub(crate) trait Sink: Send + Sync {
    /// Whether nobody wants the answer any more.
    fn is_cancelled(&self) -> bool;
    /// The prompt was read, and so many of its first tokens were taken over from other sequences. Said once, before the
    /// first token.
    fn begin(&mut self, taken_over: usize);
    /// Chooses the next token from its logits and passes it on; adds it to the sequence's tokens if it goes on, and those
    /// that have to follow it whatever the model says.
    fn advance(&mut self, logits: &mut [f32], tokens: &mut Vec<u32>) -> Progress;
    /// The answer ends here, because the engine failed.
    fn fail(&mut self, error: &Error);
}

/// A request that was checked and tokenised.
pub(crate) struct Job {
    /// At least one token.
    pub(crate) prompt: Vec<u32>,
    /// Tokens of prompt and answer together; at most what all pages hold.
    pub(crate) capacity: usize,
    pub(crate) sink: Box<dyn Sink>,
}

/// The state of all requests.
pub(crate) struct Scheduler<M> {
    model: M,
    shape: Shape,
    /// Sequences that run at once; the others wait.
    max_streams: usize,
    waiting: VecDeque<Sequence>,
    /// In the order they were let in.
    running: Vec<Sequence>,
    kept: Kept,
    /// Finished sequences are kept while no more pages than this are taken by all.
    keep: usize,
    /// Sequences of the model that nobody uses.
    free: Vec<usize>,
    /// Counts steps, so that prompts take turns.
    now: u64,
}

/// Rows of one sequence in the next step.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its place among those that run.
    index: usize,
    rows: usize,
    bulk: bool,
}

/// Sequences that a model has to hold for so many streams.
pub(crate) fn sequences(max_streams: usize) -> usize {
    max_streams + KEPT
}

impl<M: Model> Scheduler<M> {
    /// Nothing runs yet. The model holds [`sequences`] of `max_streams`; what has finished is kept as long as no more than
    /// `keep` pages are taken.
    pub(crate) fn new(model: M, max_streams: usize, keep: usize) -> Self {
        let shape = model.shape();
        debug_assert!(shape.sequences >= sequences(max_streams), "a slot for each");
        Self {
            model,
            shape,
            max_streams,
            waiting: VecDeque::new(),
            running: Vec::new(),
            kept: Kept::default(),
            keep,
            free: (0..shape.sequences).rev().collect(),
            now: 0,
        }
    }

    /// Takes a request; it waits for its turn. How many may wait is bounded by who calls this.
    pub(crate) fn push(&mut self, job: Job) {
        self.waiting.push_back(Sequence::new(job, &self.shape));
    }

    /// Whether no request waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Drops what nobody wants any more, lets in who waits, and runs one step.
    pub(crate) fn turn(&mut self) {
        self.waiting.retain(|sequence| !sequence.sink.is_cancelled());
        while let Some(index) = self
            .running
            .iter()
            .position(|sequence| sequence.sink.is_cancelled())
        {
            self.retire(index);
        }
        self.admit();
        while self.share() {}
        if !self.running.is_empty() {
            self.now += 1;
            let pieces = self.pieces();
            self.step(&pieces);
        }
    }

    /// When nothing else is to be done: reads a piece of an answer that was kept as part of the next prompt, in which it
    /// will stand. False: there is none. `stop` ends it, and what was done of the piece is lost.
    pub(crate) fn rest(&mut self, stop: &(dyn Fn() -> bool + Sync)) -> bool {
        let Some(kept) = self.kept.unread() else {
            return false;
        };
        let rows = self.model.beside().min(kept.tokens.len() - kept.read);
        let (slot, position) = (kept.slot, kept.read);
        let need = self.new_pages(position, rows);
        while self.model.pages_taken() + need > self.shape.pages.min(self.keep) {
            if !self.evict(Some(slot)) {
                self.kept.give_up(slot);
                return true;
            }
        }
        let Some(kept) = self.kept.unread() else {
            return false;
        };
        let run = Run {
            sequence: slot,
            position,
            tokens: &kept.tokens[position..position + rows],
            logits: Logits::None,
            bulk: true,
        };
        match self.model.step(&[run], stop) {
            Ok(Outcome::Done) => kept.read += rows,
            Ok(Outcome::Stopped) => {}
            Err(error) => {
                tracing::error!(%error, "an answer could not be read again");
                self.kept.give_up(slot);
            }
        }
        true
    }

    /// Lets in who waits, in order, while there is room for what they are about to need.
    fn admit(&mut self) {
        while self.running.len() < self.max_streams
            && let Some(first) = self.waiting.front()
        {
            let claimed: usize = self
                .running
                .iter()
                .map(|sequence| sequence.claim(&self.shape))
                .sum();
            if !self.running.is_empty() && claimed + first.claim(&self.shape) > self.shape.pages {
                return;
            }
            let (Some(mut sequence), Some(slot)) = (self.waiting.pop_front(), self.free.pop()) else {
                return;
            };
            sequence.slot = slot;
            self.running.push(sequence);
        }
    }

    /// The one whose prompt is read next: that which has waited longest.
    fn reader(&self) -> Option<usize> {
        let readers = (0..self.running.len()).filter(|&index| !self.running[index].is_answering());
        readers.min_by_key(|&index| self.running[index].turn)
    }

    /// Gives the next reader what another sequence has read of the same tokens, if that is more than it has. True: that was
    /// all there was to read, and it has its first token.
    fn share(&mut self) -> bool {
        let Some(index) = self.reader().filter(|_| self.shape.prefixes) else {
            return false;
        };
        let reader = &self.running[index];
        let running = self.running.iter().map(|other| {
            let after = other.after_prompt.as_ref();
            let shared = reader.common(&other.tokens[..other.fed], other.bulk, after);
            (shared, other.slot, after)
        });
        let kept = self.kept.iter().map(|kept| {
            let after = kept.after_prompt.as_ref();
            let shared = reader.common(&kept.tokens[..kept.read], kept.bulk, after);
            (shared, kept.slot, after)
        });
        let Some((length, from, after)) = running.chain(kept).max_by_key(|(length, ..)| *length) else {
            return false;
        };
        let after = after.filter(|_| length == reader.tokens.len()).cloned();
        // A copy costs a page at most; not for a few tokens.
        if after.is_none() && length < reader.fed + self.shape.page.min(8) {
            return false;
        }
        let to = reader.slot;
        self.kept.touch(from);
        if self.model.pages_taken() >= self.shape.pages {
            self.evict(Some(from));
        }
        let fed = self.model.copy(from, to, length);
        let reader = &mut self.running[index];
        reader.take_over(fed);
        let Some(after) = after.filter(|_| fed == length) else {
            return false;
        };
        match reader.advance_as(&after) {
            Progress::Next => {}
            Progress::Finished => self.retire(index),
        }
        true
    }

    /// What the next step holds: first a piece of a prompt, then a row for everyone who is answering. There are pages for
    /// all of it.
    fn pieces(&mut self) -> Vec<Piece> {
        loop {
            let mut pieces = Vec::with_capacity(self.running.len());
            let answering = |sequence: &&Sequence| sequence.is_answering();
            if let Some(index) = self.reader() {
                let most = if self.running.iter().any(|sequence| answering(&sequence)) {
                    self.model.beside()
                } else if self.running.len() > 1 {
                    BESIDE_PROMPTS
                } else {
                    ALONE
                };
                let (rows, bulk) = self.running[index].next_piece(most);
                pieces.push(Piece { index, rows, bulk });
            }
            let rest = self.running.iter().enumerate();
            let rest = rest.filter(|(_, sequence)| answering(sequence));
            pieces.extend(rest.map(|(index, sequence)| Piece {
                index,
                rows: sequence.unread(),
                bulk: false,
            }));
            if self.make_room(&pieces) {
                return pieces;
            }
        }
    }

    /// Sees to it that there are pages for these rows. False: a sequence had to give way, and they are no longer right.
    fn make_room(&mut self, pieces: &[Piece]) -> bool {
        let need = |piece: &Piece| self.new_pages(self.running[piece.index].fed, piece.rows);
        let need: usize = pieces.iter().map(need).sum();
        while self.model.pages_taken() + need > self.shape.pages {
            if self.evict(None) {
                continue;
            }
            let Some(mut last) = self.running.pop() else {
                return true;
            };
            self.release(last.slot);
            if self.running.is_empty() {
                // It cannot be: its capacity is at most what all pages hold.
                last.sink.fail(&Error::new(
                    ErrorKind::Machine,
                    "the engine's memory is too small",
                ));
            } else {
                last.fed = 0;
                self.waiting.push_front(last);
            }
            return false;
        }
        true
    }

    /// Pages that a sequence needs besides for some rows.
    fn new_pages(&self, length: usize, rows: usize) -> usize {
        (length + rows).div_ceil(self.shape.page) - length.div_ceil(self.shape.page)
    }

    fn step(&mut self, pieces: &[Piece]) {
        let runs: Vec<Run<'_>> = pieces
            .iter()
            .map(|piece| self.running[piece.index].run(piece))
            .collect();
        // A client that leaves ends the step at once, unless others would lose their work by it.
        let alone = match pieces {
            [only] => Some(&self.running[only.index].sink),
            _ => None,
        };
        let stop = || alone.is_some_and(|sink| sink.is_cancelled());
        let outcome = self.model.step(&runs, &stop);
        match outcome {
            Ok(Outcome::Done) => self.write(pieces),
            Ok(Outcome::Stopped) => {}
            Err(error) => {
                tracing::error!(%error, "a step failed");
                let mut failed: Vec<usize> = pieces.iter().map(|piece| piece.index).collect();
                failed.sort_unstable();
                for index in failed.into_iter().rev() {
                    let mut sequence = self.running.remove(index);
                    self.release(sequence.slot);
                    sequence.sink.fail(&error);
                }
            }
        }
    }

    /// Counts what was fed, and gives every sequence with logits its next token.
    fn write(&mut self, pieces: &[Piece]) {
        let mut rows = self.model.logits().chunks_exact_mut(self.shape.vocabulary);
        let mut finished = Vec::new();
        for piece in pieces {
            let sequence = &mut self.running[piece.index];
            if !sequence.is_answering() {
                sequence.turn = self.now;
            }
            sequence.fed += piece.rows;
            if sequence.fed < sequence.tokens.len() {
                continue;
            }
            let Some(row) = rows.next() else { break };
            match sequence.advance(row) {
                Progress::Next => {}
                Progress::Finished => finished.push(piece.index),
            }
        }
        finished.sort_unstable();
        for index in finished.into_iter().rev() {
            self.retire(index);
        }
    }

    /// Ends a sequence, and keeps what it has read for those who begin with the same.
    fn retire(&mut self, index: usize) {
        let sequence = self.running.remove(index);
        let slot = sequence.slot;
        let Some(entry) = kept::Entry::of(sequence, &self.shape) else {
            return self.release(slot);
        };
        if let Some(covering) = self.kept.covering(&entry) {
            self.kept.touch(covering);
            return self.release(slot);
        }
        self.model.truncate(slot, entry.read);
        for superseded in self.kept.superseded_by(&entry) {
            self.release(superseded);
        }
        if self.kept.len() == KEPT {
            self.evict(None);
        }
        self.kept.push(entry);
        while self.model.pages_taken() > self.keep && self.evict(None) {}
    }

    /// Gives up the sequence that was kept and is longest unused, but for one. False: there is none.
    fn evict(&mut self, but: Option<usize>) -> bool {
        let evicted = self.kept.evict(but);
        if let Some(slot) = evicted {
            self.release(slot);
        }
        evicted.is_some()
    }

    fn release(&mut self, slot: usize) {
        self.model.truncate(slot, 0);
        self.free.push(slot);
    }
}
