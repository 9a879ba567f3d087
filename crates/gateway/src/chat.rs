//! `POST /v1/chat/completions`: from a body to an answer, whole or live, or to the error that came instead.

use aurora_chat::ChatRequest;
use http::HeaderMap;

use crate::begin::{Wait, begin, unix_seconds, unless_ending};
use crate::caller::{Caller, cursor};
use crate::exchange::{Exchange, random_id};
use crate::refusal::Refusal;
use crate::reply::{Reply, Whole};
use crate::resume;
use crate::service::App;
use crate::streams::collected::{Collected, collect};
use crate::streams::follow::Follow;
use crate::streams::relay::Absence;
use crate::streams::title::Title;
use crate::streams::{Terms, Visit};

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
        return resume::live(visit, Some(cursor)).map(Reply::live);
    }
    let absence = caller.absence(headers, Absence::Cancel(app.options.grace))?;
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
        ..Title::default()
    };
    let terms = Terms {
        owner: caller.owner,
        absence,
        permit,
        keep: true,
    };
    let wait = if stream {
        Wait::AtMost(app.options.commit_after)
    } else {
        Wait::Long
    };
    unless_ending(app, async {
        let visit = begin(app, request, title.clone(), terms, wait, exchange).await?;
        if stream {
            return resume::live(visit, None).map(Reply::live);
        }
        whole(visit, title, exchange).await.map(Reply::Whole)
    })
    .await
}

async fn whole(visit: Visit, mut title: Title, exchange: &mut Exchange) -> Result<Whole, Refusal> {
    let stream = visit.log.id();
    let mut follow = Follow::new(visit, 0);
    let collected = collect(&mut follow, || exchange.first_token()).await;
    exchange.verdict(follow.footer().verdict);
    let Collected {
        transcript,
        id,
        model,
    } = collected?;
    title.id = id.unwrap_or(title.id);
    title.model = model.unwrap_or(title.model);
    let mut json = Vec::new();
    title.writer().completion(&transcript, &mut json);
    Ok(Whole {
        json,
        stream: Some(stream),
    })
}
