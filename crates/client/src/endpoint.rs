//! Where a call goes and what it may cost: the resolved settings of one upstream. What is wrong with them is said here,
//! before anything is sent; reading them from files and flags is done elsewhere.

use std::{fmt, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{Error, Pace};

/// One upstream: its address, its key, and the terms of calls to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The name under which it appears in updates, logs and metrics.
    pub name: String,
    /// The address, version part included: `https://api.openai.com/v1`.
    pub base_url: BaseUrl,
    /// Sent as `Authorization: Bearer …`; none by default.
    pub api_key: Option<Secret>,
    /// The wire format.
    pub dialect: Dialect,
    /// How long each phase of a call may take.
    pub deadlines: Deadlines,
    /// How much an answer may weigh.
    pub limits: Limits,
    /// How often a failed call is tried again before its first delta, 4 by default. 0 means one attempt.
    pub retries: u32,
    /// How fast calls may follow each other; no limits by default.
    pub pace: Pace,
    /// What is done when the connection is lost in mid-answer and the server does not keep the stream. Nothing by
    /// default: the call ends as interrupted.
    pub on_drop: OnDrop,
    /// Every value is marked as sensitive, so that `Debug` does not show it.
    pub(crate) headers: HeaderMap,
}

/// The address of an API, version part included. It has a host and neither user info, query nor fragment, so it may be
/// shown and logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// A key. `Debug` shows `***` and there is no `Display`: only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The wire formats the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI chat completions.
    #[default]
    OpenAi,
}

/// What is done about an answer whose connection was lost, where the server cannot replay it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnDrop {
    /// Nothing: what has come is all there is.
    #[default]
    Stop,
    /// Another request asks to go on from what has come, which it holds as the beginning of the assistant's turn, at most
    /// 4 times a call. For servers that know `continue_final_message` (vLLM, SGLang) or go on from a last assistant
    /// message by themselves (llama.cpp). Only for answers that so far are nothing but text.
    ///
    /// A new answer is paid for, and a limit on its tokens counts anew. Of what it repeats, at least 3 characters with a
    /// letter or digit among them and at most 64 KiB, nothing is told twice. A
    /// [`Notice::Warning`](aurora_chat::Notice::Warning) of kind `continued` stands at the seam. The text is kept for
    /// this, within [`Limits::answer`].
    Continue,
}

/// How long each phase of a call may take; `None` is for ever. Time is wall time: a laptop's sleep counts, and is seen
/// within 5 s of its end.
///
/// A deadline that passes ends the call, with its own [`Deadline`](aurora_chat::Deadline) in the verdict, and is never
/// answered with a retry: it is the bound the caller set. While a lost connection is being picked up, all but the total
/// deadline bound one try and not the call; the tries end together, 75 s after the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the connection stands: name resolution, TCP and TLS. 10 s.
    pub connect: Option<Duration>,
    /// From sending the request to the response's headers. 120 s. Each attempt has its own.
    pub headers: Option<Duration>,
    /// From sending the request to the first event, the headers included; comments are no events. 120 s. Each attempt
    /// has its own.
    pub first_event: Option<Duration>,
    /// Between two reads of the body that brought any byte at all, comments included. 60 s. It starts with the first
    /// byte of the body: until then [`first_event`](Self::first_event) holds. A stream that its server keeps is picked up
    /// first: the deadline ends the call if the new connection is silent as well.
    pub idle: Option<Duration>,
    /// The whole call: the wait for its turn ([`Pace`]), retries and the waits between them included. None.
    pub total: Option<Duration>,
}

/// How much an answer may weigh. Together they bound the memory of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One line of the event stream plus the event it belongs to, or the whole of a body that is no event stream, in
    /// bytes. 8 MiB.
    pub event: usize,
    /// The answer, in bytes: text, reasoning, refusals and tool calls. 64 MiB.
    pub answer: usize,
    /// The names and values of the response's headers, in bytes. 64 KiB; beyond 100 headers or about 400 KiB none
    /// is read.
    pub headers: usize,
}

impl Endpoint {
    /// An endpoint with the defaults of each setting and no key.
    ///
    /// # Errors
    ///
    /// As [`BaseUrl::parse`].
    pub fn new(name: impl Into<String>, base_url: &str) -> Result<Self, Error> {
        Ok(Self {
            name: name.into(),
            base_url: BaseUrl::parse(base_url)?,
            api_key: None,
            dialect: Dialect::default(),
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            retries: 4,
            pace: Pace::default(),
            on_drop: OnDrop::default(),
            headers: HeaderMap::new(),
        })
    }

