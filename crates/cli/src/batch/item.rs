//! One line of the input as an item: what it is known by, and what it asks for.
//!
//! A line is an object of OpenAI's batch format, an object of the short form, or a prompt as it stands. What is wrong
//! with a line is an error of that item and of no other.

use aurora_chat::dialect::responses;
use aurora_chat::{ChatRequest, Failure, FailureKind, Message, RequestError, Role};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::key::{self, Key};
use super::lines::{Line, MAX_LINE};

/// The kind of failure of a line that cannot be read.
pub(crate) const BAD_JSON: &str = "bad_json";

/// An item.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) key: Key,
    /// The number of its line, from 1.
    pub(crate) line: u64,
    /// The print of its line.
    pub(crate) print: u64,
    /// What it asks for, or why it asks for nothing.
    pub(crate) ask: Result<Ask, Bad>,
}

/// What an item asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The request. Its model is the item's own, or empty.
    pub(crate) request: ChatRequest,
    /// The API whose answer is wanted.
    pub(crate) api: Api,
}

/// The APIs whose requests are read and whose answers are written.
#[derive(Clone, Debug)]
pub(crate) enum Api {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`, with what only that API has.
    Responses(Box<responses::Settings>),
}

/// Why an item cannot be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bad {
    /// The kind of failure, in the words of [`FailureKind::as_str`], or [`BAD_JSON`].
    pub(crate) kind: &'static str,
    pub(crate) failure: Box<Failure>,
}

/// How the lines of this input are to be understood: as the first one shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing but blank lines so far.
    #[default]
    Unknown,
    /// The first line is an object, so what begins like a piece of JSON is meant as JSON.
    Json,
    /// The first line is a prompt.
    Prompts,
}

/// What a line is before it is read in full.
#[derive(Debug, PartialEq)]
pub(crate) enum Sort<'a> {
    /// Nothing but white space: no item.
    Blank,
    /// An object.
    Object(&'a str),
    /// A prompt.
    Prompt(&'a str),
    /// None of these.
    Bad(Bad),
}

/// The fields by which a line is known.
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow, default)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// An object of the input. What is none of these fields is a field of the request, in the short form.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

impl Manner {
    /// Tells what a line is.
    pub(crate) fn sort<'a>(&mut self, line: &Line<'a>) -> Sort<'a> {
        let Some(bytes) = line.bytes else {
            let message = format!("the line is longer than the limit of {} MiB", MAX_LINE >> 20);
            return Sort::Bad(Bad::line("line_limit", line.number, &message));
        };
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.trim(),
            Err(_) => return Sort::Bad(Bad::line(BAD_JSON, line.number, "it is not UTF-8 text")),
        };
        let Some(first) = text.chars().next() else {
            return Sort::Blank;
        };
        if *self == Self::Unknown {
            *self = if first == '{' { Self::Json } else { Self::Prompts };
        }
        match first {
            '{' => Sort::Object(text),
            // An object over several lines, or a list of them, is no item a line.
            '}' | '[' | ']' | '"' if *self == Self::Json => {
                let message = "it is a piece of JSON, where an item is one object on one line";
                Sort::Bad(Bad::line(BAD_JSON, line.number, message))
            }
            _ => Sort::Prompt(text),
        }
    }

    /// What the item of this line is known by; `None` if it is blank. It costs less than reading the item.
    pub(crate) fn identify(&mut self, line: &Line<'_>) -> Option<(Key, u64)> {
        let key = match self.sort(line) {
            Sort::Blank => return None,
            Sort::Object(text) => id_of(text).ok().flatten(),
            Sort::Prompt(_) | Sort::Bad(_) => None,
        };
        let print = key::print(line.bytes.unwrap_or_default());
        Some((key.unwrap_or_else(|| Key::of_line(line.number)), print))
    }

    /// Reads the item of this line; `None` if it is blank.
    pub(crate) fn read(&mut self, line: &Line<'_>) -> Option<Item> {
        let ask = match self.sort(line) {
            Sort::Blank => return None,
            Sort::Object(text) => ask_of_object(text, line.number),
            Sort::Prompt(text) => Ok(Ask {
                request: ChatRequest {
                    messages: vec![Message::text(Role::User, text)],
                    ..ChatRequest::default()
                },
                api: Api::Chat,
            }),
            Sort::Bad(bad) => Err(bad),
        };
        let (key, print) = self.identify(line)?;
        Some(Item {
            key,
            line: line.number,
            print,
            ask,
        })
    }
}

impl Bad {
    fn line(kind: &'static str, number: u64, why: &str) -> Self {
        Self {
            kind,
            failure: Failure::new(FailureKind::InvalidRequest, format!("line {number}: {why}")).into(),
        }
    }

    /// A request that is not usable.
    pub(crate) fn request(number: u64, error: RequestError) -> Self {
        let mut failure = Failure::from(error);
        failure.message = format!("line {number}: {}", failure.message);
        Self {
            kind: FailureKind::InvalidRequest.as_str(),
            failure: failure.into(),
        }
    }
}

/// The id that an object gives itself.
fn id_of(text: &str) -> Result<Option<Key>, &'static str> {
    let ids: Ids<'_> = serde_json::from_str(text).map_err(|_| "no JSON object")?;
    match Key::read(ids.custom_id)? {
        Some(key) => Ok(Some(key)),
        None => Key::read(ids.id),
    }
}

fn ask_of_object(text: &str, number: u64) -> Result<Ask, Bad> {
    let wrong = |message: &str, param: &str| {
        Bad::request(number, RequestError::new(message, Some(param.to_owned()), None))
    };
    // Also of a line that is JSON as far as its ids.
    let batch: Batch<'_> = serde_json::from_str(text)
        .map_err(|error| Bad::line(BAD_JSON, number, &format!("it is not a JSON object: {error}")))?;
    if let Err(what) = id_of(text) {
        return Err(wrong(
            &format!("the id is {what}, and has to be a text or a number"),
            "custom_id",
        ));
    }
    if let Some(method) = batch.method.filter(|method| !method.eq_ignore_ascii_case("POST")) {
        return Err(wrong(
            &format!("the method is {method:?}, and only POST is known"),
            "method",
        ));
    }
    let body = match batch.body {
        Some(body) => body.get().to_owned(),
        None => short_form(text).map_err(|message| wrong(message, "prompt"))?,
    };
    let refused = |error| Bad::request(number, error);
    match api_of(batch.url.as_deref()) {
        Some("chat/completions") => Ok(Ask {
            request: ChatRequest::from_json(body.as_bytes()).map_err(refused)?,
            api: Api::Chat,
        }),
        Some("responses") => {
            let request = responses::Request::from_json(body.as_bytes()).map_err(refused)?;
            Ok(Ask {
                request: request.chat,
                api: Api::Responses(Box::new(request.settings)),
            })
        }
        _ => Err(wrong(
            "only the urls /v1/chat/completions and /v1/responses are known",
            "url",
        )),
    }
}

/// The path of the API that a url names: its host, if it has one, is not asked.
fn api_of(url: Option<&str>) -> Option<&str> {
    let Some(url) = url else {
        return Some("chat/completions");
    };
    ["chat/completions", "responses"]
        .into_iter()
        .find(|path| url.strip_suffix(path).is_some_and(|rest| rest.ends_with('/')))
}

/// The body that an object of the short form means.
fn short_form(text: &str) -> Result<String, &'static str> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    for name in ["custom_id", "id", "method", "url", "body"] {
        fields.remove(name);
    }
    let mut messages = Vec::new();
    match fields.remove("system") {
        None | Some(Value::Null) => {}
        Some(system @ Value::String(_)) => messages.push(json!({"role": "system", "content": system})),
        Some(_) => return Err("\"system\" has to be a text"),
    }
    match (fields.remove("prompt"), fields.remove("messages")) {
        (Some(_), Some(_)) => return Err("it has both \"prompt\" and \"messages\"; one of them is enough"),
        (Some(prompt @ Value::String(_)), None) => {
            messages.push(json!({"role": "user", "content": prompt}));
        }
        (None, Some(Value::Array(given))) => messages.extend(given),
        (Some(_), None) => return Err("\"prompt\" has to be a text"),
        (None, Some(_)) => return Err("\"messages\" has to be an array"),
        (None, None) => {
            return Err("it asks for nothing: it has neither \"body\" nor \"prompt\" nor \"messages\"");
        }
    }
    fields.insert("messages".to_owned(), messages.into());
    Ok(Value::Object(fields).to_string())
}

#[cfg(test)]
#[path = "item/tests.rs"]
mod tests;
