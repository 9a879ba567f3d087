//! Going on from an earlier response: `previous_response_id`.
//!
//! A response that is stored keeps the conversation it answers, in the header of its stream: all of it, so that a
//! conversation does not depend on whether its first responses are still there. One that is longer than
//! [`CONVERSATION_MAX`] is not kept, and going on from it is refused by name.

use aurora_chat::dialect::openai::request_body;
use aurora_chat::dialect::responses::Request;
use aurora_chat::{ChatRequest, Message, RequestError};
use aurora_streamlog::Owner;
use serde_json::{Value, json};

use super::id::ResponseId;
use super::not_found;
use crate::Refusal;
use crate::streams::collected::collect;
use crate::streams::follow::Follow;
use crate::streams::live::Attendance;
use crate::streams::title::Title;
use crate::streams::{Streams, Visit, ended, refusal};

/// The longest conversation that a response keeps, in bytes of JSON: 1 MiB.
const CONVERSATION_MAX: usize = 1 << 20;

const PARAM: &str = "previous_response_id";

/// Puts the conversation that the request goes on from before its input, if it names one.
pub(super) async fn go_on(streams: &Streams, request: &mut Request, owner: &Owner) -> Result<(), Refusal> {
    let Some(name) = request.settings.previous_response_id.clone() else {
        return Ok(());
    };
    let id: ResponseId = name.parse().map_err(|_| not_found(&name, 404, PARAM))?;
    let log = streams
        .look(&id.0, owner)
        .await
        .map_err(|refusal| not_found(&name, refusal.status(), PARAM))?;
    let header = log
        .header()
        .await
        .map_err(|error| not_found(&name, refusal(&error).status(), PARAM))?;
    if Title::read(&header)
        .response
        .is_none_or(|settings| !settings.store)
    {
        return Err(not_found(&name, 404, PARAM));
    }
    if ended(&*log).is_none() {
        return Err(refused(&name, "is still being made"));
    }
    let Some(mut conversation) = read(&header)? else {
        return Err(refused(
            &name,
            "answers a conversation that is too long to be kept; send it in 'input'",
        ));
    };
    let visit = Visit {
        log,
        attendance: Attendance::default(),
    };
    let answer = collect(&mut Follow::new(visit, 0), || ())
        .await
        .map_err(|_| refused(&name, "did not come to its end"))?;
    if !answer.transcript.is_empty() {
        conversation.push(answer.transcript.to_message());
    }
    request.go_on_from(conversation);
    Ok(())
}

/// The conversation of a request as it is kept; `None` if it is too long.
pub(super) fn write(request: &Request) -> Option<Value> {
    let messages = request.conversation();
    if messages.is_empty() {
        return Some(json!([]));
    }
    let body = request_body(&ChatRequest {
        messages: messages.to_vec(),
        ..ChatRequest::default()
    });
    if body.len() > CONVERSATION_MAX {
        return None;
    }
    let body: Value = serde_json::from_slice(&body).ok()?;
    body.get("messages").cloned()
}

/// The conversation in the header of a response's stream; `None` if it was too long.
pub(super) fn read(header: &[u8]) -> Result<Option<Vec<Message>>, Refusal> {
    let Some(messages) = Title::conversation(header) else {
        return Ok(None);
    };
    if messages == json!([]) {
        return Ok(Some(Vec::new()));
    }
    let body = json!({ "messages": messages }).to_string();
    ChatRequest::from_json(body.as_bytes())
        .map(|request| Some(request.messages))
        .map_err(|error| Refusal::internal(format!("a conversation that was kept cannot be read: {error}")))
}

fn refused(name: &str, why: &str) -> Refusal {
    let message = format!("The response '{name}' {why}.");
    Refusal::from(RequestError::new(
        message,
        Some(PARAM.to_owned()),
        Some("previous_response_unusable"),
    ))
}
