//! `POST /v1/chat/completions`: from a body to an answer, whole or live, or to the error that came instead.

use std::time::{SystemTime, UNIX_EPOCH};

use aurora_chat::dialect::openai::Reader as Dialect;
use aurora_chat::{ChatRequest, Delta, Transcript};
use aurora_streamlog::StreamId;
use http::HeaderMap;

use crate::caller::{Caller, cursor};
use crate::exchange::{Exchange, random_id};
use crate::frames::Frames;
use crate::phase::Phase;
use crate::refusal::Refusal;
use crate::reply::{Reply, Whole};
use crate::service::App;
use crate::source::Source;
use crate::stream::Live;
use crate::streams::follow::Follow;
use crate::streams::title::Title;
use crate::streams::{self, Terms, Visit};

/// Answers a request whose body has been read.
pub(crate) async fn answer(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
    caller: &Caller,
    exchange: &mut Exchange,
) -> Result<Reply, Refusal> {
    // A program that lost its connection asks again with the last id it saw, and gets the answer it has begun to read
    // instead of another one.
    if let Some(cursor) = cursor(headers, None)? {
        let visit = app.streams.visit(&cursor.stream, &caller.owner).await?;
        return crate::resume::live(visit, Some(cursor)).map(Reply::live);
    }
    let absence = caller.absence(headers, app.options.grace)?;
    let request = ChatRequest::from_json(body)?;
    exchange.model(&request.model);
    let permit = caller.admit()?;
    let stream = request.stream;
    let title = Title {
        id: random_id("chatcmpl-"),
        model: request.model.clone(),
        created: unix_seconds(),
        // A whole answer always tells what it took.
        include_usage: request.include_usage || !stream,
    };
    let terms = Terms {
        owner: caller.owner,
        absence,
        permit,
    };
    let mut source = Source::new(app.backend.start(request));
    let answered = async {
        // An error is still a status as long as nothing was sent. But a client must hear something in the end, if
        // only that it was heard; after that, errors are events.
        let lead = source.lead();
        if stream {
            if let Ok(lead) = tokio::time::timeout(app.options.commit_after, lead).await {
                lead?;
                exchange.first_token();
            }
        } else {
            lead.await?;
        }
        let id = StreamId::random().map_err(|error| streams::refusal(&error))?;
        let visit = app.streams.begin(id, source, title.clone(), terms).await?;
        if stream {
            return Ok(Reply::live(Live {
                visit,
                from: 0,
                frames: Frames::new(id, 0),
            }));
        }
        whole(visit, title, exchange).await.map(Reply::Whole)
    };
    tokio::select! {
        biased;
        reply = answered => reply,
        () = app.phase.clone().reached(Phase::Ending) => Err(Refusal::stopping()),
    }
}

/// Collects the whole answer. One that broke off is an error, never a shorter answer.
async fn whole(visit: Visit, mut title: Title, exchange: &mut Exchange) -> Result<Whole, Refusal> {
    let stream = visit.log.id();
    let mut follow = Follow::new(visit, 0);
    let mut dialect = Dialect::new();
    let mut deltas = Vec::new();
    let mut transcript = Transcript::new();
    // Text, reasoning, refusals and tool calls alike: what an error says was lost.
    let mut seen = 0;
    while follow.next().await? {
        for (_, record) in follow.records() {
            let read = dialect.read("", &String::from_utf8_lossy(record), &mut deltas);
            for delta in deltas.drain(..) {
                exchange.first_token();
                seen += length(&delta);
                transcript
                    .push(&delta)
                    .map_err(|failure| Refusal::broken_off(&failure, seen))?;
            }
            if let Err(failure) = read {
                let footer = follow.footer();
                exchange.verdict(footer.verdict);
                return Err(Refusal::broken_off(&failure, seen).or_status(footer.status));
            }
        }
    }
    exchange.verdict(follow.footer().verdict);
    if !dialect.is_done() {
        return Err(Refusal::lost("the answer has no end"));
    }
    if let Some(model) = dialect.model() {
        model.clone_into(&mut title.model);
    }
    if let Some(id) = dialect.id() {
        id.clone_into(&mut title.id);
    }
    let mut json = Vec::new();
    title.writer().completion(&transcript, &mut json);
    Ok(Whole {
        json,
        stream: Some(stream),
    })
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
