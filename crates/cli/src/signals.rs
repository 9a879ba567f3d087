//! Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.
//!
//! They are heard by a thread of their own, so that no work, however long it keeps others busy, keeps the second one from
//! being heard.

use std::future;
use std::io;

use tokio::sync::watch;

/// The exit code of a run that was stopped by a signal.
pub(crate) const EXIT_CODE: u8 = 130;

/// Whether a signal has come; for as many as want to know.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

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
    let (tell, told) = watch::channel(false);
    // Listens as long as there is a process.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                signals.next().await;
                tell.send_replace(true);
                signals.next().await;
                quit()
            })
        })?;
    Ok(Stop(told))
}

impl Stop {
    /// Is ready once a signal has come, which may have been before. Cancel safe.
    pub(crate) async fn requested(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
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

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
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

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    /// A second one would end the tests.
    #[test]
    fn a_signal_is_heard_while_nobody_else_runs() {
        let stop = listen().unwrap();
        assert!(!*stop.0.borrow());
        let process = std::process::id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &process])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        while !*stop.0.borrow() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it was not heard");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
