//! From a request that was read to a stream that has begun, or to the error that came instead.

use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use aurora_chat::ChatRequest;
use aurora_streamlog::StreamId;
use futures_util::FutureExt;

use crate::Refusal;
use crate::exchange::Exchange;
use crate::phase::Phase;
use crate::service::App;
use crate::source::Source;
use crate::streams::title::Title;
use crate::streams::{self, Terms, Visit};

/// The longest name of a model, in bytes. It is kept with every stream.
const MODEL_NAME: usize = 512;

/// How long an answer belongs to its request alone. Until it is known how it begins, an error is still a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until it is known. For a client that wants the whole answer.
    Long,
    /// At most this long: a client must hear something in the end, if only that it was heard. After that, errors are
    /// events.
    AtMost(Duration),
    /// Not at all, but what is refused at once is.
    Not,
}

/// Starts a source and begins its stream, of which the request is the first reader.
pub(crate) async fn begin(
    app: &App,
    request: ChatRequest,
    title: Title,
    terms: Terms,
    wait: Wait,
    exchange: &mut Exchange,
) -> Result<Visit, Refusal> {
    if request.model.len() > MODEL_NAME {
        let message = format!("the model's name is longer than {MODEL_NAME} bytes");
        return Err(Refusal::invalid(
            400,
            message,
            Some("model"),
            Some("invalid_value"),
        ));
    }
    let mut source = Source::new(app.backend.start(request));
    let lead = source.lead();
    match wait {
        Wait::Long => lead.await?,
        Wait::AtMost(limit) => {
            if let Ok(lead) = tokio::time::timeout(limit, lead).await {
                lead?;
                exchange.first_token();
            }
        }
        Wait::Not => {
            if let Some(lead) = lead.now_or_never() {
                lead?;
            }
        }
    }
    let id = StreamId::random().map_err(|error| streams::refusal(&error))?;
    app.streams.begin(id, source, title, terms).await
}

/// The outcome of the work, or a refusal where the server ends before it.
pub(crate) async fn unless_ending<T>(
    app: &App,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = app.phase.clone().reached(Phase::Ending) => Err(Refusal::stopping()),
    }
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
