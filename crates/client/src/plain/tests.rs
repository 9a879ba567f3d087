//! Requests over real sockets, against servers that do as they are told here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// A server that does this with its connections, one after the other.
fn server(serve: impl FnOnce(TcpListener) + Send + 'static) -> (Uri, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let uri = Uri::try_from(format!("http://{address}/v1/x")).expect("a URL");
    (uri, std::thread::spawn(move || serve(listener)))
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().expect("a connection").0
}

/// Reads a request's head, and not more than came with it.
fn read_head(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let len = socket.read(&mut piece).expect("a request");
        assert!(len > 0, "the connection closed");
        bytes.extend_from_slice(&piece[..len]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Request<'a> {
    Request {
        method: "GET",
        uri,
        headers,
        body: None,
    }
}

/// More than the sockets between two ends hold.
const MUCH: usize = 32 << 20;

async fn post_much(uri: &Uri) -> Reply {
    let (headers, body) = (HeaderMap::new(), Bytes::from(vec![b'x'; MUCH]));
    let request = Request {
        method: "POST",
        body: Some(&body),
        ..get(uri, &headers)
    };
    Plain::new(2).send(request, None).await.expect("a reply")
}

async fn read(mut reply: Reply) -> Result<String, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_connection_is_used_again_only_behind_a_whole_body() {
    let (uri, served) = server(|listener| {
        let mut first = accept(&listener);
        for body in ["3\r\none\r\n0\r\n\r\n", "3\r\ntwo\r\n0\r\n\r\n", "5\r\nth"] {
            read_head(&mut first);
            write!(
                first,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"
            )
            .expect("it listens");
        }
        let mut second = accept(&listener);
        read_head(&mut second);
        write!(second, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour").expect("it listens");
        // Closed while it is idle.
        drop(second);
        read_head(&mut accept(&listener));
    });
    let (plain, headers) = (Plain::new(2), HeaderMap::new());
    let send = || plain.send(get(&uri, &headers), None);
    assert_eq!(read(send().await.expect("a reply")).await.expect("a body"), "one");
    // Nobody reads on behind the data; the end of the body is there all the same.
    let mut reply = send().await.expect("a reply");
    assert_eq!(&*reply.chunk().await.expect("a body").expect("data"), b"two");
    drop(reply);
    let mut reply = send().await.expect("a reply");
    assert_eq!(&*reply.chunk().await.expect("a body").expect("data"), b"th");
    drop(reply);
    assert_eq!(
        read(send().await.expect("a reply")).await.expect("a body"),
        "four"
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(send().await, Err(SendError::Lost(_))));
    served.join().expect("all connections as expected");
}

#[tokio::test]
async fn an_answer_before_the_request_was_read_is_heard() {
    let (uri, served) = server(|listener| {
        let mut socket = accept(&listener);
        let head = read_head(&mut socket);
        assert!(
            head.starts_with("POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:"),
            "{head}"
        );
        write!(socket, "HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno").expect("it listens");
        // Until the other side gives up, or a reset would take the answer back.
        let mut piece = [0; 1024];
        let _reset = socket.read(&mut piece).is_err();
        std::thread::sleep(Duration::from_millis(100));
    });
    let reply = post_much(&uri).await;
    assert_eq!(reply.status, 413);
    assert!(reply.home.is_none());
    assert_eq!(read(reply).await.expect("a body"), "no");
    served.join().expect("a request as expected");
}

#[tokio::test]
async fn a_server_may_answer_while_it_reads() {
    let (uri, served) = server(|listener| {
        let mut socket = accept(&listener);
        let head = read_head(&mut socket);
        let (_, begun) = head.split_once("\r\n\r\n").expect("a head");
        let begun = begun.len();
        write!(
            socket,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
        )
        .expect("it listens");
        let mut rest = vec![0; MUCH - begun];
        socket.read_exact(&mut rest).expect("the whole request");
        write!(socket, "1\r\nb\r\n0\r\n\r\n").expect("it listens");
    });
    let reply = post_much(&uri).await;
    assert_eq!(read(reply).await.expect("a body"), "ab");
    served.join().expect("a request as expected");
}

#[tokio::test]
async fn what_comes_before_a_mistake_is_not_lost() {
    let (uri, served) = server(|listener| {
        let mut socket = accept(&listener);
        read_head(&mut socket);
        write!(
            socket,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nno"
        )
        .expect("it listens");
    });
    let (plain, headers) = (Plain::new(2), HeaderMap::new());
    let mut reply = plain.send(get(&uri, &headers), None).await.expect("a reply");
    assert_eq!(&*reply.chunk().await.expect("a body").expect("data"), b"abc");
    assert!(matches!(
        reply.chunk().await,
        Err(BodyError::Framing(FramingError::Size))
    ));
    served.join().expect("a request as expected");
}

#[test]
fn connections_end_with_their_runtime() {
    let (uri, served) = server(|listener| {
        for _ in 0..2 {
            let mut socket = accept(&listener);
            read_head(&mut socket);
            write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("it listens");
            // Its end: nobody else uses it.
            assert_eq!(socket.read(&mut [0]).expect("an end"), 0);
        }
    });
    let (plain, headers) = (Plain::new(2), HeaderMap::new());
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let body = runtime.block_on(async {
            let body = read(plain.send(get(&uri, &headers), None).await.expect("a reply")).await;
            // The one that watches what is idle has its turn.
            tokio::task::yield_now().await;
            body
        });
        assert_eq!(body.expect("a body"), "ok");
    }
    served.join().expect("all connections as expected");
}

#[tokio::test]
async fn a_cut_body_is_an_error_and_one_until_the_end_is_none() {
    let (uri, served) = server(|listener| {
        for head in ["content-length: 9", "transfer-encoding: chunked", "x: y"] {
            let mut socket = accept(&listener);
            read_head(&mut socket);
            write!(socket, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nab").expect("it listens");
        }
    });
    let (plain, headers) = (Plain::new(2), HeaderMap::new());
    for whole in [None, None, Some("4\r\nab")] {
        let reply = plain.send(get(&uri, &headers), None).await.expect("a reply");
        match (read(reply).await, whole) {
            (Ok(body), Some(whole)) => assert_eq!(body, whole),
            (Err(BodyError::Lost(error)), None) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
            (read, _) => panic!("{read:?}"),
        }
    }
    served.join().expect("all connections as expected");
}
