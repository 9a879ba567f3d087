//! Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.

use std::io;

/// The exit code of a run that was stopped by a signal.
pub(crate) const EXIT_CODE: u8 = 130;

/// Starts listening; must be called inside a runtime. The future is ready at the first signal; from then on, the next
/// one ends the process without any further ado.
///
/// # Errors
/// The system refuses to install a handler.
pub(crate) fn first() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            quit();
        });
    })
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
