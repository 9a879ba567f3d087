//! Delivers one answer: from its source through a bounded channel to the main thread, which prints.
//!
//! The source runs in the runtime, so a reader that does not read (a pager) holds nothing up but the source, and a
//! signal is always heard. The first signal ends the source; what had come is still printed. Whatever the answer's
//! source, an upstream, the local engine or a recording, it comes this way.

use std::io::{self, Stderr, StdoutLock};
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind, Fault, Start, Update};
use aurora_client::{Prospect, Throttle};
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::args::Common;
use crate::output::{Place, Printer, Style};
use crate::problem::{Problem, Result};
use crate::settings::Env;
use crate::source::Answering;
use crate::{console, log, signals};

/// How many updates may wait for the printer.
const QUEUE: usize = 64;

/// How long a source may take to let go of what it holds, such as the last line of a recording, once nobody listens.
const LETTING_GO: Duration = Duration::from_secs(2);

/// After how long nothing has come before that is shown, and how often it is shown anew.
const SILENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);

/// What the source's task tells the printer, with the time since the source was asked.
enum Told {
    Update(Duration, Update),
    /// There will be no answer.
    Problem(Duration, Problem),
    /// Nothing has come for this long.
    Quiet(Duration, Option<Prospect>),
}

/// The printer of this process's own stdout and stderr.
pub(crate) type Console = Printer<StdoutLock<'static>, Stderr>;

/// How one answer is to be delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    frame: Duration,
    /// Whether there is a terminal to show silence on.
    countdown: bool,
}

/// Starts the log and runs `answer` with a printer; returns its exit code. With `--json` a problem is an `end` too,
/// besides the message on stderr, which is the caller's to write.
///
/// # Errors
/// Those of `answer`, and a style or a log that cannot be had.
pub(crate) fn with_printer(
    flags: &Common,
    env: Env,
    answer: impl FnOnce(Env, Delivery, &mut Console) -> Result<u8>,
) -> Result<u8> {
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
    let result = style.and_then(|style| {
        log::start(flags)?;
        let delivery = Delivery {
            frame: console::frame(flags, &env, &style)?,
            countdown: style.countdown != Place::Nowhere,
        };
        answer(env, delivery, &mut printer)
    });
    if let Err(problem) = &result {
        // Where nothing was asked, no time has passed; the problem of a source that was asked is printed by now.
        report(&mut printer, Duration::ZERO, problem);
    }
    result
}

/// Writes the end of JSON lines that were asked for by a line that cannot be used.
///
/// # Errors
/// stdout cannot be written.
pub(crate) fn refuse(message: &str) -> Result<()> {
    let style = Style {
        json: true,
        ..Style::default()
    };
    Printer::new(style, io::stdout().lock(), io::stderr())
        .problem(Duration::ZERO, "usage", message)
        .map_err(|error| Problem::stdout(&error))
}

impl Delivery {
    /// Opens a source, prints its answer, and returns the exit code of the verdict. `asked` is what is asked for.
    ///
    /// # Errors
    /// The source cannot be opened, or stdout cannot be written.
    pub(crate) fn run(
        self,
        runtime: Runtime,
        asked: Start,
        open: impl Future<Output = Result<Answering>> + Send + 'static,
        printer: &mut Console,
    ) -> Result<u8> {
        let (send, mut receive) = mpsc::channel(QUEUE);
        let signal = {
            let _inside = runtime.enter();
            signals::first()
                .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?
        };
        printer.asked(asked);
        let producer = runtime.spawn(self.produce(open, signal, send));
        let result = print(&mut receive, self.countdown, printer);
        drop(receive);
        // An error is time that is up, or a panic that was told where it happened.
        let _ = runtime.block_on(async { tokio::time::timeout(LETTING_GO, producer).await });
        // Ends the source at once and waits for nothing: neither for a connection nor for a thread that reads a model.
        runtime.shutdown_background();
        result
    }

    /// Feeds the printer until the end. A signal cancels the source; what has come is still delivered.
    async fn produce(
        self,
        open: impl Future<Output = Result<Answering>>,
        signal: impl Future<Output = ()>,
        to: mpsc::Sender<Told>,
    ) {
        tokio::pin!(signal);
        let began = Instant::now();
        let opened = tokio::select! {
            opened = open => opened,
            () = &mut signal => {
                let end = Update::End(End::cancelled());
                let _ = to.send(Told::Update(began.elapsed(), end)).await;
                return;
            }
            () = to.closed() => return,
        };
        let mut answer = match opened {
            Ok(answer) => Throttle::new(answer, self.frame),
            Err(problem) => {
                let _ = to.send(Told::Problem(began.elapsed(), problem)).await;
                return;
            }
        };
        let mut cancelled = false;
        let mut heard = Instant::now();
        let mut due = heard + SILENCE;
        loop {
            let update = tokio::select! {
                biased;
                () = &mut signal, if !cancelled => {
                    cancelled = true;
                    answer.source_mut().cancel();
                    continue;
                }
                () = to.closed() => return,
                update = answer.next() => update,
                () = tokio::time::sleep_until(due), if self.countdown => {
                    // A printer that is busy has something to show already.
                    let _ = to.try_send(Told::Quiet(heard.elapsed(), answer.source().prospect()));
                    due += TICK;
                    continue;
                }
            };
            let Some(update) = update else { return };
            heard = Instant::now();
            due = heard + SILENCE;
            let is_end = matches!(update, Update::End(_));
            let told = Told::Update(answer.source().elapsed(), update);
            if is_end {
                // The source lets go of everything now, not when the printer has caught up.
                drop(answer);
                let _ = to.send(told).await;
                return;
            }
            let place = tokio::select! {
                place = to.reserve() => place,
                () = &mut signal, if !cancelled => {
                    cancelled = true;
                    answer.source_mut().cancel();
                    to.reserve().await
                }
            };
            match place {
                Ok(place) => place.send(told),
                // The printer is gone, because stdout is.
                Err(_) => return,
            }
        }
    }
}

fn print(from: &mut mpsc::Receiver<Told>, countdown: bool, printer: &mut Console) -> Result<u8> {
    let mut last = Duration::ZERO;
    while let Some(told) = from.blocking_recv() {
        if countdown {
            printer.resize(console::columns());
        }
        match told {
            Told::Quiet(silent, prospect) => printer.quiet(silent, prospect),
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
fn report(printer: &mut Console, elapsed: Duration, problem: &Problem) {
    if let Some(kind) = problem.name() {
        // That stdout fails as well changes neither the message on stderr nor the exit code.
        let _ = printer.problem(elapsed, kind, &problem.to_string());
    }
}
