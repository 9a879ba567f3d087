//! A conversation in memory: what has been said, what is said now, and the answer that is on its way.
//!
//! Every change is left with the [`log`](super::log) at once and in the order it was made; where nothing is kept, or
//! nothing can be, the conversation goes on without it. An answer is fed into a [`Recorder`] by whoever receives it,
//! and is part of the conversation once it is [settled](Conversation::settle).

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora_chat::{Content, Delta, End, Message, Role, Transcript, Update};

use super::entry::{self, Answer, Answerer, Ending, Entry, Heading, Manner, Moment, Seam};
use super::log::{Log, Writer};
use super::scribe::{Op, Scribe};
use super::store::Kept;

/// A conversation. Dropping it leaves what was said to be written, and waits for nothing; [`Conversation::close`] waits.
#[derive(Debug)]
pub(crate) struct Conversation {
    title: String,
    entries: Vec<Entry>,
    /// How many of the entries were left with the log; those at the front.
    logged: usize,
    answerer: Answerer,
    created: bool,
    live: Option<Arc<Mutex<Live>>>,
    writer: Option<Writer>,
}

/// An answer on its way.
#[derive(Debug, Default)]
struct Live {
    transcript: Transcript,
    began: Moment,
    first: Option<Duration>,
    elapsed: Duration,
    ending: Option<Ending>,
    /// It goes on with what there is, and how.
    seam: Option<Seam>,
}

/// Takes the updates of one answer. Dropped before the answer's end, it tells that the answer was cancelled.
#[derive(Debug)]
pub(crate) struct Recorder {
    live: Arc<Mutex<Live>>,
    log: Option<Log>,
    /// What tells the log that the answer begins, until something comes of it.
    begin: Option<Op>,
    ended: bool,
}

impl Conversation {
    /// A new one, kept in this folder's history.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Self::with(folder.map(Scribe::new))
    }

    /// One that was kept.
    pub(super) fn of(folder: Option<&Path>, heading: Heading, kept: Vec<Kept>) -> Self {
        let (keys, entries): (Vec<i64>, Vec<Entry>) = kept.into_iter().unzip();
        let scribe = folder.map(|folder| Scribe::of(folder, &heading.id, heading.key, keys));
        Self {
            title: heading.title,
            logged: entries.len(),
            entries,
            answerer: heading.answerer,
            created: true,
            ..Self::with(scribe)
        }
    }

    fn with(scribe: Option<Scribe>) -> Self {
        Self {
            title: String::new(),
            entries: Vec::new(),
            logged: 0,
            answerer: Answerer::default(),
            created: false,
            live: None,
            writer: scribe.map(Writer::start),
        }
    }

    /// The id that people type; `None` where nothing is kept.
    pub(crate) fn id(&self) -> Option<String> {
        self.writer.as_ref().map(|writer| writer.log.id())
    }

    /// The title; empty until the first prompt.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Who answered last.
    pub(crate) fn answerer(&self) -> &Answerer {
        &self.answerer
    }

    /// Everything that was said, in its order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether another program was writing the last answer when this conversation was read.
    pub(crate) fn is_answered_elsewhere(&self) -> bool {
        let last = self.entries.last().and_then(|last| last.answer.as_ref());
        last.is_some_and(|answer| answer.is_live)
    }

    /// The messages as a request has them. Answers of which nothing came are left out.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let said = self.entries.iter().filter(|entry| !entry.message_is_empty());
        said.map(|entry| entry.message.clone()).collect()
    }

    /// Sets the system prompt, in place of the one that there is; `None` takes it away.
    pub(crate) fn set_system(&mut self, text: Option<&str>) {
        if self
            .entries
            .first()
            .is_some_and(|entry| entry.message.role == Role::System)
        {
            self.entries.remove(0);
            self.logged = self.logged.saturating_sub(1);
        }
        let lead = text.map(|text| Message::text(Role::System, text));
        if let Some(message) = &lead {
            self.entries.insert(0, Entry::said(message.clone()));
        }
        if self.created {
            self.logged += usize::from(lead.is_some());
            self.push(Op::Lead(lead));
        }
    }

    /// Adds what a person says. The first prompt is what the conversation is called after; it is written once it is known
    /// who is to answer.
    pub(crate) fn say(&mut self, message: Message) {
        if self.title.is_empty() && message.role == Role::User {
            self.title = entry::title_of(&message.plain_text());
        }
        self.entries.push(Entry::said(message));
        if self.created {
            self.catch_up();
        }
    }

    /// Takes back what was said: only the first so many entries remain. An answer that is on its way is left behind.
    pub(crate) fn truncate(&mut self, length: usize) {
        let is_answered = self.live.take().is_some();
        self.entries.truncate(length);
        if self.created && (self.logged > length || is_answered) {
            self.push(Op::Truncate(length));
        }
        self.logged = self.logged.min(length);
    }

    /// Takes back the last prompt and all that came after it; returns the prompt.
    pub(crate) fn undo(&mut self) -> Option<Message> {
        let last = self
            .entries
            .iter()
            .rposition(|entry| entry.message.role == Role::User)?;
        let prompt = self.entries[last].message.clone();
        self.truncate(last);
        Some(prompt)
    }

    /// An answer is asked for; the recorder takes what comes of it.
    pub(crate) fn answer(&mut self, answerer: Answerer) -> Recorder {
        if self.answerer != answerer {
            self.answerer = answerer.clone();
            if self.created {
                self.push(Op::Address(answerer.clone()));
            }
        }
        let began = Moment::now();
        self.record(
            Live {
                began,
                ..Live::default()
            },
            Op::Begin { answerer, at: began },
        )
    }

    /// The last answer, which [is partial](Entry::is_partial), is asked to go on; the recorder takes what is new of it.
    /// `None` if the last entry is no answer.
    pub(crate) fn go_on(&mut self, how: Manner) -> Option<Recorder> {
        let place = self.entries.len().checked_sub(1)?;
        let last = &self.entries[place];
        last.answer.as_ref()?;
        let seam = Seam {
            at: last.message.plain_text().len(),
            how,
        };
        let live = Live {
            seam: Some(seam.clone()),
            began: last.created,
            ..Live::default()
        };
        Some(self.record(live, Op::Reopen { place, seam }))
    }

    fn record(&mut self, live: Live, begin: Op) -> Recorder {
        self.catch_up();
        let live = Arc::new(Mutex::new(live));
        self.live = Some(live.clone());
        Recorder {
            live,
            log: self.writer.as_ref().map(|writer| writer.log.clone()),
            begin: Some(begin),
            ended: false,
        }
    }

    /// Makes the answer that was recorded a part of the conversation, and returns it; `None` if there was none. An answer
    /// that has not ended is taken as far as it has come.
    pub(crate) fn settle(&mut self) -> Option<&Entry> {
        let live = self.live.take()?;
        let mut live = lock(&live);
        let answer = std::mem::take(&mut *live);
        drop(live);
        let text = answer.transcript.text + &answer.transcript.refusal;
        if let Some(seam) = answer.seam {
            let last = self.entries.last_mut()?;
            let whole = last.message.plain_text().into_owned() + &text;
            last.message.content = Content::Text(whole);
            last.reasoning += &answer.transcript.reasoning;
            if let Some(known) = &mut last.answer {
                known.seams.push(seam);
                known.ending = answer.ending;
            }
        } else {
            self.entries.push(Entry {
                message: Message::text(Role::Assistant, text),
                reasoning: answer.transcript.reasoning,
                created: answer.began,
                answer: Some(Answer {
                    answerer: self.answerer.clone(),
                    ending: answer.ending,
                    is_live: false,
                    seams: Vec::new(),
                }),
            });
            self.logged = self.entries.len();
        }
        self.entries.last()
    }

    /// What went wrong with keeping it, as a sentence for a person; told once.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.writer.as_ref()?.log.trouble()
    }

    /// Waits until everything is written, 3 s at most; returns what went wrong, unless it was told.
    pub(crate) fn close(mut self) -> Option<String> {
        self.catch_up();
        self.writer.take()?.close()
    }

    /// Leaves with the log what it does not know. System prompts alone are no conversation.
    fn catch_up(&mut self) {
        let has_begun = self
            .entries
            .iter()
            .any(|entry| entry.message.role != Role::System);
        if self.writer.is_none() || !has_begun {
            return;
        }
        if !std::mem::replace(&mut self.created, true) {
            self.push(Op::Create {
                title: self.title.clone(),
                answerer: self.answerer.clone(),
            });
        }
        for entry in &self.entries[self.logged..] {
            self.push(Op::Say {
                message: entry.message.clone(),
                at: entry.created,
            });
        }
        self.logged = self.entries.len();
    }

    fn push(&self, op: Op) {
        if let Some(writer) = &self.writer {
            writer.log.push(op);
        }
    }
}

