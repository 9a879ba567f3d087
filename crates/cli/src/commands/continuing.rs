//! `-c`: a conversation is taken up where it was left.
//!
//! Whoever answered goes on answering, unless this run says who should. With a prompt the conversation goes on from all
//! that was said, an answer that is not whole included. Without one, that answer is gone on with: sent as the beginning of
//! the assistant's turn to the local engine and to an endpoint whose `on_drop` is `continue`, and elsewhere by asking the
//! model to go on.

use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Message, Role};

use crate::args::Common;
use crate::console;
use crate::history::{Conversation, History, Manner};
use crate::problem::{Problem, Result};
use crate::settings::target::Target;
use crate::settings::{self, Env, Settings};

/// What a model is asked that cannot be given the beginning of its own turn.
const GO_ON: &str =
    "Your last answer was cut off. Go on with it exactly where it stops, and repeat nothing of it.";

/// How long a process may take to end that was killed.
const LETTING_GO: Duration = Duration::from_secs(2);

/// What is asked for.
pub(super) struct Asking {
    /// The request.
    pub(super) request: ChatRequest,
    /// The text of which the answer is the rest, and how it is gone on with.
    pub(super) rest_of: Option<(String, Manner)>,
}

/// The conversation that `-c` means, and the settings with who answered in it, unless this run says who should.
///
/// # Errors
/// There is no such conversation (usage); who answered is not configured any more (usage); the history cannot be read
/// (configuration).
pub(super) fn take_up(
    id: &str,
    flags: &Common,
    env: Env,
    settings: Settings,
) -> Result<(Settings, Conversation)> {
    let id = Some(id).filter(|id| !id.is_empty());
    let conversation = resume(&History::of(&settings), id)?;
    let answerer = conversation.answerer().clone();
    let endpoint = match (&settings.endpoint, &settings.model) {
        (None, None) => Some(answerer.endpoint),
        (Some(_), None) => flags.endpoint.clone(),
        (_, Some(_)) => return Ok((settings, conversation)),
    };
    let flags = Common {
        endpoint,
        model: Some(answerer.model),
        ..flags.clone()
    };
    match settings::load(&flags, None, env) {
        Ok(settings) => Ok((settings, conversation)),
        Err(problem) => Err(Problem::usage(format!(
            "this conversation was answered by {} of {}, which cannot be had now ({problem}); name a model with -m",
            flags.model.as_deref().unwrap_or_default(),
            flags.endpoint.as_deref().unwrap_or_default(),
        ))),
    }
}

/// A process that was killed this moment may still hold its answer, so an answer that is on its way is given a moment.
fn resume(history: &History, id: Option<&str>) -> Result<Conversation> {
    let asked = Instant::now();
    loop {
        let conversation = history.resume(id)?;
        if !conversation.is_answered_elsewhere() || asked.elapsed() > LETTING_GO {
            return Ok(conversation);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What there is to ask if nobody says anything new.
///
/// # Errors
/// The last answer is whole, or on its way to another program (usage).
pub(super) fn without_prompt(
    conversation: &Conversation,
    target: &Target<'_>,
    request: ChatRequest,
) -> Result<Asking> {
    let id = conversation.id().unwrap_or_default();
    let Some(last) = conversation.entries().last() else {
        return Err(Problem::usage("this conversation is empty; give a prompt"));
    };
    if conversation.is_answered_elsewhere() {
        return Err(Problem::usage(format!(
            "conversation {id} is being answered by another aurora at the moment; wait for its end, or give a prompt"
        )));
    }
    let partial = last.message.plain_text();
    if last.message.role != Role::Assistant || partial.is_empty() {
        console::tell("the last prompt has no answer yet and is asked again");
        return Ok(Asking {
            request,
            rest_of: None,
        });
    }
    if !last.is_partial() {
        return Err(Problem::usage(
            "the last answer is whole; say what comes next (aurora -c \"and then?\")",
        ));
    }
    let manner = match target {
        Target::Upstream(endpoint, _) if !endpoint.continues() => Manner::Asked,
        Target::Upstream(..) | Target::Local(_) => Manner::Prefix,
    };
    console::tell(match manner {
        Manner::Prefix => "going on with the last answer, which is sent as the beginning of this one",
        Manner::Asked => {
            "the model is asked to go on with the last answer (on_drop = \"continue\" for its endpoint would send it as \
             the beginning of this one)"
        }
    });
    Ok(Asking {
        request: go_on(request, manner),
        rest_of: Some((partial.into_owned(), manner)),
    })
}

/// The request for the rest of its last message.
fn go_on(mut request: ChatRequest, manner: Manner) -> ChatRequest {
    match (manner, request.messages.pop()) {
        (Manner::Prefix, Some(last)) => aurora_client::prefixed(&request, &last.plain_text()),
        (_, last) => {
            request.messages.extend(last);
            request.messages.push(Message::text(Role::User, GO_ON));
            request
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(manner: Manner) -> ChatRequest {
        let request = ChatRequest {
            messages: vec![
                Message::text(Role::User, "a"),
                Message::text(Role::Assistant, "b"),
            ],
            ..ChatRequest::default()
        };
        go_on(request, manner)
    }

    #[test]
    fn a_partial_answer_is_a_prefix_or_is_followed_by_the_wish_to_go_on() {
        let prefix = asked(Manner::Prefix);
        assert_eq!(prefix.messages[1..], [Message::text(Role::Assistant, "b")]);
        assert_eq!(prefix.extra["continue_final_message"], true);
        let asked = asked(Manner::Asked);
        assert_eq!(
            asked.messages[1..],
            [
                Message::text(Role::Assistant, "b"),
                Message::text(Role::User, GO_ON)
            ]
        );
        assert!(asked.extra.is_empty());
    }
}
