//! `response_format`: what an answer's text has to be.

use aurora_chat::{ChatRequest, RequestError};
use serde_json::{Value, json};

const FIELD: &str = "response_format";

/// The JSON schema that a request wants its answer to obey; `None` for plain text.
///
/// `strict` changes nothing: a schema is always obeyed. `json_object` with a `schema` beside it, as llama.cpp and others
/// have it, is a schema too.
///
/// # Errors
/// If it is none of the formats there are, or lacks its schema.
pub(crate) fn wanted(request: &ChatRequest) -> Result<Option<Value>, RequestError> {
    let Some(format) = &request.response_format else {
        return Ok(None);
    };
    match format.get("type").and_then(Value::as_str) {
        None => Err(refuse("", "expected an object with a 'type'")),
        Some("text") => Ok(None),
        Some("json_object") => match format.get("schema") {
            None | Some(Value::Null) => Ok(Some(json!({"type": "object"}))),
            Some(schema) => object(".schema", schema).map(Some),
        },
        Some("json_schema") => {
            let Some(named) = format.get("json_schema").filter(|named| named.is_object()) else {
                return Err(refuse(
                    ".json_schema",
                    "expected an object with 'name' and 'schema'",
                ));
            };
            let name = named.get("name").and_then(Value::as_str).unwrap_or_default();
            if name.is_empty() {
                return Err(refuse(".json_schema.name", "expected a name"));
            }
            if !matches!(named.get("strict"), None | Some(Value::Null | Value::Bool(_))) {
                return Err(refuse(".json_schema.strict", "expected a boolean"));
            }
            let schema = named.get("schema").unwrap_or(&Value::Null);
            object(".json_schema.schema", schema).map(Some)
        }
        Some(other) => {
            let other = aurora_chat::redact::printable(other, 64);
            let why = format!("'{other}' is none of 'text', 'json_object' and 'json_schema'");
            Err(refuse(".type", &why))
        }
    }
}

/// The error about a schema that cannot be obeyed.
pub(crate) fn cannot(why: &str) -> RequestError {
    refuse("", &format!("no answer can be held to this schema: {why}"))
}

fn object(place: &str, schema: &Value) -> Result<Value, RequestError> {
    match schema {
        Value::Object(_) => Ok(schema.clone()),
        _ => Err(refuse(place, "expected a JSON schema, an object")),
    }
}

fn refuse(place: &str, why: &str) -> RequestError {
    crate::error::refuse(&format!("{FIELD}{place}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: Value) -> Result<Option<Value>, RequestError> {
        wanted(&ChatRequest {
            response_format: Some(format),
            ..ChatRequest::default()
        })
    }

    #[test]
    fn every_form_gives_its_schema() {
        let schema = json!({"type": "array"});
        assert_eq!(wanted(&ChatRequest::default()), Ok(None));
        assert_eq!(of(json!({"type": "text"})), Ok(None));
        assert_eq!(
            of(json!({"type": "json_object"})),
            Ok(Some(json!({"type": "object"})))
        );
        assert_eq!(
            of(json!({"type": "json_object", "schema": schema})),
            Ok(Some(schema.clone()))
        );
        let named =
            json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": schema}});
        assert_eq!(of(named), Ok(Some(schema)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (format, param) in [
            (json!({}), "response_format"),
            (json!({"type": "xml"}), "response_format.type"),
            (json!({"type": "json_schema"}), "response_format.json_schema"),
            (
                json!({"type": "json_schema", "json_schema": {"schema": {}}}),
                "response_format.json_schema.name",
            ),
            (
                json!({"type": "json_schema", "json_schema": {"name": "a"}}),
                "response_format.json_schema.schema",
            ),
            (
                json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": 1}}),
                "response_format.json_schema.strict",
            ),
            (
                json!({"type": "json_object", "schema": "{}"}),
                "response_format.schema",
            ),
        ] {
            assert_eq!(of(format).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
