//! The fields that nobody here reads and that have a type all the same.
//!
//! They stay in [`ChatRequest::extra`](super::ChatRequest::extra) and are passed on as given. Those that the API
//! reference defines are checked first, so that a mistake is named here and not by whichever upstream sees it. Fields
//! that the reference does not define are nobody's business but the upstream's.

use serde_json::{Map, Value};

use super::RequestError;
use super::rules::{integer, only_with, wrong_type};

/// How many alternatives to each token can be asked for.
const TOP_LOGPROBS_MAX: i64 = 20;

/// The fields of one plain JSON type, by that type.
const BOOLEANS: [&str; 3] = ["logprobs", "store", "parallel_tool_calls"];
const STRINGS: [&str; 3] = ["user", "service_tier", "reasoning_effort"];
const OBJECTS: [&str; 1] = ["metadata"];
const ARRAYS: [&str; 2] = ["modalities", "functions"];

/// Checks the fields of the API reference among those that are passed on. `null` is the same as absent.
pub(super) fn validate(extra: &Map<String, Value>) -> Result<(), RequestError> {
    let given = |name: &str| extra.get(name).filter(|value| !value.is_null());
    let each_is = |names: &[&str], expected: &str, is: fn(&Value) -> bool| {
        names
            .iter()
            .find_map(|name| given(name).filter(|value| !is(value)).map(|value| (name, value)))
            .map_or(Ok(()), |(name, value)| Err(wrong_type(name, expected, value)))
    };
    each_is(&BOOLEANS, "a boolean", Value::is_boolean)?;
    each_is(&STRINGS, "a string", Value::is_string)?;
    each_is(&OBJECTS, "an object", Value::is_object)?;
    each_is(&ARRAYS, "an array", Value::is_array)?;

    let modalities = given("modalities").and_then(Value::as_array);
    for (index, modality) in modalities.into_iter().flatten().enumerate() {
        if !modality.is_string() {
            return Err(wrong_type(&format!("modalities[{index}]"), "a string", modality));
        }
    }
    if let Some(alternatives) = given("top_logprobs") {
        integer("top_logprobs", alternatives, 0, TOP_LOGPROBS_MAX)?;
        if given("logprobs") != Some(&Value::Bool(true)) {
            return Err(only_with("top_logprobs", "logprobs"));
        }
    }
    Ok(())
}
