//! Reading a request of this API, strictly, into the request of a chat and the settings that a chat does not have.
//!
//! The model's part goes through [`ChatRequest`]'s own rules. What only this API has is honoured, or refused by name;
//! what neither API knows is passed on as in a chat (`top_k`, `seed`, … work here too).

use serde_json::{Map, Value};

use super::rename::{MOVED, rename};
use super::{Settings, input, options};
use crate::request::read::{Fields, object, take, take_array, take_bool, take_integer, take_string};
use crate::request::rules::{missing, only_with, wrong_type, wrong_value};
use crate::{ChatRequest, Message, RequestError, Role};

/// How many alternatives to each token can be asked for, in OpenAI's reference.
const TOP_LOGPROBS_MAX: i64 = 20;

/// Fields of the API reference that cannot be honoured here, with what to do instead.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("access_programs", "This server has no such programs."),
    (
        "background_options",
        "Background answers begin as soon as there is room.",
    ),
    (
        "context_management",
        "This server compacts no conversations; shorten the input.",
    ),
    (
        "conversation",
        "This server keeps no conversations; send the conversation's items in 'input'.",
    ),
    ("image", "Images are passed to the model as they are."),
    (
        "logprobs",
        "In the Responses API, log probabilities are asked for with 'message.output_text.logprobs' in 'include'.",
    ),
    ("moderation", "This server does not moderate."),
    (
        "prompt",
        "This server keeps no prompts; send the text in 'instructions' or 'input'.",
    ),
];

/// One request for a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the model is asked. Its messages are the instructions, if any, and then the input. `stream` is the
    /// request's own.
    pub chat: ChatRequest,
    /// What is this API's own, and what a response object repeats.
    pub settings: Settings,
}

impl Request {
    /// Reads and validates a request: the body of `POST /v1/responses`.
    ///
    /// A missing `model` is the default model. Fields that are not known are kept in [`ChatRequest::extra`], as are those
    /// that both APIs pass on (`user`, `service_tier`, `prompt_cache_key`, `safety_identifier`, …).
    ///
    /// # Errors
    /// The first thing that is wrong, with the field's path in this API; also for a field of the reference that cannot
    /// be honoured.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let mut fields = object(body)?;
        refuse_foreign(&fields)?;
        let mut settings = Settings {
            background: take_bool(&mut fields, "background")?.unwrap_or(false),
            store: take_bool(&mut fields, "store")?.unwrap_or(true),
            instructions: take_string(&mut fields, "", "instructions")?,
            previous_response_id: take_string(&mut fields, "", "previous_response_id")?,
            max_output_tokens: take_count(&mut fields, "max_output_tokens")?,
            max_tool_calls: take_count(&mut fields, "max_tool_calls")?,
            prompt_cache_key: same_string(&fields, "prompt_cache_key")?,
            safety_identifier: same_string(&fields, "safety_identifier")?,
            user: same_string(&fields, "user")?,
            ..Settings::default()
        };
        if let Some(metadata) = take(&mut fields, "metadata") {
            settings.metadata = options::metadata(metadata)?;
        }
        if settings.background && !settings.store {
            return Err(only_with("background", "store"));
        }
        refuse_values(&mut fields)?;
        settings.top_logprobs = translate_logprobs(&mut fields)?;
        let messages = take_messages(&mut fields, settings.instructions.as_deref())?;
        translate_options(&mut fields, &mut settings)?;
        let chat = ChatRequest::from_fields(fields, messages).map_err(rename)?;
        settings.temperature = chat.temperature;
        settings.top_p = chat.top_p;
        if let Some(Value::Bool(parallel)) = chat.extra.get("parallel_tool_calls") {
            settings.parallel_tool_calls = *parallel;
        }
        Ok(Self { chat, settings })
    }

    /// The conversation without the instructions: what a later request that names this response goes on from, followed
    /// by the answer ([`Transcript::to_message`](crate::Transcript::to_message)).
    #[must_use]
    pub fn conversation(&self) -> &[Message] {
        &self.chat.messages[self.after_instructions()..]
    }

    /// Puts the conversation of an earlier response before the input. Its instructions are not carried over, as the
    /// reference says of `previous_response_id`.
    pub fn go_on_from(&mut self, conversation: Vec<Message>) {
        let at = self.after_instructions();
        self.chat.messages.splice(at..at, conversation);
    }

    /// The place of the first message that is not the instructions. The fields are public, so there may be none.
    fn after_instructions(&self) -> usize {
        usize::from(self.settings.instructions.is_some()).min(self.chat.messages.len())
    }
}

