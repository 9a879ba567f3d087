//! `aurora batch` under what happens to long work: it is killed at random moments and started again, and thousands of items
//! meet a server that fails now and then.
//!
//! `AURORA_BATCH_KILLS` is the number of kills (8), `AURORA_BATCH_ITEMS` the number of items under faults (400), and
//! `AURORA_BATCH_SEED` a seed to try again. The seed makes what is asked and waited for; what a kill meets is the
//! machine's to say.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are all tests, helpers included")]

#[expect(dead_code, reason = "what the tests of other commands need too")]
#[path = "../cli/support.rs"]
mod support;

mod faults;
mod kills;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A number that a variable sets.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// The results of an output, by id, each of which is there once.
fn results(path: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(path).unwrap();
    let mut results = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id = value["custom_id"].as_str().unwrap().to_owned();
        assert!(results.insert(id.clone(), value).is_none(), "{id} is there twice");
    }
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is not whole"
    );
    results
}

/// An item of OpenAI's batch format that says its own id.
fn item(id: &str) -> String {
    format!(
        "{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{id}\"}}]}}}}\n"
    )
}

/// The id that a request says.
fn id_of(request: &aurora_testkit::Request) -> String {
    let content = request.json()["messages"][0]["content"].clone();
    content.as_str().unwrap().to_owned()
}
