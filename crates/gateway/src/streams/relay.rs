//! The one reader of a source: it writes what the source says into the log, and ends the log honestly.
//!
//! A relay is a task of its own, so an answer does not depend on whoever asked for it: HTTP clients are readers of the
//! log, come and go, and are only counted here. With no reader left for as long as the stream's [`Absence`] allows, the
//! source is stopped. A store that is behind slows the source; a reader never does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind};
use aurora_streamlog::{Error, Writer};
use tokio::time::Sleep;

use super::footer::Footer;
use super::live::Live;
use super::records::{Put, Records};
use crate::source::Source;
use crate::{BoxFuture, Refusal};

/// How many passages are taken before what they said is handed to the store, and after how many bytes no further one is:
/// far less than a writer buffers.
const PASSAGES_PER_FLUSH: usize = 256;
const BYTES_PER_FLUSH: usize = 64 << 10;

/// How many flushes may follow each other before other tasks have their turn.
const FLUSHES_PER_TURN: usize = 2;

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
    /// How many readers had come when it began.
    visits: u64,
    /// Ready when the server ends what is left.
    ending: BoxFuture<()>,
    state: State,
}

enum State {
    Running(Log),
    Finishing(BoxFuture<Result<(), Error>>),
    Over,
}

/// What the source had ready.
enum Taken {
    /// Its end, or another one.
    End(End),
    /// Enough to hand over.
    Enough,
    /// Something, and nothing more for now.
    Some,
    /// Nothing.
    None,
}

/// The writer, and the first thing that went wrong with it.
struct Log {
    writer: Box<dyn Writer>,
    /// Passages that were taken since the last flush.
    taken: usize,
    /// Bytes of records since the last flush.
    unflushed: usize,
    error: Option<Error>,
}

impl Log {
    fn append(&mut self, record: &[u8], append: fn(&mut dyn Writer, &[u8]) -> Result<u64, Error>) {
        if self.error.is_none() {
            self.unflushed += record.len();
            self.error = append(&mut *self.writer, record).err();
        }
    }

    /// Whether there is enough to hand over.
    fn is_enough(&self) -> bool {
        self.taken >= PASSAGES_PER_FLUSH || self.unflushed >= BYTES_PER_FLUSH
    }

    /// Hands over what there is. A store that is handed nothing would wake readers for nothing.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.unflushed > 0 {
            ready!(self.writer.poll_flush(cx))?;
        }
        self.taken = 0;
        self.unflushed = 0;
        Poll::Ready(Ok(()))
    }
}

impl Put for Log {
    fn put(&mut self, record: &[u8]) {
        self.append(record, |writer, record| writer.append(record));
    }

    fn put_last(&mut self, record: &[u8]) {
        self.append(record, |writer, record| writer.append_last(record));
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
            visits: 0,
            ending,
            state: State::Running(Log {
                writer,
                taken: 0,
                unflushed: 0,
                error: None,
            }),
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
                // Somebody may have come and gone since the last look.
                let visits = self.live.visits();
                if std::mem::replace(&mut self.visits, visits) != visits {
                    self.grace = None;
                }
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

    /// Takes what the source has ready, up to what is enough to hand over.
    fn take(&mut self, cx: &mut Context<'_>, log: &mut Log) -> Taken {
        let before = log.taken;
        while !log.is_enough() {
            let Poll::Ready(passage) = self.source.poll_passage(cx) else {
                self.records.settle(log);
                return match log.error.take() {
                    Some(error) => Taken::End(self.cut_short(&error, log)),
                    None if log.taken > before => Taken::Some,
                    None => Taken::None,
                };
            };
            log.taken += 1;
            let end = match passage {
                Some(Ok(passage)) => self.records.passage(passage, log),
                Some(Err(refusal)) => Some(self.give_up(failed(&refusal), log)),
                None => Some(self.give_up(interrupted("the answer has no end"), log)),
            };
            // Also of an end: one that is not in the log is none.
            if let Some(error) = log.error.take() {
                return Taken::End(self.cut_short(&error, log));
            }
            if let Some(end) = end {
                return Taken::End(end);
            }
        }
        Taken::Enough
    }

    /// Ends the log because of an error of its writer.
    fn cut_short(&mut self, error: &Error, log: &mut Log) -> End {
        tracing::warn!(%error, "the stream is cut short");
        let end = too_much(error);
        self.records.end(&end, log);
        end
    }

    /// Writes an end into the log that is not the source's own.
    fn give_up(&mut self, end: End, log: &mut Log) -> End {
        self.records.end(&end, log);
        match log.error.take() {
            None => end,
            Some(error) => self.cut_short(&error, log),
        }
    }

    fn poll_run(&mut self, cx: &mut Context<'_>, mut log: Log) -> Poll<State> {
        for _ in 0..FLUSHES_PER_TURN {
            let taken = match self.stopped(cx) {
                Some(end) => Taken::End(self.give_up(end, &mut log)),
                None => self.take(cx, &mut log),
            };
            let is_more = match taken {
                Taken::End(end) => return Poll::Ready(self.finish(&end, log)),
                // An HTTP library hands over one chunk at a time, and the next only when this one was taken. So the source
                // has another look once other tasks had their turn: chunks that came together are stored together, and
                // leave in one write. Without it, each event of such an answer costs a write of its own.
                Taken::Some => {
                    cx.waker().wake_by_ref();
                    self.state = State::Running(log);
                    return Poll::Pending;
                }
                Taken::Enough => true,
                Taken::None => false,
            };
            match log.poll_flush(cx) {
                Poll::Ready(Ok(())) if is_more => {}
                Poll::Ready(Ok(())) | Poll::Pending => {
                    self.state = State::Running(log);
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => {
                    tracing::error!(%error, "the stream cannot be kept any further");
                    self.source.stop();
                    return Poll::Ready(State::Over);
                }
            }
        }
        cx.waker().wake_by_ref();
        self.state = State::Running(log);
        Poll::Pending
    }

    /// Lets the source go, and hands its end to the store.
    fn finish(&mut self, end: &End, log: Log) -> State {
        self.source.stop();
        tracing::debug!(
            verdict = end.verdict.as_str(),
            records = log.writer.next_seq(),
            "the stream ends"
        );
        let footer = Footer::of(end, self.records.model()).to_bytes();
        State::Finishing(log.writer.finish(&footer))
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
                State::Over => return Poll::Ready(()),
            }
        }
    }
}

/// The end of a stream whose source, or whose server, went away.
pub(crate) fn interrupted(message: &str) -> End {
    End::of_failure(Failure::new(FailureKind::ConnectionLost, message))
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

#[cfg(test)]
mod tests;
