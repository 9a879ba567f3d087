//! Tools: which functions an answer may call or has to, as the request says.

mod reader;
mod scan;
mod syntax;

use aurora_chat::{ChatRequest, RequestError};
use serde_json::{Value, json};

pub(crate) use reader::{Reader, Said};
pub(crate) use syntax::Syntax;

use crate::error::refuse;
use crate::text::Tokenizer;

/// A function that may be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The schema of its arguments, an object's.
    pub(crate) parameters: Value,
}

/// The tools of a request of which at least one may be called.
#[derive(Debug)]
pub(crate) struct Tools {
    functions: Vec<Function>,
    /// Whether the answer has to call one.
    pub(crate) required: bool,
    /// Whether it may call several.
    parallel: bool,
}

impl Tools {
    /// What a request says of tools. `None`: none is to be called, be it that there are none or that none is wanted.
    ///
    /// # Errors
    /// If a tool is no function, or the choice names none that there is.
    pub(crate) fn wanted(request: &ChatRequest) -> Result<Option<Self>, RequestError> {
        let mut functions = Vec::with_capacity(request.tools.len());
        for (index, tool) in request.tools.iter().enumerate() {
            functions.push(function(index, tool)?);
        }
        let choice = request.tool_choice.as_ref().unwrap_or(&Value::Null);
        let parallel = request.extra.get("parallel_tool_calls") != Some(&Value::Bool(false));
        let tools = |functions, required, parallel| Self {
            functions,
            required,
            parallel,
        };
        match choice {
            Value::String(word) if word == "none" => return Ok(None),
            Value::String(word) if word == "required" && functions.is_empty() => {
                return Err(refuse(
                    "tool_choice",
                    "a call is required, but there are no tools",
                ));
            }
            Value::String(word) => {
                let required = word == "required";
                return Ok((!functions.is_empty()).then(|| tools(functions, required, parallel)));
            }
            Value::Null => return Ok((!functions.is_empty()).then(|| tools(functions, false, parallel))),
            _ => {}
        }
        let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
        let (names, required, place) = match kind {
            "function" => {
                let name = choice.pointer("/function/name").and_then(Value::as_str);
                (vec![name.unwrap_or_default()], true, "tool_choice.function.name")
            }
            "allowed_tools" => {
                let allowed = choice.get("allowed_tools").unwrap_or(&Value::Null);
                let required = allowed.get("mode").is_some_and(|mode| mode == "required");
                let list = allowed.get("tools").and_then(Value::as_array);
                let names = list.into_iter().flatten().map(|tool| {
                    let name = tool.pointer("/function/name");
                    name.and_then(Value::as_str).unwrap_or_default()
                });
                (names.collect(), required, "tool_choice.allowed_tools")
            }
            _ => {
                return Err(refuse(
                    "tool_choice.type",
                    "expected 'function' or 'allowed_tools'",
                ));
            }
        };
        let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            let unknown = aurora_chat::redact::printable(unknown, 64);
            return Err(refuse(
                place,
                &format!("'{unknown}' is the name of none of the tools"),
            ));
        }
        if names.is_empty() {
            return Err(refuse(place, "no tool is allowed; use tool_choice 'none'"));
        }
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        functions.retain(|function| names.contains(&function.name));
        let parallel = parallel && kind != "function";
        Ok(Some(tools(functions, required, parallel)))
    }

    /// The reader of their calls.
    pub(crate) fn reader(&self, syntax: Syntax) -> Reader {
        Reader::new(
            syntax,
            self.functions
                .iter()
                .map(|function| function.name.clone())
                .collect(),
        )
    }

    /// The same tools, of which an answer calls one at most.
    pub(crate) fn one_at_a_time(self) -> Self {
        Self {
            parallel: false,
            ..self
        }
    }

    /// The grammar of answers that call them, as [`Syntax::grammar`] has it.
    ///
    /// # Errors
    /// If the parameters of one cannot be compiled.
    pub(crate) fn grammar(
        &self,
        syntax: Syntax,
        cued: bool,
        content: Option<&str>,
        tokenizer: &Tokenizer,
    ) -> Result<String, RequestError> {
        let functions: Vec<&Function> = self.functions.iter().collect();
        syntax
            .grammar(&functions, self.parallel, cued, content, tokenizer)
            .map_err(|(name, why)| cannot(&format!("the parameters of '{name}': {why}")))
    }
}