impl Recorder {
    /// Takes the next update, which came so long after the answer was asked for. Never waits.
    pub(crate) fn update(&mut self, elapsed: Duration, update: &Update) {
        let mut live = lock(&self.live);
        live.elapsed = elapsed;
        match update {
            Update::Delta(delta) => {
                if matches!(
                    delta,
                    Delta::Text(_) | Delta::Reasoning(_) | Delta::Refusal(_) | Delta::ToolCall(_)
                ) {
                    live.first.get_or_insert(elapsed);
                }
                // The client's own limit comes first; the transcript's is the same.
                let _ = live.transcript.push(delta);
                drop(live);
                self.keep(delta);
            }
            Update::End(end) => {
                let ending = live.ending_of(end);
                drop(live);
                self.end(ending);
            }
            Update::Start(_) | Update::Notice(_) => {}
        }
    }

    fn keep(&mut self, delta: &Delta) {
        let op = match delta {
            Delta::Text(text) | Delta::Refusal(text) if !text.is_empty() => Op::Text(text.clone()),
            Delta::Reasoning(text) if !text.is_empty() => Op::Reasoning(text.clone()),
            _ => return,
        };
        if let Some(log) = &self.log {
            self.begin
                .take()
                .into_iter()
                .chain([op])
                .for_each(|op| log.push(op));
        }
    }

    fn end(&mut self, ending: Ending) {
        self.ended = true;
        if let Some(log) = &self.log {
            let end = Op::End(Box::new(ending.clone()));
            self.begin
                .take()
                .into_iter()
                .chain([end])
                .for_each(|op| log.push(op));
        }
        lock(&self.live).ending = Some(ending);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.ended {
            let ending = lock(&self.live).ending_of(&End::cancelled());
            self.end(ending);
        }
    }
}

impl Live {
    fn ending_of(&self, end: &End) -> Ending {
        Ending {
            verdict: end.verdict.as_str().to_owned(),
            finish_reason: end.finish_reason_str().map(str::to_owned),
            error: end.failure.as_ref().map(|failure| failure.message.clone()),
            usage: self.transcript.usage,
            first: self.first,
            elapsed: self.elapsed,
        }
    }
}

impl Entry {
    fn message_is_empty(&self) -> bool {
        self.answer.is_some() && self.message.plain_text().is_empty()
    }
}

/// A panic while it was held left a whole value.
fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
