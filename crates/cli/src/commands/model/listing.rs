//! The list of local models, for people and for programs.

use std::fmt::Write as _;

use aurora_local::models::Entry;
use serde_json::json;

/// A line for each model, columns aligned; a file that cannot be used says why instead.
pub(super) fn table(entries: &[Entry]) -> String {
    let mut out = String::new();
    let width = entries
        .iter()
        .map(|entry| entry.name.chars().count())
        .max()
        .unwrap_or(0);
    for entry in entries {
        let Entry {
            name,
            bytes,
            quantisation,
            path,
            ..
        } = entry;
        let mib = *bytes as f64 / f64::from(1 << 20);
        let path = path.display();
        let _ = write!(out, "local/{name:width$}  {mib:>8.1} MiB  ");
        let _ = if entry.context == 0 {
            writeln!(out, "{quantisation}  {path}")
        } else {
            let (architecture, context) = (&entry.architecture, entry.context);
            let parameters = parameters(entry.parameters);
            writeln!(
                out,
                "{architecture:<6} {parameters:>7}  {quantisation:<5}  context {context:<7}  {path}"
            )
        };
    }
    out
}

/// One object a line.
pub(super) fn json_lines(entries: &[Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let line = json!({
            "name": format!("local/{}", entry.name),
            "bytes": entry.bytes,
            "architecture": entry.architecture,
            "parameters": entry.parameters,
            "context": entry.context,
            "quantisation": entry.quantisation,
            "path": entry.path.to_string_lossy(),
            "source": entry.source,
        });
        let _ = writeln!(out, "{line}");
    }
    out
}

/// A number of weights as people say it: `135M`, `1.5B`.
pub(super) fn parameters(count: u64) -> String {
    let count = count as f64;
    for (unit, name) in [(1e9, "B"), (1e6, "M"), (1e3, "K")] {
        // What rounds to a thousand of a unit is one of the next.
        if count >= unit * 0.9995 {
            let number = count / unit;
            let digits = if number < 99.95 { 1 } else { 0 };
            return format!("{number:.digits$}{name}");
        }
    }
    format!("{count}")
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn parameters_are_said_as_people_say_them() {
        for (count, said) in [
            (512, "512"),
            (53_000, "53.0K"),
            (134_515_008, "135M"),
            (999_700_000, "1.0B"),
            (1_543_714_304, "1.5B"),
        ] {
            assert_eq!(parameters(count), said);
        }
    }
}
