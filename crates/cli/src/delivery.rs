//! Delivers one answer: from its source through a bounded channel to the main thread, which prints.
//!
//! The source runs in the runtime, so a reader that does not read (a pager) holds nothing up but the source, and a
//! signal is always heard. The first signal ends the source; what had come is still printed. Whatever the answer's
//! source, an upstream, the local engine or a recording, it comes this way.

use std::io::{self, Stderr, StdoutLock};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind, Fault, Start, Update};
use aurora_client::{Prospect, Throttle};
use futures_util::StreamExt as _;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::args::Common;
use crate::output::{Audience, Place, Printer, Style};
use crate::problem::{Problem, Result};
use crate::settings::Env;
use crate::signals::{self, Stop};
use crate::source::Answering;
use crate::{commands, console, log};

/// How many updates may wait for the printer.
const QUEUE: usize = 64;

/// How long a source may take to let go of what it holds, such as the last line of a recording, once nobody listens.
const LETTING_GO: Duration = Duration::from_secs(2);

/// After how long nothing has come before that is shown, and how often it is shown anew.
const SILENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);

/// What ends an answer whose own end will not come.
const BUG: &str = "a bug in aurora ended the answer";

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

/// What one answer is delivered with.
#[derive(Debug)]
pub(crate) struct Delivery {
    runtime: Runtime,
    stop: Stop,
    style: Style,
    manner: Manner,
}

/// How an answer is to be delivered.
#[derive(Clone, Copy, Debug)]
struct Manner {
    frame: Duration,
    /// Whether there is a terminal to show silence on.
    countdown: bool,
    /// Whether there is a terminal whose size matters.
    on_terminal: bool,
}

/// Starts the log and listens for signals, and runs `answer` with a printer; returns its exit code. With `--json` a
/// problem is an `end` too, besides the message on stderr, which is the caller's to write; so is a panic.
///
/// # Errors
/// Those of `answer`, and a style, a log or a runtime that cannot be had.
pub(crate) fn with_printer(
    flags: &Common,
    env: Env,
    answer: impl FnOnce(Env, &Delivery, &mut Console) -> Result<u8>,
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
            style,
            manner: Manner {
                frame: console::frame(flags, &env, &style)?,
                countdown: style.countdown != Place::Nowhere,
                on_terminal: style.countdown != Place::Nowhere || style.render,
            },
            stop: signals::listen()
                .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?,
            runtime: commands::runtime()?,
        };
        let result = without_panic(|| answer(env, &delivery, &mut printer));
        // Ends the source at once and waits for nothing: neither for a connection nor for a thread that reads a model.
        delivery.runtime.shutdown_background();
        result
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
    refuse_as("usage", message)
}

/// Writes the end of JSON lines for a problem of this kind.
///
/// # Errors
/// stdout cannot be written.
pub(crate) fn refuse_as(kind: &str, message: &str) -> Result<()> {
    let style = Style {
        json: true,
        ..Style::default()
    };
    Printer::new(style, io::stdout().lock(), io::stderr()).problem(Duration::ZERO, kind, message)
}

/// Writes the end of an answer that was cancelled before it was asked for; returns the exit code.
///
/// # Errors
/// stdout cannot be written.
pub(crate) fn cancelled(audience: &mut dyn Audience) -> Result<u8> {
    let end = End::cancelled();
    let code = end.verdict.exit_code();
    audience.update(Duration::ZERO, &Update::End(end))?;
    Ok(code)
}

/// Makes a panic a problem, so that its end can be told. The message of the panic itself was told where it happened.
fn without_panic(run: impl FnOnce() -> Result<u8>) -> Result<u8> {
    // What is used afterwards is the printer, which writes whole lines or none.
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Problem::internal(BUG)))
}

impl Delivery {
    /// How answers are to be written here.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// A printer for one answer of several.
    pub(crate) fn printer(&self, style: Style) -> Console {
        // The lock may be taken again by the thread that has it.
        Printer::new(style, io::stdout().lock(), io::stderr())
    }

