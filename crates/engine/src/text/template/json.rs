//! JSON as Python writes it, which is how the transformers library fills chat templates and what models were trained on:
//! a space behind commas and colons, no character escaped that need not be.

use std::io;

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The filter `tojson`. `ensure_ascii`, `separators` and `sort_keys` are taken and change nothing: templates set them to
/// what is done here anyway.
pub(super) fn tojson(value: &Value, indent: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<usize>>("indent")?,
    };
    for name in ["ensure_ascii", "separators", "sort_keys"] {
        let _ = options.get::<Option<Value>>(name)?;
    }
    options.assert_all_used()?;
    let mut json = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = " ".repeat(indent.min(16));
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut json, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut json, Spaced)),
    };
    let wrong = |why: String| Error::new(ErrorKind::BadSerialization, why);
    written.map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(json).map_err(|error| wrong(error.to_string()))
}

/// One line, with a space behind commas and colons.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn separate<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first { Ok(()) } else { writer.write_all(b", ") }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::*;

    #[test]
    fn it_is_written_as_python_does() {
        let mut environment = Environment::new();
        environment.add_filter("tojson", tojson);
        let value = serde_json::json!({"b": [1, 2.5, "<é'>"], "a": {}, "c": null});
        let render = |source: &str| {
            environment
                .render_str(source, context! { x => minijinja::value::Serde(&value) })
                .expect("it renders")
        };
        let line = r#"{"b": [1, 2.5, "<é'>"], "a": {}, "c": null}"#;
        assert_eq!(render("{{ x | tojson }}"), line);
        assert_eq!(render("{{ x | tojson(ensure_ascii=false) }}"), line);
        let pretty = "{\n    \"b\": [\n        1,\n        2.5,\n        \"<é'>\"\n    ],\n    \"a\": {},\n    \"c\": null\n}";
        assert_eq!(render("{{ x | tojson(indent=4) }}"), pretty);
        assert_eq!(render("{{ x | tojson(4) }}"), pretty);
    }
}
