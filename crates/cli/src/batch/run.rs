//! All of it together: items are read, asked for side by side, and their results left to the writer, until nothing is left,
//! nothing more may be begun, or somebody stops it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Message, RequestError, Role};
use aurora_client::{MAX_WAIT, estimate_prompt};
use tokio::task::JoinSet;
use tokio::time;

use super::budget::{Budget, Expected};
use super::index::{Fate, Index};
use super::input::Items;
use super::item::{Ask, Bad, Item};
use super::judge::judge;
use super::key::Key;
use super::pilot::{self, Lane, Pilot, Step};
use super::progress::{Board, Progress, Snapshot};
use super::record::Told;
use super::sources::{Resolved, Sources, Unresolved};
use super::tally::Tally;
use super::writer::Writer;
use crate::args::Common;
use crate::many::{self, Outcome};
use crate::problem::{Problem, Result};
use crate::settings::Settings;
use crate::signals::Stop;

/// How often in a row a server may ask for a wait that is too long before nothing more is asked.
const TOO_LONG: u32 = 3;

/// How many waits are told; how long the latest one is stays to be seen in what is told of the progress.
const WAITS_TOLD: u32 = 20;

/// After how many items that are only passed over a signal is looked for.
const GLANCE: u64 = 1024;

/// What is asked of every item, where it does not say otherwise itself.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    /// The request of an item that says nothing but its prompt.
    pub(crate) request: ChatRequest,
    pub(crate) system: Option<String>,
    /// A model was named.
    pub(crate) has_model: bool,
    /// It holds for items that say otherwise, too.
    pub(crate) over: bool,
}

/// Why nothing more was begun although there is more to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A signal came.
    Signal,
    /// The budget is spent.
    Budget,
    /// The server wants to be left alone for so long.
    TooLong(Duration),
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) snapshot: Snapshot,
    /// All results, those of earlier runs too.
    pub(crate) tally: Tally,
    pub(crate) halt: Option<Halt>,
    /// Tokens of prompts and of answers, and how many of them are estimates.
    pub(crate) tokens: (u64, u64, u64),
    /// How many requests were sent for items that had been asked for before.
    pub(crate) repeated: u64,
}

/// A batch that runs.
pub(crate) struct Run<'a> {
    pub(crate) items: Items,
    pub(crate) index: Index,
    pub(crate) defaults: Defaults,
    pub(crate) sources: Sources<'a>,
    pub(crate) writer: &'a Writer,
    pub(crate) progress: &'a mut Progress,
    board: Option<Board>,
    pilot: Pilot<Box<Job>>,
    budget: Budget,
    tally: Tally,
    tasks: JoinSet<Ended>,
    began: Instant,
    done_before: u64,
    repeated: u64,
    halt: Option<Halt>,
    /// How often in a row a wait was too long.
    too_long: u32,
    waits_told: u32,
    /// Results and attempts are numbered from a random number on.
    number: u64,
    random: u64,
}

/// An item that is asked for.
struct Job {
    key: Key,
    line: u64,
    print: u64,
    ask: Ask,
    who: Resolved,
    /// About how long the prompt is.
    prompt: u64,
    /// Requests that were sent for it.
    attempts: u32,
    /// How often it was asked for.
    made: u32,
    /// When it was asked for first.
    asked: Option<Duration>,
}

/// An attempt that has ended.
struct Ended {
    job: Box<Job>,
    run: pilot::Run,
    expected: Expected,
    number: u64,
    began: Duration,
    outcome: Result<Outcome>,
}

impl Defaults {
    /// What the flags say.
    ///
    /// # Errors
    /// A flag has a value that no model takes (usage).
    pub(crate) fn of(
        flags: &Common,
        system: Option<String>,
        over: bool,
        settings: &Settings,
    ) -> Result<Self> {
        Ok(Self {
            request: crate::commands::request(vec![Message::text(Role::User, "")], flags)?,
            system,
            has_model: settings.model.is_some(),
            over,
        })
    }

    /// The model that an item is to be answered by; empty for the one of this run.
    pub(crate) fn model<'m>(&self, ask: &'m Ask) -> &'m str {
        match self.over && self.has_model {
            true => "",
            false => &ask.request.model,
        }
    }

    /// Adds what the item does not say itself, and puts in its place what holds for all.
    pub(crate) fn apply(&self, request: &mut ChatRequest) {
        fn fill<T: Clone>(over: bool, own: &mut Option<T>, default: &Option<T>) {
            if default.is_some() && (over || own.is_none()) {
                own.clone_from(default);
            }
        }
        let (over, default) = (self.over, &self.request);
        fill(over, &mut request.temperature, &default.temperature);
        fill(over, &mut request.top_p, &default.top_p);
        fill(over, &mut request.max_tokens, &default.max_tokens);
        fill(over, &mut request.seed, &default.seed);
        fill(over, &mut request.response_format, &default.response_format);
        if !default.stop.is_empty() && (over || request.stop.is_empty()) {
            request.stop.clone_from(&default.stop);
        }
        if let Some(system) = &self.system {
            let is_system = |message: &Message| matches!(message.role, Role::System | Role::Developer);
            if over {
                request.messages.retain(|message| !is_system(message));
            }
            if !request.messages.iter().any(is_system) {
                request
                    .messages
                    .insert(0, Message::text(Role::System, system.as_str()));
            }
        }
        request.stream = true;
        request.include_usage = true;
    }
}

