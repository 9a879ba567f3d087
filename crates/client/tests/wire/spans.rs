//! The log of a call: one span that tells what the call came to, and nothing that is nobody's business.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use aurora_chat::{Message, Role, Update, Verdict};
use aurora_client::{Client, Endpoint, Secret};
use aurora_testkit::{Reply, Script, Upstream, fixtures};
use tracing::{
    Dispatch, Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt as _},
    registry::Registry,
};

use crate::{call, client, endpoint, request};

const KEY: &str = "hunter2-hunter2-hunter2";

/// All that was logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// What the spans called `call` say of themselves, in the order of their births.
    calls: Vec<(Id, BTreeMap<String, String>)>,
    /// Everything, with its level.
    all: Vec<(Level, String)>,
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Log {
    /// Logs all that this thread does, until the guard is dropped.
    fn start() -> (Self, DefaultGuard) {
        // As long as a process has one subscriber only, what another thread says first is off for all of them.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Registry::default()));
        LazyLock::force(&SECOND);
        let log = Self::default();
        let guard = tracing::subscriber::set_default(Registry::default().with(log.clone()));
        (log, guard)
    }

    fn with<T>(&self, read: impl FnOnce(&mut Lines) -> T) -> T {
        read(&mut self.0.lock().expect("no panic"))
    }

    /// The fields of the only call.
    fn fields(&self) -> BTreeMap<String, String> {
        self.with(|lines| match &lines.calls[..] {
            [(_, fields)] => fields.clone(),
            calls => panic!("one call, one span: {calls:?}"),
        })
    }

    /// A field that is a number.
    fn number(&self, name: &str) -> f64 {
        let fields = self.fields();
        let number = fields.get(name).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{name} is a number: {fields:?}"))
    }

    /// What was logged at this level and above.
    fn at(&self, level: Level) -> String {
        self.with(|lines| {
            let lines = lines.all.iter().filter(|(at, _)| *at <= level);
            lines.map(|(_, line)| format!("{line}\n")).collect()
        })
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let metadata = attributes.metadata();
        self.with(|lines| {
            lines
                .all
                .push((*metadata.level(), format!("{}: {:?}", metadata.name(), fields.0)));
            if metadata.name() == "call" {
                lines.calls.push((id.clone(), fields.0));
            }
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.with(|lines| {
            lines.all.push((Level::INFO, format!("{:?}", fields.0)));
            if let Some((_, known)) = lines.calls.iter_mut().find(|(known, _)| known == id) {
                known.append(&mut fields.0);
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.with(|lines| {
            lines.all.push((
                *metadata.level(),
                format!("{}: {:?}", metadata.target(), fields.0),
            ));
        });
    }
}

#[tokio::test]
async fn a_call_tells_what_it_came_to() {
    let busy = Reply::status(503).header("retry-after-ms", "0");
    let piece = fixtures::text("word ");
    let reply = (0..10).fold(Reply::sse([fixtures::role()]), |reply, _| {
        reply.wait(Duration::from_millis(100)).piece(&piece)
    });
    let tail = [
        fixtures::finish("stop"),
        fixtures::usage(7, 11),
        fixtures::DONE.to_owned(),
    ];
    let bytes = fixtures::role().len() + 10 * piece.len() + tail.concat().len();
    let reply = reply.piece(tail.concat());
    let upstream = Upstream::start(Script::sequence([busy, reply]));
    let (log, _guard) = Log::start();
    let told = call(&endpoint(&upstream.url())).await;
    assert_eq!(told.verdict(), Verdict::Complete);

    let fields = log.fields();
    for (name, value) in [
        ("endpoint", "\"up\""),
        ("model", "\"m\""),
        ("verdict", "\"complete\""),
        ("attempts", "2"),
        ("input_tokens", "7"),
        ("output_tokens", "11"),
    ] {
        assert_eq!(fields[name], value, "{fields:?}");
    }
    assert_eq!(log.number("bytes"), bytes as f64);
    // A busy machine makes times longer, and reads may come together.
    let (first, elapsed) = (log.number("ttft_ms"), log.number("elapsed_ms"));
    assert!(first >= 100.0 && elapsed >= 1000.0, "{fields:?}");
    let [p50, p99, max] = ["gap_p50_ms", "gap_p99_ms", "gap_max_ms"].map(|gap| log.number(gap));
    assert!(
        p50 <= p99 && p99 <= max && max > 0.0 && first + max <= elapsed + 0.1,
        "{fields:?}"
    );
    // Ten tokens after the first, between the first delta and the end.
    let slowest = 10.0 / (elapsed - first) * 1e3;
    assert!(log.number("tokens_per_second") >= slowest - 0.1, "{fields:?}");
}

#[tokio::test]
async fn what_nobody_knows_stays_empty_and_every_ending_is_told() {
    let cut = Reply::sse([fixtures::text("x")]).cut();
    let upstream = Upstream::start(cut);
    let (log, guard) = Log::start();
    call(&endpoint(&upstream.url())).await;
    let fields = log.fields();
    assert_eq!(fields["verdict"], "\"interrupted\"");
    for name in ["gap_p50_ms", "output_tokens", "tokens_per_second"] {
        assert_eq!(fields.get(name), None, "{fields:?}");
    }
    drop(guard);

    let stall = Upstream::start(Reply::sse([fixtures::text("x")]).stall());
    let (log, _guard) = Log::start();
    let mut answer = client().start(&endpoint(&stall.url()), request());
    while !matches!(answer.next().await, Some(Update::Delta(_))) {}
    drop(answer);
    assert_eq!(log.fields()["verdict"], "\"cancelled\"");
    drop(client().start(&endpoint(&stall.url()), request()));
    assert_eq!(log.with(|lines| lines.calls.len()), 2);
    assert_eq!(
        log.with(|lines| lines.calls[1].1.get("verdict").cloned()),
        None,
        "it never began"
    );
}

/// One call of every kind of ending, to servers that repeat the key.
async fn talk(client: &Client, secret: &str) {
    let echo = format!("the key {KEY} is wrong");
    let prompt = format!("cannot answer {secret:?}");
    let cut = Reply::sse([format!("id: abc.0\n{}", fixtures::text("an answer"))]).cut();
    let unknown = Reply::json(404, &fixtures::error_body(404, &prompt));
    for script in [
        Script::sequence([cut.header("x-stream-id", "abc"), unknown]),
        Reply::json(400, &fixtures::error_body(400, &prompt)).into(),
        Reply::sse([fixtures::error(503, &prompt)])
            .header("retry-after-ms", "0")
            .into(),
    ] {
        let upstream = Upstream::start(script);
        let mut endpoint: Endpoint = endpoint(&upstream.url());
        endpoint.retries = 1;
        let mut answer = client.start(&endpoint, request());
        while answer.next().await.is_some() {}
    }
    for reply in [
        Reply::sse(fixtures::sse_answer(&["an answer"])),
        Reply::json(401, &fixtures::error_body(401, &echo)),
        Reply::sse([fixtures::error(503, &echo)]).header("retry-after-ms", "0"),
        Reply::sse([format!("data: {KEY}\n\n"), fixtures::text("an answer")]),
        Reply::sse(["not a field\n\n"]),
        Reply::status(307).header("location", &format!("/{KEY}")),
        Reply::raw("nonsense"),
        Reply::sse(fixtures::sse_answer(&["an answer"])).header("x-stream-id", KEY),
        Reply::raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/{KEY}; a=sk-0123456789\r\nContent-Length: 0\r\n\r\n"
        )),
    ] {
        let upstream = Upstream::start(reply);
        let mut endpoint: Endpoint = endpoint(&upstream.url());
        endpoint.retries = 1;
        endpoint.api_key = Some(Secret::new(KEY));
        endpoint.header("x-other", KEY).expect("a header");
        let mut request = request();
        request.messages = vec![Message::text(
            Role::User,
            format!("{secret}, and my key is {KEY}"),
        )];
        let mut answer = client.start(&endpoint, request);
        while answer.next().await.is_some() {}
    }
}

#[tokio::test]
async fn the_key_is_never_logged_and_the_prompt_at_trace_only() {
    let (log, _guard) = Log::start();
    talk(&client(), "the moon is hollow").await;
    let everything = log.at(Level::TRACE);
    assert!(
        everything.contains("the moon is hollow"),
        "at -vvv a prompt may be seen"
    );
    for key in ["hunter2", "0123456789"] {
        assert!(!everything.contains(key), "{everything}");
    }
    let but_traces = log.at(Level::DEBUG);
    assert!(
        but_traces.contains("sending") && !but_traces.contains("hollow"),
        "{but_traces}"
    );
    assert!(!everything.contains("an answer"), "{everything}");
    assert!(!log.at(Level::INFO).contains("sending"));
}
