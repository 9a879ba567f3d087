//! `/v1/streams/{id}`: coming back to an answer, asking how it stands, ending it.

use std::time::{SystemTime, UNIX_EPOCH};

use aurora_streamlog::{Cursor, Log, State, StreamId};
use http::header::ACCEPT;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use crate::Refusal;
use crate::caller::{Caller, bad_cursor, cursor};
use crate::frames::Frames;
use crate::reply::{Reply, Whole};
use crate::stream::Live;
use crate::streams::follow::Follow;
use crate::streams::{self, Streams, Visit, ended};

/// `GET /v1/streams/{id}`: the events after the cursor and then live ones, or with `Accept: application/json` how the
/// stream stands.
pub(crate) async fn read(
    streams: &Streams,
    id: &str,
    headers: &HeaderMap,
    uri: &Uri,
    caller: &Caller,
) -> Result<Reply, Refusal> {
    let id = parse(id)?;
    let after = cursor(headers, Some(uri))?;
    if after.is_some_and(|after| after.stream != id) {
        return Err(bad_cursor("the cursor is of another stream", "Last-Event-ID"));
    }
    if wants_json(headers) {
        let log = streams.look(&id, &caller.owner).await?;
        return state(&*log).await.map(Reply::Whole);
    }
    live(streams.visit(&id, &caller.owner).await?, after).map(Reply::live)
}

/// `POST /v1/streams/{id}/cancel`: ends the stream if it has not ended, and says how it stands.
pub(crate) async fn cancel(streams: &Streams, id: &str, caller: &Caller) -> Result<Reply, Refusal> {
    let log = streams.cancel(&parse(id)?, &caller.owner).await?;
    state(&*log).await.map(Reply::Whole)
}

/// The events of a stream after a cursor, or from its start.
pub(crate) fn live(visit: Visit, after: Option<Cursor>) -> Result<Live, Refusal> {
    let next = visit.log.next_seq();
    let from = match after {
        None => 0,
        Some(Cursor { seq, .. }) if seq < next => seq + 1,
        // Nobody was given this id, so whoever has it may be missing events without knowing.
        Some(Cursor { seq, .. }) => {
            let message = format!("the cursor names event {seq}, and the stream has {next} so far");
            return Err(bad_cursor(&message, "Last-Event-ID"));
        }
    };
    Ok(Live {
        form: Box::new(Frames::new(visit.log.id(), from)),
        follow: Follow::new(visit, from),
        first: Vec::new(),
    })
}

/// A text that is no id names no stream.
fn parse(id: &str) -> Result<StreamId, Refusal> {
    id.parse()
        .map_err(|_| crate::streams::refusal(&aurora_streamlog::Error::Unknown))
}

/// How a stream stands. Times are Unix seconds.
async fn state(log: &dyn Log) -> Result<Whole, Refusal> {
    let footer = ended(log);
    let title = streams::title(log).await?;
    let model = footer
        .as_ref()
        .map(|footer| footer.model.as_str())
        .filter(|model| !model.is_empty());
    let cursor = log.next_seq().checked_sub(1).map(|seq| {
        let stream = log.id();
        Cursor { stream, seq }.to_string()
    });
    let finished_at = match log.state() {
        State::Open => None,
        State::Finished { at, .. } => Some(unix(at)),
    };
    let json = json!({
        "id": log.id().to_string(),
        "object": "stream",
        "state": if footer.is_some() { "finished" } else { "open" },
        "verdict": footer.as_ref().map(|footer| footer.verdict.as_str()),
        "finish_reason": footer.as_ref().and_then(|footer| footer.finish_reason.as_deref()),
        "last_cursor": cursor,
        "events": log.next_seq(),
        "model": model.unwrap_or(&title.model),
        "created_at": unix(log.created()),
        "finished_at": finished_at,
        "expires_at": log.expires().map(unix),
    });
    Ok(Whole {
        json: json.to_string().into_bytes(),
        stream: Some(log.id()),
    })
}

fn unix(time: SystemTime) -> Value {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!(since.as_secs())
}

/// Whether the caller would rather have JSON than events.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |wanted: &str| {
        let values = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|range| {
            let essence = range.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case(wanted)
        })
    };
    accepts("application/json") && !accepts("text/event-stream")
}
