//! Heads of HTTP/1.1 messages: a request's written, a response's read (RFC 9112 §3 to §6).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::framing::Framing;

/// The longest head that is read, in bytes, and how many fields it may have: as the HTTP library.
const MAX_HEAD: usize = 400 << 10;
const MAX_FIELDS: usize = 100;

/// How many interim responses (1xx) may come before the response, and how many bytes of empty lines.
const MAX_INTERIM: u8 = 16;
const MAX_BLANK: usize = 32;

/// A response's head.
#[derive(Debug, PartialEq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection may carry another request afterwards.
    pub(crate) keep_alive: bool,
}

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    TooLarge,
    NotHttp(String),
}

/// A response's head while it comes.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// So many bytes are no end of a head.
    looked: usize,
    /// Bytes of what came before.
    passed: usize,
    /// Those of them that are empty lines.
    blank: usize,
    interim: u8,
}

impl Incoming {
    /// Takes what was read. Once there is a head, what came behind it is left in the buffer.
    pub(crate) fn take(&mut self, read: &[u8]) -> Result<Option<ResponseHead>, HeadError> {
        self.bytes.extend_from_slice(read);
        loop {
            self.skip_blank()?;
            let Some(end) = self.end() else { break };
            let Some((head, len)) = parse(&self.bytes[..end])? else {
                return Err(not_http("its head ends in the middle"));
            };
            self.pass(len);
            match head.status {
                101 => {
                    return Err(not_http(
                        "it switches to another protocol, which was not asked for",
                    ));
                }
                100..200 if self.interim == MAX_INTERIM => {
                    return Err(not_http("it sends more than 16 interim responses"));
                }
                100..200 => self.interim += 1,
                _ => return Ok(Some(head)),
            }
        }
        // What is surely no head is not waited for.
        parse(&self.bytes[..self.bytes.len().min(256)])?;
        match self.passed + self.bytes.len() {
            0..=MAX_HEAD => Ok(None),
            _ => Err(HeadError::TooLarge),
        }
    }

    /// Whether nothing has come yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed == 0 && self.bytes.is_empty()
    }

    /// What came behind the head.
    pub(crate) fn rest(self) -> Vec<u8> {
        // Not the room of the head, for as long as the response lasts.
        match self.bytes.is_empty() {
            true => Vec::new(),
            false => self.bytes,
        }
    }

    /// Empty lines before a head mean nothing (RFC 9112 §2.2).
    fn skip_blank(&mut self) -> Result<(), HeadError> {
        let blank = self
            .bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.pass(blank);
        self.blank += blank;
        match self.blank {
            0..=MAX_BLANK => Ok(()),
            _ => Err(not_http("it begins with empty lines")),
        }
    }

    fn pass(&mut self, len: usize) {
        if len > 0 {
            self.bytes.drain(..len);
            self.passed += len;
            self.looked = 0;
        }
    }

    /// Behind the next empty line.
    fn end(&mut self) -> Option<usize> {
        let from = self.looked;
        for at in memchr::memchr_iter(b'\n', &self.bytes[from..]) {
            let rest = &self.bytes[from + at + 1..];
            let line = match rest {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => continue,
            };
            return Some(from + at + 1 + line);
        }
        // The last two bytes may be the beginning of it.
        self.looked = self.bytes.len().saturating_sub(2).max(from);
        None
    }
}

/// A head and its length; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(error) => return Err(not_http(&error.to_string())),
    };
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.append(name, value),
            _ => return Err(not_http("a header is none")),
        };
    }
    let status = response.code.unwrap_or_default();
    let is_1_1 = response.version == Some(1);
    let framing = match status {
        100..200 | 204 | 304 => Framing::Length(0),
        _ => framing(&headers)?,
    };
    let keep_alive =
        is_1_1 && framing != Framing::UntilClose && !lists(&headers, header::CONNECTION, "close");
    let head = ResponseHead {
        status,
        headers,
        framing,
        keep_alive,
    };
    Ok(Some((head, len)))
}

