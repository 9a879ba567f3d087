//! What goes into a call and what it asks for: its terms, what can happen to it, and what it needs next.

use aurora_chat::Failure;

use crate::{
    Deadlines, Limits, Pace,
    mask::Mask,
    resume::{ResumeFrom, is_stream_id},
    retry::Hints,
};

/// The terms of a call.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) endpoint: String,
    /// The model that was asked for.
    pub(crate) model: String,
    pub(crate) deadlines: Deadlines,
    pub(crate) limits: Limits,
    pub(crate) retries: u32,
    /// With any limit, every attempt waits for its turn.
    pub(crate) pace: Pace,
    /// A text whose connection is lost is continued by another request.
    pub(crate) continues: bool,
    /// Hides the key wherever a server repeats it.
    pub(crate) mask: Mask,
    /// What the waits between attempts are drawn from.
    pub(crate) seed: u64,
}

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Wait for the call's turn; then [`Input::Turn`] or [`Input::Unsent`].
    Turn,
    /// Send what [`Call::ask`] says; then [`Input::Head`] or [`Input::Unsent`].
    Send,
    /// Read the response's body; then [`Input::Bytes`] or [`Input::End`].
    Body,
    /// Nothing, until [`Call::wake_at`].
    Wait,
    /// Nothing more: the call has ended.
    Nothing,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    /// The request.
    Answer,
    /// The rest of the stream in which the server keeps the answer.
    Rest(ResumeFrom<'a>),
    /// Another answer, which goes on from this text.
    Continuation(&'a str),
}

/// The head of a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) hints: Hints,
    /// `x-stream-id`.
    pub(crate) stream: Option<String>,
    /// `Location`, without user info and query.
    pub(crate) location: Option<String>,
    /// `Content-Encoding`.
    pub(crate) content_encoding: Option<String>,
    /// The names and values of all headers, in bytes.
    pub(crate) bytes: usize,
}

impl Head {
    /// The head fit to be shown: without the call's key, and without a stream id that is none.
    pub(crate) fn clean(self, mask: &Mask) -> Self {
        let masked = |text: String| mask.text(&text).into_owned();
        Self {
            content_type: self.content_type.map(masked),
            stream: self.stream.map(masked).filter(|stream| is_stream_id(stream)),
            location: self.location.map(masked),
            ..self
        }
    }

    /// The encoding of the body, if it has one. None was asked for, and none can be read.
    pub(crate) fn encoding(&self) -> Option<&str> {
        let encoding = self.content_encoding.as_deref()?.trim();
        (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
    }

    /// Whether the body is an event stream, as the header says.
    pub(crate) fn promises_events(&self) -> bool {
        self.content_type.as_deref().is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("text/event-stream")
        })
    }
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// As its framing says.
    Proper,
    /// Otherwise: lost, or not HTTP.
    Failed(Failure),
}

/// Something that happened to a call.
#[derive(Clone, Debug)]
pub(crate) enum Input<'a> {
    /// The call's turn has come.
    Turn,
    /// The response's head has come.
    Head(Head),
    /// No response has come: the connection failed, or was lost before the head.
    Unsent { failure: Failure, retryable: bool },
    /// The next bytes of the body.
    Bytes(&'a [u8]),
    /// The body has ended.
    End(BodyEnd),
    /// Time has passed.
    Time,
    /// Nothing more is going to happen, for this reason.
    Abort(Failure),
}