    /// Adds a header to every request, in place of one of the same name, also of one the client itself would send. Its
    /// value is treated as a secret.
    ///
    /// # Errors
    ///
    /// [`Error::Header`] if HTTP does not allow the name or the value.
    pub fn header(&mut self, name: &str, value: &str) -> Result<&mut Self, Error> {
        let error = |what| Error::Header {
            name: name.escape_debug().to_string(),
            what,
        };
        let parsed = HeaderName::try_from(name).map_err(|_| error("name"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| error("value"))?;
        value.set_sensitive(true);
        self.headers.insert(parsed, value);
        Ok(self)
    }
}

impl BaseUrl {
    /// Reads an absolute `http` or `https` URL. A slash at its end makes no difference.
    ///
    /// # Errors
    ///
    /// [`Error::BaseUrl`] for anything else, and for a URL that holds user info, a query or a fragment: a key belongs
    /// into [`Endpoint::api_key`], where it is not logged.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &'static str| Error::BaseUrl { reason };
        let mut url = Url::parse(text.trim()).map_err(|_| refuse("it is not an absolute URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("its scheme is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "it holds a user name or password, which belongs into the API key",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse(
                "it holds a query or a fragment, and a path is appended to it",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The URL of a resource below this one; `path` begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    /// Whether the address is plain HTTP on this machine: nothing between here and there needs TLS or a proxy.
    pub(crate) fn is_local(&self) -> bool {
        let loopback = match self.0.host() {
            Some(reqwest_host) => is_loopback(&reqwest_host.to_string()),
            None => false,
        };
        self.0.scheme() == "http" && loopback
    }
}

/// Whether a URL's host, as it is written there, is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Secret {
    /// Keeps a key, less the white space around it: files and variables end in newlines.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().trim().to_owned())
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            headers: Some(Duration::from_secs(120)),
            first_event: Some(Duration::from_secs(120)),
            idle: Some(Duration::from_secs(60)),
            total: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            event: 8 << 20,
            answer: 64 << 20,
            headers: 64 << 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_kept_without_their_last_slash() {
        for (given, kept, completions) in [
            (
                "http://127.0.0.1:9000/v1",
                "http://127.0.0.1:9000/v1",
                "http://127.0.0.1:9000/v1/x",
            ),
            (
                " https://api.openai.com/v1/ ",
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/x",
            ),
            ("https://host", "https://host", "https://host/x"),
            ("https://host//", "https://host", "https://host/x"),
        ] {
            let url = BaseUrl::parse(given).unwrap();
            assert_eq!(url.to_string(), kept);
            assert_eq!(url.join("/x"), completions);
        }
    }

    #[test]
    fn base_urls_that_could_hold_or_leak_a_key_are_refused_without_showing_it() {
        for (given, word) in [
            ("", "absolute"),
            ("localhost:8080/v1", "scheme"),
            ("/v1", "absolute"),
            ("ftp://host/v1", "scheme"),
            ("https://me:hunter2@host/v1", "password"),
            ("https://hunter2@host/v1", "user name"),
            ("https://host/v1?key=hunter2", "query"),
            ("https://host/v1#hunter2", "fragment"),
            ("https://", "absolute"),
        ] {
            let message = Endpoint::new("e", given).unwrap_err().to_string();
            assert!(message.contains(word), "{given}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn only_plain_http_on_this_machine_is_local() {
        for (url, local) in [
            ("http://127.0.0.1/v1", true),
            ("http://127.8.9.1:80/v1", true),
            ("http://[::1]:9/v1", true),
            ("http://LOCALHOST/v1", true),
            ("https://localhost/v1", false),
            ("http://10.0.0.1/v1", false),
            ("http://localhost.example/v1", false),
        ] {
            assert_eq!(BaseUrl::parse(url).unwrap().is_local(), local, "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut endpoint = Endpoint::new("e", "http://host/v1").unwrap();
        endpoint.api_key = Some(Secret::new("hunter2\n"));
        endpoint.header("x-token", "hunter2").unwrap();
        assert!(!format!("{endpoint:?}").contains("hunter2"));
        assert_eq!(endpoint.api_key.unwrap().expose(), "hunter2");
    }

    #[test]
    fn headers_that_http_does_not_allow_are_refused() {
        let mut endpoint = Endpoint::new("e", "http://host/v1").unwrap();
        assert!(endpoint.header("x y", "v").is_err());
        let error = endpoint.header("x-y", "hunter2\n").unwrap_err();
        assert_eq!(
            error,
            Error::Header {
                name: "x-y".into(),
                what: "value"
            }
        );
        assert!(!error.to_string().contains("hunter2"));
    }
}
