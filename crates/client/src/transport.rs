//! Requests out, heads and errors in, translated into what the [`Call`](crate::call::Call) understands. Plain HTTP that
//! meets no proxy goes by [`plain`](crate::plain), all else by the HTTP library. No URL query and no key gets into a
//! message here.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aurora_chat::{ChatRequest, Deadline, Failure, FailureKind, Limit, dialect::openai};
use bytes::Bytes;
use http::{
    Uri,
    header::{self, HeaderMap, HeaderValue},
};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect;
use tokio::runtime::{self, Handle};

use crate::{
    Deadlines, Endpoint, Error,
    call::Ask,
    connect::{ConnectWithin, TooLate},
    continuation,
    plain::{self, Plain, SendError},
    response::Response,
};

/// How many differently set up HTTP clients are kept: one for each connect deadline in use, in each runtime; and in all
/// runtimes together.
const MAX_SETUPS: usize = 16;
const MAX_ALL_SETUPS: usize = 4096;

/// How many connections to one host are kept while no call of their runtime uses them, for the 90 seconds that the HTTP
/// library keeps them. Each costs a file, and in the library 13 KiB, there also after its server has closed it; after a
/// burst of calls there would be one for every call.
const MAX_IDLE: usize = 128;

/// A pool of connections for each way of connecting that has been asked for: the HTTP library fixes the connect deadline
/// and the trusted roots when a client is built. And one for each runtime, since a connection is driven by the one it was
/// made in: it ends with it, and each read by another one would be two wake-ups between threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    setups: Arc<Mutex<Vec<(Setup, Way)>>>,
    /// The proxies that the environment names, once they were looked up.
    proxies: Arc<OnceLock<Matcher>>,
}

/// How requests are sent.
#[derive(Clone, Debug)]
enum Way {
    Plain(Plain),
    Library(reqwest::Client),
}

/// What a client is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setup {
    /// HTTP without TLS, to which no proxy belongs.
    plain: bool,
    /// The library's only.
    connect: Option<Duration>,
    /// The runtime whose connections these are; known when a request is sent.
    runtime: Option<runtime::Id>,
}

/// A request that can be sent several times.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pool: Pool,
    setup: Setup,
    url: Uri,
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
        let unusable = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Internal, error.to_string());
        let url = endpoint.base_url.join(path);
        let url = Uri::try_from(url).map_err(|error| unusable(&error))?;
        let plain = url.scheme() == Some(&http::uri::Scheme::HTTP)
            && (endpoint.base_url.is_local() || self.proxies().intercept(&url).is_none());
        let setup = Setup {
            plain,
            connect: endpoint.deadlines.connect.filter(|_| !plain),
            runtime: None,
        };
        Ok(Outgoing {
            pool: self.clone(),
            setup,
            url,
            streams: endpoint.base_url.join("/streams"),
            headers: headers(endpoint)?,
            body: body.into(),
            request: None,
            deadlines: endpoint.deadlines,
        })
    }

    fn proxies(&self) -> &Matcher {
        self.proxies.get_or_init(Matcher::from_system)
    }

    /// The way of this kind that belongs to the runtime this is called in.
    fn way(&self, setup: Setup) -> Result<Way, Error> {
        let setup = Setup {
            runtime: Handle::try_current().ok().map(|runtime| runtime.id()),
            ..setup
        };
        let setups = || self.setups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, way)) = setups().iter().find(|(have, _)| *have == setup) {
            return Ok(way.clone());
        }
        // Not under the lock: to load the trusted roots takes milliseconds.
        let way = match setup.plain {
            true => Way::Plain(Plain::new(MAX_IDLE)),
            false => Way::Library(setup.build()?),
        };
        let mut setups = setups();
        let of_runtime = |(have, _): &(Setup, Way)| have.runtime == setup.runtime;
        if setups.iter().filter(|have| of_runtime(have)).count() >= MAX_SETUPS
            && let Some(oldest) = setups.iter().position(of_runtime)
        {
            setups.remove(oldest);
        }
        if setups.len() >= MAX_ALL_SETUPS {
            setups.remove(0);
        }
        setups.push((setup, way.clone()));
        Ok(way)
    }
}

impl Setup {
    fn build(self) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_nodelay(true);
        if let Some(limit) = self.connect {
            builder = builder.connector_layer(ConnectWithin(limit));
        }
        crate::client::install_crypto();
        builder.build().map_err(|error| Error::Http {
            reason: chain(&error),
        })
    }
}