/// Refuses what belongs to the other API, and what this one has and we have not.
fn refuse_foreign(fields: &Fields) -> Result<(), RequestError> {
    let given = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if let Some((name, why)) = UNSUPPORTED.iter().find(|(name, _)| given(name)) {
        return Err(options::unsupported(name, why));
    }
    match MOVED.iter().find(|(name, _)| given(name)) {
        Some((name, instead)) => Err(options::unsupported(
            name,
            &format!("In the Responses API, this parameter has moved to '{instead}'."),
        )),
        None => Ok(()),
    }
}

/// Takes out the fields of which only the values that change nothing can be honoured.
fn refuse_values(fields: &mut Fields) -> Result<(), RequestError> {
    if let Some(truncation) = take_string(fields, "", "truncation")?
        && truncation != "disabled"
    {
        return Err(wrong_value("truncation", &truncation, &["disabled"]));
    }
    if let Some(stream_options) = take(fields, "stream_options") {
        options::stream_options(&stream_options)?;
        if fields.get("stream") != Some(&Value::Bool(true)) {
            return Err(only_with("stream_options", "stream"));
        }
    }
    Ok(())
}

/// Puts a chat's fields about log probabilities in the place of those here; returns how many alternatives are wanted, if
/// that was said.
fn translate_logprobs(fields: &mut Fields) -> Result<Option<u32>, RequestError> {
    let count = take_integer(fields, "top_logprobs", 0, TOP_LOGPROBS_MAX)?;
    let include = take_array(fields, "", "include")?.unwrap_or_default();
    if options::include(&include)? {
        fields.insert("logprobs".to_owned(), Value::Bool(true));
        insert_some(fields, "top_logprobs", count.map(Value::from));
    } else if count.is_some_and(|count| count > 0) {
        let why = format!(
            "It is only allowed with '{}' in 'include'.",
            options::INCLUDE_LOGPROBS
        );
        return Err(options::unsupported("top_logprobs", &why));
    }
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}

fn take_messages(fields: &mut Fields, instructions: Option<&str>) -> Result<Vec<Message>, RequestError> {
    let input = take(fields, "input").ok_or_else(|| missing("input"))?;
    let mut messages = input::read(input)?;
    if let Some(instructions) = instructions {
        messages.insert(0, Message::text(Role::System, instructions));
    }
    Ok(messages)
}

/// Puts a chat's fields in the place of those that have another shape here.
fn translate_options(fields: &mut Fields, settings: &mut Settings) -> Result<(), RequestError> {
    if let Some(limit) = settings.max_output_tokens {
        fields.insert("max_completion_tokens".to_owned(), Value::from(limit));
    }
    if let Some(tools) = take_array(fields, "", "tools")? {
        fields.insert("tools".to_owned(), Value::Array(options::tools(&tools)?));
        settings.tools = tools;
    }
    if let Some(choice) = take(fields, "tool_choice") {
        fields.insert("tool_choice".to_owned(), options::tool_choice(&choice)?);
        settings.tool_choice = choice;
    }
    if let Some(text) = take(fields, "text") {
        let asked = options::text(&text)?;
        insert_some(fields, "response_format", asked.format);
        insert_some(fields, "verbosity", asked.verbosity.map(Value::from));
        settings.text = with_defaults(text, &settings.text);
    }
    if let Some(reasoning) = take(fields, "reasoning") {
        let effort = options::reasoning(&reasoning)?;
        insert_some(fields, "reasoning_effort", effort.map(Value::from));
        settings.reasoning = with_defaults(reasoning, &settings.reasoning);
    }
    Ok(())
}

fn insert_some(fields: &mut Fields, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value);
    }
}

/// The object, with what it leaves out as the default has it.
fn with_defaults(given: Value, default: &Value) -> Value {
    let (Value::Object(given), Value::Object(default)) = (given, default) else {
        return default.clone();
    };
    let mut all: Map<_, _> = default.clone();
    all.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(all)
}

fn take_count(fields: &mut Fields, name: &str) -> Result<Option<u32>, RequestError> {
    let count = take_integer(fields, name, 1, i64::from(u32::MAX))?;
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}

/// The string of a field that stays where it is, because it is passed on.
fn same_string(fields: &Fields, name: &str) -> Result<Option<String>, RequestError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong_type(name, "a string", other)),
    }
}
