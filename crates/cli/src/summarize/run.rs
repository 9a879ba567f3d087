//! Drives the requests of a summary: so many side by side, their notes kept as they come, the summary passed on as it grows.
//!
//! To the outside it is one answer, a stream of updates with one end, so it is delivered, printed and stopped like any other.
//! Where a request ends in another way than complete or at the limit of tokens, nothing new is asked, what is under way is
//! waited for and kept, and the end is that request's: there is no summary that lacks a part.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::time::Instant;

use aurora_chat::{Delta, End, Failure, FailureKind, Fault, Notice, Update, Usage, Verdict};
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};

use super::cache::{Cache, Kept};
use super::progress::Progress;
use super::work::{ATTEMPTS, Job, Work};
use crate::source::Source;

/// What is needed to drive it.
pub(crate) struct Run {
    pub(crate) work: Work,
    pub(crate) source: Source,
    pub(crate) cache: Option<Cache>,
    pub(crate) progress: Progress,
    /// How many requests are under way at most.
    pub(crate) jobs: usize,
    /// Whether notices of requests belong into the stream: where a program reads it.
    pub(crate) tells_events: bool,
}

/// The summary as a stream of updates. It keeps their contract, and stops all work when it is dropped.
pub(crate) fn start(run: Run) -> BoxStream<'static, Update> {
    let driver = Driver {
        run,
        under_way: HashMap::new(),
        answers: SelectAll::new(),
        ready: VecDeque::new(),
        usage: None,
        started: false,
        taken_over: 0,
        told_taken_over: false,
        failed: None,
        trouble: false,
        over: false,
        begun: Instant::now(),
    };
    stream::unfold(driver, |mut driver| async move {
        let update = driver.update().await?;
        Some((update, driver))
    })
    .boxed()
}

struct Driver {
    run: Run,
    under_way: HashMap<usize, Asked>,
    answers: SelectAll<BoxStream<'static, (usize, Update)>>,
    /// What is to be given next.
    ready: VecDeque<Update>,
    /// What all requests of this run have cost.
    usage: Option<Usage>,
    started: bool,
    /// How many answers were kept: by an earlier run, or by this one where parts are the same.
    taken_over: usize,
    told_taken_over: bool,
    /// The end that is to come once nothing is under way.
    failed: Option<End>,
    /// Whether it was told that nothing can be kept.
    trouble: bool,
    over: bool,
    begun: Instant,
}

/// A request under way, and what has come of it, which the source has a limit on.
struct Asked {
    job: Job,
    text: String,
    usage: Option<Usage>,
    deltas: usize,
}