/// The error about tools whose calls cannot be held to their parameters.
pub(crate) fn cannot(why: &str) -> RequestError {
    refuse("tools", &format!("no call can be held to these tools: {why}"))
}

fn function(index: usize, tool: &Value) -> Result<Function, RequestError> {
    let path = format!("tools[{index}]");
    if tool.get("type").is_none_or(|kind| kind != "function") {
        return Err(refuse(
            &format!("{path}.type"),
            "the local model calls functions only",
        ));
    }
    let path = format!("{path}.function");
    let Some(name) = tool.pointer("/function/name").and_then(Value::as_str) else {
        return Err(refuse(&format!("{path}.name"), "expected a name"));
    };
    let parameters = match tool.pointer("/function/parameters") {
        None | Some(Value::Null) => {
            json!({"type": "object", "properties": {}, "additionalProperties": false})
        }
        Some(Value::Object(schema)) => {
            let mut schema = schema.clone();
            let says = ["type", "$ref", "anyOf", "oneOf", "allOf"];
            if !says.iter().any(|key| schema.contains_key(*key)) {
                schema.insert("type".to_owned(), Value::from("object"));
            }
            Value::Object(schema)
        }
        Some(_) => {
            return Err(refuse(
                &format!("{path}.parameters"),
                "expected a JSON schema, an object",
            ));
        }
    };
    Ok(Function {
        name: name.to_owned(),
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tools: Value, choice: Value, extra: Value) -> Result<Option<Tools>, RequestError> {
        let request = json!({
            "messages": [{"role": "user", "content": "hi"}], "tools": tools, "tool_choice": choice,
            "parallel_tool_calls": extra,
        });
        let body = serde_json::to_vec(&request).expect("it is JSON");
        Tools::wanted(&ChatRequest::from_json(&body).expect("a valid request"))
    }

    fn named(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"properties": {}}}})
    }

    #[test]
    fn a_choice_says_what_may_and_what_has_to_be_called() {
        let both = json!([named("f"), named("g")]);
        let allowed =
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("g")]}});
        for (choice, names, required, parallel) in [
            (Value::Null, vec!["f", "g"], false, true),
            (json!("auto"), vec!["f", "g"], false, true),
            (json!("required"), vec!["f", "g"], true, true),
            (
                json!({"type": "function", "function": {"name": "f"}}),
                vec!["f"],
                true,
                false,
            ),
            (allowed, vec!["g"], true, true),
        ] {
            let tools = of(both.clone(), choice, Value::Null)
                .expect("valid")
                .expect("some");
            let found: Vec<&str> = tools
                .functions
                .iter()
                .map(|function| function.name.as_str())
                .collect();
            assert_eq!(
                (found, tools.required, tools.parallel),
                (names, required, parallel)
            );
        }
        let alone = of(both.clone(), json!("auto"), json!(false))
            .expect("valid")
            .expect("some");
        assert!(!alone.parallel);
        assert!(of(both, json!("none"), Value::Null).expect("valid").is_none());
        assert!(
            of(json!([]), json!("auto"), Value::Null)
                .expect("valid")
                .is_none()
        );
    }

    #[test]
    fn parameters_are_those_of_an_object() {
        let tools = of(
            json!([named("f"), {"type": "function", "function": {"name": "g"}}]),
            Value::Null,
            Value::Null,
        );
        let tools = tools.expect("valid").expect("some");
        assert_eq!(tools.functions[0].parameters["type"], "object");
        assert_eq!(tools.functions[1].parameters["additionalProperties"], false);
    }

    #[test]
    fn what_cannot_be_called_is_named() {
        let unknown = json!({"type": "function", "function": {"name": "x"}});
        for (tools, choice, param) in [
            (json!([named("f")]), unknown, "tool_choice.function.name"),
            (json!([]), json!("required"), "tool_choice"),
            (
                json!([{"type": "custom", "custom": {"name": "c"}}]),
                Value::Null,
                "tools[0].type",
            ),
            (
                json!([{"type": "function", "function": {"name": "f", "parameters": 1}}]),
                Value::Null,
                "tools[0].function.parameters",
            ),
            (json!([named("f")]), json!({"type": "custom"}), "tool_choice.type"),
            (
                json!([named("f")]),
                json!({"type": "allowed_tools", "allowed_tools": {"tools": []}}),
                "tool_choice.allowed_tools",
            ),
        ] {
            let error = of(tools, choice, Value::Null).expect_err("it cannot be called");
            assert_eq!(error.param.as_deref(), Some(param));
        }
    }
}
