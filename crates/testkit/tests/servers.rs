//! The scripted upstream and the fault proxy do on the wire what they say.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use aurora_testkit::{FaultProxy, Faults, Reply, Script, Upstream, fixtures};

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
