//! Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.
//!
//! They are heard by a thread of their own, so that no work, however long it keeps others busy, keeps the second one from
//! being heard. Where one Ctrl-C is to stop one answer of many, the next answer begins with [`Stop::rearm`].

use std::future;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::terminal;

/// The exit code of a run that was stopped by a signal.
pub(crate) const EXIT_CODE: u8 = 130;

/// Whether a signal has come; for as many as want to know.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    tell: Arc<watch::Sender<Heard>>,
    told: watch::Receiver<Heard>,
}

/// What was heard and not yet forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// Ctrl-C: whatever is going on is to stop.
    Interrupt,
    /// SIGTERM: the process is to end.
    Terminate,
}

/// Starts listening. The first signal is told; from then on, the next one ends the process without any further ado.
///
/// # Errors
/// The system refuses to install a handler or to start a thread.
pub(crate) fn listen() -> io::Result<Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let (tell, told) = watch::channel(Heard::Nothing);
    let tell = Arc::new(tell);
    let stop = Stop {
        tell: Arc::clone(&tell),
        told,
    };
    // Listens as long as there is a process.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                loop {
                    let heard = signals.next().await;
                    if tell.send_replace(heard) != Heard::Nothing {
                        quit()
                    }
                }
            })
        })?;
    Ok(stop)
}

impl Stop {
    /// Is ready once a signal has come, which may have been before. Cancel safe.
    pub(crate) async fn requested(&mut self) {
        self.heard(|heard| heard != Heard::Nothing).await;
    }

    /// Is ready once the process is to end, which may have been asked before. Cancel safe.
    pub(crate) async fn terminated(&mut self) {
        self.heard(|heard| heard == Heard::Terminate).await;
    }

    /// Forgets a Ctrl-C: it was about something that is over.
    pub(crate) fn rearm(&self) {
        self.tell.send_if_modified(|heard| {
            let forget = *heard == Heard::Interrupt;
            if forget {
                *heard = Heard::Nothing;
            }
            forget
        });
    }

    /// Whether a signal has come.
    pub(crate) fn is_requested(&self) -> bool {
        *self.told.borrow() != Heard::Nothing
    }

    /// Whether the process is to end.
    pub(crate) fn is_terminated(&self) -> bool {
        *self.told.borrow() == Heard::Terminate
    }

    async fn heard(&mut self, it: impl Fn(Heard) -> bool) {
        if self.told.wait_for(|heard| it(*heard)).await.is_err() {
            // Nobody listens any more, so nothing can come.
            future::pending().await
        }
    }
}

#[expect(
    clippy::exit,
    reason = "whoever asks twice does not want to wait for anything, not even for a blocked write"
)]
fn quit() -> ! {
    terminal::restore();
    std::process::exit(i32::from(EXIT_CODE))
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Interrupt,
            _ = self.terminate.recv() => Heard::Terminate,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Heard {
        self.0.recv().await;
        Heard::Interrupt
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    /// A second one would end the tests, unless the first is forgotten.
    #[test]
    fn a_signal_is_heard_while_nobody_else_runs_and_can_be_forgotten() {
        let stop = listen().unwrap();
        assert_eq!(*stop.told.borrow(), Heard::Nothing);
        let process = std::process::id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &process])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        while *stop.told.borrow() == Heard::Nothing {
            assert!(begun.elapsed() < Duration::from_secs(30), "it was not heard");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!stop.is_terminated());
        stop.rearm();
        assert_eq!(*stop.told.borrow(), Heard::Nothing);
    }
}
