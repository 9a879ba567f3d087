//! The HTTP library's part: requests out, heads and errors in, translated into what the [`Call`](crate::call::Call)
//! understands. No URL query and no key gets into a message here.

use std::{
    error::Error as _,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aurora_chat::{ChatRequest, Deadline, Failure, FailureKind, Limit, dialect::openai};
use bytes::Bytes;
use reqwest::{
    Response,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};

use crate::{
    Deadlines, Endpoint, Error,
    call::{Ask, Head},
    connect::{ConnectWithin, TooLate},
    continuation,
    retry::Hints,
};

/// How many differently set up HTTP clients are kept: one for each connect deadline in use.
const MAX_SETUPS: usize = 16;

/// How many connections to one host are kept while no call uses them, for the 90 seconds that the HTTP library keeps
/// them. Each costs a file and 13 KiB, also after its server has closed it; after a burst of calls there would be one for
/// every call.
const MAX_IDLE: usize = 128;

/// A pool of connections for each way of connecting that has been asked for: the HTTP library fixes the connect deadline
/// and the trusted roots when a client is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    setups: Arc<Mutex<Vec<(Setup, reqwest::Client)>>>,
}

/// What a client is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setup {
    /// Plain HTTP on this machine: no roots to load, which takes milliseconds, and no proxy.
    local: bool,
    connect: Option<Duration>,
}

/// A request that can be sent several times.
#[derive(Debug)]
pub(crate) struct Outgoing {
    client: reqwest::Client,
    url: String,
    /// Where streams are that the server keeps.
    streams: String,
    headers: HeaderMap,
    body: Bytes,
    /// What the body was made of, where its answer may have to be continued.
    request: Option<Box<ChatRequest>>,
    deadlines: Deadlines,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) failure: Failure,
    /// Nothing of an answer can have been lost, and the next attempt may fare better.
    pub(crate) retryable: bool,
}

impl Pool {
    /// A request to this endpoint.
    ///
    /// # Errors
    ///
    /// A failure if the HTTP client cannot be built or the key cannot be sent.
    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Outgoing, Failure> {
        let setup = Setup {
            local: endpoint.base_url.is_local(),
            connect: endpoint.deadlines.connect,
        };
        let client = self
            .client(setup)
            .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
        Ok(Outgoing {
            client,
            url: endpoint.base_url.join(path),
            streams: endpoint.base_url.join("/streams"),
            headers: headers(endpoint)?,
            body: body.into(),
            request: None,
            deadlines: endpoint.deadlines,
        })
    }

    fn client(&self, setup: Setup) -> Result<reqwest::Client, Error> {
        let mut setups = self.setups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = setups.iter().find(|(have, _)| *have == setup) {
            return Ok(client.clone());
        }
        let client = setup.build()?;
        if setups.len() >= MAX_SETUPS {
            setups.remove(0);
        }
        setups.push((setup, client.clone()));
        Ok(client)
    }
}

impl Setup {
    fn build(self) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("aurora/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_nodelay(true);
        if self.local {
            builder = builder.no_proxy().tls_backend_preconfigured(untrusting()?);
        }
        if let Some(limit) = self.connect {
            builder = builder.connector_layer(ConnectWithin(limit));
        }
        crate::client::install_crypto();
        builder.build().map_err(|error| Error::Http {
            reason: chain(&error),
        })
    }
}

