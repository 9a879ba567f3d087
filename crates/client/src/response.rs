//! A response, by whichever way it came: its head as the [`Call`](crate::call::Call) understands it, and its body.

use std::{io, time::SystemTime};

use aurora_chat::{Failure, FailureKind};
use bytes::Bytes;
use http::{Uri, header::HeaderMap};

use crate::{
    call::Head,
    plain::{self, BodyError},
    retry::Hints,
    transport::{chain, find},
};

/// A response whose body is still to be read.
#[derive(Debug)]
pub(crate) enum Response {
    Plain(plain::Reply),
    Library(reqwest::Response),
}

/// Bytes of a body.
#[derive(Debug)]
pub(crate) enum Chunk {
    Plain(plain::Chunk),
    Library(Bytes),
}

impl std::ops::Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Library(bytes) => bytes,
        }
    }
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Plain(reply) => reply.status,
            Self::Library(response) => response.status().as_u16(),
        }
    }

    fn headers(&self) -> &HeaderMap {
        match self {
            Self::Plain(reply) => &reply.headers,
            Self::Library(response) => response.headers(),
        }
    }

    /// Forgets its headers, which are slices of the read that brought them: the library could not use 8 KiB again as long
    /// as the response lasts.
    pub(crate) fn forget_headers(&mut self) {
        match self {
            Self::Plain(reply) => reply.headers = HeaderMap::new(),
            Self::Library(response) => *response.headers_mut() = HeaderMap::new(),
        }
    }

    /// The next bytes of the body; `None` at its end. Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Chunk>, Failure> {
        match self {
            Self::Plain(reply) => match reply.chunk().await {
                Ok(bytes) => Ok(bytes.map(Chunk::Plain)),
                Err(BodyError::Framing(error)) => Err(malformed(&error.to_string())),
                Err(BodyError::Lost(error)) => Err(lost(&error.to_string())),
            },
            Self::Library(response) => match response.chunk().await {
                Ok(bytes) => Ok(bytes.map(Chunk::Library)),
                Err(error) => Err(body_failure(&error)),
            },
        }
    }
}

/// The head of a response that arrived now, to a request for `url`.
pub(crate) fn head_of(response: &Response, url: &Uri) -> Head {
    let headers = response.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Head {
        status: response.status(),
        content_type: text("content-type").map(str::to_owned),
        content_encoding: text("content-encoding").map(str::to_owned),
        hints: Hints::read(text, SystemTime::now()),
        stream: text("x-stream-id").map(str::to_owned),
        location: text("location").and_then(|location| presentable(url, location)),
        bytes: headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
    }
}

/// Why a body broke off.
fn body_failure(error: &reqwest::Error) -> Failure {
    let malformed = find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    });
    if malformed {
        return self::malformed(&chain(error));
    }
    lost(&chain(error))
}

fn malformed(reason: &str) -> Failure {
    let message = format!("the response's body breaks the rules of HTTP: {reason}");
    Failure::new(FailureKind::Protocol, message)
}

fn lost(reason: &str) -> Failure {
    let message = format!("the connection was lost in mid-stream: {reason}");
    Failure::new(FailureKind::ConnectionLost, message)
}

/// Where a redirect leads, without what could be a secret.
fn presentable(url: &Uri, location: &str) -> Option<String> {
    let mut to = reqwest::Url::parse(&url.to_string()).ok()?.join(location).ok()?;
    to.set_query(None);
    to.set_fragment(None);
    to.set_username("").and_then(|()| to.set_password(None)).ok()?;
    Some(to.into())
}
