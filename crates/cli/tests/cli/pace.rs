//! Endpoints that are held to a pace: the wait is told, and its end named.

use aurora_testkit::{Reply, Script, Upstream};
use serde_json::json;

use crate::support::{Home, answer};

#[test]
fn a_wait_for_a_turn_is_told_and_the_total_deadline_ends_it() {
    let busy = Reply::status(503).header("retry-after-ms", "0");
    let upstream = Upstream::start(Script::sequence([busy, answer()]));
    let home = Home::new();
    let config = format!(
        "[endpoints.up]\nbase_url = \"{}\"\nrequests_per_minute = 1\n",
        upstream.url()
    );
    home.file(".config/aurora/config.toml", config);
    let run = home.run(&["--json", "--total-timeout", "1500ms", "-m", "up/m", "hi"]);
    assert_eq!(run.code, Some(6), "{run:?}");
    let lines = run.json();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["start", "retry", "warning", "end"]);
    assert_eq!(lines[2]["kind"], json!("queued"));
    assert_eq!(lines[3]["verdict"], json!("timed_out"));
    for told in [&lines[2]["message"], &lines[3]["error"]["message"]] {
        let told = told.as_str().unwrap_or_default();
        assert!(told.contains("up is held to 1 requests a minute"), "{told}");
    }
    assert_eq!(upstream.requests().len(), 1, "an attempt is a request");
}
