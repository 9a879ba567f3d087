//! Several summaries on their way at once: which request is next, what each is asked in, and what may be shown of which.
//!
//! Without I/O, as [`super::digest`]. The requests of the first summary come first. Summaries are shown in their order: the text
//! of a later one waits until those before it are whole.

use std::collections::HashMap;

use aurora_chat::{ChatRequest, FinishReason, Message, Role, Verdict};
use serde_json::{Value, json};

use super::budget::Budget;
use super::cache::Key;
use super::digest::{Counter, Digest, Note, Stuck, Task, Text};
use super::pace::Pace;
use super::prompts::{Purpose, Wish};

/// What is to be summarised, and how.
pub(crate) struct Plan {
    /// One for each summary, with the heading it stands under where there are several.
    pub(crate) texts: Vec<(Option<String>, Text)>,
    pub(crate) wish: Wish,
    pub(crate) budget: Budget,
    pub(crate) tokens: Counter,
    /// What all requests have in common: sampling, system prompt, model.
    pub(crate) base: ChatRequest,
    /// What answers: everything that makes another's answer another one.
    pub(crate) answerer: Value,
}

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its number, which no other has.
    pub(crate) id: usize,
    /// Which summary it is for.
    pub(crate) digest: usize,
    pub(crate) task: Task,
    pub(crate) request: ChatRequest,
    pub(crate) key: Key,
    /// How a person knows it.
    pub(crate) name: String,
    /// How often it was asked before: an answer that says nothing is asked for again.
    pub(crate) attempt: u32,
}

/// How often an answer that says nothing is asked for in all.
pub(crate) const ATTEMPTS: u32 = 3;

/// All the work there is.
pub(crate) struct Work {
    plan: Plan,
    digests: Vec<Digest>,
    /// The first that is not over.
    first: usize,
    next_id: usize,
    /// The summary that is shown, and what has come of those behind it.
    showing: usize,
    headed: bool,
    waiting: HashMap<usize, String>,
    over: Vec<bool>,
    done: usize,
    read: usize,
    written: usize,
    /// The names of those whose notes reached the limit on tokens.
    pub(crate) cut: Vec<String>,
    /// The strictest verdict of a summary that is whole as far as it goes.
    pub(crate) verdict: Verdict,
    pub(crate) finish: Option<FinishReason>,
}

impl Work {
    /// Plans the work. Counts the tokens of all texts, which takes about a second a megabyte where a tokenizer does it.
    ///
    /// # Errors
    /// A text has too many parts.
    pub(crate) fn new(mut plan: Plan) -> Result<Self, Stuck> {
        let texts: Vec<Text> = plan
            .texts
            .iter_mut()
            .map(|(_, text)| std::mem::take(text))
            .collect();
        let digests: Vec<Digest> = texts
            .into_iter()
            .map(|text| Digest::new(text, plan.budget.part, plan.tokens.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            over: vec![false; digests.len()],
            digests,
            plan,
            first: 0,
            next_id: 0,
            showing: 0,
            headed: false,
            waiting: HashMap::new(),
            done: 0,
            read: 0,
            written: 0,
            cut: Vec::new(),
            verdict: Verdict::Complete,
            finish: None,
        })
    }

    /// The next request; `None` while there is none, and in the end.
    pub(crate) fn next(&mut self) -> Option<Job> {
        while self.digests.get(self.first).is_some_and(Digest::is_over) {
            self.first += 1;
        }
        let (digest, task) = self
            .digests
            .iter_mut()
            .enumerate()
            .skip(self.first)
            .find_map(|(n, digest)| digest.next().map(|task| (n, task)))?;
        let request = self.request(digest, &task);
        let heading = self.plan.texts[digest].0.as_deref();
        let name = match heading {
            Some(heading) => format!("{heading}: {task}"),
            None => task.to_string(),
        };
        self.next_id += 1;
        Some(Job {
            id: self.next_id,
            digest,
            key: self.key(&request),
            task,
            request,
            name,
            attempt: 0,
        })
    }

    /// The same once more, with another seed.
    pub(crate) fn again(&mut self, job: &Job) -> Job {
        self.next_id += 1;
        let attempt = job.attempt + 1;
        let mut job = Job {
            id: self.next_id,
            attempt,
            ..job.clone()
        };
        job.request.seed = Some(self.plan.base.seed.unwrap_or(0).wrapping_add(i64::from(attempt)));
        job
    }

