//! `/v1/responses`: the Responses API on top of streams.
//!
//! An answer goes the way of a chat's: source, relay, log. What makes it a response is in the header of its stream, and
//! [`translation`] folds its records into the API's events and objects when they are read; so it can be read as a chat's
//! stream as well. A response that is not stored cannot be found here, and its stream goes when its reader has it.

mod conversation;
mod id;
mod input_items;
mod translation;

use std::time::Duration;

use aurora_chat::dialect::responses::{self, Request, Settings, Status, deletion};
use aurora_streamlog::State;
use http::{HeaderMap, Uri};

use crate::Refusal;
use crate::begin::{Wait, begin, unix_seconds, unless_ending};
use crate::caller::{Caller, bad_cursor};
use crate::exchange::{Exchange, random_id};
use crate::frames::Form;
use crate::reply::{Reply, Whole};
use crate::service::App;
use crate::stream::Live;
use crate::streams::follow::Follow;
use crate::streams::live::Attendance;
use crate::streams::relay::Absence;
use crate::streams::title::Title;
use crate::streams::{self, Streams, Terms, Visit, title};
use id::{Place, ResponseId, invalid, place, starting_after, wants_stream};
use input_items::Page;
use translation::Translation;

/// The parameter in an address that names a response.
const PARAM: &str = "response_id";

/// `POST /v1/responses`. With `Last-Event-ID` it goes on with the response that has that event.
pub(crate) async fn create(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
    caller: &Caller,
    exchange: &mut Exchange,
) -> Result<Reply, Refusal> {
    if let Some(place) = place(headers)? {
        let found = find(&app.streams, &place.response.to_string(), caller).await?;
        return events(
            found.attend(&app.streams, caller).await?,
            Some(place.sequence_number),
        )
        .await;
    }
    answer(app, headers, body, caller, exchange).await
}

/// `GET /v1/responses/{id}`: the response object, or with `?stream=true` its events, after the one that
/// `starting_after` or `Last-Event-ID` names, and then live ones.
pub(crate) async fn retrieve(
    streams: &Streams,
    id: &str,
    headers: &HeaderMap,
    uri: &Uri,
    caller: &Caller,
) -> Result<Reply, Refusal> {
    let stream = wants_stream(uri)?.unwrap_or(false);
    let after = starting_after(uri)?;
    if !stream && after.is_some() {
        return Err(invalid(
            "starting_after",
            "starting_after is for stream=true only",
        ));
    }
    let found = find(streams, id, caller).await?;
    if !stream {
        return object(found).await.map(Reply::Whole);
    }
    let after = match place(headers)? {
        None => after,
        Some(Place {
            response,
            sequence_number,
        }) if response == found.id => Some(sequence_number),
        Some(_) => return Err(bad_cursor("the event is of another response", "Last-Event-ID")),
    };
    events(found.attend(streams, caller).await?, after).await
}

/// `GET /v1/responses/{id}/input_items`: what the response answers, a page at a time. That is the whole conversation, with
/// what came before the response it goes on from, and without instructions.
pub(crate) async fn input_items(
    streams: &Streams,
    id: &str,
    uri: &Uri,
    caller: &Caller,
) -> Result<Reply, Refusal> {
    let page = Page::asked_for(uri)?;
    let found = find(streams, id, caller).await?;
    let name = found.id.to_string();
    let header = found.visit.log.header().await;
    let header = header.map_err(|error| not_found(&name, streams::refusal(&error).status(), PARAM))?;
    let Some(conversation) = conversation::read(&header)? else {
        let message = format!("the response '{name}' answers a conversation that is too long to be kept");
        return Err(Refusal::invalid(
            404,
            message,
            Some(PARAM),
            Some("input_not_kept"),
        ));
    };
    page.of(responses::input_items(&name, &conversation))
        .map(Reply::json)
}

/// `POST /v1/responses/{id}/cancel`: ends the response if it has not ended, and gives it as it is then.
pub(crate) async fn cancel(streams: &Streams, id: &str, caller: &Caller) -> Result<Reply, Refusal> {
    let found = find(streams, id, caller).await?;
    streams.cancel(&found.id.0, &caller.owner).await?;
    object(found).await.map(Reply::Whole)
}

