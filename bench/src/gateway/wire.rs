//! As much of HTTP/1.1 as a load needs: one request a time, and a chunked response of which the events are counted.
//! It decodes chunks and nothing else, so that the client stays cheap beside what it measures.

use memchr::{memchr, memmem};

/// The longest head or chunk-size line that is waited for.
const MAX_LINE: usize = 16 << 10;

/// A request that is sent again and again on a connection that stays open.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The same without a body.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// The response to one request, as far as it has come.
#[derive(Debug, Default)]
pub struct Response {
    state: State,
    /// A head or a line of the chunk framing that has not come whole.
    line: Vec<u8>,
    head: Option<String>,
    /// The payload's last byte was a line's end: an event may end with the next.
    after_newline: bool,
    events: usize,
    tail: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Size,
    Data(usize),
    /// The line's end behind a chunk's data.
    Behind,
    /// The empty line behind the last chunk.
    Last,
    Over,
}

impl Response {
    /// Takes what was read, and calls `payload` with every piece of the body. True when the response is over.
    ///
    /// # Errors
    /// Anything but a chunked response of status 200.
    pub fn feed(&mut self, mut bytes: &[u8], mut payload: impl FnMut(&[u8])) -> Result<bool, String> {
        while !bytes.is_empty() {
            match self.state {
                State::Data(left) => {
                    let (data, rest) = bytes.split_at(left.min(bytes.len()));
                    self.count(data);
                    payload(data);
                    bytes = rest;
                    self.state = match left - data.len() {
                        0 => State::Behind,
                        left => State::Data(left),
                    };
                }
                State::Over => return Err("bytes behind the end of a response".to_owned()),
                State::Head | State::Size | State::Behind | State::Last => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.line.extend_from_slice(bytes);
                        if self.line.len() > MAX_LINE {
                            return Err("a line without an end".to_owned());
                        }
                        return Ok(false);
                    };
                    self.line.extend_from_slice(&bytes[..=end]);
                    bytes = &bytes[end + 1..];
                    self.line()?;
                }
            }
        }
        Ok(self.state == State::Over)
    }

    /// The value of a header, once the head has come.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.as_deref()?.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// How many events have come.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Whether the last event was `[DONE]`.
    pub fn is_done(&self) -> bool {
        self.tail.ends_with(b"data: [DONE]\n\n")
    }

    /// Reads a whole line of the framing, or a whole head.
    fn line(&mut self) -> Result<(), String> {
        self.state = match self.state {
            State::Head if self.line.ends_with(b"\r\n\r\n") => {
                let head = String::from_utf8_lossy(&self.line).into_owned();
                let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
                if !head.starts_with("HTTP/1.1 200") || !chunked {
                    return Err(head);
                }
                self.head = Some(head);
                State::Size
            }
            State::Head => return Ok(()),
            State::Size => {
                let text = std::str::from_utf8(&self.line).unwrap_or_default().trim();
                match usize::from_str_radix(text, 16) {
                    Ok(0) => State::Last,
                    Ok(size) => State::Data(size),
                    Err(_) => return Err(format!("no chunk size: {text:?}")),
                }
            }
            State::Behind => State::Size,
            State::Last | State::Data(_) | State::Over => State::Over,
        };
        self.line.clear();
        Ok(())
    }

    fn count(&mut self, data: &[u8]) {
        let mut rest = data;
        if self.after_newline && rest.first() == Some(&b'\n') {
            self.events += 1;
            rest = &rest[1..];
        }
        self.events += memmem::find_iter(rest, b"\n\n").count();
        self.after_newline = rest.last() == Some(&b'\n') && !rest.ends_with(b"\n\n");
        self.tail
            .extend_from_slice(&data[data.len().saturating_sub(16)..]);
        let surplus = self.tail.len().saturating_sub(16);
        self.tail.drain(..surplus);
    }
}
