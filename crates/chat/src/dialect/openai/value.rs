//! JSON from a server as a [`Value`], within a limit: text of some MiB can make a tree of a hundred times its size. What
//! may be large and is read by nobody here is passed over.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Failure, FailureKind, Limit};

/// How much one text may hold: values, each of which takes about 32 bytes.
const UNITS_MAX: u32 = 1 << 18;

/// What an object takes besides its values, with few of them: as much as so many values.
const OBJECT_UNITS: u32 = 16;

/// Fields of a response or of a choice that are not read here. With them an honest answer may have millions of values.
const PASSED_OVER: [&str; 3] = ["prompt_logprobs", "token_ids", "prompt_token_ids"];

/// A field of a choice with as many values, which is a string here: its JSON text.
const LEFT_AS_TEXT: &str = "logprobs";

/// How deep choices are: in an array, in a response, in an array of one.
const CHOICE_DEPTH: u32 = 3;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Unread {
    /// The text is no JSON.
    Json(serde_json::Error),
    /// It holds too much.
    TooMany,
}

/// Reads a text that is one JSON value.
pub(super) fn parse(text: &[u8]) -> Result<Value, Unread> {
    let left = Cell::new(Some(UNITS_MAX));
    let mut json = serde_json::Deserializer::from_slice(text);
    let seed = Within {
        left: &left,
        depth: 0,
    };
    let value = seed.deserialize(&mut json);
    value
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| match left.get() {
            Some(_) => Unread::Json(error),
            None => Unread::TooMany,
        })
}

/// The failure of a text that holds too much.
pub(super) fn too_many() -> Failure {
    let message = format!("the server sent JSON that holds more than the limit of {UNITS_MAX} values");
    Failure::new(FailureKind::Limit(Limit::Event), message)
}

/// Makes a value within what is left.
#[derive(Clone, Copy)]
struct Within<'a> {
    /// `None` once it was not enough.
    left: &'a Cell<Option<u32>>,
    depth: u32,
}

impl Within<'_> {
    fn spend<E: Error>(self, units: u32) -> Result<(), E> {
        let left = self.left.get().and_then(|left| left.checked_sub(units));
        self.left.set(left);
        left.map(drop).ok_or_else(|| E::custom("too many values"))
    }

    fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        self.spend(1)?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.inner())? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.spend(OBJECT_UNITS)?;
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if self.depth <= CHOICE_DEPTH && PASSED_OVER.contains(&name.as_str()) {
                fields.next_value::<IgnoredAny>()?;
            } else if self.depth <= CHOICE_DEPTH && name == LEFT_AS_TEXT {
                let text = fields.next_value::<&RawValue>()?.get();
                map.insert(name, Value::from(text));
            } else {
                map.insert(name, fields.next_value_seed(self.inner())?);
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_makes_too_large_a_tree_is_told_from_one_that_is_no_json() {
        let many = |what: &str, count: usize| format!("[{}0]", format!("{what},").repeat(count));
        for (what, enough) in [("0", 1 << 18), ("[]", 1 << 18), (r#"{"a":0}"#, 1 << 14)] {
            let text = many(what, enough);
            assert!(matches!(parse(text.as_bytes()), Err(Unread::TooMany)), "{what}");
            assert!(parse(many(what, enough / 2).as_bytes()).is_ok(), "{what}");
        }
        for broken in ["", "{", "[0,]", "{}{}", "[\"\\ud800\"]", "nul"] {
            assert!(
                matches!(parse(broken.as_bytes()), Err(Unread::Json(_))),
                "{broken}"
            );
        }
    }

    #[test]
    fn what_nobody_reads_takes_nothing_but_is_kept_where_it_is_the_callers() {
        let probabilities = format!("[{}0]", "{\"bytes\":[0]},".repeat(1 << 18));
        for text in [
            format!(r#"{{"choices":[{{"prompt_logprobs":{probabilities},"index":0}}]}}"#),
            format!(r#"[{{"choices":[{{"index":0,"token_ids":{probabilities}}}]}}]"#),
        ] {
            let value = parse(text.as_bytes()).unwrap();
            assert!(value.to_string().contains(r#""choices":[{"index":0}]"#));
        }
        let call = r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"logprobs":true}}}]}}]}"#;
        assert_eq!(parse(call.as_bytes()).unwrap().to_string(), call);
        let read_later = format!(r#"{{"choices":[{{"logprobs":{probabilities}}}]}}"#);
        assert_eq!(
            parse(read_later.as_bytes()).unwrap()["choices"][0]["logprobs"],
            probabilities
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_the_value_that_serde_json_reads(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}