    /// Takes an answer's whole text, with the tokens that it cost in this run. Returns what is to be shown of summaries that
    /// had to wait for this one.
    ///
    /// # Errors
    /// The notes lead nowhere.
    pub(crate) fn done(
        &mut self,
        job: &Job,
        text: &str,
        is_cut: bool,
        cost: Option<(usize, usize)>,
    ) -> Result<String, Stuck> {
        self.done += 1;
        if let Some((read, written)) = cost {
            self.read += read;
            self.written += written;
        }
        if is_cut && !job.task.is_last {
            self.cut.push(job.name.clone());
        }
        let digest = &mut self.digests[job.digest];
        digest.done(
            &job.task,
            Note {
                text: text.to_owned(),
            },
        )?;
        if !digest.is_over() {
            return Ok(String::new());
        }
        if is_cut {
            self.verdict = Verdict::Length;
            self.finish = Some(FinishReason::Length);
        } else {
            self.finish.get_or_insert(FinishReason::Stop);
        }
        self.over[job.digest] = true;
        let mut shown = String::new();
        while self.over.get(self.showing) == Some(&true) {
            self.showing += 1;
            self.headed = false;
            if self.showing < self.over.len() {
                shown.push_str("\n\n");
                if let Some(text) = self.waiting.remove(&self.showing) {
                    shown.push_str(&self.heading());
                    shown.push_str(&text);
                }
            }
        }
        Ok(shown)
    }

    /// Takes text of a summary as it comes; returns what of it is to be shown now.
    pub(crate) fn text(&mut self, digest: usize, text: &str) -> String {
        if digest == self.showing {
            let heading = self.heading();
            return heading + text;
        }
        self.waiting.entry(digest).or_default().push_str(text);
        String::new()
    }

    /// The heading of the summary that is shown, once.
    fn heading(&mut self) -> String {
        if std::mem::replace(&mut self.headed, true) {
            return String::new();
        }
        let heading = self
            .plan
            .texts
            .get(self.showing)
            .and_then(|(heading, _)| heading.as_deref());
        heading.map_or_else(String::new, |heading| format!("# {heading}\n\n"))
    }

    /// Whether all summaries have come.
    pub(crate) fn is_over(&self) -> bool {
        self.showing >= self.digests.len()
    }

    /// How far it is, with these requests under way.
    pub(crate) fn pace<'j>(&self, under_way: impl Iterator<Item = &'j Job>) -> Pace {
        let note = self.plan.budget.note;
        let digests = self.digests.iter();
        // Half of what is under way is done, on average.
        let half = under_way.map(|job| job.task.tokens).sum::<usize>() / 2;
        Pace {
            done: self.done,
            known: self.done + digests.clone().map(Digest::missing).sum::<usize>(),
            read: self.read,
            written: self.written,
            ahead: digests.map(|digest| digest.ahead(note)).sum::<usize>() + half,
            elapsed: std::time::Duration::ZERO,
        }
    }

    fn request(&self, digest: usize, task: &Task) -> ChatRequest {
        let (purpose, limit) = if task.is_last {
            (Purpose::Summary, self.plan.budget.summary_limit)
        } else {
            let words = self.plan.budget.note_words;
            (Purpose::Note { words }, self.plan.budget.note_limit)
        };
        let prompt = self
            .plan
            .wish
            .prompt(purpose, task.level > 0, self.digests[digest].text(task));
        let mut request = self.plan.base.clone();
        request.messages.push(Message::text(Role::User, prompt));
        request.max_tokens = limit;
        if !task.is_last {
            // What ends the summary early would cut notes in the middle.
            request.stop.clear();
        }
        request
    }

    fn key(&self, request: &ChatRequest) -> Key {
        let messages: Vec<Value> = request
            .messages
            .iter()
            .map(|message| json!([message.role.as_str(), message.plain_text()]))
            .collect();
        Key::of(&json!({
            "answerer": self.plan.answerer,
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stop": request.stop,
        }))
    }
}

#[cfg(test)]
mod tests;
