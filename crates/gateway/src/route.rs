//! Method and path to what is asked: a pure function.
//!
//! Paths are matched exactly. Only a model's id is decoded, because ids contain slashes that some clients escape.

use http::Method;

use crate::Refusal;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// An answer.
    Chat,
    /// The list of models.
    Models,
    /// One model, by its id.
    Model(String),
    /// The events of a stream, or how it stands.
    Stream(String),
    /// The end of a stream.
    CancelStream(String),
    /// A response.
    Respond,
    /// A response object, or its events.
    Response(String),
    /// A response's end and removal.
    DeleteResponse(String),
    /// What a response answers.
    InputItems(String),
    /// The end of a response.
    CancelResponse(String),
    /// Whether the server runs.
    Health,
}

const EXISTS: &str = "POST /v1/chat/completions, POST /v1/responses, GET /v1/responses/{id}, \
                      DELETE /v1/responses/{id}, GET /v1/responses/{id}/input_items, \
                      POST /v1/responses/{id}/cancel, GET /v1/models, GET /v1/models/{id}, \
                      GET /v1/streams/{id}, POST /v1/streams/{id}/cancel, GET /health";
const READ: &str = "GET, HEAD";
const READ_DELETE: &str = "GET, HEAD, DELETE";
const WRITE: &str = "POST";

/// The route of a request; 404 names what exists, 405 what is allowed.
pub(crate) fn route(method: &Method, path: &str) -> Result<Route, Refusal> {
    let (route, allow) = match path {
        "/v1/chat/completions" => (Route::Chat, WRITE),
        "/v1/responses" => (Route::Respond, WRITE),
        "/v1/models" => (Route::Models, READ),
        "/health" => (Route::Health, READ),
        _ => below(method, path).ok_or_else(|| not_found(method, path))?,
    };
    if allow.split(", ").any(|allowed| method == allowed) {
        return Ok(route);
    }
    Err(Refusal::method_not_allowed(
        shown(method.as_str()),
        shown(path),
        allow,
    ))
}

/// The routes that have an id in them.
fn below(method: &Method, path: &str) -> Option<(Route, &'static str)> {
    let id = |text: &str| percent_decode(text).filter(|id| !id.is_empty());
    if let Some(model) = path.strip_prefix("/v1/models/") {
        return Some((Route::Model(id(model)?), READ));
    }
    if let Some(response) = path.strip_prefix("/v1/responses/") {
        return match response.split_once('/') {
            None if method == Method::DELETE => Some((Route::DeleteResponse(id(response)?), READ_DELETE)),
            None => Some((Route::Response(id(response)?), READ_DELETE)),
            Some((response, "input_items")) => Some((Route::InputItems(id(response)?), READ)),
            Some((response, "cancel")) => Some((Route::CancelResponse(id(response)?), WRITE)),
            Some(_) => None,
        };
    }
    let stream = path.strip_prefix("/v1/streams/")?;
    match stream.split_once('/') {
        None => Some((Route::Stream(id(stream)?), READ)),
        Some((stream, "cancel")) => Some((Route::CancelStream(id(stream)?), WRITE)),
        Some(_) => None,
    }
}

fn not_found(method: &Method, path: &str) -> Refusal {
    let message = format!(
        "{} {} does not exist; there are: {EXISTS}",
        shown(method.as_str()),
        shown(path)
    );
    Refusal::invalid(404, message, None, Some("not_found"))
}

/// As much of a path or method as an error message repeats. Both are ASCII by the time hyper hands them out.
fn shown(text: &str) -> &str {
    text.get(..200).unwrap_or(text)
}

/// `None` if an escape is broken or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        bytes.push(digit(*high)? * 16 + digit(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let model = |id: &str| Ok(Route::Model(id.to_owned()));
        let table: &[(&str, &str, Result<Route, u16>)] = &[
            ("POST", "/v1/chat/completions", Ok(Route::Chat)),
            ("GET", "/v1/chat/completions", Err(405)),
            ("OPTIONS", "/v1/chat/completions", Err(405)),
            ("POST", "/v1/chat/completions/", Err(404)),
            ("POST", "/chat/completions", Err(404)),
            ("GET", "/v1/models", Ok(Route::Models)),
            ("HEAD", "/v1/models", Ok(Route::Models)),
            ("DELETE", "/v1/models", Err(405)),
            ("get", "/v1/models", Err(405)),
            ("GET", "/v1/models/", Err(404)),
            ("GET", "/v1/models/smollm2", model("smollm2")),
            ("GET", "/v1/models/local/smollm2", model("local/smollm2")),
            ("GET", "/v1/models/local%2Fsmollm2", model("local/smollm2")),
            ("GET", "/v1/models/local%2fsmollm2", model("local/smollm2")),
            ("GET", "/v1/models/%E2%98%83", model("☃")),
            ("GET", "/v1/models/a%", Err(404)),
            ("GET", "/v1/models/a%2", Err(404)),
            ("GET", "/v1/models/a%zz", Err(404)),
            ("GET", "/v1/models/%ff", Err(404)),
            ("DELETE", "/v1/models/a", Err(405)),
            ("GET", "/v1/streams/x", Ok(Route::Stream("x".to_owned()))),
            ("POST", "/v1/streams/x", Err(405)),
            (
                "POST",
                "/v1/streams/x/cancel",
                Ok(Route::CancelStream("x".to_owned())),
            ),
            ("GET", "/v1/streams/x/cancel", Err(405)),
            ("GET", "/v1/streams/x/y", Err(404)),
            ("GET", "/v1/streams/", Err(404)),
            ("GET", "/v1/streams", Err(404)),
            ("POST", "/v1/responses", Ok(Route::Respond)),
            ("GET", "/v1/responses", Err(405)),
            ("GET", "/v1/responses/x", Ok(Route::Response("x".to_owned()))),
            ("HEAD", "/v1/responses/x", Ok(Route::Response("x".to_owned()))),
            (
                "DELETE",
                "/v1/responses/x",
                Ok(Route::DeleteResponse("x".to_owned())),
            ),
            ("POST", "/v1/responses/x", Err(405)),
            (
                "POST",
                "/v1/responses/x/cancel",
                Ok(Route::CancelResponse("x".to_owned())),
            ),
            ("GET", "/v1/responses/x/cancel", Err(405)),
            ("DELETE", "/v1/responses/x/cancel", Err(405)),
            (
                "GET",
                "/v1/responses/x/input_items",
                Ok(Route::InputItems("x".to_owned())),
            ),
            ("POST", "/v1/responses/x/input_items", Err(405)),
            ("GET", "/v1/responses/x/input_items/y", Err(404)),
            ("GET", "/v1/responses//input_items", Err(404)),
            ("GET", "/v1/responses/x/output_items", Err(404)),
            ("GET", "/v1/responses/", Err(404)),
            ("GET", "/health", Ok(Route::Health)),
            ("GET", "/", Err(404)),
            ("GET", "", Err(404)),
        ];
        for (method, path, expected) in table {
            let method = method.parse().expect("a method");
            let got = route(&method, path).map_err(|refusal| refusal.status());
            assert_eq!(got, *expected, "{method} {path}");
        }
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let refusal = route(&Method::GET, "/v1/engines").expect_err("no such route");
        assert!(
            refusal
                .body()
                .message
                .starts_with("GET /v1/engines does not exist")
        );
        assert!(refusal.body().message.contains("/v1/chat/completions"));
        let refusal = route(&Method::OPTIONS, "/v1/models").expect_err("no such method");
        assert_eq!(refusal.allow(), Some("GET, HEAD"));
    }
}
