//! Who may talk to a server on loopback: a check of `Host` and `Origin`, as pure functions.
//!
//! Loopback keeps other machines out, but not the web pages in this machine's browser. Two ways in are shut here:
//!
//! - *DNS rebinding*: a page's own name is made to resolve to 127.0.0.1, and the browser then counts this server as
//!   part of the page. The `Host` header still carries the page's name, so only known names are answered.
//! - *Simple cross-origin requests*: a page may POST `text/plain` anywhere without asking first, and bodies are read
//!   here whatever their content type. The browser adds `Origin`, so a foreign one is refused.
//!
//! Only the host part counts; a port says nothing about who sent the page. A request of HTTP/1.0 may lack `Host`: no
//! browser sends such a one. This is no authentication: any local program can send any header.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Uri, Version};

use crate::Refusal;

/// The names under which a server answers.
#[derive(Debug)]
pub(crate) struct Guard {
    listen: IpAddr,
    allowed: Vec<String>,
}

impl Guard {
    pub(crate) fn new(listen: SocketAddr, allowed_hosts: &[String]) -> Self {
        let allowed = allowed_hosts.iter().filter_map(|host| host_name(host)).collect();
        Self {
            listen: listen.ip().to_canonical(),
            allowed,
        }
    }

    /// Lets a request pass, or says why not: 400 where the request is no valid HTTP, else 403.
    pub(crate) fn check(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        // A target in absolute form names the host as well, and by RFC 9112 §3.2.2 it wins over the header. Both are
        // checked, so it does not matter who believes which.
        if let Some(authority) = uri.authority() {
            self.check_host(authority.as_str())?;
        }
        match single(headers, &HOST)? {
            Some(host) => self.check_host(host)?,
            None if version >= Version::HTTP_11 => return Err(bad_header("the Host header is missing")),
            None => {}
        }
        match single(headers, &ORIGIN)? {
            Some(origin) => self.check_origin(origin),
            None => Ok(()),
        }
    }

    fn check_host(&self, host: &str) -> Result<(), Refusal> {
        let Some(name) = host_name(host) else {
            return Err(bad_header(
                "the Host header is not a host name with an optional port",
            ));
        };
        if self.knows(&name) {
            return Ok(());
        }
        Err(forbidden(
            format!(
                "the host {name:?} is not one of this server's: it answers to localhost, 127.0.0.1, [::1] and its \
                 allowed_hosts (a protection against DNS rebinding)"
            ),
            "host_not_allowed",
        ))
    }

    fn check_origin(&self, origin: &str) -> Result<(), Refusal> {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .and_then(host_name);
        if host.is_some_and(|name| self.knows(&name)) {
            return Ok(());
        }
        Err(forbidden(
            "this server does not answer web pages of other origins; add the page's host to allowed_hosts to trust it"
                .to_owned(),
            "origin_not_allowed",
        ))
    }

    fn knows(&self, name: &str) -> bool {
        if let Ok(ip) = name.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            // An address is no name that could be made to mean another machine. Where the server is reached from outside,
            // only it knows by which of its addresses, and whoever asks needs a key.
            if ip.is_loopback() || ip == self.listen || !self.listen.is_loopback() {
                return true;
            }
        }
        name == "localhost" || self.allowed.iter().any(|allowed| allowed == name)
    }
}

/// The host of `host[:port]`: lower case, without the brackets of an IPv6 address and without a final dot. `None` if
/// that is not what it is.
pub(crate) fn host_name(text: &str) -> Option<String> {
    let (host, rest) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (host, rest) = text.split_at(end);
        let host = host.strip_suffix('.').unwrap_or(host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(plain) {
            return None;
        }
        (host, rest)
    };
    let port_is_fine = match rest.strip_prefix(':') {
        Some(port) => {
            port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
        }
        None => rest.is_empty(),
    };
    port_is_fine.then(|| host.to_ascii_lowercase())
}

/// A header that may come once. Twice, two readers could believe two different things.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad_header(&format!("the header {name} comes more than once")));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(bad_header(&format!(
            "the header {name} has bytes that are not ASCII"
        ))),
    }
}

