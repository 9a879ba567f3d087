//! `--json-schema`: a file's JSON schema, as the format of an answer.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::problem::{Problem, Result};

/// The longest schema that is read, in bytes.
const BYTES: u64 = 1 << 20;

/// The `response_format` of answers that obey the schema in a file. The name that the API wants is made of the file's.
///
/// # Errors
/// The file cannot be read, or holds no JSON schema (usage).
pub(crate) fn format(path: &Path) -> Result<Value> {
    let wrong = |what: String| Problem::usage(format!("--json-schema {}: {what}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(BYTES + 1).read_to_string(&mut text))
        .map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > BYTES {
        return Err(wrong(format!("is larger than {BYTES} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let schema: Value = serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    if !schema.is_object() {
        return Err(wrong("a JSON schema is an object".to_owned()));
    }
    Ok(json!({"type": "json_schema", "json_schema": {"name": name(path), "strict": true, "schema": schema}}))
}

/// A name of letters, digits, `_` and `-`, at most 64 of them.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = stem.chars().take(64).map(allowed).collect();
    if name.is_empty() {
        "answer".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_api_takes() {
        for (path, expected) in [
            ("a/invoice.schema.json", "invoice_schema"),
            ("ü b.json", "__b"),
            ("", "answer"),
        ] {
            assert_eq!(name(Path::new(path)), expected);
        }
    }
}
