//! Killed at random moments: at the end every id is there once, and nothing that was done is asked for again.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use aurora_testkit::{Random, Reply, Script, Upstream, fixtures};

use super::support::Home;
use super::{id_of, item, number, results};

/// Items of one batch.
const ITEMS: u64 = 150;

#[test]
fn a_batch_that_is_killed_goes_on_where_it_was() {
    let kills = number("AURORA_BATCH_KILLS", 8);
    let seed = Random::seed("AURORA_BATCH_SEED");
    eprintln!("{kills} kills, AURORA_BATCH_SEED={seed}");
    let home = Home::new();
    let input: String = (0..ITEMS).map(|n| item(&format!("id-{n}"))).collect();
    let input = home.file("in.jsonl", input);
    let mut random = Random::new(seed);
    let (mut killed, mut batches, mut torn, mut repeated) = (0, 0, 0, 0);
    while killed < kills {
        let output = home.path().join(format!("out-{batches}.jsonl"));
        let upstream = Upstream::start(script(random.number()));
        let url = upstream.url();
        let mut done = HashSet::new();
        let mut asked = 0;
        loop {
            let retry = random.one_in(3);
            let mut args = vec![
                "batch",
                input.to_str().unwrap(),
                "-o",
                output.to_str().unwrap(),
                "-e",
                &url,
                "-j",
                "12",
            ];
            if retry {
                args.push("--retry-failed");
            }
            let mut child = home.spawn(&mut home.command(&args));
            let wait = random.magnitude(1..=400);
            thread::sleep(Duration::from_millis(wait));
            let ended = killed >= kills || child.try_wait().unwrap().is_some();
            if !ended {
                child.kill().unwrap();
            }
            let run = child.wait_with_output().unwrap();
            killed += u64::from(!ended);
            // What was done before is asked for by nobody.
            let requests = upstream.requests();
            for request in &requests[asked..] {
                let id = id_of(request);
                assert!(
                    !done.contains(&id),
                    "seed {seed}: {id} was done and is asked for again"
                );
            }
            asked = requests.len();
            let (now, is_torn) = complete(&output);
            torn += u64::from(is_torn);
            assert!(now.is_superset(&done), "seed {seed}: a result is lost");
            done = now;
            if ended && run.status.code() == Some(0) {
                break;
            }
        }
        let all = results(&output);
        assert_eq!(all.len() as u64, ITEMS, "seed {seed}");
        for (id, value) in &all {
            let said = &value["response"]["body"]["choices"][0]["message"]["content"];
            assert_eq!(said, &format!("answer to {id}"), "seed {seed}: {value}");
        }
        let mut count: HashMap<String, u32> = HashMap::new();
        for request in upstream.requests() {
            *count.entry(id_of(&request)).or_default() += 1;
        }
        repeated += count.values().map(|count| u64::from(count - 1)).sum::<u64>();
        batches += 1;
    }
    eprintln!(
        "{killed} kills in {batches} batches of {ITEMS} items: every id once; {torn} torn last lines, {repeated} requests repeated"
    );
}

/// The ids that have a complete result, and whether the last line is torn.
fn complete(output: &Path) -> (HashSet<String>, bool) {
    let text = fs::read_to_string(output).unwrap_or_default();
    let (whole, rest) = text
        .rsplit_once('\n')
        .map_or(("", text.as_str()), |(whole, rest)| (whole, rest));
    let mut ids = HashSet::new();
    let mut all = HashSet::new();
    for line in whole.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = value["custom_id"].as_str().unwrap().to_owned();
        assert!(all.insert(id.clone()), "{id} is there twice");
        if value["verdict"] == "complete" {
            ids.insert(id);
        }
    }
    (ids, !rest.is_empty())
}

/// An upstream whose every tenth item is refused the first time it is asked for, so that there is something to retry.
fn script(seed: u64) -> Script {
    let refused: Mutex<HashSet<String>> = Mutex::default();
    Script::with(move |n, request| {
        let id = id_of(request);
        let number: u64 = id.trim_start_matches("id-").parse().unwrap();
        let mut random = Random::of(seed, n as u64);
        let wait = Duration::from_millis(random.within(0..=30));
        if number.is_multiple_of(10) && refused.lock().unwrap().insert(id.clone()) {
            return Reply::json(400, &fixtures::error_body(400, "not this time")).after(wait);
        }
        Reply::sse(fixtures::sse_answer(&["answer ", "to ", &id])).after(wait)
    })
}
