//! The body of a request: read whole, within a size and a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::Refusal;

/// A client earns a second more with every so many bytes, so that a large body over a slow line is no drip.
const BYTES_PER_SECOND: usize = 64 * 1024;

/// A body that may be read, or left unread.
#[derive(Debug)]
pub(crate) struct Intake {
    body: Incoming,
    complete: bool,
}

impl Intake {
    pub(crate) fn new(body: Incoming) -> Self {
        let complete = body.is_end_stream();
        Self { body, complete }
    }

    /// Whether nothing of the body is left on the socket. If something is, the connection can not be used again.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Reads the body whatever its content type says it is: clients that send JSON as a form or as plain text exist,
    /// and mean JSON.
    pub(crate) async fn read(
        &mut self,
        headers: &HeaderMap,
        limit: usize,
        time: Duration,
    ) -> Result<Vec<u8>, Refusal> {
        check_encoding(headers)?;
        let announced = self.body.size_hint().lower();
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        let started = Instant::now();
        // What is only announced is not allocated: a promise of 16 MiB costs a client nothing.
        let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(limit).min(BYTES_PER_SECOND));
        loop {
            let earned = Duration::from_secs((bytes.len() / BYTES_PER_SECOND) as u64);
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let Ok(frame) = timeout_at(started + time + earned, frame).await else {
                return Err(too_slow());
            };
            match frame {
                None => break,
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.len() > limit - bytes.len() {
                        return Err(too_large(limit));
                    }
                    bytes.extend_from_slice(&data);
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the request's body broke off");
                    return Err(Refusal::invalid(
                        400,
                        "the request's body broke off",
                        None,
                        Some("bad_body"),
                    ));
                }
            }
        }
        self.complete = true;
        Ok(bytes)
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let encoded = headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
    });
    if encoded {
        let message = "the body has a Content-Encoding; send it as it is";
        return Err(Refusal::invalid(415, message, None, Some("unsupported_encoding")));
    }
    Ok(())
}

fn too_large(limit: usize) -> Refusal {
    let message = format!("the body is larger than {limit} bytes, the most this server takes");
    Refusal::invalid(413, message, None, Some("body_too_large"))
}

fn too_slow() -> Refusal {
    Refusal::invalid(408, "the body came too slowly", None, Some("body_timeout"))
}
