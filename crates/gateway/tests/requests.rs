//! What comes in: every kind of request that is refused, who may ask, and the limits on how slowly and how much.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aurora_chat::ChatRequest;
use aurora_gateway::{Backend, BoxFuture, Error, Model, Options, PassageStream, Refusal, Router, Server};
use aurora_streamlog::Memory;
use support::{Client, Gateway, prompt, request, serve, soon};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn requests_that_are_refused() {
    let gateway = Gateway::start(Options {
        max_body: 4096,
        ..Options::default()
    })
    .await;
    let body = |json: &str| request("POST", CHAT, &[], json);
    let with = |header: &str| request("POST", CHAT, &[header], &prompt(true));
    let large = format!(r#"{{"messages":"{}"}}"#, "x".repeat(5000));
    let chunked = |body: &str| {
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let table: Vec<(&str, Vec<u8>, u16, Option<&str>)> = vec![
        ("no such path", request("GET", "/nope", &[], "").into(), 404, None),
        ("the root", request("GET", "/", &[], "").into(), 404, None),
        (
            "no version",
            request("POST", "/chat/completions", &[], "{}").into(),
            404,
            None,
        ),
        ("wrong method", request("GET", CHAT, &[], "").into(), 405, None),
        (
            "a preflight",
            request("OPTIONS", CHAT, &["origin: http://localhost"], "").into(),
            405,
            None,
        ),
        (
            "no such model",
            request("GET", "/v1/models/none", &[], "").into(),
            404,
            Some("model"),
        ),
        ("no body", body("").into(), 400, None),
        ("no JSON", body("{nope").into(), 400, None),
        ("no object", body("[]").into(), 400, None),
        (
            "bad UTF-8",
            [
                &*request("POST", CHAT, &["content-length: 2"], "").replace("content-length: 0\r\n", ""),
                "\u{7f}",
            ]
            .concat()
            .into_bytes()
            .into_iter()
            .chain([0xff])
            .collect(),
            400,
            None,
        ),
        ("no messages", body("{}").into(), 400, Some("messages")),
        (
            "messages of no type",
            body(r#"{"messages":7}"#).into(),
            400,
            Some("messages"),
        ),
        (
            "a bad role",
            body(r#"{"messages":[{"role":"king","content":"x"}]}"#).into(),
            400,
            Some("messages[0].role"),
        ),
        (
            "a bad temperature",
            body(r#"{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#).into(),
            400,
            Some("temperature"),
        ),
        ("too large", body(&large).into(), 413, None),
        ("too large in chunks", chunked(&large).into(), 413, None),
        ("compressed", with("content-encoding: gzip").into(), 415, None),
        (
            "twice compressed",
            with("content-encoding: identity, br").into(),
            415,
            None,
        ),
        (
            "a foreign host",
            with("x: y").replace("localhost", "evil.example").into(),
            403,
            None,
        ),
        (
            "no host",
            with("x: y").replace("host: localhost\r\n", "").into(),
            400,
            None,
        ),
        ("two hosts", with("host: localhost").into(), 400, None),
        (
            "a foreign page",
            with("origin: https://evil.example").into(),
            403,
            None,
        ),
        ("a page without origin", with("origin: null").into(), 403, None),
        (
            "a foreign target",
            with("x: y")
                .replace(CHAT, &format!("http://evil.example{CHAT}"))
                .into(),
            403,
            None,
        ),
    ];
    for (name, bytes, status, param) in table {
        let mut client = gateway.client().await;
        client.write(bytes).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let json = answer.json();
        let error = &json["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{name}: {json}"
        );
        assert_eq!(error["type"], "invalid_request_error", "{name}");
        assert_eq!(error["param"].as_str(), param, "{name}: {json}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
        assert!(answer.header("x-request-id").is_some(), "{name}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{name}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{name}");
    }
}

#[tokio::test]
async fn a_body_is_json_whatever_it_says_it_is() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    let headers = [
        "content-type: application/json",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
        "content-encoding: identity",
        "origin: http://localhost:3000",
        "x-nothing: to-see",
    ];
    for header in headers {
        client
            .write(request("POST", CHAT, &[header], &prompt(false)))
            .await;
        let job = gateway.job().await;
        assert_eq!(job.request.model, "plain", "{header}");
        let feed = job.run();
        feed.text("a").await;
        feed.finish().await;
        assert_eq!(client.answer().await.status, 200, "{header}");
    }
}

#[tokio::test]
async fn what_can_be_read() {
    let gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    for (path, id) in [
        ("/v1/models/plain", "plain"),
        ("/v1/models/org/slashed", "org/slashed"),
        ("/v1/models/org%2Fslashed?x=y", "org/slashed"),
    ] {
        client.write(request("GET", path, &[], "")).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.json()["id"].as_str()),
            (200, Some(id)),
            "{path}"
        );
        assert_eq!(answer.json()["object"], "model");
    }
    client.write(request("GET", "/v1/models", &[], "")).await;
    let list = client.answer().await.json();
    assert_eq!(
        (list["object"].as_str(), list["data"].as_array().map(Vec::len)),
        (Some("list"), Some(2))
    );
    client.write(request("GET", "/health", &[], "")).await;
    assert_eq!(client.answer().await.json()["status"], "ok");
}

#[tokio::test]
async fn a_model_that_is_not_there_is_refused_in_the_same_words_everywhere() {
    let router = Router::builder()
        .model("local/small", Arc::new(Broken))
        .endpoint("far", Arc::new(Unlisted))
        .alias("smart", "far/large")
        .build()
        .expect("every alias leads somewhere");
    let (addr, _stop, _running) = serve(Options::default(), Arc::new(router)).await;
    let mut client = Client::connect(addr).await;
    client.write(request("GET", "/v1/models/none", &[], "")).await;
    let looked_up = client.answer().await;
    client.chat(&prompt(false).replace("plain", "none")).await;
    let asked = client.answer().await;
    assert_eq!((looked_up.status, asked.status), (404, 404));
    assert_eq!(looked_up.json(), asked.json());
    assert_eq!(
        asked.json()["error"]["message"],
        "the model 'none' does not exist; this server has: local/small, smart, far/MODEL"
    );
}

#[tokio::test]
async fn a_head_has_no_body() {
    let gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client
        .write(request("HEAD", "/health", &["connection: close"], ""))
        .await;
    let all = client.rest().await;
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    assert!(all.contains("content-length: 15\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_or_not_to() {
    let mut gateway = Gateway::start(Options {
        max_body: 4096,
        ..Options::default()
    })
    .await;
    let body = prompt(false);
    let head = |length: usize| {
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut client = gateway.client().await;
    client.write(head(body.len())).await;
    client.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write(&body).await;
    gateway.job().await;

    let mut client = gateway.client().await;
    client.write(head(5000)).await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn a_large_body_is_refused_to_a_client_that_sends_it_all_before_it_reads() {
    let gateway = Gateway::start(Options::default()).await;
    for chunked in [false, true] {
        let mut client = gateway.client().await;
        let size: usize = 20 * 1024 * 1024;
        let length = if chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {size}")
        };
        client
            .write(format!(
                "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n"
            ))
            .await;
        if chunked {
            client.write(format!("{size:x}\r\n")).await;
        }
        client.write(vec![b' '; size]).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.json()["error"]["code"], "body_too_large");
        assert_eq!(client.rest().await, "");
    }
}

#[tokio::test]
async fn headers_that_drip_are_cut_off() {
    let gateway = Gateway::start(Options {
        header_timeout: Duration::from_millis(200),
        ..Options::default()
    })
    .await;
    let Client { socket, .. } = gateway.client().await;
    let (mut reader, mut writer) = socket.into_split();
    let drip = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        // Each byte is life, and none of them is progress.
        while writer.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    soon(async {
        use tokio::io::AsyncReadExt;
        let mut seen = Vec::new();
        // An end or a reset, whichever the drip caused.
        while reader.read_buf(&mut seen).await.unwrap_or(0) > 0 {}
    })
    .await;
    soon(drip).await.expect("the writer is told as well");
}

#[tokio::test]
async fn a_body_that_drips_is_cut_off() {
    let gateway = Gateway::start(Options {
        body_timeout: Duration::from_millis(200),
        ..Options::default()
    })
    .await;
    let mut client = gateway.client().await;
    client
        .write(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{{"
        ))
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (408, Some("body_timeout"))
    );
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_the_place_of_one_that_ends_is_free() {
    let gateway = Gateway::start(Options {
        max_connections: 2,
        ..Options::default()
    })
    .await;
    let health = request("GET", "/health", &[], "");
    let mut first = gateway.client().await;
    let mut second = gateway.client().await;
    for client in [&mut first, &mut second] {
        client.write(&health).await;
        assert_eq!(client.answer().await.status, 200);
    }
    let mut third = gateway.client().await;
    third.write(&health).await;
    let answer = third.answer().await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.json()["error"]["message"].is_string());
    assert_eq!(third.rest().await, "");

    drop(first);
    soon(async {
        loop {
            let mut next = gateway.client().await;
            next.write(&health).await;
            if next.answer().await.status == 200 {
                break;
            }
        }
    })
    .await;
}

/// A backend with a bug in every method.
struct Broken;

impl Backend for Broken {
    fn models(&self) -> Vec<Model> {
        panic!("a bug, on purpose");
    }

    fn start(&self, _request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        Box::pin(async { panic!("another") })
    }
}

/// A backend that has models and lists none of them.
struct Unlisted;

impl Backend for Unlisted {
    fn models(&self) -> Vec<Model> {
        Vec::new()
    }

    fn start(&self, _request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        Box::pin(async { Err(Refusal::internal("nobody asks in earnest")) })
    }
}

#[tokio::test]
async fn a_bug_costs_one_request() {
    let (addr, _stop, _running) = serve(Options::default(), Arc::new(Broken)).await;
    let mut client = Client::connect(addr).await;
    client.write(request("GET", "/v1/models", &[], "")).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (500, Some("server_error"))
    );
    for stream in [true, false] {
        client.chat(&prompt(stream)).await;
        assert_eq!(client.answer().await.status, 500);
    }
    client.write(request("GET", "/health", &[], "")).await;
    assert_eq!(client.answer().await.status, 200, "on the same connection");
}

#[tokio::test]
async fn addresses_that_are_not_listened_on() {
    let bind = async |listen: &str| {
        let options = Options {
            listen: listen.parse().expect("an address"),
            ..Options::default()
        };
        Server::bind(options, Arc::new(Broken), Arc::new(Memory::default())).await
    };
    for public in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = bind(public).await.expect_err("it can be reached from outside");
        assert!(matches!(error, Error::NotLoopback(_)), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains("key") && message.contains("loopback"),
            "{message}"
        );
    }
    let server = bind("127.0.0.1:0").await.expect("a free port");
    let taken = server.local_addr().to_string();
    let error = bind(&taken).await.expect_err("it is taken");
    assert!(matches!(error, Error::AddressInUse(_)), "{error:?}");
    assert!(error.to_string().contains(&taken), "{error}");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let table = [
        Options {
            max_body: 0,
            ..Options::default()
        },
        Options {
            max_connections: 0,
            ..Options::default()
        },
        Options {
            keepalive: Duration::ZERO,
            ..Options::default()
        },
        Options {
            write_timeout: Duration::ZERO,
            ..Options::default()
        },
        Options {
            allowed_hosts: vec!["https://chat.example".to_owned()],
            ..Options::default()
        },
        Options {
            allowed_hosts: vec!["chat.example:8080".to_owned()],
            ..Options::default()
        },
    ];
    for options in table {
        let shown = format!("{options:?}");
        let error = Server::bind(options, Arc::new(Broken), Arc::new(Memory::default()))
            .await
            .expect_err(&shown);
        assert!(matches!(error, Error::Option { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_model_name_without_end_is_not_kept() {
    let gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client
        .chat(&prompt(true).replace("plain", &"x".repeat(1024 * 1024)))
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &"model".into())
    );
    assert!(answer.body.len() < 500);
}
