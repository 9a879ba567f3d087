//! The names that one thing has in the two APIs.
//!
//! A request of this API is checked and answered as that of a chat. What is found wrong with it there is told here, to a
//! caller who never wrote `messages`.

use crate::RequestError;
use crate::dialect::openai::ErrorBody;

/// Fields of the chat completions API, and where they went.
pub(super) const MOVED: [(&str, &str); 7] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("functions", "tools"),
];

/// An error about a chat request in the words of this API: `messages` is `input` here, `max_tokens` is
/// `max_output_tokens`, and so on. For what is found wrong with [`Request::chat`](super::Request::chat) after it was
/// read.
#[must_use]
pub fn rename(mut error: RequestError) -> RequestError {
    rename_in(&mut error.message, error.param.as_mut());
    error
}

/// The same for an error that is ready to be sent. What [`Writer`](super::Writer) writes is already so.
#[must_use]
pub fn rename_body(mut error: ErrorBody) -> ErrorBody {
    rename_in(&mut error.message, error.param.as_mut());
    error
}

fn rename_in(message: &mut String, param: Option<&mut String>) {
    let Some(param) = param else {
        return;
    };
    let name = param.split(['.', '[']).next().unwrap_or_default();
    let renamed = match MOVED.iter().find(|(old, _)| *old == name) {
        // Messages and items do not correspond one to one, so their places say nothing.
        Some((_, new)) => (*new).to_owned(),
        None if name == "tools" || name == "tool_choice" => param.replacen(".function", "", 1),
        None => return,
    };
    // Messages name the field first, or in quotes.
    *message = match message.strip_prefix(param.as_str()) {
        Some(rest) => format!("{renamed}{rest}"),
        None => message.replacen(&format!("'{param}'"), &format!("'{renamed}'"), 1),
    };
    *param = renamed;
}
