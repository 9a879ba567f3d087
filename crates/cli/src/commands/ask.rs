//! `aurora PROMPT` and `aurora ask`: one answer.

use aurora_chat::{ChatRequest, Message, Role};

use super::continuing::{self, Asking};
use crate::args::Common;
use crate::console;
use crate::delivery::{self, Delivery};
use crate::history::{Conversation, History};
use crate::output::Audience;
use crate::problem::{Problem, Result};
use crate::prompt;
use crate::recording;
use crate::roles;
use crate::schema;
use crate::settings::target::Target;
use crate::settings::{self, Env};
use crate::source::Source;

/// Asks, prints, and returns the exit code of the verdict.
///
/// # Errors
/// There is no prompt, no usable model, or stdout or the recording cannot be written.
pub(super) fn run(words: &[String], flags: &Common, env: Env) -> Result<u8> {
    delivery::with_printer(flags, env, |env, delivery, printer| {
        let system = roles::system(flags, &env)?;
        let lead = Lead {
            system: system.as_deref(),
            instruction: None,
        };
        if flags.json_schema.is_some() {
            printer.set_code("json");
        }
        answer(words, lead, flags, env, delivery, printer)
    })
}

/// What a model is told before anything that was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead<'a> {
    /// The caller's system prompt, which the conversation has from now on; without one, it is the conversation's own.
    pub(super) system: Option<&'a str>,
    /// What the command needs of this one answer. It stands behind the system prompt of the request, and is no part of
    /// the conversation.
    pub(super) instruction: Option<&'a str>,
}

/// Asks for one answer, delivers and keeps it; returns the exit code of the verdict.
///
/// # Errors
/// As [`run`].
pub(super) fn answer(
    words: &[String],
    lead: Lead<'_>,
    flags: &Common,
    env: Env,
    delivery: &Delivery,
    audience: &mut dyn Audience,
) -> Result<u8> {
    let settings = settings::load(flags, None, env.clone())?;
    let (settings, mut conversation) = match &flags.continue_ {
        Some(id) => continuing::take_up(id, flags, env, settings)?,
        None => {
            let conversation = History::of(&settings).begin();
            (settings, conversation)
        }
    };
    let target = settings.target()?;
    if let (Some(_), Target::Local(name)) = (&flags.record, &target) {
        return Err(Problem::usage(format!(
            "--record keeps what an upstream sends, and local/{name} runs in this process; `aurora serve` makes it one, \
             to be named with -e http://127.0.0.1:8080/v1"
        )));
    }
    let source = Source::of(&target, &settings)?;
    let (words, files) = (words.to_vec(), flags.files.clone());
    let Some(prompt) = delivery.unless_stopped(move || prompt::read(&words, &files))? else {
        return delivery::cancelled(audience);
    };
    let asking = asking(lead, prompt, &mut conversation, &target, flags)?;
    // Last of all, so that no mistake above costs an older recording, and before anything is sent.
    let record = flags.record.as_deref().map(recording::create).transpose()?;
    let recorder = match &asking.rest_of {
        Some((_, manner)) => conversation.go_on(*manner),
        None => None,
    };
    let recorder = recorder.unwrap_or_else(|| conversation.answer(target.answerer()));
    if let Some((before, _)) = &asking.rest_of {
        audience.goes_on(before);
    }
    let open = async move {
        let answer = source.ask(asking.request, record).await?;
        let answer = match asking.rest_of {
            Some((partial, _)) => answer.joined_to(&partial),
            None => answer,
        };
        Ok(answer.kept(recorder))
    };
    let result = delivery.run(target.start(), open, audience);
    if let Some(trouble) = conversation.close() {
        console::tell(&format!("warning: {trouble}"));
    }
    result
}

/// Puts together what is asked for, and adds to the conversation what is said.
fn asking(
    lead: Lead<'_>,
    prompt: Option<Message>,
    conversation: &mut Conversation,
    target: &Target<'_>,
    flags: &Common,
) -> Result<Asking> {
    if prompt.is_none() && flags.continue_.is_none() {
        return Err(Problem::usage(
            "no prompt: give it as words (aurora why is the sky blue), with -f FILE, or through a pipe; aurora --help tells more",
        ));
    }
    let mut messages = conversation.messages();
    if let Some(system) = lead.system {
        messages.retain(|message| message.role != Role::System);
        messages.insert(0, Message::text(Role::System, system));
    }
    if let Some(instruction) = lead.instruction {
        let own = messages.first().filter(|first| first.role == Role::System);
        let text = own.map_or_else(
            || instruction.to_owned(),
            |own| format!("{}\n\n{instruction}", own.plain_text()),
        );
        messages.retain(|message| message.role != Role::System);
        messages.insert(0, Message::text(Role::System, text));
    }
    messages.extend(prompt.clone());
    let request = request(messages, flags)?;
    let asking = match &prompt {
        Some(_) => Asking {
            request,
            rest_of: None,
        },
        None => continuing::without_prompt(conversation, target, request)?,
    };
    // Nothing is kept of what could not be asked.
    if let Some(system) = lead.system {
        conversation.set_system(Some(system));
    }
    if let Some(prompt) = prompt {
        conversation.say(prompt);
    }
    Ok(asking)
}

/// The request for an answer to these messages.
///
/// # Errors
/// A flag has a value that no model takes (usage).
pub(crate) fn request(messages: Vec<Message>, flags: &Common) -> Result<ChatRequest> {
    let request = ChatRequest {
        messages,
        stream: true,
        include_usage: true,
        max_tokens: flags.max_tokens,
        temperature: flags.temperature,
        top_p: flags.top_p,
        seed: flags.seed,
        stop: flags.stop.clone(),
        response_format: flags.json_schema.as_deref().map(schema::format).transpose()?,
        ..ChatRequest::default()
    };
    request
        .validate()
        .map_err(|error| Problem::usage(error.to_string()))?;
    Ok(request)
}
