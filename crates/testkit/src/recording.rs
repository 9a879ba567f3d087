//! Makes a script of a recording of `aurora-client`, so that a failure that was seen once can be served again.
//!
//! The format is read here a second time, as the plain JSON lines it is, so that a mistake in the client's own reader
//! shows.

use std::time::Duration;

use serde_json::Value;

use crate::{Reply, Script};

impl Script {
    /// The server's side of a recording: a reply for each attempt, with its bytes, its pauses divided by `speed`, and its
    /// ending; the last one repeats. Where the client left first, the reply stalls. A connection that was never made,
    /// or lost before a head came, is one that is closed before the head.
    ///
    /// # Panics
    ///
    /// If the text is no recording of version 1, or `speed` is not above 0.
    #[must_use]
    pub fn recording(text: &str, speed: f64) -> Self {
        assert!(speed > 0.0, "a speed above 0");
        let mut lines = text.lines().map(json);
        let header = lines.next().expect("a recording has a header");
        assert_eq!(header["aurora_recording"], 1, "the version that is read here");
        let mut stage = Stage {
            speed,
            last: 0,
            reply: None,
            replies: Vec::new(),
            left: false,
        };
        lines.for_each(|line| stage.take(&line));
        Self::sequence(stage.finish())
    }
}

/// Gathers the replies while the lines are read.
struct Stage {
    speed: f64,
    /// When the last thing happened, in microseconds.
    last: u64,
    /// The reply that has begun.
    reply: Option<Reply>,
    replies: Vec<Reply>,
    /// The last thing that happened was the client's doing: a deadline, a cancelled call.
    left: bool,
}

impl Stage {
    fn take(&mut self, line: &Value) {
        let at = line["at_us"].as_u64().expect("every line has a time");
        let pause = Duration::from_micros(at - self.last).div_f64(self.speed);
        self.last = at;
        let (what, said) = line
            .as_object()
            .and_then(|line| line.iter().find(|(key, _)| *key != "at_us"))
            .expect("every line says what happened");
        self.left = matches!(what.as_str(), "time" | "abort");
        match what.as_str() {
            "head" => {
                self.stalled();
                self.reply = Some(head(said).after(pause));
            }
            "text" => self.body(pause, text(said).as_bytes()),
            "hex" => self.body(pause, &unhex(text(said))),
            "end" => {
                let reply = self.reply.take().expect("a body ends after its head").wait(pause);
                let lost = !said["failure"].is_null();
                self.replies.push(if lost { reply.cut() } else { reply });
            }
            "unsent" => self.replies.push(Reply::raw("").after(pause)),
            // The client's own doings: it waited, stopped waiting, or had its turn.
            "time" | "abort" | "turn" => {}
            other => panic!("a line of an unknown kind: {other}"),
        }
    }

    fn body(&mut self, pause: Duration, bytes: &[u8]) {
        let reply = self.reply.take().expect("a body comes after its head");
        self.reply = Some(reply.wait(pause).piece(bytes));
    }

    /// A reply that did not end before the next thing happened.
    fn stalled(&mut self) {
        self.replies.extend(self.reply.take().map(Reply::stall));
    }

    fn finish(mut self) -> Vec<Reply> {
        if self.left || self.replies.is_empty() {
            // Also a request that nothing ever answered.
            self.reply = Some(self.reply.take().unwrap_or_else(|| Reply::raw("")));
            self.stalled();
        } else {
            // The client had read what it wanted, such as `[DONE]`, and the end was not waited for.
            self.replies.extend(self.reply.take());
        }
        self.replies
    }
}

fn head(said: &Value) -> Reply {
    let status = said["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let mut reply = Reply::streamed(status.expect("a status"));
    let millis = said["retry_after_us"]
        .as_u64()
        .map(|micros| (micros as f64 / 1e3).to_string());
    for (name, value) in [
        ("content-type", said["content_type"].as_str()),
        ("x-stream-id", said["stream"].as_str()),
        ("location", said["location"].as_str()),
        ("retry-after-ms", millis.as_deref()),
        (
            "x-should-retry",
            said["should_retry"]
                .as_bool()
                .map(|should| if should { "true" } else { "false" }),
        ),
    ] {
        if let Some(value) = value {
            reply = reply.header(name, value);
        }
    }
    reply
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("a recording is JSON lines")
}

fn text(said: &Value) -> &str {
    said.as_str().expect("bytes are written as a text")
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}