impl Outgoing {
    /// Where it goes to ask for this.
    pub(crate) fn url(&self, ask: Ask<'_>) -> Uri {
        let rest = match ask {
            // Ids of streams are letters, digits, - and _.
            Ask::Rest(rest) => Uri::try_from(format!("{}/{}", self.streams, rest.stream)).ok(),
            Ask::Answer | Ask::Continuation(_) => None,
        };
        rest.unwrap_or_else(|| self.url.clone())
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
        let url = self.url(ask);
        match (ask, &self.request) {
            (Ask::Continuation(partial), Some(request)) => {
                let body = openai::request_body(&continuation::prefixed(request, partial));
                self.deliver(&url, self.headers.clone(), Some(body.into())).await
            }
            // A continuation is asked for only where the request was kept.
            (Ask::Answer | Ask::Continuation(_), _) => {
                self.deliver(&url, self.headers.clone(), Some(self.body.clone()))
                    .await
            }
            (Ask::Rest(rest), _) => {
                let mut headers = self.headers.clone();
                headers.remove(header::CONTENT_TYPE);
                if let Some(cursor) = rest.cursor() {
                    let cursor = HeaderValue::try_from(cursor).map_err(|error| {
                        let message = format!("the rest of the stream cannot be asked for: {error}");
                        Unsent::for_good(FailureKind::InvalidRequest, message)
                    })?;
                    headers.insert("last-event-id", cursor);
                }
                self.deliver(&url, headers, None).await
            }
        }
    }

    /// Reads something that the server has, as JSON: sends no body, and waits for the response's head.
    pub(crate) async fn fetch(&self) -> Result<Response, Unsent> {
        let mut headers = self.headers.clone();
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        self.deliver(&self.url, headers, None).await
    }

    /// `POST` with a body, `GET` without.
    async fn deliver(&self, url: &Uri, headers: HeaderMap, body: Option<Bytes>) -> Result<Response, Unsent> {
        let way = self.pool.way(self.setup);
        let way = way.map_err(|error| Unsent::for_good(FailureKind::Internal, error.to_string()))?;
        match way {
            Way::Plain(plain) => {
                let request = plain::Request {
                    method: if body.is_some() { "POST" } else { "GET" },
                    uri: url,
                    headers: &headers,
                    body: body.as_ref(),
                };
                let sent = plain.send(request, self.deadlines.connect).await;
                sent.map(Response::Plain).map_err(|error| self.refused(error))
            }
            Way::Library(client) => {
                let url = url.to_string();
                let request = match body {
                    Some(body) => client.post(url).body(body),
                    None => client.get(url),
                };
                let sent = request.headers(headers).send().await;
                sent.map(Response::Library).map_err(|error| self.unsent(&error))
            }
        }
    }

    fn too_late(&self) -> Unsent {
        let deadline = Deadline::Connect;
        Unsent::for_good(
            FailureKind::Deadline(deadline),
            self.deadlines.message(deadline, None),
        )
    }

    fn refused(&self, error: SendError) -> Unsent {
        match error {
            SendError::TooLate => self.too_late(),
            SendError::Connect(error) => Unsent::unconnected(&chain(&*error)),
            SendError::Lost(error) => Unsent::lost(&error.to_string()),
            SendError::TooLarge => Unsent::too_large(),
            SendError::NotHttp(reason) => Unsent::not_http(&reason),
        }
    }

    fn unsent(&self, error: &reqwest::Error) -> Unsent {
        if find::<TooLate>(error).is_some() {
            return self.too_late();
        }
        if error.is_connect() {
            return match find::<rustls::Error>(error).map(tls_reason) {
                // A certificate that is wrong now is wrong in a second.
                Some(reason) => Unsent {
                    retryable: false,
                    ..Unsent::unconnected(&reason)
                },
                None => Unsent::unconnected(&chain(error)),
            };
        }
        if error.is_builder() {
            let message = format!("the request cannot be sent: {}", chain(error));
            return Unsent::for_good(FailureKind::InvalidRequest, message);
        }
        match find::<hyper::Error>(error) {
            Some(error) if error.is_parse_too_large() => Unsent::too_large(),
            Some(error) if error.is_parse() => Unsent::not_http(&chain(error)),
            _ => Unsent::lost(&chain(error)),
        }
    }
}

impl Unsent {
    fn for_good(kind: FailureKind, message: String) -> Self {
        Self {
            failure: Failure::new(kind, message),
            retryable: false,
        }
    }

    fn unconnected(reason: &str) -> Self {
        let message = format!("no connection to the server: {reason}");
        Self {
            failure: Failure::new(FailureKind::Connect, message),
            retryable: true,
        }
    }

    fn lost(reason: &str) -> Self {
        let message = format!("the connection was lost before the response: {reason}");
        Self {
            failure: Failure::new(FailureKind::ConnectionLost, message),
            retryable: true,
        }
    }

    fn too_large() -> Self {
        let message = "the response's headers are larger than any that are read (100 headers, 400 KiB)";
        Self::for_good(FailureKind::Limit(Limit::Headers), message.to_owned())
    }

    fn not_http(reason: &str) -> Self {
        let message = format!("the server does not answer in HTTP: {reason}");
        Self::for_good(FailureKind::Protocol, message)
    }
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let agent = HeaderValue::from_static(concat!("aurora/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
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
pub(crate) fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error shows what it wraps by `get_ref`, not as its source.
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The innermost messages of an error: those of the HTTP library name the URL, or say no more than that a request
/// failed.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
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