impl Driver {
    async fn update(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            if self.over {
                return None;
            }
            self.ask();
            if !self.ready.is_empty() {
                continue;
            }
            match self.answers.next().await {
                Some((id, update)) => self.take(id, update),
                // Nothing is under way, and nothing more can be asked.
                None => self.end(),
            }
        }
    }

    /// Asks for as much as may be under way. What was kept is taken over at once.
    fn ask(&mut self) {
        while self.failed.is_none() && self.under_way.len() < self.run.jobs {
            let Some(job) = self.run.work.next() else { break };
            let kept = self.run.cache.as_ref().and_then(|cache| cache.get(&job.key));
            match kept {
                Some(kept) => {
                    self.taken_over += 1;
                    if job.task.is_last {
                        self.summary(job.digest, &kept.text);
                    }
                    self.done(&job, &kept.text, kept.verdict, None);
                }
                None => {
                    self.begin(job);
                    self.tell_taken_over();
                    self.pace(false);
                }
            }
        }
    }

    fn begin(&mut self, job: Job) {
        self.run.progress.begun(job.id, &job.name);
        let id = job.id;
        let source = self.run.source.clone();
        let request = job.request.clone();
        let asked = async move { source.ask(request, None).await };
        let answer = stream::once(asked).flat_map(|asked| match asked {
            Ok(answer) => answer.boxed(),
            Err(problem) => {
                let failure = Failure::new(FailureKind::Internal, problem.to_string());
                stream::once(ready(Update::End(End::failed(Fault::Server, failure)))).boxed()
            }
        });
        self.answers.push(answer.map(move |update| (id, update)).boxed());
        self.under_way.insert(
            id,
            Asked {
                job,
                text: String::new(),
                usage: None,
                deltas: 0,
            },
        );
    }

    /// Takes an update of a request.
    fn take(&mut self, id: usize, update: Update) {
        let Some(asked) = self.under_way.get_mut(&id) else {
            return;
        };
        match update {
            Update::Start(start) => {
                if !std::mem::replace(&mut self.started, true) {
                    self.ready.push_back(Update::Start(start));
                }
            }
            Update::Delta(Delta::Text(text) | Delta::Refusal(text)) => {
                asked.deltas += 1;
                self.run.progress.text(id, &text);
                asked.text.push_str(&text);
                if asked.job.task.is_last {
                    let digest = asked.job.digest;
                    self.summary(digest, &text);
                }
            }
            Update::Delta(Delta::Usage(usage)) => asked.usage = Some(usage),
            Update::Delta(Delta::Reasoning(text)) => {
                if asked.job.task.is_last {
                    self.ready.push_back(Update::Delta(Delta::Reasoning(text)));
                }
            }
            Update::Delta(Delta::ToolCall(_) | Delta::Logprobs(_) | Delta::Finish(_)) => {}
            Update::Notice(notice) => {
                let name = asked.job.name.clone();
                self.notice(&name, notice);
            }
            Update::End(end) => {
                if let Some(asked) = self.under_way.remove(&id) {
                    self.ended(asked, end);
                }
            }
        }
    }

    /// Passes on text of a summary.
    fn summary(&mut self, digest: usize, text: &str) {
        let shown = self.run.work.text(digest, text);
        self.show(shown);
    }

    fn show(&mut self, text: String) {
        if !text.is_empty() {
            self.tell_taken_over();
            self.run.progress.give_way();
            self.ready.push_back(Update::Delta(Delta::Text(text)));
        }
    }

    /// A request is over.
    fn ended(&mut self, asked: Asked, end: End) {
        let Asked {
            job,
            text,
            usage,
            deltas,
        } = asked;
        self.count(usage);
        let usable = matches!(end.verdict, Verdict::Complete | Verdict::Length);
        self.run.progress.ended(
            job.id,
            &job.name,
            Some(text.as_str()).filter(|_| usable && !job.task.is_last),
        );
        if usable && text.trim().is_empty() {
            self.silent(&job, &end);
            return;
        }
        if !usable {
            self.fail(&job, end);
            return;
        }
        let kept = Kept {
            text,
            verdict: end.verdict,
            usage,
        };
        self.keep(&job, &kept);
        let written = usage.map_or(deltas, |usage| usage.output_tokens as usize);
        self.done(&job, &kept.text, kept.verdict, Some((job.task.tokens, written)));
        self.pace(true);
    }

    fn done(&mut self, job: &Job, text: &str, verdict: Verdict, cost: Option<(usize, usize)>) {
        match self.run.work.done(job, text, verdict == Verdict::Length, cost) {
            Ok(shown) => self.show(shown),
            Err(stuck) => {
                let failure = Failure::new(FailureKind::Internal, stuck.to_string());
                self.failed = Some(End::failed(Fault::Server, failure));
            }
        }
    }

    /// An answer that says nothing is asked for again; a note that is missing must not go unsaid.
    fn silent(&mut self, job: &Job, end: &End) {
        if job.attempt + 1 < ATTEMPTS && self.failed.is_none() {
            let again = self.run.work.again(job);
            self.warn(
                "empty",
                format!("{}: the model answered nothing; it is asked again", job.name),
            );
            self.begin(again);
            return;
        }
        let how = if end.verdict == Verdict::Length {
            "nothing but thoughts up to the limit of tokens"
        } else {
            "nothing"
        };
        let failure = Failure::new(
            FailureKind::Protocol,
            format!("the model answered {how}, {ATTEMPTS} times"),
        );
        self.fail(job, End::failed(Fault::Server, failure));
    }

    /// There will be no whole summary. The first reason is the one that is told as the end.
    fn fail(&mut self, job: &Job, mut end: End) {
        if let Some(failure) = &mut end.failure {
            failure.message = format!("{}: {}", job.name, failure.message);
        }
        if self.failed.is_some() {
            let message = format!("{} ended as well: {}", job.name, end.verdict.as_str());
            self.warn("part", message);
            return;
        }
        let left = self.under_way.len();
        let mut message = format!("{} ended as {}", job.name, end.verdict.as_str().replace('_', " "));
        if left > 0 {
            message += &format!("; what is under way ({left}) is waited for and kept");
        }
        self.warn("part", message);
        self.failed = Some(end);
    }

    fn keep(&mut self, job: &Job, kept: &Kept) {
        let Some(cache) = &self.run.cache else { return };
        // A few kilobytes, and done before anything follows from it.
        match cache.put(&job.key, kept) {
            Ok(()) => self.run.progress.kept(),
            Err(error) if !std::mem::replace(&mut self.trouble, true) => {
                self.warn(
                    "not_kept",
                    format!("what comes of parts cannot be kept for another run: {error}"),
                );
            }
            Err(_) => {}
        }
    }

    fn tell_taken_over(&mut self) {
        if self.taken_over > 0 && !std::mem::replace(&mut self.told_taken_over, true) {
            let taken = self.taken_over;
            let plural = if taken == 1 { "" } else { "s" };
            self.run.progress.tell(&format!(
                "{taken} answer{plural} kept from before taken over (--no-cache asks anew)"
            ));
        }
    }

    /// A request's notice, with its name.
    fn notice(&mut self, name: &str, notice: Notice) {
        let notice = match notice {
            Notice::Warning { kind, message } => Notice::Warning {
                kind,
                message: format!("{name}: {message}"),
            },
            Notice::Retry {
                attempt,
                wait,
                reason,
            } => Notice::Retry {
                attempt,
                wait,
                reason: format!("{name}: {reason}"),
            },
            Notice::Resume { .. } => notice,
        };
        if self.run.tells_events || self.run.progress.is_printers() {
            self.ready.push_back(Update::Notice(notice));
        } else {
            self.run.progress.tell(&crate::output::notice(&notice));
        }
    }

    fn warn(&mut self, kind: &'static str, message: String) {
        let notice = Notice::Warning { kind, message };
        if self.run.tells_events || self.run.progress.is_printers() {
            self.ready.push_back(Update::Notice(notice));
        } else {
            self.run.progress.tell(&crate::output::notice(&notice));
        }
    }

    fn count(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let all = self.usage.get_or_insert_with(Usage::default);
        let add = |all: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *all = Some(all.unwrap_or(0) + more);
            }
        };
        all.input_tokens += usage.input_tokens;
        all.output_tokens += usage.output_tokens;
        add(&mut all.cached_input_tokens, usage.cached_input_tokens);
        add(&mut all.reasoning_tokens, usage.reasoning_tokens);
    }

    fn pace(&mut self, part_done: bool) {
        let mut pace = self
            .run
            .work
            .pace(self.under_way.values().map(|asked| &asked.job));
        pace.elapsed = self.begun.elapsed();
        self.run.progress.pace(&pace, part_done);
    }

    /// Nothing is under way any more.
    fn end(&mut self) {
        self.over = true;
        self.tell_taken_over();
        if !self.run.work.cut.is_empty() {
            let cut = &self.run.work.cut;
            let (first, more) = (cut[0].clone(), cut.len() - 1);
            let more = if more > 0 {
                format!(" and of {more} more")
            } else {
                String::new()
            };
            let message = format!(
                "the notes of {first}{more} end at their limit of tokens, and the summary is made of them as they are"
            );
            self.warn("notes_cut", message);
        }
        self.run.progress.close();
        if let Some(usage) = self.usage {
            self.ready.push_back(Update::Delta(Delta::Usage(usage)));
        }
        let end = self.failed.take().unwrap_or_else(|| {
            if self.run.work.is_over() {
                End {
                    verdict: self.run.work.verdict,
                    finish_reason: self.run.work.finish.clone(),
                    failure: None,
                }
            } else {
                let failure = Failure::new(
                    FailureKind::Internal,
                    "a bug in aurora: the work came to an end without a summary",
                );
                End::failed(Fault::Server, failure)
            }
        });
        self.ready.push_back(Update::End(end));
        if let Some(cache) = &self.run.cache {
            cache.evict();
        }
    }
}
