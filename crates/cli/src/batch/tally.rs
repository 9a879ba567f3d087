//! How many items ended how.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// The most kinds of errors that are told apart.
const MAX_KINDS: usize = 64;

/// What counts as an error of any other kind.
const OTHER: &str = "other";

/// Counts of results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Whole answers.
    pub(crate) complete: u64,
    /// Answers that a limit or a filter cut short, by their verdict.
    short: BTreeMap<String, u64>,
    /// Errors, by their kind.
    errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds a result, by its verdict and the kind of its error.
    pub(crate) fn add(&mut self, verdict: &str, error: Option<&str>) {
        let (counts, name) = match (verdict, error) {
            (_, Some(kind)) => (&mut self.errors, kind),
            ("complete", None) => {
                self.complete += 1;
                return;
            }
            (verdict, None) => (&mut self.short, verdict),
        };
        let name = if counts.len() < MAX_KINDS || counts.contains_key(name) {
            name
        } else {
            OTHER
        };
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    /// The same without what failed.
    pub(crate) fn without_failed(&self) -> Self {
        Self {
            errors: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// How many results there are.
    pub(crate) fn all(&self) -> u64 {
        self.complete + self.short() + self.failed()
    }

    /// How many have an error.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How many were cut short by a limit or a filter.
    pub(crate) fn short(&self) -> u64 {
        self.short.values().sum()
    }

    /// The errors by kind, the most frequent first.
    pub(crate) fn errors(&self) -> Vec<(&str, u64)> {
        let mut errors: Vec<(&str, u64)> = self
            .errors
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
            .collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        errors
    }

    /// The counts as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({"complete": self.complete, "short": self.short, "failed": self.failed(), "errors": self.errors})
    }
}

/// One line for a person: `9 complete, 2 length, 3 failed (2 http_status, 1 idle)`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} complete", self.complete)?;
        for (verdict, count) in &self.short {
            write!(f, ", {count} {verdict}")?;
        }
        if self.failed() > 0 {
            let kinds: Vec<String> = self
                .errors()
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            write!(f, ", {} failed ({})", self.failed(), kinds.join(", "))?;
        }
        Ok(())
    }
}

/// A number of items, for a person.
pub(crate) fn items(count: u64) -> String {
    match count {
        1 => "1 item".to_owned(),
        count => format!("{count} items"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_by_what_became_of_them() {
        let mut tally = Tally::default();
        for (verdict, error) in [
            ("complete", None),
            ("complete", None),
            ("length", None),
            ("failed", Some("http_status")),
            ("timed_out", Some("idle")),
            ("failed", Some("http_status")),
        ] {
            tally.add(verdict, error);
        }
        assert_eq!(
            tally.to_string(),
            "2 complete, 1 length, 3 failed (2 http_status, 1 idle)"
        );
        assert_eq!((tally.all(), tally.failed(), tally.short()), (6, 3, 1));
        assert_eq!(tally.without_failed().to_string(), "2 complete, 1 length");
        for n in 0..1000 {
            tally.add("failed", Some(&n.to_string()));
        }
        assert_eq!(tally.all(), 1006);
        assert!(tally.errors().len() <= MAX_KINDS + 1);
    }
}
