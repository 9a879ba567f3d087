//! `aurora PROMPT` and `aurora ask`: one answer.

use aurora_chat::{ChatRequest, Message, Role};

use crate::args::Common;
use crate::delivery::{self, Delivery};
use crate::output::Audience;
use crate::problem::{Problem, Result};
use crate::prompt;
use crate::recording;
use crate::settings::target::Target;
use crate::settings::{self, Env};
use crate::source::Source;

/// Asks, prints, and returns the exit code of the verdict.
///
/// # Errors
/// There is no prompt, no usable model, or stdout or the recording cannot be written.
pub(super) fn run(words: &[String], flags: &Common, env: Env) -> Result<u8> {
    delivery::with_printer(flags, env, |env, delivery, printer| {
        let system = flags.system.as_deref();
        answer(words, system, flags, env, delivery, printer)
    })
}

/// Asks for one answer and delivers it; returns the exit code of the verdict. The request has no system prompt but this
/// one.
///
/// # Errors
/// As [`run`].
pub(super) fn answer(
    words: &[String],
    system: Option<&str>,
    flags: &Common,
    env: Env,
    delivery: &Delivery,
    audience: &mut dyn Audience,
) -> Result<u8> {
    let settings = settings::load(flags, None, env)?;
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
    let request = request(system, prompt, flags)?;
    // Last of all, so that no mistake above costs an older recording, and before anything is sent.
    let record = flags.record.as_deref().map(recording::create).transpose()?;
    let open = source.ask(request, record);
    delivery.run(target.start(), open, audience)
}

fn request(system: Option<&str>, prompt: String, flags: &Common) -> Result<ChatRequest> {
    let system = system.map(|system| Message::text(Role::System, system));
    let request = ChatRequest {
        messages: system
            .into_iter()
            .chain([Message::text(Role::User, prompt)])
            .collect(),
        stream: true,
        include_usage: true,
        max_tokens: flags.max_tokens,
        temperature: flags.temperature,
        top_p: flags.top_p,
        seed: flags.seed,
        stop: flags.stop.clone(),
        ..ChatRequest::default()
    };
    request
        .validate()
        .map_err(|error| Problem::usage(error.to_string()))?;
    Ok(request)
}
