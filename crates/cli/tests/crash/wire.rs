//! The smallest client there can be: it keeps every byte that a server has shown it, whatever becomes of the server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// What came of a response.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// `x-stream-id`, once the head was there.
    pub(crate) stream: Option<String>,
    /// What there was of the body, without the marks of chunks.
    pub(crate) body: Vec<u8>,
    /// The body came to its end.
    pub(crate) whole: bool,
}

/// Sends a request, and reads until the response or the connection ends, or `most` bytes are there.
pub(crate) fn exchange(addr: SocketAddr, method: &str, path: &str, body: &str, most: usize) -> Received {
    let mut bytes = Vec::new();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Whatever fails, the server was killed.
    if let Ok(mut socket) = TcpStream::connect(addr)
        && socket.write_all(head.as_bytes()).is_ok()
    {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 4096];
        while bytes.len() < most {
            match socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) => {
                    assert!(
                        error.kind() != std::io::ErrorKind::WouldBlock,
                        "{path}: the server hangs"
                    );
                    break;
                }
            }
        }
    }
    Received::parse(&bytes)
}

impl Received {
    fn parse(bytes: &[u8]) -> Self {
        let mut received = Self::default();
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return received;
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut lines = head.split("\r\n");
        let stream = lines.find_map(|line| line.strip_prefix("x-stream-id: "));
        received.stream = Some(stream.expect("a name").to_owned());
        let mut rest = &bytes[end + 4..];
        while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            received.whole = size == 0;
            let chunk = &rest[line + 2..];
            received.body.extend_from_slice(&chunk[..size.min(chunk.len())]);
            rest = chunk.get(size + 2..).unwrap_or_default();
        }
        received
    }
}
