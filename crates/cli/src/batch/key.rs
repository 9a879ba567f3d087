//! What an item is known by: its own id, kept exactly, or one that follows from its line's number.

use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// An item's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A text, as the item gives it; also one that follows from the number of a line without an id.
    Text(String),
    /// A number, with its digits as they stand in the input.
    Number(String),
}

impl Key {
    /// The id of an item that has none: the same in every run over the same input.
    pub(crate) fn of_line(number: u64) -> Self {
        Self::Text(format!("line-{number}"))
    }

    /// Reads an id. `None` if it is absent, or `null`.
    ///
    /// # Errors
    /// What it is, if it is neither a text nor a number.
    pub(crate) fn read(raw: Option<&RawValue>) -> Result<Option<Self>, &'static str> {
        let Some(text) = raw.map(RawValue::get) else {
            return Ok(None);
        };
        match text.bytes().next() {
            Some(b'n') => Ok(None),
            Some(b'"') => match serde_json::from_str(text) {
                Ok(text) => Ok(Some(Self::Text(text))),
                Err(_) => Err("a text with a broken escape"),
            },
            Some(b'-' | b'0'..=b'9') => Ok(Some(Self::Number(text.to_owned()))),
            Some(b'[') => Err("an array"),
            Some(b'{') => Err("an object"),
            _ => Err("a boolean"),
        }
    }

    /// The id as it is written in the output.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Text(text) => Value::from(text.as_str()).to_string(),
            Self::Number(digits) => digits.clone(),
        }
    }

    /// The id as a value, for JSON whose numbers need not be exact.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(digits) => serde_json::from_str(digits).unwrap_or_else(|_| json!(digits)),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// A print of an item's line, by which a rerun sees that another one has taken its id: FNV-1a, which stays the same from
/// version to version.
pub(crate) fn print(line: &[u8]) -> u64 {
    line.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Key>, &'static str> {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        Key::read(Some(&raw))
    }

    #[test]
    fn ids_are_kept_exactly() {
        for id in [
            r#""a""#,
            r#""""#,
            r#""世界 \"x\"""#,
            "7",
            "12345678901234567890123",
            "1.50",
            "-0",
        ] {
            assert_eq!(read(id).unwrap().unwrap().to_json(), id);
        }
        assert_eq!(read(r#""\u0061""#), Ok(Some(Key::Text("a".to_owned()))));
        assert_ne!(read("7"), read(r#""7""#));
        assert_eq!(read("null"), Ok(None));
        assert_eq!(Key::read(None), Ok(None));
        for other in ["[1]", "{}", "true", r#""\ud800""#] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
