//! What real servers send, each quirk named after the place where it was reported, and properties that hold for all
//! input.

mod endings;
mod errors;
mod properties;
mod quirks;
mod verbatim;

use super::*;
use crate::{Conclusion, Delta, Ending, Failure, FinishReason, Notice, ToolCallDelta, Usage, Verdict};

/// What a stream came to.
#[derive(Debug)]
struct Seen {
    deltas: Vec<Delta>,
    notices: Vec<&'static str>,
    conclusion: Conclusion,
}

/// Reads these events' data, to the end or the first `[DONE]` or error.
fn stream(events: &[&str]) -> Seen {
    let typed: Vec<_> = events.iter().map(|data| ("message", *data)).collect();
    typed_stream(&typed)
}

/// The same for pairs of an event's type and data.
fn typed_stream(events: &[(&str, &str)]) -> Seen {
    let mut reader = Reader::new();
    let mut deltas = Vec::new();
    let mut notices = Vec::new();
    for (event, data) in events {
        match reader.read(event, data, &mut deltas) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Warning(Notice::Warning { kind, .. })) => notices.push(kind),
            Ok(Flow::Warning(other)) => panic!("the reader only warns: {other:?}"),
            Ok(Flow::Done) => break,
            Err(failure) => {
                let conclusion = reader.end(Ending::Failure(failure));
                return Seen {
                    deltas,
                    notices,
                    conclusion,
                };
            }
        }
    }
    Seen {
        deltas,
        notices,
        conclusion: reader.end(Ending::Eof),
    }
}

impl Seen {
    fn verdict(&self) -> Verdict {
        self.conclusion.end.verdict
    }

    fn failure(&self) -> &Failure {
        self.conclusion.end.failure.as_ref().expect("the stream failed")
    }
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn thought(text: &str) -> Delta {
    Delta::Reasoning(text.to_owned())
}

fn usage(input_tokens: u64, output_tokens: u64) -> Delta {
    Delta::Usage(Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    })
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Delta {
    let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    Delta::ToolCall(ToolCallDelta {
        index,
        id: word(id),
        name: word(name),
        arguments: arguments.to_owned(),
    })
}

const STOP: Delta = Delta::Finish(FinishReason::Stop);
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
