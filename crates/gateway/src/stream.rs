//! The body of an event stream: pulls the source when the socket has room, and only then.
//!
//! hyper asks for the next piece when it has place for it, so no queue stands between source and socket: at most
//! [`PIECE`] bytes here, what hyper is willing to buffer (see `connection`) and the kernel's socket buffer. When the
//! client leaves, hyper drops this, and with it the source.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_chat::{Update, Verdict};
use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::chat::Live;
use crate::exchange::Exchange;
use crate::framing::{Framing, keepalive};
use crate::phase::{Phase, Watch};
use crate::refusal::STREAM_INTERRUPTED;
use crate::source::Source;
use crate::{BoxFuture, Refusal};

/// Updates that are ready together leave together, up to about this many bytes.
const PIECE: usize = 16 * 1024;

/// And up to this many, so that updates that make no bytes cannot hold the thread.
const UPDATES_PER_PIECE: usize = 256;

/// An event stream under way.
pub(crate) struct Events {
    source: Source,
    framing: Framing,
    exchange: Exchange,
    silence: Silence,
    /// Ready when the drain limit has passed.
    ending: BoxFuture<()>,
    over: bool,
}

/// When to show that the connection lives.
struct Silence {
    limit: Duration,
    last_sign: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Events {
    pub(crate) fn new(live: Live, exchange: Exchange, keepalive: Duration, phase: Watch) -> Self {
        let Live { source, framing } = live;
        let silence = Silence::new(keepalive);
        let ending = Box::pin(phase.reached(Phase::Ending));
        Self {
            source,
            framing,
            exchange,
            silence,
            ending,
            over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The next bytes for the socket; `None` after the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        let span = self.exchange.span().clone();
        let more_is_ready = span.in_scope(|| self.fill(cx, &mut out));
        if out.is_empty() && self.silence.poll_broken(cx) {
            keepalive(&mut out);
        }
        if !out.is_empty() {
            self.silence.last_sign = Instant::now();
            self.exchange.sent(out.len());
            return Poll::Ready(Some(out.into()));
        }
        if more_is_ready {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes what the source has ready, within the bounds of one piece. False if the source has to be waited for.
    fn fill(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> bool {
        if self.ending.as_mut().poll(cx).is_ready() {
            self.refuse(&Refusal::stopping(), out);
            return true;
        }
        for _ in 0..UPDATES_PER_PIECE {
            if self.over || out.len() >= PIECE {
                return true;
            }
            match self.source.poll_update(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(update))) => self.pass_on(update, out),
                Poll::Ready(Some(Err(refusal))) => self.refuse(&refusal, out),
                // A source ends with an update that ends the stream, so this is never reached; if it were, the stream
                // must not look whole.
                Poll::Ready(None) => self.refuse(&Refusal::internal("the answer has no end"), out),
            }
        }
        true
    }

    fn pass_on(&mut self, update: Update, out: &mut Vec<u8>) {
        if matches!(update, Update::Delta(_)) {
            self.exchange.first_token();
        }
        if let Some(verdict) = self.framing.update(update, out) {
            self.close(verdict.as_str());
        }
    }

    /// Status 200 is sent; what remains is an error event.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.framing.error(refusal.body(), out);
        let interrupted = refusal.body().error_type == STREAM_INTERRUPTED;
        self.close(if interrupted {
            Verdict::Interrupted.as_str()
        } else {
            "failed"
        });
    }

    fn close(&mut self, verdict: &'static str) {
        self.over = true;
        self.exchange.verdict(verdict);
    }
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            last_sign: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(limit)),
        }
    }

    /// Whether the stream has been silent for too long. If not, the task is woken when it will have been.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> bool {
        // The alarm is not moved with every event, which would cost more than the event: when it goes off, it is set
        // again for the silence that began last.
        while self.alarm.as_mut().poll(cx).is_ready() {
            let due = self.last_sign + self.limit;
            let now = Instant::now();
            if now >= due {
                self.alarm.as_mut().reset(now + self.limit);
                return true;
            }
            self.alarm.as_mut().reset(due);
        }
        false
    }
}