    /// The runtime, for whoever waits for several things at once.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Forgets a Ctrl-C that was about an answer which is over.
    pub(crate) fn rearm(&self) {
        self.stop.rearm();
    }

    /// Whether the process was asked to end.
    pub(crate) fn is_terminated(&self) -> bool {
        self.stop.is_terminated()
    }

    /// A flag that is set once the process is asked to end, for those who cannot wait for it.
    pub(crate) fn termination(&self) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut stop, set) = (self.stop.clone(), Arc::clone(&flag));
        // Ends with the runtime, which is this value's own.
        self.runtime.spawn(async move {
            stop.terminated().await;
            set.store(true, Ordering::Relaxed);
        });
        flag
    }

    /// Does work that may have to wait for somebody, such as for the end of standard input; `None` if a signal comes
    /// first. The work is left to itself then, and ends with the process.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) fn unless_stopped<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let (send, receive) = oneshot::channel();
        std::thread::spawn(move || send.send(work()));
        let mut stop = self.stop.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.requested() => Ok(None),
                done = receive => done.unwrap_or_else(|_| Err(Problem::internal(BUG))).map(Some),
            }
        })
    }

    /// Opens a source, delivers its answer to the audience, and returns the exit code of the verdict. `asked` is what is
    /// asked for.
    ///
    /// # Errors
    /// The source cannot be opened, or stdout cannot be written.
    pub(crate) fn run(
        &self,
        asked: Start,
        open: impl Future<Output = Result<Answering>> + Send + 'static,
        audience: &mut dyn Audience,
    ) -> Result<u8> {
        let (send, mut receive) = mpsc::channel(QUEUE);
        audience.asked(asked);
        let produce = self.manner.produce(open, self.stop.clone(), send);
        let producer = self.runtime.spawn(produce);
        let result = deliver(&mut receive, self.manner.on_terminal, audience);
        drop(receive);
        // An error is time that is up, or a panic that was told where it happened.
        let _ = self
            .runtime
            .block_on(async { tokio::time::timeout(LETTING_GO, producer).await });
        result
    }
}

impl Manner {
    /// Feeds the printer until the end. A signal cancels the source; what has come is still delivered.
    async fn produce(
        self,
        open: impl Future<Output = Result<Answering>>,
        mut stop: Stop,
        to: mpsc::Sender<Told>,
    ) {
        let began = Instant::now();
        let opened = tokio::select! {
            opened = open => opened,
            () = stop.requested() => {
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
                () = stop.requested(), if !cancelled => {
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
                () = stop.requested(), if !cancelled => {
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

fn deliver(from: &mut mpsc::Receiver<Told>, on_terminal: bool, audience: &mut dyn Audience) -> Result<u8> {
    let mut last = Duration::ZERO;
    while let Some(told) = from.blocking_recv() {
        if on_terminal {
            audience.resize(console::size())?;
        }
        match told {
            Told::Quiet(silent, prospect) => audience.quiet(silent, prospect),
            Told::Problem(elapsed, problem) => {
                report(audience, elapsed, &problem);
                return Err(problem);
            }
            Told::Update(elapsed, update) => {
                last = elapsed;
                if let Some(verdict) = audience.update(elapsed, &update)? {
                    return Ok(verdict.exit_code());
                }
            }
        }
    }
    // Only a panic ends the task without an end.
    let failure = Failure::new(FailureKind::Internal, BUG);
    let end = Update::End(End::failed(Fault::Server, failure));
    audience.update(last, &end)?;
    Ok(1)
}

/// Tells the audience of a problem, unless it is stdout's own.
fn report(audience: &mut dyn Audience, elapsed: Duration, problem: &Problem) {
    if let Some(kind) = problem.name() {
        // That stdout fails as well changes neither the message on stderr nor the exit code.
        let _ = audience.problem(elapsed, kind, &problem.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_problem_of_ours() {
        let problem = without_panic(|| panic!("in the printer")).unwrap_err();
        assert_eq!((problem.exit_code(), problem.name()), (1, Some("internal")));
        assert_eq!(without_panic(|| Ok(7)), Ok(7));
    }
}
