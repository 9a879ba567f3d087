//! The one reader of a source: it writes what the source says into the log, and ends the log honestly.
//!
//! A relay is a task of its own, so an answer does not depend on whoever asked for it: HTTP clients are readers of the
//! log, come and go, and are only counted here. With no reader left for as long as the stream's [`Absence`] allows, the
//! source is stopped. A store that is behind slows the source; a reader never does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind, Update};
use aurora_client::Passage;
use aurora_streamlog::{Error, Writer};
use tokio::time::Sleep;

use super::footer::Footer;
use super::live::Live;
use super::records::{Put, Records};
use crate::refusal::STREAM_INTERRUPTED;
use crate::source::Source;
use crate::{BoxFuture, Refusal};

/// How many passages are taken before what they said is handed to the store.
const PASSAGES_PER_FLUSH: usize = 64;

/// How many flushes may follow each other before other tasks have their turn.
const FLUSHES_PER_TURN: usize = 8;

/// What becomes of a stream that nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is cancelled after this time.
    Cancel(Duration),
    /// It goes on to its end.
    Continue,
}

/// A stream that is being produced. A future that is ready when its end is in the log.
pub(crate) struct Relay {
    source: Source,
    records: Records,
    live: Arc<Live>,
    absence: Absence,
    /// Runs while there is no reader.
    grace: Option<Pin<Box<Sleep>>>,
    /// Ready when the server ends what is left.
    ending: BoxFuture<()>,
    state: State,
}

enum State {
    Running(Log),
    Finishing(BoxFuture<Result<(), Error>>),
    Over,
}

/// The writer, and the first thing that went wrong with it.
struct Log {
    writer: Box<dyn Writer>,
    error: Option<Error>,
}

impl Put for Log {
    fn put(&mut self, record: &[u8]) {
        if self.error.is_none() {
            self.error = self.writer.append(record).err();
        }
    }
}

impl Relay {
    pub(crate) fn new(
        source: Source,
        records: Records,
        writer: Box<dyn Writer>,
        live: Arc<Live>,
        absence: Absence,
        ending: BoxFuture<()>,
    ) -> Self {
        Self {
            source,
            records,
            live,
            absence,
            grace: None,
            ending,
            state: State::Running(Log { writer, error: None }),
        }
    }

    /// Why the stream has to end although its source goes on.
    fn stopped(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.live.watch(cx.waker());
        if self.live.is_cancelled() {
            return Some(End::cancelled());
        }
        if self.ending.as_mut().poll(cx).is_ready() {
            return Some(interrupted("the server is stopping; the answer is not complete"));
        }
        match self.absence {
            Absence::Cancel(_) if self.live.has_readers() => self.grace = None,
            Absence::Cancel(grace) => {
                let alarm = self
                    .grace
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(grace)));
                if alarm.as_mut().poll(cx).is_ready() {
                    tracing::info!(?grace, "nobody reads the stream any more; it is cancelled");
                    return Some(End::cancelled());
                }
            }
            Absence::Continue => {}
        }
        None
    }

    /// Takes what the source has ready. `Ready` with the end once there is one, and without when there is enough to
    /// hand over.
    fn poll_source(&mut self, cx: &mut Context<'_>, log: &mut Log) -> Poll<Option<End>> {
        for taken in 0..PASSAGES_PER_FLUSH {
            let passage = match self.source.poll_passage(cx) {
                Poll::Ready(passage) => passage,
                Poll::Pending => {
                    self.records.settle(log);
                    return if taken == 0 {
                        Poll::Pending
                    } else {
                        Poll::Ready(None)
                    };
                }
            };
            let end = match passage {
                Some(Ok(passage)) => self.records.passage(passage, log),
                Some(Err(refusal)) => self.give_up(failed(&refusal), log),
                None => self.give_up(interrupted("the answer has no end"), log),
            };
            if end.is_some() {
                return Poll::Ready(end);
            }
            if let Some(error) = log.error.take() {
                return Poll::Ready(self.give_up(too_much(&error), log));
            }
        }
        Poll::Ready(None)
    }

    fn give_up(&mut self, end: End, log: &mut Log) -> Option<End> {
        self.records.passage(Passage::Update(Update::End(end)), log)
    }

    fn poll_run(&mut self, cx: &mut Context<'_>, mut log: Log) -> Poll<State> {
        for _ in 0..FLUSHES_PER_TURN {
            match log.writer.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    tracing::error!(%error, "the stream cannot be kept any further");
                    self.source.stop();
                    return Poll::Ready(State::Over);
                }
                Poll::Pending => {
                    self.state = State::Running(log);
                    return Poll::Pending;
                }
            }
            let end = match self.stopped(cx) {
                Some(end) => self.give_up(end, &mut log),
                None => match self.poll_source(cx, &mut log) {
                    Poll::Ready(end) => end,
                    Poll::Pending => {
                        self.state = State::Running(log);
                        return Poll::Pending;
                    }
                },
            };
            if let Some(end) = end {
                self.source.stop();
                tracing::debug!(
                    verdict = end.verdict.as_str(),
                    records = log.writer.next_seq(),
                    "the stream ends"
                );
                let footer = Footer::of(&end, self.records.model()).to_bytes();
                return Poll::Ready(State::Finishing(log.writer.finish(&footer)));
            }
        }
        cx.waker().wake_by_ref();
        self.state = State::Running(log);
        Poll::Pending
    }
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.state, State::Over) {
                State::Running(log) => this.state = ready!(this.poll_run(cx, log)),
                State::Finishing(mut finishing) => match finishing.as_mut().poll(cx) {
                    Poll::Ready(finished) => {
                        if let Err(error) = finished {
                            tracing::error!(%error, "the stream's end cannot be kept");
                        }
                    }
                    Poll::Pending => {
                        this.state = State::Finishing(finishing);
                        return Poll::Pending;
                    }
                },
                State::Over => {
                    this.live.end();
                    return Poll::Ready(());
                }
            }
        }
    }
}

/// The end of a stream whose source, or whose server, went away.
pub(crate) fn interrupted(message: &str) -> End {
    let mut failure = Failure::new(FailureKind::ConnectionLost, message);
    failure.error_type = Some(STREAM_INTERRUPTED.to_owned());
    End::of_failure(failure)
}

/// The end of a stream whose source refused the request after all.
fn failed(refusal: &Refusal) -> End {
    let body = refusal.body();
    End::of_failure(Failure {
        status: body.status,
        error_type: Some(body.error_type.clone()),
        code: body.code.clone(),
        param: body.param.clone(),
        ..Failure::new(FailureKind::ErrorEvent, body.message.as_str())
    })
}

fn too_much(error: &Error) -> End {
    let failure = Failure::new(
        FailureKind::Limit(aurora_chat::Limit::Answer),
        format!("the answer cannot be kept any further: {error}"),
    );
    End::of_failure(failure)
}
