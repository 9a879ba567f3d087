//! Thousands of items on a server that fails one in twenty: all are accounted for, and memory stays where it is.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use aurora_testkit::{Random, Reply, Script, Upstream, fixtures};

use super::support::Home;
use super::{id_of, item, number, results};

/// How long the server takes for an answer.
const ANSWER: Duration = Duration::from_millis(40);

/// How many are asked for at once.
const JOBS: u64 = 32;

/// The most memory that a batch may take, in KiB, whatever the number of its items.
const MEMORY: u64 = 64 << 10;

/// What goes wrong with an item the first time, one in twenty: the last one goes wrong every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Error,
    Busy,
    Later,
    Cut,
    Reset,
    ErrorEvent,
    Refused,
}

#[test]
fn every_item_is_accounted_for_whatever_its_server_does() {
    let items = number("AURORA_BATCH_ITEMS", 400);
    let seed = Random::seed("AURORA_BATCH_SEED");
    eprintln!("{items} items, AURORA_BATCH_SEED={seed}");
    let home = Home::new();
    let input: String = (0..items).map(|n| item(&format!("id-{n}"))).collect();
    let input = home.file("in.jsonl", input);
    let output = home.path().join("out.jsonl");
    let upstream = Upstream::start(script(seed));
    let url = upstream.url();
    let jobs = JOBS.to_string();
    let args = [
        "batch",
        input.to_str().unwrap(),
        "-o",
        output.to_str().unwrap(),
        "-e",
        &url,
        "-j",
        &jobs,
    ];
    let capacity = capacity(seed, items);
    let began = Instant::now();
    let mut child = home.spawn(&mut home.command(&args));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(memory(child.id()));
        thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    let run = super::support::Run::of(child.wait_with_output().unwrap());

    let results = results(&output);
    assert_eq!(results.len() as u64, items, "{}", run.err);
    let mut refused = 0;
    for (id, value) in &results {
        match fault(seed, id) {
            Fault::Refused => {
                refused += 1;
                assert_eq!(value["error"]["kind"], "http_status", "{value}");
                assert_eq!(value["response"]["status_code"], 400, "{value}");
            }
            fault => {
                let said = &value["response"]["body"]["choices"][0]["message"]["content"];
                assert_eq!(said, &format!("answer to {id}"), "{fault:?}: {value}");
                assert_eq!(value["verdict"], "complete");
                let attempts = if fault == Fault::None { 1 } else { 2 };
                assert_eq!(value["attempts"], attempts, "{fault:?}: {value}");
            }
        }
    }
    assert_eq!(run.code, Some(if refused > 0 { 10 } else { 0 }), "{}", run.err);
    let says = format!("{items} items: {} complete", items - refused);
    assert!(run.err.contains(&says), "{}", run.err);
    assert!(peak < MEMORY, "{peak} KiB");
    // One for each that runs at once, and another for each that was broken.
    let connections = upstream.connections() as u64;
    let bound = JOBS + 4 * upstream.requests().len() as u64 / 20;
    assert!(connections < bound, "{connections} connections");
    let rate = items as f64 / took.as_secs_f64();
    eprintln!(
        "{items} items in {took:.1?}: {rate:.0} a second, {:.0} % of what {JOBS} bare connections get; {} requests on {connections} \
         connections, {refused} refused for good; {:.1} MiB at most",
        100.0 * rate / capacity,
        upstream.requests().len(),
        peak as f64 / 1024.0
    );
}

/// How many answers a second such a server gives to as many connections that do nothing but ask and read.
fn capacity(seed: u64, items: u64) -> f64 {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let upstream = Upstream::start(script(seed));
    let good = (0..).map(|n| format!("id-{n}"));
    let good = good
        .into_iter()
        .find(|id| fault(seed, id) == Fault::None)
        .unwrap();
    let body = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{good}\"}}]}}");
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let each = items.div_ceil(JOBS * 4);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                let mut socket = TcpStream::connect(upstream.addr()).unwrap();
                socket.set_nodelay(true).unwrap();
                let mut answer = Vec::new();
                for _ in 0..each {
                    socket.write_all(request.as_bytes()).unwrap();
                    answer.clear();
                    while !answer.ends_with(END) {
                        let mut buffer = [0; 4096];
                        let read = socket.read(&mut buffer).unwrap();
                        assert!(read > 0, "it ended too early");
                        answer.extend_from_slice(&buffer[..read]);
                    }
                }
            });
        }
    });
    (each * JOBS) as f64 / began.elapsed().as_secs_f64()
}

/// The most memory that a process has taken, in KiB; 0 where that is not told.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// What goes wrong with this item.
fn fault(seed: u64, id: &str) -> Fault {
    let number: u64 = id.trim_start_matches("id-").parse().unwrap();
    let mut random = Random::of(seed, number);
    if !random.one_in(20) {
        return Fault::None;
    }
    *random.pick(&[
        Fault::Error,
        Fault::Busy,
        Fault::Later,
        Fault::Cut,
        Fault::Reset,
        Fault::ErrorEvent,
        Fault::Refused,
    ])
}

fn script(seed: u64) -> Script {
    let asked: Mutex<HashMap<String, u32>> = Mutex::default();
    Script::with(move |_, request| {
        let id = id_of(request);
        let times = {
            let mut asked = asked.lock().unwrap();
            let times = asked.entry(id.clone()).or_default();
            *times += 1;
            *times
        };
        let fault = match fault(seed, &id) {
            Fault::Refused => Fault::Refused,
            fault if times == 1 => fault,
            _ => Fault::None,
        };
        let half = || vec![fixtures::role(), fixtures::text("answer to")];
        let error = |status| Reply::json(status, &fixtures::error_body(status, "a fault on purpose"));
        let reply = match fault {
            Fault::None => Reply::sse(fixtures::sse_answer(&["answer ", "to ", &id])),
            Fault::Error => error(500),
            Fault::Busy => error(503),
            // Without a wait, which would hold up all others too, as it has to.
            Fault::Later => error(429),
            Fault::Cut => Reply::sse(half()).cut(),
            Fault::Reset => Reply::sse(half()).reset(),
            Fault::ErrorEvent => Reply::sse([half(), vec![fixtures::error(500, "broke")]].concat()),
            Fault::Refused => error(400),
        };
        reply.after(ANSWER)
    })
}