fn bad_header(message: &str) -> Refusal {
    Refusal::invalid(400, message, None, Some("bad_header"))
}

fn forbidden(message: String, code: &str) -> Refusal {
    Refusal::invalid(403, message, None, Some(code))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn guard() -> Guard {
        Guard::new(
            "127.0.0.2:8080".parse().expect("an address"),
            &["Chat.Example".to_owned()],
        )
    }

    fn status(version: Version, target: &str, headers: &[(HeaderName, &[u8])]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).expect("a value")))
            .collect();
        let uri = target.parse().expect("a target");
        guard()
            .check(version, &uri, &headers)
            .map_or_else(|refusal| refusal.status(), |()| 200)
    }

    #[test]
    fn hosts() {
        let table: &[(&str, u16)] = &[
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("localhost.:8080", 200),
            ("127.0.0.1:8080", 200),
            ("127.0.0.2", 200),
            ("[::1]:8080", 200),
            ("[0:0:0:0:0:0:0:1]", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("chat.example", 200),
            ("chat.example:443", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("notlocalhost", 403),
            ("0.0.0.0", 403),
            ("192.168.0.1", 403),
            ("[::]", 403),
            ("127.0.0.1.evil.example", 403),
            ("", 400),
            (":8080", 400),
            ("localhost:x", 400),
            ("localhost:99999", 400),
            ("localhost@evil.example", 400),
            ("::1", 400),
            ("[::1", 400),
            ("[::1]x", 400),
            ("local host", 400),
        ];
        for (host, expected) in table {
            let got = status(Version::HTTP_11, "/", &[(HOST, host.as_bytes())]);
            assert_eq!(got, *expected, "Host: {host}");
        }
    }

    #[test]
    fn a_host_is_needed_once_and_in_ascii() {
        assert_eq!(status(Version::HTTP_11, "/", &[]), 400);
        assert_eq!(status(Version::HTTP_10, "/", &[]), 200);
        assert_eq!(status(Version::HTTP_10, "/", &[(HOST, b"evil.example")]), 403);
        assert_eq!(
            status(
                Version::HTTP_11,
                "/",
                &[(HOST, b"localhost"), (HOST, b"localhost")]
            ),
            400
        );
        assert_eq!(status(Version::HTTP_11, "/", &[(HOST, b"localh\xf6st")]), 400);
    }

    #[test]
    fn an_absolute_target_is_checked_as_well() {
        let host: &[(HeaderName, &[u8])] = &[(HOST, b"localhost")];
        assert_eq!(
            status(Version::HTTP_11, "http://localhost:1/v1/models", host),
            200
        );
        assert_eq!(
            status(Version::HTTP_11, "http://evil.example/v1/models", host),
            403
        );
        assert_eq!(
            status(Version::HTTP_11, "http://localhost@evil.example/", host),
            400
        );
    }

    #[test]
    fn origins() {
        let table: &[(&[u8], u16)] = &[
            (b"http://localhost:3000", 200),
            (b"https://127.0.0.1", 200),
            (b"http://[::1]:8080", 200),
            (b"https://chat.example", 200),
            (b"null", 403),
            (b"https://evil.example", 403),
            (b"http://localhost.evil.example", 403),
            (b"http://localhost/../evil", 403),
            (b"file://", 403),
            (b"chrome-extension://abc", 403),
            (b"", 403),
            (b"\xff", 400),
        ];
        for (origin, expected) in table {
            let got = status(Version::HTTP_11, "/", &[(HOST, b"localhost"), (ORIGIN, origin)]);
            assert_eq!(got, *expected, "Origin: {}", origin.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn only_known_names_pass(name in "[a-z0-9.:@\\[\\]-]{0,24}") {
            let got = status(Version::HTTP_11, "/", &[(HOST, name.as_bytes())]);
            let host = name.split(':').next().unwrap_or_default().trim_end_matches('.');
            let known = host == "localhost"
                || host == "chat.example"
                || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
                || name.starts_with('[');
            prop_assert!(known || got != 200, "{name} was let in");
        }
    }
}
