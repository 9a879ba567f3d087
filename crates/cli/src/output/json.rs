//! An answer as JSON lines: one object a line, `type` first, and `end` last, always.
//!
//! The field names and their order are part of the command line's contract. Numbers of milliseconds are whole; what is
//! not known is `null`. Characters that a terminal might obey are written as `\u` escapes, which mean the same.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use aurora_chat::{Delta, End, Failure, Notice, Start};
use serde_json::{Value, json};

use super::{Meter, finish_reason, visible};

/// Writes JSON lines.
#[derive(Debug)]
pub(super) struct Json<O> {
    out: O,
}

impl<O: Write> Json<O> {
    pub(super) fn new(out: O) -> Self {
        Self { out }
    }

    pub(super) fn start(&mut self, start: &Start) -> io::Result<()> {
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
        match delta {
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
            // Told in `end`, where the last of several is known.
            Delta::Finish(_) => Ok(()),
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice) -> io::Result<()> {
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
            Notice::Resume { cursor } => self.line("resume", &[("cursor", json!(cursor))]),
        }
    }

    pub(super) fn end(&mut self, end: &End, meter: &Meter) -> io::Result<()> {
        let error = end.failure.as_ref().map(|failure: &Failure| {
            json!({"kind": failure.kind.as_str(), "message": failure.message, "status": failure.status})
        });
        self.line(
            "end",
            &[
                ("verdict", json!(end.verdict.as_str())),
                ("finish_reason", json!(finish_reason(end))),
                ("error", json!(error)),
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

    /// Writes `{"type":…` and the fields in this order, which a JSON map would not keep, in one write.
    fn line(&mut self, kind: &str, fields: &[(&str, Value)]) -> io::Result<()> {
        let mut text = format!("{{\"type\":\"{kind}\"");
        for (name, value) in fields {
            let _ = write!(text, ",\"{name}\":{value}");
        }
        text.push_str("}\n");
        self.out.write_all(escaped(&text).as_bytes())?;
        self.out.flush()
    }
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
