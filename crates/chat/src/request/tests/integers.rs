//! Whole numbers, however they are written and however long they are.

use super::*;

#[test]
fn a_whole_number_may_be_written_in_any_way() {
    for (written, number) in [
        ("1e3", 1000),
        ("1000.0", 1000),
        ("10.0E2", 1000),
        ("4294967295.0", u32::MAX),
    ] {
        let body = format!(r#"{{"max_tokens":{written},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        let request = ChatRequest::from_json(body.as_bytes()).unwrap();
        assert_eq!(request.max_tokens, Some(number), "{written}");
    }
    for (written, seed) in [
        ("-9223372036854775808", i64::MIN),
        ("9223372036854775807", i64::MAX),
        ("-1e18", -1_000_000_000_000_000_000),
        ("-0.0", 0),
    ] {
        let body = format!(r#"{{"seed":{written},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        let request = ChatRequest::from_json(body.as_bytes()).unwrap();
        assert_eq!(request.seed, Some(seed), "{written}");
    }
}

#[test]
fn an_integer_too_long_for_any_type_is_out_of_range_and_no_decimal() {
    for (field, number, code, says) in [
        (
            "seed",
            "99999999999999999999999",
            "integer_above_max_value",
            "<= 9223372036854775807",
        ),
        (
            "seed",
            "9223372036854775808",
            "integer_above_max_value",
            "<= 9223372036854775807",
        ),
        (
            "seed",
            "-9223372036854775809",
            "integer_below_min_value",
            ">= -9223372036854775808",
        ),
        (
            "max_tokens",
            "18446744073709551616",
            "integer_above_max_value",
            "<= 4294967295",
        ),
        ("max_tokens", "1e300", "integer_above_max_value", "<= 4294967295"),
        ("max_tokens", "-1e300", "integer_below_min_value", ">= 1"),
        ("max_tokens", "1e10", "integer_above_max_value", "<= 4294967295"),
        (
            "max_tokens",
            "1e-3",
            "invalid_type",
            "an integer, but got a decimal",
        ),
        (
            "model",
            "99999999999999999999999",
            "invalid_type",
            "a string, but got an integer",
        ),
    ] {
        let body = format!(r#"{{"{field}":{number},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        let error = ChatRequest::from_json(body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some(field), Some(code)),
            "{error}"
        );
        assert!(error.message.contains(says), "{error}");
    }
}
