//! Whether a JSON value is valid under a schema: the part of JSON Schema that these tests use.

use serde_json::Value;

/// Panics unless the value is valid under the schema.
pub(crate) fn assert_valid(value: &Value, schema: &Value) {
    assert!(
        is_valid(value, schema, schema),
        "{value} is not valid under {schema}"
    );
}

fn is_valid(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(fields) = schema.as_object() else {
        return schema == &Value::Bool(true);
    };
    fields
        .iter()
        .all(|(keyword, argument)| obeys(value, keyword, argument, schema, root))
}

fn obeys(value: &Value, keyword: &str, argument: &Value, schema: &Value, root: &Value) -> bool {
    let valid = |schema: &Value| is_valid(value, schema, root);
    let number = argument.as_f64().unwrap_or_default();
    let count = argument.as_u64().unwrap_or_default() as usize;
    match keyword {
        "$ref" => {
            let place = argument
                .as_str()
                .and_then(|reference| reference.strip_prefix('#'));
            valid(
                root.pointer(place.expect("a local reference"))
                    .expect("it is there"),
            )
        }
        "anyOf" | "oneOf" => list(argument).iter().any(valid),
        "enum" => list(argument).contains(value),
        "const" => argument == value,
        "type" => match argument {
            Value::Array(types) => types.iter().any(|one| is_of(value, one)),
            one => is_of(value, one),
        },
        "required" => value.as_object().is_none_or(|object| {
            list(argument)
                .iter()
                .all(|name| object.contains_key(name.as_str().expect("a name")))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            object.iter().all(|(name, value)| {
                argument
                    .get(name)
                    .is_none_or(|schema| is_valid(value, schema, root))
            })
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = |name: &String| schema["properties"].get(name).is_some();
            object
                .iter()
                .all(|(name, value)| known(name) || is_valid(value, argument, root))
        }),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| is_valid(item, argument, root))),
        "minItems" => value.as_array().is_none_or(|items| items.len() >= count),
        "maxItems" => value.as_array().is_none_or(|items| items.len() <= count),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= count),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= count),
        "minimum" => value.as_f64().is_none_or(|value| value >= number),
        "maximum" => value.as_f64().is_none_or(|value| value <= number),
        "$defs" | "title" | "description" => true,
        other => panic!("the checker does not know {other}"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}
