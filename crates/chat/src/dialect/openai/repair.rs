//! Mending JSON that is almost JSON, so that the text in it is not lost.
//!
//! Two mistakes are common enough to know. A server that cuts text by UTF-16 units writes half of a surrogate pair as
//! an escape, which no strict parser takes. Python's `json` writes `NaN` and `Infinity` for numbers, as in log
//! probabilities. The halves become U+FFFD, the numbers `null`. It is tried only on what could not be parsed, and only
//! once.

/// The mended text, if there was something to mend. Linear in the length.
pub(super) fn mend(data: &str) -> Option<String> {
    let mut mended = String::with_capacity(data.len());
    let mut rest = data;
    let mut in_string = false;
    let mut changed = false;
    while let Some(c) = rest.chars().next() {
        let (taken, written) = match c {
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            '\\' if in_string => match escape(rest) {
                Escape::Half => (6, Some("\\ufffd")),
                Escape::Pair => (12, None),
                // The escaped character goes along, so that an escaped quote does not end the string.
                Escape::Other => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), None),
            },
            'N' | 'I' | '-' if !in_string => match ["NaN", "Infinity", "-Infinity"]
                .iter()
                .find(|n| rest.starts_with(**n))
            {
                Some(number) => (number.len(), Some("null")),
                None => (1, None),
            },
            other => (other.len_utf8(), None),
        };
        mended.push_str(written.unwrap_or(&rest[..taken]));
        changed |= written.is_some();
        rest = &rest[taken..];
    }
    changed.then_some(mended)
}

enum Escape {
    /// One half of a surrogate pair, alone.
    Half,
    /// Both halves.
    Pair,
    /// Anything else.
    Other,
}

/// What begins at this backslash.
fn escape(text: &str) -> Escape {
    match unit(text) {
        Some(0xd800..0xdc00) => match text.get(6..).and_then(unit) {
            Some(0xdc00..0xe000) => Escape::Pair,
            _ => Escape::Half,
        },
        Some(0xdc00..0xe000) => Escape::Half,
        _ => Escape::Other,
    }
}

/// The UTF-16 unit of a `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn mends_halves_of_pairs_and_numbers_that_are_none() {
        for (broken, mended) in [
            (r#"{"a":"x\ud83d"}"#, r#"{"a":"x\ufffd"}"#),
            (r#"{"a":"\ude00x"}"#, r#"{"a":"\ufffdx"}"#),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (
                r#"{"a":[NaN,-Infinity,Infinity,"NaN"]}"#,
                r#"{"a":[null,null,null,"NaN"]}"#,
            ),
            (r#"{"a":"\"NaN","b":NaN}"#, r#"{"a":"\"NaN","b":null}"#),
        ] {
            assert_eq!(mend(broken).as_deref(), Some(mended));
            assert!(serde_json::from_str::<Value>(mended).is_ok());
        }
    }

    #[test]
    fn leaves_the_rest_alone() {
        for text in [
            "",
            "\\",
            "\"\\",
            "\"\\u",
            "\"\\ud8",
            "\"\\é",
            "{\"a\":\"\\\\ud83d\"}",
            "hello -1",
        ] {
            assert_eq!(mend(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_needs_no_mending(text in any::<String>(), number in any::<f64>()) {
            prop_assert_eq!(mend(&serde_json::json!([text, number]).to_string()), None);
        }

        #[test]
        fn anything_is_survived(text in "[\"\\\\ud8cNaInfity\\-é]{0,40}") {
            let _ = mend(&text);
        }
    }
}
