//! What the consumer is told: in order, without the key, and nothing of an attempt that is tried again.
//!
//! An attempt may still fail, and be tried again, until its answer begins: until the first delta that is more than a
//! count of tokens. What it says before that is held back here, so that two attempts are never told as one answer. That
//! is bounded: after [`LOOK_AHEAD`] bytes of events the answer counts as begun.

use std::collections::VecDeque;

use aurora_chat::{Delta, End, Failure, Notice, Start, Update, redact::mask_keys};

use crate::{Passage, mask::Mask, reading::Found};

/// How many bytes of events an attempt may bring before its answer begins and still be tried again.
pub(super) const LOOK_AHEAD: usize = 64 << 10;

/// The passages on their way to the consumer.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Hides the key in everything that quotes a server.
    mask: Mask,
    passages: VecDeque<Passage>,
    /// What the attempt said before its answer began: warnings, usage, and, where they are wanted, events.
    held: VecDeque<Passage>,
    /// How many bytes of events it took.
    looked_ahead: usize,
    begun: bool,
}

impl Outbox {
    pub(super) fn new(mask: Mask) -> Self {
        Self {
            mask,
            passages: VecDeque::new(),
            held: VecDeque::new(),
            looked_ahead: 0,
            begun: false,
        }
    }

    /// The next passage.
    pub(super) fn poll(&mut self) -> Option<Passage> {
        self.passages.pop_front()
    }

    /// The end, if it is known and not told yet.
    pub(super) fn ending(&self) -> Option<&End> {
        match self.passages.back() {
            Some(Passage::Update(Update::End(end))) => Some(end),
            _ => None,
        }
    }

    /// Whether the answer has begun: then no attempt may follow.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Takes over what one step of the reading has found, and leaves the buffers to the next. `start` is told if the
    /// answer begins with it.
    pub(super) fn push(&mut self, found: &mut Found, start: impl FnOnce() -> Start) {
        if !self.begun {
            self.looked_ahead += found.weight;
            if found.answers() || self.looked_ahead > LOOK_AHEAD {
                self.begin(start());
            }
        }
        for notice in &mut found.notices {
            self.clean_notice(notice);
        }
        let queue = match self.begun {
            true => &mut self.passages,
            false => &mut self.held,
        };
        queue.extend(found.events.drain(..).map(Passage::Event));
        let notices = found.notices.drain(..).map(Update::Notice);
        let updates = notices.chain(found.deltas.drain(..).map(Update::Delta));
        queue.extend(updates.map(Passage::Update));
        found.weight = 0;
    }

    /// The attempt is over and another one follows: only its warnings are told.
    pub(super) fn give_up_attempt(&mut self) {
        self.looked_ahead = 0;
        self.held.retain(is_notice);
        self.passages.append(&mut self.held);
    }

    /// Whether something is held back that belongs to an answer.
    pub(super) fn holds_answer(&self) -> bool {
        !self.held.iter().all(is_notice)
    }

    /// The answer begins: its start is told, then what was held back.
    pub(super) fn begin(&mut self, mut start: Start) {
        start.model = self.clean(&start.model);
        self.begun = true;
        self.passages.push_back(Passage::Update(Update::Start(start)));
        self.passages.append(&mut self.held);
    }

    pub(super) fn notify(&mut self, mut notice: Notice) {
        self.clean_notice(&mut notice);
        self.passages.push_back(Passage::Update(Update::Notice(notice)));
    }

    pub(super) fn end(&mut self, mut end: End) {
        self.passages.append(&mut self.held);
        if let Some(failure) = &mut end.failure {
            self.clean_failure(failure);
        }
        self.passages.push_back(Passage::Update(Update::End(end)));
    }

    /// The text without the call's key, and without what looks like one.
    pub(super) fn clean(&self, text: &str) -> String {
        mask_keys(&self.mask.text(text)).into_owned()
    }

    fn clean_notice(&self, notice: &mut Notice) {
        match notice {
            Notice::Warning { message: text, .. } | Notice::Retry { reason: text, .. } => {
                *text = self.clean(text);
            }
            // A cursor is random, and must not be taken for a key by its looks.
            Notice::Resume { cursor } => *cursor = self.mask.text(cursor).into_owned(),
        }
    }

    fn clean_failure(&self, failure: &mut Failure) {
        failure.message = self.clean(&failure.message);
        for text in [&mut failure.error_type, &mut failure.code, &mut failure.param]
            .into_iter()
            .flatten()
        {
            *text = self.clean(text);
        }
    }
}

impl Found {
    /// Whether this is part of an answer, and not only talk about it. Some servers count tokens before they answer.
    pub(super) fn answers(&self) -> bool {
        self.deltas.iter().any(|delta| !matches!(delta, Delta::Usage(_)))
    }
}

fn is_notice(passage: &Passage) -> bool {
    matches!(passage, Passage::Update(Update::Notice(_)))
}
