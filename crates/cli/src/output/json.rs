//! An answer as JSON lines: one object a line, `type` first, and `end` last, always.
//!
//! The field names and their order are part of the command line's contract. Numbers of milliseconds are whole; what is
//! not known is `null`. What stderr has to name (verdicts, limits, waits) is told there as well. Characters that a terminal might obey are written as `\u` escapes, which mean the same.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use aurora_chat::{Delta, End, Failure, Notice, Start, Verdict};
use serde_json::{Value, json};

use super::{Meter, ending, visible};

/// Writes JSON lines.
#[derive(Debug)]
pub(super) struct Json<O, E> {
    out: O,
    err: E,
    /// What was asked, until a `start` is written.
    asked: Option<Start>,
    started: bool,
    ended: bool,
}

impl<O: Write, E: Write> Json<O, E> {
    pub(super) fn new(out: O, err: E) -> Self {
        Self {
            out,
            err,
            asked: None,
            started: false,
            ended: false,
        }
    }

    pub(super) fn asked(&mut self, start: Start) {
        self.asked = Some(start);
    }

    /// Writes the source's own start, unless one was written in its place: there is one, and it is first.
    pub(super) fn start(&mut self, start: &Start) -> io::Result<()> {
        self.asked = None;
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        self.line(
            "start",
            &[
                ("model", json!(start.model)),
                ("endpoint", json!(start.endpoint)),
                ("stream", json!(start.stream)),
            ],
        )
    }

    pub(super) fn delta(&mut self, delta: &Delta) -> io::Result<()> {
        self.ensure_started()?;
        match delta {
            Delta::Text(text) if text.is_empty() => Ok(()),
            Delta::Text(text) => self.line("text", &[("text", json!(text))]),
            Delta::Reasoning(text) => self.line("reasoning", &[("text", json!(text))]),
            Delta::Refusal(text) => self.line("text", &[("text", json!(text)), ("refusal", json!(true))]),
            Delta::ToolCall(call) => self.line(
                "tool_call",
                &[
                    ("index", json!(call.index)),
                    ("id", json!(call.id)),
                    ("name", json!(call.name)),
                    ("arguments", json!(call.arguments)),
                ],
            ),
            Delta::Usage(usage) => self.line(
                "usage",
                &[
                    ("input_tokens", json!(usage.input_tokens)),
                    ("output_tokens", json!(usage.output_tokens)),
                    ("cached_input_tokens", json!(usage.cached_input_tokens)),
                    ("reasoning_tokens", json!(usage.reasoning_tokens)),
                ],
            ),
            // The finish is told in `end`, where the last of several is known; log probabilities no flag asks for.
            Delta::Finish(_) | Delta::Logprobs(_) => Ok(()),
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.tell(&ending::notice(notice));
        self.ensure_started()?;
        match notice {
            Notice::Warning { kind, message } => {
                self.line("warning", &[("kind", json!(kind)), ("message", json!(message))])
            }
            Notice::Retry {
                attempt,
                wait,
                reason,
            } => self.line(
                "retry",
                &[
                    ("attempt", json!(attempt)),
                    ("wait_ms", millis(*wait)),
                    ("reason", json!(reason)),
                ],
            ),
            Notice::Resume { cursor } => {
                let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
                self.line("resume", &[("cursor", json!(cursor))])
            }
        }
    }

    pub(super) fn end(&mut self, end: &End, meter: &Meter) -> io::Result<()> {
        if end.verdict != Verdict::Complete {
            self.tell(&ending::explain(end, meter.first_token.is_some()));
        }
        let error = end.failure.as_ref().map(|failure: &Failure| {
            json!({"kind": failure.kind.as_str(), "message": failure.message, "status": failure.status})
        });
        self.last(
            end.verdict.as_str(),
            end.finish_reason_str(),
            &json!(error),
            meter,
        )
    }

    /// Writes the end for a reason that is no source's.
    pub(super) fn problem(&mut self, kind: &str, message: &str, meter: &Meter) -> io::Result<()> {
        let error = json!({"kind": kind, "message": message, "status": null});
        self.last("failed", None, &error, meter)
    }

    fn last(&mut self, verdict: &str, finish: Option<&str>, error: &Value, meter: &Meter) -> io::Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.ensure_started()?;
        self.line(
            "end",
            &[
                ("verdict", json!(verdict)),
                ("finish_reason", json!(finish)),
                ("error", error.clone()),
                ("ttft_ms", meter.first_token.map_or(Value::Null, millis)),
                ("elapsed_ms", millis(meter.elapsed)),
                ("input_tokens", json!(meter.usage.map(|usage| usage.input_tokens))),
                (
                    "output_tokens",
                    json!(meter.usage.map(|usage| usage.output_tokens)),
                ),
            ],
        )
    }

    fn ensure_started(&mut self) -> io::Result<()> {
        match self.asked.take() {
            Some(asked) => self.start(&asked),
            None => Ok(()),
        }
    }

    /// A line on stderr. Whether that works is nobody's to hear.
    fn tell(&mut self, message: &str) {
        let _ = writeln!(self.err, "aurora: {message}");
        let _ = self.err.flush();
    }

    /// Writes `{"type":…` and the fields in this order, which a JSON map would not keep, in one write.
    fn line(&mut self, kind: &str, fields: &[(&str, Value)]) -> io::Result<()> {
        self.out.write_all(object(kind, fields).as_bytes())?;
        self.out.flush()
    }
}

/// A JSON line: `{"type":…` and the fields in this order.
pub(crate) fn object(kind: &str, fields: &[(&str, Value)]) -> String {
    let mut text = format!("{{\"type\":\"{kind}\"");
    for (name, value) in fields {
        let _ = write!(text, ",\"{name}\":{value}");
    }
    text.push_str("}\n");
    escaped(&text)
}

/// JSON itself escapes only C0. Outside strings a JSON line is ASCII, so whatever is found stands in a string.
fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c != '\n' && visible::is_control(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn millis(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