/// `DELETE /v1/responses/{id}`: ends the response if it has not ended, and forgets it.
pub(crate) async fn delete(streams: &Streams, id: &str, caller: &Caller) -> Result<Reply, Refusal> {
    let found = find(streams, id, caller).await?;
    let name = found.id.to_string();
    streams
        .remove(&found.id.0, &caller.owner)
        .await
        .map_err(|refusal| not_found(&name, refusal.status(), PARAM))?;
    Ok(Reply::json(deletion(&name)))
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
    caller: &Caller,
    exchange: &mut Exchange,
) -> Result<Reply, Refusal> {
    let mut request = Request::from_json(body)?;
    exchange.model(&request.chat.model);
    let Settings {
        background, store, ..
    } = request.settings;
    let absence = absence(caller, headers, &request.settings, app.options.grace)?;
    let permit = caller.admit()?;
    conversation::go_on(&app.streams, &mut request, &caller.owner).await?;
    let title = Title {
        id: random_id("chatcmpl-"),
        model: request.chat.model.clone(),
        created: unix_seconds(),
        include_usage: true,
        conversation: store.then(|| conversation::write(&request)).flatten(),
        response: Some(request.settings),
    };
    let terms = Terms {
        owner: caller.owner,
        absence,
        permit,
        keep: store,
    };
    let stream = request.chat.stream;
    let wait = match (background, stream) {
        (true, _) => Wait::Not,
        (false, true) => Wait::AtMost(app.options.commit_after),
        (false, false) => Wait::Long,
    };
    unless_ending(app, async {
        let visit = begin(app, request.chat, title, terms, wait, exchange).await?;
        let found = Found::of(visit).await?;
        let found = found.ok_or_else(|| Refusal::internal("a response lost its settings"))?;
        match (stream, background) {
            (true, _) => events(found, None).await,
            (false, true) => object(found).await.map(Reply::Whole),
            (false, false) => whole(found, exchange).await.map(Reply::Whole),
        }
    })
    .await
    .map_err(Refusal::about_response)
}

/// What becomes of a response that nobody reads. One in the background goes on; nobody can come back to one that is not
/// stored.
fn absence(
    caller: &Caller,
    headers: &HeaderMap,
    settings: &Settings,
    grace: Duration,
) -> Result<Absence, Refusal> {
    let usual = match settings {
        Settings { background: true, .. } => Absence::Continue,
        Settings { store: false, .. } => Absence::Cancel(Duration::ZERO),
        Settings { .. } => Absence::Cancel(grace),
    };
    let absence = caller.absence(headers, usual)?;
    if settings.background && absence != Absence::Continue {
        let message = "a response in the background goes on whether or not anybody reads it; leave out \
                       x-on-disconnect: cancel";
        return Err(invalid("x-on-disconnect", message));
    }
    Ok(absence)
}

/// A stream that was begun as a response.
struct Found {
    id: ResponseId,
    visit: Visit,
    title: Title,
    settings: Settings,
}

impl Found {
    /// `None` if the stream is no response.
    async fn of(visit: Visit) -> Result<Option<Self>, Refusal> {
        let mut title = title(&*visit.log).await?;
        Ok(title.response.take().map(|settings| Self {
            id: ResponseId(visit.log.id()),
            visit,
            title,
            settings,
        }))
    }

    /// The same with a reader's presence.
    async fn attend(mut self, streams: &Streams, caller: &Caller) -> Result<Self, Refusal> {
        let name = self.id.to_string();
        self.visit = streams
            .visit(&self.id.0, &caller.owner)
            .await
            .map_err(|refusal| not_found(&name, refusal.status(), PARAM))?;
        Ok(self)
    }

    fn translation(&self) -> Translation {
        Translation::new(self.id, &self.title, self.settings.clone())
    }
}

