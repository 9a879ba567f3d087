//! JSON schemas on their way into a grammar: bounded, and put so that llguidance can obey them.
//!
//! llguidance refuses by itself what it cannot enforce. Added here are bounds on what its compiler recurses over or
//! multiplies, how much white space a model may put between two things (without a bound a small model may write nothing
//! else until its limit), and `oneOf` where a constant tells its branches apart, as pydantic writes unions.

use serde_json::{Map, Value, json};

/// The longest schema, in bytes.
const BYTES: usize = 256 << 10;
/// Members of one object or list in a schema: properties, alternatives, values of an enumeration.
const MEMBERS: usize = 1000;
/// What may stand between two tokens of JSON.
const SPACE: &str = r" {1,2}|\n[ \t]{0,32}";

/// A schema as a rule of a grammar in llguidance's syntax.
///
/// # Errors
/// In words, which bound it breaks.
pub(crate) fn rule(mut schema: Value) -> Result<String, String> {
    let bytes = schema.to_string().len();
    if bytes > BYTES {
        return Err(format!("it has {bytes} bytes; at most {BYTES} are compiled"));
    }
    check(&schema)?;
    let root = schema.clone();
    tell_apart(&mut schema, &root);
    if let Value::Object(fields) = &mut schema {
        // Also instead of what a caller may have put there: this key is llguidance's own.
        fields.insert("x-guidance".to_owned(), json!({"whitespace_pattern": SPACE}));
    }
    Ok(format!("%json {schema}"))
}

/// Bounds the members of every object and list.
fn check(schema: &Value) -> Result<(), String> {
    let mut rest = vec![schema];
    while let Some(value) = rest.pop() {
        let members = match value {
            Value::Object(fields) => fields.len(),
            Value::Array(values) => values.len(),
            _ => continue,
        };
        if members > MEMBERS {
            return Err(format!(
                "an object or list in it has {members} members; at most {MEMBERS} are compiled"
            ));
        }
        match value {
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    Ok(())
}

/// Makes `oneOf` an `anyOf` wherever no value can be valid under two of its branches, because each requires a property
/// with a constant of its own. The depth is bounded by the JSON reader's.
fn tell_apart(value: &mut Value, root: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(branches)) = fields.get("oneOf")
                && !fields.contains_key("anyOf")
                && has_discriminator(branches, root)
                && let Some(branches) = fields.remove("oneOf")
            {
                fields.insert("anyOf".to_owned(), branches);
            }
            fields.values_mut().for_each(|value| tell_apart(value, root));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| tell_apart(value, root)),
        _ => {}
    }
}

fn has_discriminator(branches: &[Value], root: &Value) -> bool {
    let resolved: Option<Vec<&Map<String, Value>>> =
        branches.iter().map(|branch| resolve(branch, root)).collect();
    let Some(branches) = resolved else { return false };
    let Some(properties) = branches.first().and_then(|first| first.get("properties")) else {
        return false;
    };
    let names = properties.as_object().into_iter().flat_map(Map::keys);
    names.into_iter().any(|name| {
        let constants: Option<Vec<&Value>> = branches.iter().map(|branch| constant(branch, name)).collect();
        constants.is_some_and(|constants| {
            (1..constants.len()).all(|index| !constants[..index].contains(&constants[index]))
        })
    })
}

/// The branch itself, or what it refers to.
fn resolve<'a>(branch: &'a Value, root: &'a Value) -> Option<&'a Map<String, Value>> {
    let branch = branch.as_object()?;
    match branch.get("$ref").and_then(Value::as_str) {
        None => Some(branch),
        Some(reference) => root.pointer(reference.strip_prefix('#')?)?.as_object(),
    }
}

/// The one value that an object's required property of this name can have.
fn constant<'a>(branch: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let is_object = branch.get("type").is_some_and(|kind| kind == "object");
    let required = branch.get("required").and_then(Value::as_array)?;
    if !is_object || !required.iter().any(|required| required == name) {
        return None;
    }
    let property = branch.get("properties")?.get(name)?;
    property
        .get("const")
        .or_else(|| match property.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        })
        .filter(|constant| constant.is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(kind: &str) -> Value {
        json!({"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]})
    }

    #[test]
    fn branches_with_constants_of_their_own_are_told_apart() {
        let mut schema = json!({
            "properties": {"pet": {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
            "$defs": {"Cat": branch("cat"), "Dog": branch("dog")},
        });
        let root = schema.clone();
        tell_apart(&mut schema, &root);
        assert_eq!(
            schema["properties"]["pet"]["anyOf"].as_array().map(Vec::len),
            Some(2)
        );
        assert_eq!(schema["properties"]["pet"]["oneOf"], Value::Null);
    }

    #[test]
    fn others_are_left_as_they_are() {
        let optional = json!({"type": "object", "properties": {"kind": {"const": "dog"}}});
        for one_of in [
            json!([branch("cat"), branch("cat")]),
            json!([branch("cat"), optional]),
            json!([branch("cat"), {"type": "string"}]),
            json!([branch("cat"), {"$ref": "#/nowhere"}]),
            json!([{"type": "number"}, {"type": "integer"}]),
        ] {
            let mut schema = json!({"oneOf": one_of});
            let root = schema.clone();
            tell_apart(&mut schema, &root);
            assert_eq!(schema, root);
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let many: Map<String, Value> = (0..=MEMBERS).map(|n| (n.to_string(), json!({}))).collect();
        assert!(rule(json!({"properties": many})).is_err());
        assert!(rule(json!({"const": "x".repeat(BYTES)})).is_err());
        assert!(rule(json!({"enum": vec![0; MEMBERS]})).is_ok());
    }

    #[test]
    fn a_caller_does_not_change_how_schemas_are_compiled() {
        let rule = rule(json!({"x-guidance": {"lenient": true}})).expect("it is small");
        assert!(
            !rule.contains("lenient") && rule.contains("whitespace_pattern"),
            "{rule}"
        );
    }
}
