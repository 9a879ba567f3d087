//! A whole answer, collected from its stream.

use aurora_chat::dialect::openai::Reader as Dialect;
use aurora_chat::{Delta, Transcript};

use super::follow::Follow;
use crate::Refusal;

/// An answer that came to its end.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) transcript: Transcript,
    /// The completion's id, as its source names it.
    pub(crate) id: Option<String>,
    /// The model that answered, as its source names it.
    pub(crate) model: Option<String>,
}

/// Collects a whole answer; `on_delta` hears of every delta. One that broke off is an error, never a shorter answer.
pub(crate) async fn collect(follow: &mut Follow, mut on_delta: impl FnMut()) -> Result<Collected, Refusal> {
    let mut dialect = Dialect::new();
    let mut deltas = Vec::new();
    let mut transcript = Transcript::new();
    let mut seen = 0;
    let mut broken = None;
    // To its end also where it broke: how a stream ended can be seen a moment after its last record.
    while follow.next().await? {
        for (_, record) in follow.records() {
            let read = dialect.read("", &String::from_utf8_lossy(record), &mut deltas);
            for delta in deltas.drain(..) {
                on_delta();
                seen += length(&delta);
                transcript
                    .push(&delta)
                    .map_err(|failure| Refusal::broken_off(&failure, seen))?;
            }
            if let Err(failure) = read {
                broken = Some(failure);
            }
        }
    }
    if let Some(failure) = broken {
        return Err(Refusal::broken_off(&failure, seen).or_status(follow.footer().status));
    }
    if !dialect.is_done() {
        return Err(Refusal::lost("the answer has no end"));
    }
    Ok(Collected {
        transcript,
        id: dialect.id().map(str::to_owned),
        model: dialect.model().map(str::to_owned),
    })
}

/// How much of an answer a delta is, in bytes: text, reasoning, refusals and tool calls alike. It is what an error says
/// was lost.
pub(crate) fn length(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Refusal(text) => text.len(),
        Delta::ToolCall(call) => call.arguments.len(),
        Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => 0,
    }
}
