//! `aurora PROMPT` and `aurora ask`: one answer.
//!
//! The source runs in the runtime and hands its updates through a bounded channel to the main thread, which prints. So
//! a reader that does not read (a pager) holds nothing up but the source, and a signal is always heard.

use std::io;
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, End, Failure, FailureKind, Fault, Message, Role, Update};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::args::Common;
use crate::console;
use crate::output::{Printer, Style};
use crate::problem::{Problem, Result};
use crate::settings::{self, Env};
use crate::source::Source;
use crate::{log, prompt, signals};

/// How many updates may wait for the printer.
const QUEUE: usize = 64;

/// What the source's task tells the printer, and when it came, counted from the moment the source was asked.
enum Told {
    Update(Duration, Update),
    /// There will be no answer.
    Problem(Duration, Problem),
}

/// Asks, prints, and returns the exit code of the verdict. With `--json` a problem is an `end` too, besides the message
/// on stderr.
///
/// # Errors
/// There is no prompt, no usable model, or stdout cannot be written.
pub(super) fn run(words: &[String], flags: &Common, env: Env) -> Result<u8> {
    let style = console::style(flags, &env);
    let unstyled = Style {
        json: flags.json,
        ..Style::default()
    };
    let mut printer = Printer::new(
        *style.as_ref().unwrap_or(&unstyled),
        io::stdout().lock(),
        io::stderr(),
    );
    let result = style.and_then(|_| answer(words, flags, env, &mut printer));
    if let Err(problem) = &result {
        // Where nothing was asked, no time has passed; the problem of a source that was asked is printed by now.
        report(&mut printer, Duration::ZERO, problem);
    }
    result
}

fn answer(
    words: &[String],
    flags: &Common,
    env: Env,
    printer: &mut Printer<impl io::Write, impl io::Write>,
) -> Result<u8> {
    log::start(flags)?;
    let settings = settings::load(flags, None, env)?;
    let target = settings.target()?;
    let source = Source::of(&target, &settings)?;
    let request = request(prompt::read(words, &flags.files)?, flags)?;

    let runtime = super::runtime()?;
    let (send, receive) = mpsc::channel(QUEUE);
    let signal = {
        let _inside = runtime.enter();
        signals::first().map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?
    };
    printer.asked(target.start());
    runtime.spawn(produce(source, request, signal, send));
    let result = print(receive, printer);
    // Ends the source at once and waits for nothing: neither for a connection nor for a thread that reads a model.
    runtime.shutdown_background();
    result
}

fn request(prompt: String, flags: &Common) -> Result<ChatRequest> {
    let system = flags
        .system
        .as_ref()
        .map(|system| Message::text(Role::System, system));
    let request = ChatRequest {
        messages: system
            .into_iter()
            .chain([Message::text(Role::User, prompt)])
            .collect(),
        stream: true,
        include_usage: true,
        max_tokens: flags.max_tokens,
        temperature: flags.temperature,
        top_p: flags.top_p,
        seed: flags.seed,
        stop: flags.stop.clone(),
        ..ChatRequest::default()
    };
    request
        .validate()
        .map_err(|error| Problem::usage(error.to_string()))?;
    Ok(request)
}

/// Feeds the printer until the end, or until a signal comes; then what has come is still delivered.
async fn produce(
    source: Source,
    request: ChatRequest,
    signal: impl Future<Output = ()>,
    to: mpsc::Sender<Told>,
) {
    tokio::pin!(signal);
    // What a model takes to be fetched and read is part of what the caller waits for.
    let asked = Instant::now();
    let cancelled = || Told::Update(asked.elapsed(), Update::End(End::cancelled()));
    let opened = tokio::select! {
        opened = source.ask(request) => opened,
        () = &mut signal => {
            let _ = to.send(cancelled()).await;
            return;
        }
    };
    let mut updates = match opened {
        Ok(updates) => updates,
        Err(problem) => {
            let _ = to.send(Told::Problem(asked.elapsed(), problem)).await;
            return;
        }
    };
    loop {
        let update = tokio::select! {
            update = updates.next() => update,
            () = &mut signal => Some(Update::End(End::cancelled())),
        };
        let Some(update) = update else { return };
        let is_end = matches!(update, Update::End(_));
        let told = Told::Update(asked.elapsed(), update);
        if is_end {
            // The work stops now, not when the printer has caught up.
            drop(updates);
            let _ = to.send(told).await;
            return;
        }
        tokio::select! {
            place = to.reserve() => match place {
                Ok(place) => place.send(told),
                // The printer is gone, because stdout is.
                Err(_) => return,
            },
            () = &mut signal => {
                drop(updates);
                let _ = to.send(told).await;
                let _ = to.send(cancelled()).await;
                return;
            }
        }
    }
}

fn print(
    mut from: mpsc::Receiver<Told>,
    printer: &mut Printer<impl io::Write, impl io::Write>,
) -> Result<u8> {
    let mut last = Duration::ZERO;
    while let Some(told) = from.blocking_recv() {
        match told {
            Told::Problem(elapsed, problem) => {
                report(printer, elapsed, &problem);
                return Err(problem);
            }
            Told::Update(elapsed, update) => {
                last = elapsed;
                printer
                    .update(elapsed, &update)
                    .map_err(|error| Problem::stdout(&error))?;
                if let Update::End(end) = update {
                    return Ok(end.verdict.exit_code());
                }
            }
        }
    }
    // Only a panic ends the task without an end.
    let failure = Failure::new(FailureKind::Internal, "a bug in aurora ended the answer");
    let end = Update::End(End::failed(Fault::Server, failure));
    printer
        .update(last, &end)
        .map_err(|error| Problem::stdout(&error))?;
    Ok(1)
}

/// Tells the printer of a problem, unless it is stdout's own.
fn report(printer: &mut Printer<impl io::Write, impl io::Write>, elapsed: Duration, problem: &Problem) {
    if let Some(kind) = problem.name() {
        // That stdout fails as well changes neither the message on stderr nor the exit code.
        let _ = printer.problem(elapsed, kind, &problem.to_string());
    }
}
