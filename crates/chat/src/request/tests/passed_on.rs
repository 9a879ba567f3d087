//! Fields that are passed on: kept as given, and named if their type is wrong.

use serde_json::json;

use super::refusals::refused;
use super::*;

#[test]
fn what_is_passed_on_is_kept_as_given() {
    let extra = json!({
        "logprobs": true, "top_logprobs": 20, "user": "u", "metadata": {"a": "b"}, "store": false,
        "parallel_tool_calls": true, "service_tier": "auto", "reasoning_effort": "low", "modalities": ["text"],
        "functions": [{"name": "f"}], "of_this_server_only": {"deep": [1]}
    });
    assert_eq!(Value::Object(read(&with(extra.clone())).unwrap().extra), extra);
    for name in extra.as_object().unwrap().keys() {
        let absent = json!({ name: null });
        assert_eq!(Value::Object(read(&with(absent.clone())).unwrap().extra), absent);
    }
}

#[test]
fn names_what_is_wrong_with_a_field_that_is_passed_on() {
    for (field, value, expected) in [
        ("logprobs", json!(5), "a boolean, but got an integer"),
        ("store", json!("yes"), "a boolean, but got a string"),
        ("parallel_tool_calls", json!(0), "a boolean, but got an integer"),
        ("user", json!(7), "a string, but got an integer"),
        ("service_tier", json!({}), "a string, but got an object"),
        ("reasoning_effort", json!(0.5), "a string, but got a decimal"),
        ("metadata", json!("a=b"), "an object, but got a string"),
        ("modalities", json!("text"), "an array, but got a string"),
        ("functions", json!({"name": "f"}), "an array, but got an object"),
    ] {
        refused(&with(json!({ field: value })), field, "invalid_type", expected);
    }
    refused(
        &with(json!({"modalities": ["text", 1]})),
        "modalities[1]",
        "invalid_type",
        "a string, but got an integer",
    );
    for (number, code, says) in [
        (json!(21), "integer_above_max_value", "<= 20, but got 21"),
        (json!(-1), "integer_below_min_value", ">= 0, but got -1"),
        (json!("5"), "invalid_type", "an integer, but got a string"),
        (json!(2.5), "invalid_type", "an integer, but got a decimal"),
    ] {
        let body = with(json!({"logprobs": true, "top_logprobs": number}));
        refused(&body, "top_logprobs", code, says);
    }
    for logprobs in [json!({}), json!({"logprobs": false}), json!({"logprobs": null})] {
        let mut body = with(logprobs);
        body["top_logprobs"] = json!(3);
        refused(
            &body,
            "top_logprobs",
            "invalid_value",
            "only allowed when 'logprobs' is true",
        );
    }
}
