//! The way in: a client that starts calls.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::Write,
    sync::Once,
};

use aurora_chat::{ChatRequest, dialect::openai};

use crate::{
    Answer, Dialect, Endpoint, Error, OnDrop, Verbatim,
    answer::drive,
    call::{Call, Terms},
    line::Lines,
    log,
    mask::Mask,
    record::Recorder,
    transport::Pool,
};

/// Makes calls to upstreams, and keeps their connections for the next ones: 90 seconds, and no more than 128 to a host, for
/// each runtime that makes calls.
/// Cheap to clone; clones share connections, and the limits of [`Pace`](crate::Pace).
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) pool: Pool,
    lines: Lines,
}

impl Client {
    /// A client without connections yet.
    ///
    /// # Errors
    ///
    /// [`Error::Http`] if there is no way to make TLS connections.
    pub fn new() -> Result<Self, Error> {
        install_crypto();
        Ok(Self {
            pool: Pool::default(),
            lines: Lines::default(),
        })
    }

    /// Prepares a call. Nothing is sent before the answer is polled for the first time, and all work is done while it is
    /// polled, inside a tokio runtime with I/O and time; there is no task to leave behind. The answer is always asked
    /// for as a stream, with usage.
    ///
    /// Whatever goes wrong is told by the [`End`](aurora_chat::End) of the answer.
    #[must_use]
    pub fn start(&self, endpoint: &Endpoint, request: ChatRequest) -> Answer {
        self.prepare(endpoint, request, false, None).into()
    }

    /// As [`start`](Self::start), together with the data of the events that the answer is read from: the same call,
    /// which has the same updates. It costs one copy of every event. [`OnDrop::Continue`] has no effect on it: the events
    /// of two answers are not those of one.
    #[must_use]
    pub fn start_verbatim(&self, endpoint: &Endpoint, request: ChatRequest) -> Verbatim {
        self.prepare(endpoint, request, true, None)
    }

    /// As [`start`](Self::start), and writes a [`Recording`](crate::Recording) of the exchange to `sink`, a line at a
    /// time as things happen. The key is masked in it; the request and the answer are not. If `sink` fails, the
    /// recording ends there, with a warning, and the call goes on.
    #[must_use]
    pub fn start_recorded(
        &self,
        endpoint: &Endpoint,
        request: ChatRequest,
        sink: Box<dyn Write + Send>,
    ) -> Answer {
        self.prepare(endpoint, request, false, Some(sink)).into()
    }

    fn prepare(
        &self,
        endpoint: &Endpoint,
        mut request: ChatRequest,
        verbatim: bool,
        sink: Option<Box<dyn Write + Send>>,
    ) -> Verbatim {
        request.stream = true;
        request.include_usage = true;
        let terms = Terms {
            endpoint: endpoint.name.clone(),
            model: request.model.clone(),
            deadlines: endpoint.deadlines,
            limits: endpoint.limits,
            retries: endpoint.retries,
            pace: endpoint.pace,
            mask: Mask::new(endpoint.api_key.as_ref()),
            continues: endpoint.on_drop == OnDrop::Continue,
            seed: RandomState::new().hash_one(0),
        };
        let span = log::span(&terms);
        let place = self.lines.place(endpoint, &request);
        let (path, body) = match endpoint.dialect {
            Dialect::OpenAi => ("/chat/completions", openai::request_body(&request)),
        };
        let recorder = sink.map(|sink| Recorder::new(sink, &terms, &body));
        let mut outgoing = self.pool.request(endpoint, path, body);
        if terms.continues {
            outgoing = outgoing.map(|outgoing| outgoing.keeping(request));
        }
        let mut call = Call::new(terms);
        if verbatim {
            call = call.verbatim();
        }
        drive(call, place, outgoing, recorder, span)
    }
}

/// Chooses the cryptography of TLS for the process, unless the program already has.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that somebody else was first, and their choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