impl<'a> Run<'a> {
    #[expect(clippy::too_many_arguments, reason = "all that a run is made of")]
    pub(crate) fn new(
        items: Items,
        index: Index,
        tally: Tally,
        defaults: Defaults,
        sources: Sources<'a>,
        writer: &'a Writer,
        progress: &'a mut Progress,
        jobs: usize,
        budget: Option<u64>,
    ) -> Self {
        Self {
            items,
            index,
            defaults,
            sources,
            writer,
            board: progress.board(),
            progress,
            pilot: Pilot::new(jobs),
            budget: Budget::new(budget),
            done_before: tally.all(),
            tally,
            tasks: JoinSet::new(),
            began: Instant::now(),
            repeated: 0,
            halt: None,
            too_long: 0,
            waits_told: 0,
            number: 0,
            random: RandomState::new().hash_one(0),
        }
    }

    /// Runs until nothing is left to be done. What has ended is with the writer then.
    ///
    /// # Errors
    /// Nothing can be asked, nothing can be written, or the input has changed.
    pub(crate) async fn run(mut self, mut stop: Stop) -> Result<Summary> {
        let mut ticker = time::interval(self.progress.interval());
        ticker.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut steps = 0_u64;
        loop {
            steps += 1;
            if self.budget.is_spent() && self.halt.is_none() {
                self.halt(Halt::Budget);
            }
            match self.pilot.poll(self.began.elapsed()) {
                Step::Start(lane, job) => self.start(lane, job),
                Step::Read => {
                    self.read().await?;
                    if steps.is_multiple_of(GLANCE) && stop.is_requested() {
                        self.halt = Some(Halt::Signal);
                        break;
                    }
                }
                Step::Done => break,
                Step::Wait(until) => {
                    let until = until.map(|until| time::Instant::from_std(self.began + until));
                    let waited = async {
                        match until {
                            Some(until) => time::sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        biased;
                        () = stop.requested() => {
                            self.halt = Some(Halt::Signal);
                            break;
                        }
                        _ = ticker.tick() => {
                            let snapshot = self.snapshot();
                            self.progress.tick(&snapshot, self.board.as_ref());
                        }
                        Some(ended) = self.tasks.join_next() => {
                            let ended = ended.map_err(|_| Problem::internal("a bug in aurora ended an answer"))?;
                            self.end(ended).await?;
                        }
                        () = waited => {}
                    }
                }
            }
        }
        // Whatever still runs ends with its task; it is missing, and the next run does it.
        self.tasks.abort_all();
        let (input, output) = self.budget.tokens();
        let snapshot = self.snapshot();
        if snapshot.done == snapshot.total {
            // It had nothing left to do.
            self.halt = None;
        }
        Ok(Summary {
            snapshot,
            tokens: (input, output, self.budget.estimated()),
            tally: self.tally,
            halt: self.halt,
            repeated: self.repeated,
        })
    }

    /// Begins nothing more.
    fn halt(&mut self, why: Halt) {
        self.halt = Some(why);
        self.pilot.close();
    }

    /// Reads the next item and offers it, unless it is done.
    async fn read(&mut self) -> Result<()> {
        let Some(item) = self.items.next()? else {
            self.pilot.read_all();
            return Ok(());
        };
        let Some(known) = self.index.find(&item.key, item.print).filter(|known| known.same) else {
            return Err(Problem::usage(format!(
                "line {} of the input has changed while it was read; what is written stays, and the same command goes on",
                item.line
            )));
        };
        if known.fate != Fate::Missing {
            return Ok(());
        }
        // From here on it is somebody's, and no later line can be the same item.
        self.index.set(known.place, Fate::Answered);
        let Item {
            key,
            line,
            print,
            ask,
        } = item;
        let refused = match ask {
            Err(bad) => bad,
            Ok(mut ask) => match self.sources.resolve(self.defaults.model(&ask), &mut self.pilot) {
                Ok(who) => {
                    self.defaults.apply(&mut ask.request);
                    let job = Job {
                        key,
                        line,
                        print,
                        prompt: estimate_prompt(&ask.request),
                        ask,
                        attempts: 0,
                        made: 0,
                        asked: None,
                        who,
                    };
                    self.pilot.offer(job.who.lane, Box::new(job));
                    return Ok(());
                }
                Err(Unresolved::Problem(problem)) => return Err(problem),
                Err(Unresolved::Model(message)) => {
                    let error = RequestError::new(message, Some("model".to_owned()), Some("model_not_found"));
                    Bad::request(line, error)
                }
            },
        };
        let told = Told {
            unique: self.unique(),
            key: &key,
            line,
            print,
            attempts: 0,
            before: Duration::ZERO,
        };
        self.write(told.refused(&refused)).await?;
        self.tally.add("failed", Some(refused.kind));
        let message = refused.failure.message.as_str();
        self.progress
            .item(&key, line, "failed", Some((refused.kind, message)), None)
    }

    /// Asks for an item.
    fn start(&mut self, lane: Lane, mut job: Box<Job>) {
        let now = self.began.elapsed();
        job.asked.get_or_insert(now);
        if job.made > 0 {
            self.repeated += 1;
        }
        self.number += 1;
        let number = self.number;
        let run = self.pilot.run(lane);
        let expected = self.budget.begin(job.prompt);
        let board = self.board.clone();
        if let Some(board) = &board {
            board.begin(number, &job.key);
        }
        let (source, request) = (job.who.source.clone(), job.ask.request.clone());
        let gathering = Box::pin(many::gather(source, request, move |update| {
            if let Some(board) = &board {
                board.see(number, update);
            }
        }));
        self.tasks.spawn(async move {
            Ended {
                outcome: gathering.await,
                job,
                run,
                expected,
                number,
                began: now,
            }
        });
    }

    /// An attempt has ended: its item is asked for again, or this is its result.
    async fn end(&mut self, ended: Ended) -> Result<()> {
        let Ended {
            mut job,
            run,
            expected,
            number,
            began,
            outcome,
        } = ended;
        if let Some(board) = &self.board {
            board.end(number);
        }
        let outcome = outcome?;
        let now = self.began.elapsed();
        self.budget.end(expected, job.prompt, &outcome);
        let judged = judge(
            &outcome,
            job.made,
            job.who.retries,
            self.random.wrapping_add(number << 8),
        );
        self.pilot.ended(run, judged.sign);
        job.made += 1;
        job.attempts += outcome.attempts;
        if let Some(wait) = judged.hold {
            self.hold(&job.who, wait, now);
        } else if outcome.end.failure.is_none() {
            self.too_long = 0;
        }
        if let Some(wait) = judged.again {
            // Where nothing more is begun, the item stays missing.
            if self.halt.is_none() {
                // To the moment with what it holds up, so that it goes first.
                self.pilot.again(job.who.lane, job, now + wait);
            }
            return Ok(());
        }
        let told = Told {
            unique: self.unique(),
            key: &job.key,
            line: job.line,
            print: job.print,
            attempts: job.attempts,
            before: began.saturating_sub(job.asked.unwrap_or(began)),
        };
        let line = told.answered(&outcome, &job.ask.api, &job.who.model);
        self.write(line).await?;
        let verdict = outcome.end.verdict.as_str();
        let error = outcome.end.failure.as_ref();
        let error = error.map(|failure| (failure.kind.as_str(), failure.message.as_str()));
        self.tally.add(verdict, error.map(|(kind, _)| kind));
        let tokens = outcome.usage().map(|usage| usage.output_tokens);
        self.progress.item(&job.key, job.line, verdict, error, tokens)
    }

    /// A server wants to be left alone: nothing goes to it meanwhile, whichever item it is for.
    fn hold(&mut self, who: &Resolved, wait: Duration, now: Duration) {
        let was_held = self.pilot.held_for(now).is_some();
        self.pilot.hold(who.lane, now + wait.min(MAX_WAIT));
        if wait > MAX_WAIT {
            self.too_long += 1;
            if self.too_long >= TOO_LONG && self.halt.is_none() {
                self.halt(Halt::TooLong(wait));
                return;
            }
        }
        if !was_held && !wait.is_zero() && self.waits_told < WAITS_TOLD {
            self.waits_told += 1;
            let wait = wait.as_secs_f64();
            self.progress.note(&format!(
                "the endpoint {} asks to wait {wait:.1} s; nothing is sent to it until then",
                who.endpoint
            ));
        }
    }

    async fn write(&mut self, line: Vec<u8>) -> Result<()> {
        // What became of it is told by whoever ends the writer.
        let written = self.writer.write(line).await;
        written.map_err(|_| Problem::output("the results cannot be written"))
    }

    fn unique(&mut self) -> u128 {
        self.number += 1;
        u128::from(self.random) << 64 | u128::from(self.number)
    }

    fn snapshot(&self) -> Snapshot {
        let elapsed = self.began.elapsed();
        Snapshot {
            total: self.index.len() as u64,
            done: self.tally.all(),
            done_now: self.tally.all() - self.done_before,
            failed: self.tally.failed(),
            running: self.pilot.running(),
            at_most: self.pilot.given_way(),
            output_tokens: self.budget.tokens().1,
            elapsed,
            held_for: self.pilot.held_for(elapsed),
        }
    }
}
