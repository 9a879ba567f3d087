//! `aurora serve` with its streams on disk, killed at random moments and started again on the same folder: nothing that a
//! client was shown is lost or changed, what was cut off says so once, and nothing looks whole that is not.
//!
//! `AURORA_CRASH` is the number of kills (6), `AURORA_CRASH_SEED` a seed to try again. The seed makes what is asked, said
//! and waited for; what the kill meets is the machine's to say.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are all tests, helpers included")]

#[expect(dead_code, reason = "what the tests of other commands need too")]
#[path = "../cli/support.rs"]
mod support;
mod wire;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aurora_testkit::{Random, Reply, Script, Upstream, fixtures};
use serde_json::{Value, json};
use support::Home;
use wire::{Received, exchange};

/// Longer than anything here takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with its streams on disk.
struct Server {
    process: Child,
    addr: SocketAddr,
}

/// A stream that a client was told the name of.
struct Stream {
    number: u64,
    received: Received,
    /// What it is since the first restart.
    replay: Vec<u8>,
}

#[test]
fn a_server_that_is_killed_keeps_what_it_has_shown() {
    let kills = std::env::var("AURORA_CRASH").map_or(6, |kills| kills.parse().unwrap());
    let seed = Random::seed("AURORA_CRASH_SEED");
    eprintln!("{kills} kills, AURORA_CRASH_SEED={seed}");
    let home = Home::new();
    let upstream = Upstream::start(script(seed));
    let mut random = Random::new(seed);
    let mut streams: Vec<Stream> = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut server = Server::start(&home, &upstream, &mut random);
    for kill in 0..kills {
        let watched = watch(server, &mut random, 100 * kill);
        let began = Instant::now();
        server = Server::start(&home, &upstream, &mut random);
        slowest = slowest.max(began.elapsed());
        if random.one_in(4) {
            // Whatever it was about to mend is still to be mended.
            thread::sleep(Duration::from_millis(random.within(0..=30)));
            server.kill();
            server = Server::start(&home, &upstream, &mut random);
        }
        for (number, received) in watched {
            let replay = server.replay(received.stream.as_ref().unwrap());
            check(seed, number, &received, &replay);
            streams.push(Stream {
                number,
                received,
                replay,
            });
        }
    }
    for stream in &streams {
        let id = stream.received.stream.as_ref().unwrap();
        assert!(
            server.replay(id) == stream.replay,
            "answer {} has changed",
            stream.number
        );
    }
    let whole = streams.iter().filter(|stream| stream.received.whole).count();
    let late = streams.iter().filter(|stream| ends_done(&stream.replay)).count() - whole;
    eprintln!(
        "{} streams: {whole} whole before the kill, {late} whole on disk, {} cut off; started again within {slowest:.1?}",
        streams.len(),
        streams.len() - whole - late,
    );
    server.kill();
    assert!(
        kills < 6 || streams.len() - whole - late > 0,
        "nothing was cut off"
    );
}

/// Asks for some answers, kills the server at some moment, and gives what clients have received of streams by then.
fn watch(server: Server, random: &mut Random, first: u64) -> Vec<(u64, Received)> {
    let addr = server.addr;
    let clients: Vec<_> = (first..first + random.within(1..=8))
        .map(|number| {
            let wait = Duration::from_millis(random.within(0..=200));
            // Some leave early; their streams go on for a while.
            let most = if random.one_in(5) {
                random.within(1..=4000) as usize
            } else {
                usize::MAX
            };
            let client = thread::spawn(move || {
                thread::sleep(wait);
                let body = json!({
                    "model": "up/m", "stream": true,
                    "messages": [{"role": "user", "content": number.to_string()}],
                });
                exchange(addr, "POST", "/v1/chat/completions", &body.to_string(), most)
            });
            (number, client)
        })
        .collect();
    thread::sleep(Duration::from_millis(random.within(0..=700)));
    server.kill();
    let received = clients
        .into_iter()
        .map(|(number, client)| (number, client.join().unwrap()));
    received
        .filter(|(_, received)| received.stream.is_some())
        .collect()
}

