//! The built binary, run against a scripted upstream on loopback: exit codes, stdout, stderr, JSON lines, signals.
//!
//! Each run has a home of its own and none of the caller's variables. No test needs a model or the network.

#![expect(clippy::unwrap_used, reason = "these are all tests, helpers included")]

mod answers;
mod batch;
mod chat;
mod code;
mod commands;
#[cfg(unix)]
mod continuing;
#[cfg(unix)]
mod conversations;
#[cfg(unix)]
mod history;
mod inputs;
mod logs;
mod pace;
#[cfg(unix)]
mod picture;
mod recordings;
#[cfg(unix)]
mod rendered;
mod summarize;
mod support;
#[cfg(unix)]
mod terminal;
