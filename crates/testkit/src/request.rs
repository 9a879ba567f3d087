//! Reads one HTTP/1.1 request from a socket and keeps it for the test's assertions.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most a request may weigh, head and body together: a test that sends more is wrong.
const MAX_REQUEST: usize = 64 << 20;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `POST`, `GET`, …
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, by `Content-Length`.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }

    /// Reads the next request of a connection. `None` when the peer has left instead.
    pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let head_len = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !fill(socket, &mut bytes).await? {
                return Ok(None);
            }
        };
        let mut request = Self::parse_head(&bytes[..head_len])?;
        let body_len = match request.header("content-length") {
            Some(length) => length
                .parse()
                .map_err(|_| invalid("Content-Length is no number"))?,
            None => 0,
        };
        while bytes.len() < head_len + body_len {
            if !fill(socket, &mut bytes).await? {
                return Ok(None);
            }
        }
        request.body = bytes[head_len..head_len + body_len].to_vec();
        Ok(Some(request))
    }

    fn parse_head(head: &[u8]) -> io::Result<Self> {
        let head = std::str::from_utf8(head).map_err(|_| invalid("the head is not UTF-8"))?;
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(invalid("the request line has no path"));
        };
        let headers = lines.filter_map(|line| line.split_once(':'));
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        })
    }
}

/// Reads once more; false at the end of input.
async fn fill(socket: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<bool> {
    if bytes.len() > MAX_REQUEST {
        return Err(invalid("the request is too large"));
    }
    Ok(socket.read_buf(bytes).await? > 0)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
