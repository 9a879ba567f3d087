//! `--dry-run`: how many items there are to do, and how many tokens their prompts are, without asking for anything.
//!
//! A local model that is there counts with its own tokenizer. What an upstream would count, only it knows: that is
//! estimated by length, and called so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aurora_chat::ChatRequest;
use aurora_client::estimate_prompt;
use serde_json::{Value, json};

use super::index::{Fate, Index};
use super::input::Items;
use super::pilot::Pilot;
use super::run::Defaults;
use super::sources::{Resolved, Sources, Unresolved};
use super::tally::items;
use crate::problem::Result;
use crate::source::Source;

/// The most models that are told apart.
const MAX_MODELS: usize = 256;

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    /// By the model's full name.
    models: BTreeMap<String, Sum>,
    /// Items that cannot be asked for, and the first few reasons.
    pub(crate) bad: u64,
    pub(crate) reasons: Vec<String>,
}

/// What one model has to do.
#[derive(Debug, Default)]
struct Sum {
    items: u64,
    prompt: u64,
    /// Whether that was counted by the model's own tokenizer, each time.
    counted: u64,
    /// The most tokens that answers may be, of the items that set a limit.
    answer: u64,
    limited: u64,
}

/// How many reasons are told.
const REASONS: usize = 10;

impl Estimate {
    /// Goes through all items that have no result. `None` if it was stopped.
    ///
    /// # Errors
    /// As a run would have them before its first request.
    pub(crate) fn of(
        mut items: Items,
        index: &Index,
        defaults: &Defaults,
        mut sources: Sources<'_>,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        let mut estimate = Self::default();
        // Nothing is asked, so nothing is decided.
        let mut pilot = Pilot::<()>::new(1);
        while let Some(item) = items.next()? {
            if stopped() {
                return Ok(None);
            }
            let known = index.find(&item.key, item.print);
            if known.is_some_and(|known| known.fate != Fate::Missing) {
                continue;
            }
            let mut ask = match item.ask {
                Ok(ask) => ask,
                Err(bad) => {
                    estimate.refuse(bad.failure.message);
                    continue;
                }
            };
            let who = match sources.resolve(defaults.model(&ask), &mut pilot) {
                Ok(who) => who,
                Err(Unresolved::Problem(problem)) => return Err(problem),
                Err(Unresolved::Model(message)) => {
                    estimate.refuse(format!("line {}: {message}", item.line));
                    continue;
                }
            };
            defaults.apply(&mut ask.request);
            match count(&who, &ask.request) {
                Ok(counted) => estimate.add(&who, &ask.request, counted),
                Err(message) => estimate.refuse(format!("line {}: {message}", item.line)),
            }
        }
        Ok(Some(estimate))
    }

    fn refuse(&mut self, reason: String) {
        self.bad += 1;
        if self.reasons.len() < REASONS {
            self.reasons.push(reason);
        }
    }

    fn add(&mut self, who: &Resolved, request: &ChatRequest, counted: Option<u64>) {
        let name = format!("{}/{}", who.endpoint, who.model);
        let name = if self.models.len() < MAX_MODELS || self.models.contains_key(&name) {
            name
        } else {
            "other models".to_owned()
        };
        let sum = self.models.entry(name).or_default();
        sum.items += 1;
        sum.prompt += counted.unwrap_or_else(|| estimate_prompt(request));
        sum.counted += u64::from(counted.is_some());
        if let Some(limit) = request.max_tokens {
            sum.answer += u64::from(limit);
            sum.limited += 1;
        }
    }

    /// How many items there are to do.
    pub(crate) fn items(&self) -> u64 {
        self.models.values().map(|sum| sum.items).sum()
    }

    /// A line for each model.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, sum) in &self.models {
            let (about, how) = sum.how();
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "{name}: {}, {about}{} tokens of prompts ({how})",
                items(sum.items),
                sum.prompt
            );
            let _ = match sum.limited {
                0 => writeln!(text, ", answers without a limit"),
                all if all == sum.items => writeln!(text, ", at most {} tokens of answers", sum.answer),
                some => writeln!(
                    text,
                    ", at most {} tokens of answers for {some} of them, the others without a limit",
                    sum.answer
                ),
            };
        }
        text
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> Value {
        let models: Vec<Value> = self
            .models
            .iter()
            .map(|(name, sum)| {
                json!({
                    "model": name,
                    "items": sum.items,
                    "prompt_tokens": sum.prompt,
                    "estimated": sum.counted < sum.items,
                    "max_answer_tokens": (sum.limited == sum.items).then_some(sum.answer),
                })
            })
            .collect();
        json!(models)
    }
}

impl Sum {
    fn how(&self) -> (&'static str, &'static str) {
        if self.counted == self.items {
            ("", "counted by the model's tokenizer")
        } else {
            ("about ", "an estimate: a token for every 4 bytes")
        }
    }
}

/// How many tokens the model takes the prompt for; `None` if only it would know.
///
/// # Errors
/// The model cannot answer this request.
fn count(who: &Resolved, request: &ChatRequest) -> std::result::Result<Option<u64>, String> {
    match &who.source {
        Source::Upstream(..) => Ok(None),
        #[cfg(feature = "engine")]
        Source::Local(local) => {
            // A dry run fetches nothing.
            if !local.is_fetched() {
                return Ok(None);
            }
            let engine = local.load()?;
            let counted = engine.count(request).map_err(|error| error.to_string())?;
            Ok(Some(counted as u64))
        }
    }
}