/// A TLS setup without roots, for connections that have no TLS.
fn untrusting() -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Http {
            reason: error.to_string(),
        })?;
    Ok(builder
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

impl Outgoing {
    /// Where it goes.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it says.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Keeps the request so that its answer can be continued.
    pub(crate) fn keeping(mut self, request: ChatRequest) -> Self {
        self.request = Some(Box::new(request));
        self
    }

    /// Sends what is asked for, and waits for the response's head.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Response, Unsent> {
        let post = |body: Bytes| {
            let request = self.client.post(&self.url).headers(self.headers.clone());
            request.body(body)
        };
        let request = match (ask, &self.request) {
            (Ask::Continuation(partial), Some(request)) => {
                post(openai::request_body(&continuation::prefixed(request, partial)).into())
            }
            // A continuation is asked for only where the request was kept.
            (Ask::Answer | Ask::Continuation(_), _) => post(self.body.clone()),
            (Ask::Rest(rest), _) => {
                let mut headers = self.headers.clone();
                headers.remove(header::CONTENT_TYPE);
                let request = self.client.get(format!("{}/{}", self.streams, rest.stream));
                match rest.cursor() {
                    None => request.headers(headers),
                    Some(cursor) => request.headers(headers).header("last-event-id", cursor),
                }
            }
        };
        request.send().await.map_err(|error| self.unsent(&error))
    }

    /// Reads something that the server has, as JSON: sends no body, and waits for the response's head.
    pub(crate) async fn fetch(&self) -> Result<Response, Unsent> {
        let mut headers = self.headers.clone();
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = self.client.get(&self.url).headers(headers);
        request.send().await.map_err(|error| self.unsent(&error))
    }

    fn unsent(&self, error: &reqwest::Error) -> Unsent {
        let failure = |kind, message| Unsent {
            failure: Failure::new(kind, message),
            retryable: false,
        };
        if find::<TooLate>(error).is_some() {
            let deadline = Deadline::Connect;
            return failure(
                FailureKind::Deadline(deadline),
                self.deadlines.message(deadline, None),
            );
        }
        if error.is_connect() {
            let tls = find::<rustls::Error>(error).map(tls_reason);
            // A certificate that is wrong now is wrong in a second.
            let retryable = tls.is_none();
            let reason = tls.unwrap_or_else(|| chain(error));
            let message = format!("no connection to the server: {reason}");
            return Unsent {
                retryable,
                ..failure(FailureKind::Connect, message)
            };
        }
        if error.is_builder() {
            return failure(
                FailureKind::InvalidRequest,
                format!("the request cannot be sent: {}", chain(error)),
            );
        }
        match find::<hyper::Error>(error) {
            Some(error) if error.is_parse_too_large() => {
                let message = "the response's headers are larger than the HTTP library's limit".to_owned();
                failure(FailureKind::Limit(Limit::Headers), message)
            }
            Some(error) if error.is_parse() => {
                let message = format!("the server does not answer in HTTP: {}", chain(error));
                failure(FailureKind::Protocol, message)
            }
            _ => {
                let message = format!("the connection was lost before the response: {}", chain(error));
                Unsent {
                    retryable: true,
                    ..failure(FailureKind::ConnectionLost, message)
                }
            }
        }
    }
}

/// The head of a response that arrived now.
pub(crate) fn head_of(response: &Response) -> Head {
    let headers = response.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Head {
        status: response.status().as_u16(),
        content_type: text("content-type").map(str::to_owned),
        content_encoding: text("content-encoding").map(str::to_owned),
        hints: Hints::read(text, SystemTime::now()),
        stream: text("x-stream-id").map(str::to_owned),
        location: text("location").and_then(|location| presentable(response, location)),
        bytes: headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
    }
}

/// Why a body broke off.
pub(crate) fn body_failure(error: &reqwest::Error) -> Failure {
    let malformed = find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    });
    if malformed {
        let message = format!("the response's body breaks the rules of HTTP: {}", chain(error));
        return Failure::new(FailureKind::Protocol, message);
    }
    let message = format!("the connection was lost in mid-stream: {}", chain(error));
    Failure::new(FailureKind::ConnectionLost, message)
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &endpoint.api_key {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).map_err(|_| {
            let message = "the API key holds a character that HTTP does not allow in a header";
            Failure::new(FailureKind::InvalidRequest, message)
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    for (name, value) in &endpoint.headers {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

/// Where a redirect leads, without what could be a secret.
fn presentable(response: &Response, location: &str) -> Option<String> {
    let mut to = response.url().join(location).ok()?;
    to.set_query(None);
    to.set_fragment(None);
    to.set_username("").and_then(|()| to.set_password(None)).ok()?;
    Some(to.into())
}

/// Why there is no TLS, with what is likely behind it.
fn tls_reason(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error, InvalidMessage};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("{error}: no authority that this machine trusts has signed it")
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("the server does not speak TLS, as an http:// address would have it ({error})")
        }
        _ => error.to_string(),
    }
}

/// The first error of this type in the chain.
fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error shows what it wraps by `get_ref`, not as its source.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The innermost messages of an error: those of the HTTP library name the URL, or say no more than that a request
/// failed.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        if !error.is::<reqwest::Error>() && messages.last() != Some(&message) {
            messages.push(message);
        }
        next = error.source();
    }
    match messages.is_empty() {
        true => "the HTTP library gives no reason".to_owned(),
        false => messages.join(": "),
    }
}
