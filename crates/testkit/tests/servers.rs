//! The scripted upstream and the fault proxy do on the wire what they say.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use aurora_testkit::{FaultProxy, Faults, Gate, Reply, Script, Spoiled, Upstream, fixtures};

const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_reply_is_played_and_the_request_is_kept() {
    let upstream = Upstream::start(Reply::sse(["data: a\n\n", "data: b\n\n"]).header("x-a", "b"));
    let mut socket = ask(upstream.addr());
    let expected = "HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n\
        content-type: text/event-stream\r\nx-a: b\r\n\r\n\
        9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n";
    let mut bytes = vec![0; expected.len()];
    socket.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);

    let [request] = &upstream.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/x")
    );
    assert_eq!(request.header("X-Name"), Some("value"));
    assert_eq!(request.json(), serde_json::json!({"a": 1}));
}

#[test]
fn a_sequence_gives_each_request_its_reply_and_the_last_one_stays() {
    let upstream = Upstream::start(Script::sequence([Reply::status(503), Reply::status(204)]));
    for status in ["503", "204", "204"] {
        let mut head = [0; 12];
        ask(upstream.addr()).read_exact(&mut head).unwrap();
        assert_eq!(&head[9..], status.as_bytes());
    }
}

#[test]
fn a_cut_ends_inside_the_body_and_a_reset_is_an_error() {
    let cut = Upstream::start(Reply::sse(["data: a\n\n"]).cut());
    let mut bytes = Vec::new();
    ask(cut.addr()).read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"data: a\n\n\r\n"), "no last chunk");

    let reset = Upstream::start(Reply::sse(["data: a\n\n"]).reset());
    let error = ask(reset.addr()).read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stalled_reply_notices_that_the_peer_leaves() {
    let upstream = Upstream::start(Reply::sse(["data: a\n\n"]).stall());
    let mut socket = ask(upstream.addr());
    socket.read_exact(&mut [0; 20]).unwrap();
    assert!(!upstream.left_within(0, Duration::from_millis(50)));
    drop(socket);
    assert!(upstream.left_within(0, LONG));
}

#[test]
fn waits_take_their_time_and_dropping_the_upstream_ends_them() {
    let upstream = Upstream::start(
        Reply::sse([""; 0])
            .drip("abc", 1, Duration::from_millis(30))
            .wait(LONG * 9),
    );
    let begun = Instant::now();
    let mut socket = ask(upstream.addr());
    read_until(&mut socket, b"c\r\n");
    assert!(begun.elapsed() >= Duration::from_millis(60));
    drop(upstream);
    assert!(begun.elapsed() < LONG * 2);
}

#[test]
fn a_gate_holds_every_reply_until_it_is_opened() {
    let gate = Gate::new();
    let upstream = Upstream::start(
        Reply::sse(["data: a\n\n"])
            .hold(&gate)
            .piece("data: b\n\n")
            .hold(&gate),
    );
    let mut sockets = [ask(upstream.addr()), ask(upstream.addr())];
    for socket in &mut sockets {
        read_until(socket, b"a\n\n\r\n");
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(
            socket.read(&mut [0]).is_err(),
            "nothing comes through a closed gate"
        );
        socket.set_read_timeout(Some(LONG)).unwrap();
    }
    gate.open();
    for socket in &mut sockets {
        assert!(read_until(socket, b"0\r\n\r\n").ends_with(b"data: b\n\n\r\n0\r\n\r\n"));
    }
}

