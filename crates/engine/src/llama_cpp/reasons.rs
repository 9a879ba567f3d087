//! Why llama.cpp refused: it returns nothing but that it did, and says the reason in its log.

use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use llama_cpp_2::LogOptions;

/// The target of everything that llama.cpp logs.
const TARGET: &str = "llama-cpp-2";
/// Reasons that are remembered, each at most this long: the first says what is wrong, the others what follows from it.
const MOST: usize = 4;
const LONGEST: usize = 300;

/// Sends llama.cpp's log to `tracing`, whose levels it keeps. It would go to standard error.
pub(super) fn log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| llama_cpp_2::send_logs_to_tracing(LogOptions::default()));
}

/// Runs `work`, and returns what llama.cpp called an error meanwhile on this thread.
pub(super) fn of<T>(work: impl FnOnce() -> T) -> (T, String) {
    let reasons = Reasons::default();
    let result = tracing::subscriber::with_default(reasons.clone(), work);
    let reasons = reasons.0.lock().unwrap_or_else(PoisonError::into_inner);
    (result, reasons.join("; "))
}

#[derive(Clone, Default)]
struct Reasons(Arc<Mutex<Vec<String>>>);

impl Subscriber for Reasons {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It is asked for events that it did not enable, where a callsite has another subscriber as well.
        if self.enabled(event.metadata()) && reasons.len() < MOST {
            let mut message = Message(String::new());
            event.record(&mut message);
            reasons.push(message.0);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's message, on one line.
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let printable = value.chars().filter(|c| !c.is_control());
            self.0 = printable.take(LONGEST).collect::<String>().trim().to_owned();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
