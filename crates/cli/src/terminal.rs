//! The terminal's own state while it belongs to a chat: what is typed is neither shown nor put together into lines by the
//! terminal, but waits for the next prompt. Ctrl-C stays a signal.
//!
//! Whoever ends the process in any other way than by returning calls [`restore`] first. A process that is killed cannot;
//! shells set a terminal right by themselves.

#[cfg(unix)]
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// How the terminal was before it was made quiet.
#[cfg(unix)]
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Keeps the terminal quiet; dropped, it is as it was.
#[derive(Debug)]
pub(crate) struct Quiet(());

impl Quiet {
    /// Makes the terminal of standard input quiet. What is typed ahead is kept, also over a Ctrl-C. Does nothing where
    /// standard input is no terminal.
    pub(crate) fn new() -> Self {
        enter();
        Self(())
    }

    /// Gives the terminal to another program for as long as that runs.
    pub(crate) fn lend<T>(&self, run: impl FnOnce() -> T) -> T {
        restore();
        let result = run();
        enter();
        result
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(unix)]
fn enter() {
    let stdin = std::io::stdin();
    let Ok(before) = tcgetattr(&stdin) else { return };
    let mut quiet = before.clone();
    quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
    quiet.local_modes |= LocalModes::ISIG | LocalModes::NOFLSH;
    // The key Enter is told as it is, as the prompt reads it.
    quiet.input_modes -= InputModes::ICRNL;
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    if tcsetattr(&stdin, OptionalActions::Now, &quiet).is_ok() {
        *lock() = Some(before);
    }
}

/// Puts the terminal back to what it was, if it was changed.
#[cfg(unix)]
pub(crate) fn restore() {
    if let Some(before) = lock().take() {
        // A terminal that is gone needs no state.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

#[cfg(unix)]
fn lock() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(unix))]
fn enter() {}

/// Puts the terminal back to what it was, if it was changed.
#[cfg(not(unix))]
pub(crate) fn restore() {}