/// What a stream has to be after a restart.
fn check(seed: u64, number: u64, received: &Received, replay: &[u8]) {
    let story = || {
        format!(
            "answer {number} of seed {seed}\nreceived: {}\nreplayed: {}",
            String::from_utf8_lossy(&received.body),
            String::from_utf8_lossy(replay)
        )
    };
    assert!(
        replay.starts_with(&received.body),
        "what was shown is lost: {}",
        story()
    );
    assert!(
        !received.whole || replay.len() == received.body.len(),
        "a whole answer goes on: {}",
        story()
    );
    let text = std::str::from_utf8(replay).unwrap();
    let id = received.stream.as_ref().unwrap();
    let mut said = String::new();
    let mut errors = 0;
    let mut done = 0;
    for (seq, event) in text.split_terminator("\n\n").enumerate() {
        let data = event.strip_prefix(&format!("id: {id}.{seq}\ndata: "));
        let data = data.unwrap_or_else(|| panic!("{event:?} is not event {seq}: {}", story()));
        assert_eq!(errors + done, 0, "an event after the end: {}", story());
        if data == "[DONE]" {
            done += 1;
            continue;
        }
        let data: Value = serde_json::from_str(data).unwrap();
        match data["error"]["type"].as_str() {
            Some(kind) => {
                assert_eq!(kind, "stream_interrupted", "{}", story());
                errors += 1;
            }
            None => {
                said += data["choices"][0]["delta"]["content"]
                    .as_str()
                    .unwrap_or_default()
            }
        }
    }
    assert_eq!(errors + done, 1, "one end: {}", story());
    let whole = texts(seed, number).concat();
    assert!(whole.starts_with(&said), "what nobody said: {}", story());
    assert!(done == 0 || said == whole, "a part that looks whole: {}", story());
}

fn ends_done(replay: &[u8]) -> bool {
    replay.ends_with(b"data: [DONE]\n\n")
}

impl Server {
    /// Starts it, and waits until it listens.
    fn start(home: &Home, upstream: &Upstream, random: &mut Random) -> Self {
        let fsync = random.pick(&["none", "interval", "group"]);
        let config = home.file(
            "config.toml",
            format!(
                "default_model = \"up/m\"\n[endpoints.up]\nbase_url = \"{}\"\n\
                 [streams]\nstore = \"disk\"\npath = \"{}\"\nfsync = \"{fsync}\"\nkeepalive = \"10m\"\n",
                upstream.url(),
                home.path().join("streams").display(),
            ),
        );
        let log = home.path().join("stderr");
        let process = home
            .command(&[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--config",
                config.to_str().unwrap(),
            ])
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let began = Instant::now();
        loop {
            let told = fs::read_to_string(&log).unwrap();
            if let Some((_, rest)) = told.split_once("listening on http://")
                && let Some((addr, _)) = rest.split_once("/v1")
            {
                server.addr = addr.parse().unwrap();
                return server;
            }
            assert!(
                began.elapsed() < PATIENCE && server.process.try_wait().unwrap().is_none(),
                "{told}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGKILL: it learns nothing of it.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Everything that the stream has, up to its end.
    fn replay(&self, stream: &str) -> Vec<u8> {
        let path = format!("/v1/streams/{stream}");
        let received = exchange(self.addr, "GET", &path, "", usize::MAX);
        assert!(received.whole, "{received:?}");
        assert_eq!(received.stream.as_deref(), Some(stream));
        received.body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Also where a test fails; it may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the answer with this number says.
fn texts(seed: u64, number: u64) -> Vec<String> {
    let mut random = Random::of(seed, number);
    let count = random.magnitude(4..=500);
    let texts = (0..count).map(|n| {
        let words = ["and ", "世界", "\n\n", "🦀 ", "\"", "so on "];
        format!("{n}{}", random.pick(&words))
    });
    texts.collect()
}

/// The upstream that says it, slowly.
fn script(seed: u64) -> Script {
    Script::with(move |_, request| {
        let content = request.json()["messages"][0]["content"].clone();
        let number: u64 = content.as_str().unwrap().parse().unwrap();
        let mut random = Random::of(!seed, number);
        let texts = texts(seed, number);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let most = random.within(0..=10);
        let mut reply = Reply::sse([""]);
        for event in fixtures::sse_answer(&texts) {
            reply = reply
                .wait(Duration::from_millis(random.within(0..=most)))
                .piece(event);
        }
        reply
    })
}
