//! Many answers at once over wires that are cut, reset, slowed down and silenced at random places: each arrives whole and
//! once.
//!
//! Our own client asks our own server, with each of the stores, for answers of both kinds of sources: those that say what
//! they mean, and an upstream whose events are passed on. Between the two is a proxy that does something else to every
//! connection. What an answer says, when, and what is done to which connection follow from one seed.
//!
//! `AURORA_TORTURE` is the number of answers (32), `AURORA_TORTURE_SEED` a seed to try again.

mod support;

use std::fmt::Write as _;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_chat::dialect::openai::Writer;
use aurora_chat::{
    ChatRequest, Delta, End, FinishReason, Message, Notice, Role, ToolCallDelta, Transcript, Update, Verdict,
};
use aurora_client::{Client, Endpoint, Passage};
use aurora_gateway::{Backend, BoxFuture, Model, Options, PassageStream, Refusal, Upstream};
use aurora_streamlog::{Disk, DiskOptions, Memory, Store};
use aurora_testkit::{FaultProxy, Faults, Random, Reply, Script, Upstream as Scripted};
use futures_util::{StreamExt, stream};
use support::{Folder, serve_kept, soon};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// How many answers are asked for at once.
const AT_ONCE: usize = 256;

/// How long one answer may take, with all that happens to it. A call that waits in vain takes longer.
const PATIENCE: Duration = Duration::from_secs(150);

/// After this much silence the client takes its connection for dead. The server shows more often that it lives.
const IDLE: Duration = Duration::from_millis(1500);

/// A response's head and the first event that is new take less. A connection that falls silent before it has brought
/// something is the server's fault, and not what is tried here.
const HEAD_AND_EVENT: u64 = 4096;

/// A server of one kind, and the proxy in front of it.
struct Place {
    proxy: FaultProxy,
    store: Arc<dyn Store>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _upstream: Option<Scripted>,
    _folder: Option<Folder>,
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    answers: usize,
    bytes: usize,
    resumes: usize,
    retries: usize,
    connections: usize,
    cut: usize,
    reset: usize,
    stalled: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_arrives_whole_and_once() {
    let count = std::env::var("AURORA_TORTURE").map_or(32, |count| count.parse().expect("a number"));
    let seed = Random::seed("AURORA_TORTURE_SEED");
    eprintln!("{count} answers, AURORA_TORTURE_SEED={seed}");
    let mut places = Vec::new();
    for (on_disk, passed_on) in [(false, false), (true, true), (false, true), (true, false)] {
        places.push(Place::open(on_disk, passed_on, seed).await);
    }

    let began = Instant::now();
    let client = Client::new().expect("a client");
    let (mut asking, mut tally) = (JoinSet::new(), Tally::default());
    for number in 0..count {
        if asking.len() == AT_ONCE {
            tally += asking.join_next().await.expect("many").expect("a whole answer");
        }
        let url = places[number % places.len()].proxy.url();
        asking.spawn(ask(client.clone(), url, seed, number as u64));
    }
    while let Some(answered) = asking.join_next().await {
        tally += answered.expect("a whole answer");
    }
    let took = began.elapsed();
    for place in places {
        tally += place.close().await;
    }
    eprintln!("{took:.1?}: {tally:?}");
    assert_eq!(tally.answers, count);
    assert!(tally.resumes > 0 && tally.cut > 0 && tally.reset > 0);
}

impl Place {
    async fn open(on_disk: bool, passed_on: bool, seed: u64) -> Self {
        let folder = on_disk.then(Folder::new);
        let store: Arc<dyn Store> = match &folder {
            Some(folder) => {
                Arc::new(Disk::open(folder.path(), DiskOptions::default()).expect("a new folder"))
            }
            None => Arc::new(Memory::default()),
        };
        let upstream = passed_on.then(|| Scripted::start(script(seed)));
        let backend: Arc<dyn Backend> = match &upstream {
            Some(upstream) => {
                let endpoint = Endpoint::new("scripted", &upstream.url()).expect("a good URL");
                Arc::new(Upstream::new(Client::new().expect("a client"), endpoint))
            }
            None => Arc::new(Own { seed }),
        };
        let options = Options {
            keepalive: Duration::from_millis(50),
            // Tries to pick a connection up may lie as far apart.
            grace: Duration::from_secs(60),
            ..Options::default()
        };
        let (addr, stop, running) = serve_kept(options, backend, Arc::clone(&store)).await;
        let number = u64::from(on_disk) << 40 | u64::from(passed_on) << 41;
        let proxy = FaultProxy::varied(addr, move |n| faults(&mut Random::of(seed, number | n as u64)));
        Self {
            proxy,
            store,
            stop,
            running,
            _upstream: upstream,
            _folder: folder,
        }
    }

