//! `POST /v1/chat/completions`: from a body to an answer, whole or live, or to the error that came instead.

use std::time::{SystemTime, UNIX_EPOCH};

use aurora_chat::{ChatRequest, Delta, Transcript, Update};

use crate::exchange::{Exchange, random_id};
use crate::framing::{Framing, Title, end_failure};
use crate::phase::Phase;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::service::App;
use crate::source::Source;

/// An answer that is to be sent as it comes.
pub(crate) struct Live {
    pub(crate) source: Source,
    pub(crate) framing: Framing,
}

/// Answers a request whose body has been read.
pub(crate) async fn answer(app: &App, body: &[u8], exchange: &mut Exchange) -> Result<Reply, Refusal> {
    let request = ChatRequest::from_json(body)?;
    exchange.model(&request.model);
    let title = Title {
        id: random_id("chatcmpl-"),
        model: request.model.clone(),
        created: unix_seconds(),
        include_usage: request.include_usage,
    };
    let stream = request.stream;
    let mut source = Source::new(app.backend.start(request));
    let answered = async {
        if !stream {
            return whole(source, title, exchange).await.map(Reply::Json);
        }
        // An error is still a status as long as nothing was sent. But a client must hear something in the end, if
        // only that it was heard; after that, errors are events.
        if let Ok(lead) = tokio::time::timeout(app.options.commit_after, source.lead()).await {
            lead?;
        }
        Ok(Reply::Live(Box::new(Live {
            source,
            framing: Framing::new(title),
        })))
    };
    tokio::select! {
        biased;
        reply = answered => reply,
        () = app.phase.clone().reached(Phase::Ending) => Err(Refusal::stopping()),
    }
}

/// Collects the whole answer. One that broke off is an error, never a shorter answer.
async fn whole(mut source: Source, mut title: Title, exchange: &mut Exchange) -> Result<Vec<u8>, Refusal> {
    let mut transcript = Transcript::new();
    // Text, reasoning, refusals and tool calls alike: what an error says was lost.
    let mut seen = 0;
    source.lead().await?;
    while let Some(update) = source.next().await {
        match update? {
            Update::Start(start) if !start.model.is_empty() => title.model = start.model,
            Update::Start(_) | Update::Notice(_) => {}
            Update::Delta(delta) => {
                exchange.first_token();
                seen += length(&delta);
                transcript
                    .push(&delta)
                    .map_err(|failure| Refusal::broken_off(&failure, seen))?;
            }
            Update::End(end) => {
                exchange.verdict(end.verdict.as_str());
                if let Some(failure) = end_failure(&end) {
                    return Err(Refusal::broken_off(&failure, seen));
                }
                let mut out = Vec::new();
                title.writer().completion(&transcript, &mut out);
                return Ok(out);
            }
        }
    }
    Err(Refusal::internal("the answer has no end"))
}

fn length(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Refusal(text) => text.len(),
        Delta::ToolCall(call) => call.arguments.len(),
        Delta::Usage(_) | Delta::Finish(_) => 0,
    }
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
