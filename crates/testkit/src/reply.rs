//! What the scripted upstream answers: a head, the steps of a body with their times, and an ending, honest or not.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{Gate, Request};

/// Which reply each request gets.
#[derive(Clone)]
pub struct Script(Arc<Choose>);

/// Chooses the reply to a request by its number and what it says.
type Choose = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// One reply: built in the order in which it is to happen.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    pub(crate) delay: Duration,
    pub(crate) framing: Framing,
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}

/// How the body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Transfer-Encoding: chunked`, one chunk a piece.
    Chunked,
    /// `Content-Length`, true or not.
    Length(Option<usize>),
    /// Neither: the body ends with the connection.
    UntilClose,
    /// No head is written; the pieces are all there is on the wire.
    Raw,
}

/// One step of a body.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(Vec<u8>),
    Wait(Duration),
    Hold(Gate),
}

/// What happens after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The framing's proper end.
    Proper,
    /// The connection is closed, properly in TCP, whatever the framing still owes.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more, until the peer leaves.
    Stall,
}

impl Script {
    /// These replies in order, one a request; the last one answers every further request.
    ///
    /// # Panics
    ///
    /// If there is no reply.
    #[must_use]
    pub fn sequence(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a script needs a reply");
        Self::with(move |n, _| replies[n.min(replies.len() - 1)].clone())
    }

    /// The reply is made from the request's number, from 0, and the request.
    #[must_use]
    pub fn with(reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(reply))
    }

    pub(crate) fn reply(&self, n: usize, request: &Request) -> Reply {
        (self.0)(n, request)
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::with(move |_, _| reply.clone())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Reply {
    /// 200, an event stream in chunked encoding, with one write a piece and a proper end.
    #[must_use]
    pub fn sse<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let mut reply = Self::new(200, Framing::Chunked).header("content-type", "text/event-stream");
        reply.steps.extend(
            pieces
                .into_iter()
                .map(|piece| Step::Write(piece.as_ref().to_vec())),
        );
        reply
    }

    /// This status with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, Framing::Length(None))
            .header("content-type", "application/json")
            .piece(body.to_string())
    }

    /// This status with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(status, Framing::Length(None))
    }

    /// These bytes on the wire instead of a response, then the connection is closed.
    #[must_use]
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(0, Framing::Raw).piece(bytes).cut()
    }

    /// This status with a body in chunked encoding, still empty.
    pub(crate) fn streamed(status: u16) -> Self {
        Self::new(status, Framing::Chunked)
    }

    fn new(status: u16, framing: Framing) -> Self {
        Self {
            status,
            headers: Vec::new(),
            delay: Duration::ZERO,
            framing,
            steps: Vec::new(),
            ending: Ending::Proper,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the head.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.delay = pause;
        self
    }

    /// The body has no framing and ends with the connection, as in HTTP/1.0.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// The response claims a body of this many bytes.
    #[must_use]
    pub fn content_length(mut self, bytes: usize) -> Self {
        self.framing = Framing::Length(Some(bytes));
        self
    }

    /// Writes this piece of the body, in one write and, where the framing is chunked, as one chunk.
    #[must_use]
    pub fn piece(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.steps.push(Step::Write(bytes.as_ref().to_vec()));
        self
    }

    /// Waits.
    #[must_use]
    pub fn wait(mut self, pause: Duration) -> Self {
        self.steps.push(Step::Wait(pause));
        self
    }

    /// Waits until this gate is open.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Hold(gate.clone()));
        self
    }

    /// Writes these bytes `n` at a time, with a pause after each.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    #[must_use]
    pub fn drip(mut self, bytes: impl AsRef<[u8]>, n: usize, pause: Duration) -> Self {
        for piece in bytes.as_ref().chunks(n) {
            self = self.piece(piece).wait(pause);
        }
        self
    }

    /// Ends by closing the connection inside the body: a chunked body lacks its last chunk, a counted one is short. A
    /// body without framing just ends.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    /// Ends with a reset, a moment after the last write so that the peer has read it: a reset discards what the peer's
    /// system still holds.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.ending = Ending::Reset;
        self
    }

    /// Does not end: the connection stays open and silent until the peer leaves.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.ending = Ending::Stall;
        self
    }

    /// The response's head, as it goes on the wire.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        match self.framing {
            Framing::Raw => return Vec::new(),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::Length(claimed) => {
                let written = self.steps.iter().map(Step::len).sum();
                head.push_str(&format!("content-length: {}\r\n", claimed.unwrap_or(written)));
            }
            Framing::UntilClose => head.push_str("connection: close\r\n"),
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Step {
    /// The bytes this step writes, framing aside.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Write(bytes) => bytes.len(),
            Self::Wait(_) | Self::Hold(_) => 0,
        }
    }
}