/// Looks up a response that is stored.
async fn find(streams: &Streams, name: &str, caller: &Caller) -> Result<Found, Refusal> {
    let id: ResponseId = name.parse().map_err(|_| not_found(name, 404, PARAM))?;
    let log = streams
        .look(&id.0, &caller.owner)
        .await
        .map_err(|refusal| not_found(name, refusal.status(), PARAM))?;
    let attendance = Attendance::default();
    Found::of(Visit { log, attendance })
        .await
        .map_err(|refusal| not_found(name, refusal.status(), PARAM))?
        .filter(|found| found.settings.store)
        .ok_or_else(|| not_found(name, 404, PARAM))
}

/// What a client is told of a response that is not there, given the status that its stream has: never there, another
/// key's, not stored, deleted, or no longer kept. All are 404, which is what programs for this API expect.
fn not_found(name: &str, status: u16, param: &str) -> Refusal {
    let name = aurora_chat::redact::printable(name, 100);
    match status {
        404 => {
            let message = format!("there is no response with the id '{name}'");
            Refusal::invalid(404, message, Some(param), Some("response_not_found"))
        }
        410 => {
            let message = format!("the response '{name}' is no longer kept");
            Refusal::invalid(404, message, Some(param), Some("response_expired"))
        }
        _ => Refusal::internal("the store of streams has failed; the server's log has more"),
    }
}

/// The events of a response after this one, and then live ones.
async fn events(found: Found, after: Option<u64>) -> Result<Reply, Refusal> {
    let mut translation = found.translation().starting_after(after);
    let mut first = Vec::new();
    translation.create(&mut first);
    let mut follow = Follow::new(found.visit, 0);
    if let Some(after) = after {
        catch_up(&mut follow, &mut translation, Some(after), &mut first).await?;
        let events = translation.events();
        if after >= events {
            // Nobody was given this number, so whoever has it may be missing events without knowing.
            let message = format!("event {after} was asked for, and the response has {events} so far");
            return Err(bad_cursor(&message, "starting_after"));
        }
    }
    Ok(Reply::live(Live {
        follow,
        form: Box::new(translation),
        first,
    }))
}

/// The response object as it is now.
async fn object(found: Found) -> Result<Whole, Refusal> {
    let mut translation = found.translation().starting_after(Some(u64::MAX));
    let stream = found.visit.log.id();
    let mut follow = Follow::new(found.visit, 0);
    catch_up(&mut follow, &mut translation, None, &mut Vec::new()).await?;
    Ok(Whole {
        json: translation.object(),
        stream: Some(stream),
    })
}

/// Waits for the whole response. One that broke off is an error, never a shorter answer; one that was cancelled is what
/// its caller made it.
async fn whole(found: Found, exchange: &mut Exchange) -> Result<Whole, Refusal> {
    let mut translation = found.translation().starting_after(Some(u64::MAX));
    let stream = found.visit.log.id();
    let mut follow = Follow::new(found.visit, 0);
    let mut nothing = Vec::new();
    while follow.next().await? {
        exchange.first_token();
        for (seq, record) in follow.records() {
            translation.record(seq, record, &mut nothing);
        }
    }
    translation.close(&mut nothing);
    let footer = follow.footer();
    exchange.verdict(footer.verdict);
    if translation.status() == Status::Failed {
        return Err(translation.refusal(footer.status));
    }
    Ok(Whole {
        json: translation.object(),
        stream: Some(stream),
    })
}

/// Folds what the stream has by now, or as much of it as it takes to come past an event: what follows is written when
/// there is room for it.
async fn catch_up(
    follow: &mut Follow,
    translation: &mut Translation,
    past: Option<u64>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let finished = matches!(follow.log().state(), State::Finished { .. });
    let known = follow.log().next_seq();
    let mut folded = 0;
    while (finished || folded < known) && past.is_none_or(|past| translation.events() <= past) {
        if !follow.next().await? {
            translation.close(out);
            break;
        }
        for (seq, record) in follow.records() {
            translation.record(seq, record, out);
            folded = seq + 1;
        }
        // A long answer takes a while to fold, and others want their turn.
        tokio::task::yield_now().await;
    }
    Ok(())
}