fn framing(headers: &HeaderMap) -> Result<Framing, HeadError> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // What is chunked has to be so last; what is encoded otherwise ends with the connection.
        let last = headers.get_all(header::TRANSFER_ENCODING).iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        return Ok(match last {
            Some(coding) if coding.trim().eq_ignore_ascii_case("chunked") => Framing::chunked(),
            _ => Framing::UntilClose,
        });
    }
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for number in value.as_bytes().split(|byte| *byte == b',') {
            let number = number.trim_ascii();
            let digits = number.iter().all(u8::is_ascii_digit) && !number.is_empty();
            let parsed = std::str::from_utf8(number)
                .ok()
                .and_then(|text| text.parse().ok());
            match parsed.filter(|parsed| digits && length.is_none_or(|length| length == *parsed)) {
                Some(parsed) => length = Some(parsed),
                None => return Err(not_http("its content-length is none")),
            }
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Whether a field that is a list of names has this one.
pub(crate) fn lists(headers: &HeaderMap, field: HeaderName, name: &str) -> bool {
    let values = headers.get_all(field).iter();
    let mut names = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    names.any(|listed| listed.trim().eq_ignore_ascii_case(name))
}

fn not_http(reason: &str) -> HeadError {
    HeadError::NotHttp(reason.to_owned())
}

/// A request's head. The framing is ours to say: a header that says another is left out, as is one that names the host,
/// if `headers` has no better.
pub(crate) fn write_request(
    method: &str,
    path: &str,
    host: &str,
    headers: &HeaderMap,
    body: Option<usize>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    put(&[method.as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1\r\n"]);
    if !headers.contains_key(header::HOST) {
        put(&[b"host: ", host.as_bytes(), b"\r\n"]);
    }
    for (name, value) in headers {
        if ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    if let Some(body) = body {
        put(&[b"content-length: ", body.to_string().as_bytes(), b"\r\n"]);
    }
    put(&[b"\r\n"]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &str) -> Result<Option<(ResponseHead, Vec<u8>)>, HeadError> {
        let mut incoming = Incoming::default();
        let head = incoming.take(bytes.as_bytes())?;
        Ok(head.map(|head| (head, incoming.rest())))
    }

    fn framing_of(fields: &str) -> Result<(Framing, bool), HeadError> {
        let (head, _) = whole(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"))?.expect("a head");
        Ok((head.framing, head.keep_alive))
    }

    #[test]
    fn a_head_is_the_same_in_any_pieces() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\nRetry-After: 2\r\ncontent-length: 3\r\n\r\nabc";
        let (head, rest) = whole(text).expect("HTTP").expect("a head");
        assert_eq!(
            (head.status, head.framing, &*rest),
            (429, Framing::Length(3), &b"abc"[..])
        );
        assert_eq!(head.headers["retry-after"], "2");
        let mut incoming = Incoming::default();
        let (bytes, _body) = text.split_at(text.len() - 3);
        let heads: Vec<_> = bytes
            .bytes()
            .map(|byte| incoming.take(&[byte]).expect("HTTP"))
            .collect();
        let at = heads.iter().position(Option::is_some).expect("a head");
        assert_eq!(at + 1, bytes.len());
        assert_eq!(heads[at].as_ref(), Some(&head));
    }

    #[test]
    fn the_fields_say_how_the_body_is_framed() {
        for (fields, expected) in [
            ("", (Framing::UntilClose, false)),
            ("content-length: 7\r\n", (Framing::Length(7), true)),
            (
                "content-length: 7, 7\r\ncontent-length: 7\r\n",
                (Framing::Length(7), true),
            ),
            (
                "content-length: 7\r\nconnection: x, Close\r\n",
                (Framing::Length(7), false),
            ),
            (
                "transfer-encoding: gzip, Chunked\r\ncontent-length: 7\r\n",
                (Framing::chunked(), true),
            ),
            (
                "transfer-encoding: chunked, gzip\r\n",
                (Framing::UntilClose, false),
            ),
        ] {
            assert_eq!(framing_of(fields), Ok(expected), "{fields}");
        }
        for fields in [
            "content-length: 7, 8\r\n",
            "content-length: +7\r\n",
            "content-length: \r\n",
        ] {
            assert!(
                matches!(framing_of(fields), Err(HeadError::NotHttp(_))),
                "{fields}"
            );
        }
        let (head, _) = whole("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n")
            .expect("HTTP")
            .expect("a head");
        assert!(!head.keep_alive);
        let (head, _) = whole("HTTP/1.1 204 No Content\r\n\r\n")
            .expect("HTTP")
            .expect("a head");
        assert_eq!(head.framing, Framing::Length(0));
    }

    #[test]
    fn what_is_no_head_is_told_at_once_and_what_is_too_long_at_its_limit() {
        for text in [
            "S",
            "\u{15}\u{3}\u{3}\0\u{2}\u{2}F",
            &*"\n".repeat(MAX_HEAD),
            "SSH-2.0-OpenSSH",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
        ] {
            assert!(
                matches!(whole(text), Err(HeadError::NotHttp(_))),
                "{:?}",
                text.get(..20)
            );
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert_eq!(whole(&long), Err(HeadError::TooLarge));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(whole(&many), Err(HeadError::TooLarge));
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(usize::from(MAX_INTERIM) + 1);
        assert!(matches!(whole(&interim), Err(HeadError::NotHttp(_))));
    }

    #[test]
    fn a_request_is_framed_by_its_body_alone() {
        let mut headers = HeaderMap::new();
        headers.insert("content-length", HeaderValue::from_static("9"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let request = |headers: &HeaderMap, body| {
            String::from_utf8(write_request("POST", "/v1", "h:1", headers, body)).expect("text")
        };
        assert_eq!(
            request(&headers, Some(2)),
            "POST /v1 HTTP/1.1\r\nhost: h:1\r\naccept: */*\r\ncontent-length: 2\r\n\r\n"
        );
        headers.insert("host", HeaderValue::from_static("other"));
        assert_eq!(
            request(&headers, None),
            "POST /v1 HTTP/1.1\r\naccept: */*\r\nhost: other\r\n\r\n"
        );
    }
}