    /// Nothing is left behind: no stream is open, and the server stops at once.
    async fn close(self) -> Tally {
        // A request whose answer was lost before its first delta was sent again, and its first stream goes on alone.
        soon(async {
            while self.store.usage().live > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let spoiled = self.proxy.spoiled();
        drop(self.proxy);
        self.stop.send(()).expect("the server runs");
        soon(self.running).await.expect("the server ends well");
        Tally {
            connections: spoiled.connections,
            cut: spoiled.cut,
            reset: spoiled.reset,
            stalled: spoiled.stalled,
            ..Tally::default()
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.answers += other.answers;
        self.bytes += other.bytes;
        self.resumes += other.resumes;
        self.retries += other.retries;
        self.connections += other.connections;
        self.cut += other.cut;
        self.reset += other.reset;
        self.stalled += other.stalled;
    }
}

/// What is done to one connection.
fn faults(random: &mut Random) -> Faults {
    let mut faults = Faults::new();
    if random.one_in(4) {
        faults = faults.slice(random.within(1..=50) as usize);
    } else if random.one_in(8) {
        faults = faults.latency(Duration::from_millis(random.within(1..=20)));
    }
    let at = match random.within(1..=16) {
        // In the head, mostly: nothing has come that could be picked up.
        1 => random.within(1..=500),
        _ => random.magnitude(512..=32 << 10),
    };
    match random.within(1..=20) {
        1..=10 => faults.cut_after(at as usize),
        11..=15 => faults.reset_after(at as usize),
        16..=17 => faults.stall_after((HEAD_AND_EVENT + at) as usize),
        _ => faults,
    }
}

/// Asks for the answer with this number, and compares it with what was to be said.
async fn ask(client: Client, url: String, seed: u64, number: u64) -> Tally {
    let mut endpoint = Endpoint::new("gateway", &url).expect("a good URL");
    endpoint.deadlines.idle = Some(IDLE);
    endpoint.retries = 20;
    // Each request has a connection of its own, and with it its share of faults.
    endpoint.header("connection", "close").expect("a good header");
    let request = ChatRequest {
        model: "scripted".into(),
        messages: vec![Message::text(Role::User, number.to_string())],
        ..ChatRequest::default()
    };
    let mut answer = client.start(&endpoint, request);
    let (mut transcript, mut tally, mut story) = (Transcript::new(), Tally::default(), String::new());
    let reading = async {
        loop {
            match answer.next().await.expect("an end") {
                Update::Start(_) => {}
                Update::Delta(delta) => transcript.push(&delta).expect("a short answer"),
                Update::Notice(notice) => {
                    match notice {
                        Notice::Resume { .. } => tally.resumes += 1,
                        Notice::Retry { .. } => tally.retries += 1,
                        Notice::Warning { .. } => {}
                    }
                    writeln!(story, "{notice:?}").expect("a String takes everything");
                }
                Update::End(end) => return end,
            }
        }
    };
    let end = tokio::time::timeout(PATIENCE, reading).await;
    let Ok(End {
        verdict: Verdict::Complete,
        failure: None,
        ..
    }) = &end
    else {
        panic!("answer {number} of seed {seed}: {end:?}\n{story}");
    };
    let expected = whole(&deltas(seed, number));
    assert!(
        said(&transcript) == said(&expected),
        "answer {number} of seed {seed} is {transcript:?}, not {expected:?}\n{story}"
    );
    tally.answers = 1;
    tally.bytes = transcript.text.len();
    tally
}

/// What counts of an answer.
fn said(transcript: &Transcript) -> impl PartialEq {
    (
        transcript.text.clone(),
        transcript.reasoning.clone(),
        transcript.tool_calls.clone(),
        transcript.finish_reason.clone(),
    )
}

fn whole(deltas: &[Delta]) -> Transcript {
    let mut transcript = Transcript::new();
    for delta in deltas {
        transcript.push(delta).expect("a short answer");
    }
    transcript
}

/// The answer with this number: text of any length in any script, thoughts before some, tool calls after some.
fn deltas(seed: u64, number: u64) -> Vec<Delta> {
    const PIECES: [&str; 14] = [
        "the",
        " quick",
        "\n\n",
        "日本語",
        "、漢字",
        " 👩‍👩‍👧",
        "🦀",
        "e\u{301}",
        "ß",
        "\"quoted\\\"",
        "</p>",
        "\u{0}",
        "مرحبا",
        "data: [DONE]",
    ];
    let mut random = Random::of(seed, number);
    let text =
        |random: &mut Random, number: u64| (0..number).map(|_| *random.pick(&PIECES)).collect::<String>();
    let mut deltas = Vec::new();
    if random.one_in(4) {
        let count = random.magnitude(1..=64);
        deltas.extend((0..count).map(|_| Delta::Reasoning(text(&mut random, 1))));
    }
    let count = random.magnitude(1..=255);
    for _ in 0..count {
        let pieces = random.within(1..=8);
        deltas.push(Delta::Text(text(&mut random, pieces)));
    }
    let calls = if random.one_in(4) { random.within(1..=3) } else { 0 };
    for call in 0..calls {
        let begin = ToolCallDelta {
            index: call as u32,
            id: Some(format!("call_{number}_{call}")),
            name: Some("look_up".to_owned()),
            arguments: String::new(),
        };
        deltas.push(Delta::ToolCall(begin));
        let fragments = random.within(1..=20);
        deltas.extend((0..fragments).map(|_| {
            Delta::ToolCall(ToolCallDelta {
                index: call as u32,
                arguments: text(&mut random, 2),
                ..ToolCallDelta::default()
            })
        }));
    }
    let reason = if calls > 0 {
        FinishReason::ToolCalls
    } else {
        FinishReason::Stop
    };
    deltas.push(Delta::Finish(reason));
    deltas
}

/// How long the source waits before it says this: mostly not at all.
fn pause(random: &mut Random) -> Option<Duration> {
    match random.within(1..=400) {
        1 => Some(Duration::from_millis(random.within(1..=200))),
        2..=20 => Some(Duration::from_millis(random.within(1..=5))),
        _ => None,
    }
}

/// The source that says what it means.
struct Own {
    seed: u64,
}

impl Backend for Own {
    fn models(&self) -> Vec<Model> {
        Vec::new()
    }

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        let number = request.messages[0].plain_text().parse().expect("a number");
        let deltas = deltas(self.seed, number);
        let reason = whole(&deltas).finish_reason;
        let updates = deltas.into_iter().map(Update::Delta);
        let updates = updates.chain([Update::End(End::finished(reason))]);
        let random = Random::of(self.seed, !number);
        let paced = stream::iter(updates.collect::<Vec<_>>()).scan(random, |random, update| {
            let pause = pause(random);
            async move {
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
                Some(Passage::Update(update))
            }
        });
        let paced: PassageStream = Box::pin(paced);
        Box::pin(std::future::ready(Ok(paced)))
    }
}

/// The upstream that says the same in its own events.
fn script(seed: u64) -> Script {
    Script::with(move |_, request| {
        let content = &request.json()["messages"][0]["content"];
        let number: u64 = content
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        let mut writer = Writer::new("chatcmpl-scripted", "scripted", 1_700_000_000);
        let mut random = Random::of(seed, !number);
        let mut reply = Reply::sse([""]);
        for delta in deltas(seed, number) {
            let mut data = Vec::new();
            writer.delta(&delta, &mut data);
            if let Some(pause) = pause(&mut random) {
                reply = reply.wait(pause);
            }
            reply = reply.piece([b"data: ", data.as_slice(), b"\n\n"].concat());
        }
        reply.piece("data: [DONE]\n\n")
    })
}