#[test]
fn a_recording_is_served_with_its_attempts_its_bytes_and_its_pauses() {
    let recording = r#"{"aurora_recording":1}
{"at_us":900,"turn":{}}
{"at_us":1000,"unsent":{"failure":{"kind":"connection_lost","message":"x"},"retryable":true}}
{"at_us":2000,"time":{}}
{"at_us":3000,"head":{"status":503,"content_type":null,"retry_after_us":1500,"should_retry":true}}
{"at_us":3000,"end":{"failure":null}}
{"at_us":4500,"time":{}}
{"at_us":204500,"head":{"status":200,"content_type":"text/event-stream"}}
{"at_us":204600,"hex":"c3"}
{"at_us":404600,"text":"a\n"}
{"at_us":404700,"end":{"failure":{"kind":"connection_lost","message":"x"}}}
"#;
    let upstream = Upstream::start(Script::recording(recording, 2.0));
    let said = || String::from_utf8_lossy(&exchange(upstream.addr(), LONG)).into_owned();
    assert_eq!(said(), "", "closed before the head");
    assert_eq!(
        said(),
        "HTTP/1.1 503 Scripted\r\ntransfer-encoding: chunked\r\nretry-after-ms: 1.5\r\n\
         x-should-retry: true\r\n\r\n0\r\n\r\n"
    );
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(
            said(),
            "HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n\
             1\r\n\u{fffd}\r\n2\r\na\n\r\n",
            "cut inside the body"
        );
        assert!(
            begun.elapsed() >= Duration::from_millis(200),
            "half as long as it was"
        );
    }

    let silent = Upstream::start(Script::recording(
        "{\"aurora_recording\":1}\n{\"at_us\":9,\"time\":{}}\n",
        1.0,
    ));
    assert_eq!(exchange(silent.addr(), Duration::from_millis(50)), b"");
    assert!(silent.left_within(0, LONG));
}

#[test]
fn the_proxy_cuts_resets_and_stalls_where_it_says() {
    let body = fixtures::sse_answer(&["Hel", "lo"]);
    let upstream = Upstream::start(Reply::sse(&body));
    let whole = exchange(
        FaultProxy::start(upstream.addr(), Faults::new().slice(3)).addr(),
        LONG,
    );
    assert!(whole.ends_with(b"0\r\n\r\n"));

    let cut = FaultProxy::start(upstream.addr(), Faults::new().cut_after(100));
    assert_eq!(exchange(cut.addr(), LONG), whole[..100]);

    let reset = FaultProxy::start(upstream.addr(), Faults::new().reset_after(100).slice(7));
    let error = ask(reset.addr()).read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let stall = FaultProxy::start(upstream.addr(), Faults::new().stall_after(100));
    assert_eq!(exchange(stall.addr(), Duration::from_millis(300)), whole[..100]);
}

#[test]
fn the_proxy_does_to_each_connection_its_own_and_counts() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["Hel", "lo"])));
    let proxy = FaultProxy::varied(upstream.addr(), |n| match n {
        0 => Faults::new(),
        1 => Faults::new().cut_after(50),
        2 => Faults::new().reset_after(60),
        _ => Faults::new().stall_after(70),
    });
    let lengths: Vec<usize> = (0..5)
        .map(|n| {
            let silence = if n < 3 { LONG } else { Duration::from_millis(300) };
            exchange(proxy.addr(), silence).len()
        })
        .collect();
    assert!(lengths[0] > 200);
    assert_eq!(lengths[1..], [50, 60, 70, 70]);
    let expected = Spoiled {
        connections: 5,
        cut: 1,
        reset: 1,
        stalled: 2,
    };
    assert_eq!(proxy.spoiled(), expected);
}

/// Sends one request.
fn ask(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).expect("loopback");
    socket.set_read_timeout(Some(LONG)).expect("loopback");
    let request = "POST /v1/x HTTP/1.1\r\nhost: x\r\nX-Name: value\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
    socket.write_all(request.as_bytes()).expect("loopback");
    socket
}

/// Reads until these bytes, the end, or a silence this long.
fn exchange(addr: SocketAddr, silence: Duration) -> Vec<u8> {
    let mut socket = ask(addr);
    socket.set_read_timeout(Some(silence)).expect("loopback");
    read_until(&mut socket, b"0\r\n\r\n")
}

fn read_until(socket: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) && matches!(socket.read(&mut byte), Ok(1)) {
        bytes.push(byte[0]);
    }
    bytes
}
