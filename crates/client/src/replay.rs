//! Plays a recording: the same inputs into the same state machine, so the same updates and the same end come out,
//! whatever the speed.

use std::{collections::VecDeque, time::Duration};

use aurora_chat::{Failure, FailureKind};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Answer, Passage, Verbatim,
    call::{BodyEnd, Call, Input, Need, Terms},
    progress::Progress,
    record::{Header, Line, VERSION, What},
};

/// A recording of one exchange, as [`Client::start_recorded`](crate::Client::start_recorded) writes it, read and checked.
#[derive(Debug)]
pub struct Recording {
    terms: Terms,
    request: Value,
    inputs: VecDeque<(Duration, Played)>,
}

/// A recording that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The first line is not that of a recording.
    #[error("this is no recording: {reason}")]
    NoRecording {
        /// Why.
        reason: String,
    },
    /// The format is of another version.
    #[error("this recording has version {found}, and only version {VERSION} can be played")]
    Version {
        /// The recording's version.
        found: u32,
    },
    /// A line that makes no sense.
    #[error("line {line} of the recording cannot be read: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// One input, with its bytes.
#[derive(Debug)]
enum Played {
    Bytes(Vec<u8>),
    Other(Input<'static>),
}

impl Recording {
    /// Reads a recording. One that breaks off is played as far as it goes, and then ends as interrupted; a last line
    /// without its newline is left out.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] for what is no recording, or none that this version can read.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordingError> {
        let mut lines = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"));
        let first = lines.next().unwrap_or_default();
        let refuse = |reason: String| RecordingError::NoRecording { reason };
        let value: Value =
            serde_json::from_slice(first).map_err(|_| refuse("its first line is not JSON".into()))?;
        match value.get("aurora_recording").and_then(Value::as_u64) {
            None => return Err(refuse("its first line has no \"aurora_recording\"".into())),
            Some(version) if version != u64::from(VERSION) => {
                return Err(RecordingError::Version {
                    found: u32::try_from(version).unwrap_or(u32::MAX),
                });
            }
            Some(_) => {}
        }
        let header: Header = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
        let mut inputs = VecDeque::new();
        for (n, line) in lines.enumerate() {
            let refuse = |reason: String| RecordingError::Line { line: n + 2, reason };
            let line: Line = serde_json::from_slice(line).map_err(|error| refuse(error.to_string()))?;
            let played = Played::of(line.what).ok_or_else(|| refuse("it has an unknown value".into()))?;
            inputs.push_back((Duration::from_micros(line.at_us), played));
        }
        Ok(Self {
            terms: header.terms.terms(header.endpoint, header.model),
            request: header.request,
            inputs,
        })
    }

    /// The name of the endpoint that was called.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.terms.endpoint
    }

    /// The model that was asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.terms.model
    }

    /// The request as it was sent, the key masked; `null` if it was no JSON.
    #[must_use]
    pub fn request(&self) -> &Value {
        &self.request
    }

    /// Plays the recording: 1 is as fast as it was, 2 twice as fast, infinity without any wait. A speed that is not
    /// above 0 counts as infinity.
    #[must_use]
    pub fn play(self, speed: f64) -> Answer {
        let progress = Progress::default();
        let player = Player {
            call: Call::new(self.terms),
            inputs: self.inputs,
            speed,
            begun: None,
            at: Duration::ZERO,
            progress: progress.clone(),
        };
        let passages = futures_util::stream::unfold(Box::new(player), |mut player| async move {
            let passage = player.next().await?;
            Some((passage, player))
        });
        Answer::from(Verbatim::new(passages, progress))
    }
}

impl Played {
    fn of(what: What) -> Option<Self> {
        Some(Self::Other(match what {
            What::Turn {} => Input::Turn,
            What::Text(text) => return Some(Self::Bytes(text.into_bytes())),
            What::Hex(digits) => return unhex(&digits).map(Self::Bytes),
            What::Head(head) => Input::Head(head.head()),
            What::Unsent { failure, retryable } => Input::Unsent {
                failure: failure.failure()?,
                retryable,
            },
            What::End { failure: None } => Input::End(BodyEnd::Proper),
            What::End {
                failure: Some(failure),
            } => Input::End(BodyEnd::Failed(failure.failure()?)),
            What::Time {} => Input::Time,
            What::Abort(failure) => Input::Abort(failure.failure()?),
        }))
    }
}

/// Feeds a call with what happened to it.
struct Player {
    call: Call,
    inputs: VecDeque<(Duration, Played)>,
    speed: f64,
    /// The time of the first poll.
    begun: Option<Instant>,
    /// The recorded time of the last input.
    at: Duration,
    progress: Progress,
}

impl Player {
    async fn next(&mut self) -> Option<Passage> {
        loop {
            if let Some(passage) = self.call.poll_passage() {
                return Some(passage);
            }
            if self.call.need() == Need::Nothing {
                return None;
            }
            match self.inputs.pop_front() {
                Some((at, played)) => {
                    self.wait(at).await;
                    self.at = at;
                    match &played {
                        Played::Bytes(bytes) => self.step(Input::Bytes(bytes)),
                        Played::Other(input) => self.step(input.clone()),
                    }
                }
                None => {
                    let message = "the recording breaks off here";
                    self.step(Input::Abort(Failure::new(FailureKind::ConnectionLost, message)));
                }
            }
        }
    }

    fn step(&mut self, input: Input<'_>) {
        self.call.handle(input, self.at);
        self.progress.note_time(self.at);
    }

    async fn wait(&mut self, at: Duration) {
        if !(self.speed > 0.0 && self.speed.is_finite()) {
            return;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        // A wait too long to be expressed is no wait that anybody recorded.
        if let Ok(wait) = Duration::try_from_secs_f64(at.as_secs_f64() / self.speed)
            && let Some(until) = begun.checked_add(wait)
        {
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if self.call.need() != Need::Nothing {
            self.step(Input::Abort(Failure::new(FailureKind::Cancelled, "cancelled")));
        }
        self.progress.leave(&mut self.call);
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_refused_with_a_reason() {
        for (bytes, word) in [
            ("", "not JSON"),
            ("hello\n", "not JSON"),
            ("{\"a\":1}\n", "aurora_recording"),
            ("{\"aurora_recording\":2}\n", "version 2"),
            ("{\"aurora_recording\":1}\n", "missing field"),
        ] {
            let message = Recording::parse(bytes.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(word), "{bytes}: {message}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex("00ff7E"), Some(vec![0, 255, 126]));
        assert_eq!((unhex("0"), unhex("0g"), unhex("")), (None, None, Some(vec![])));
    }
}
