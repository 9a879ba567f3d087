//! The body of an event stream: a reader of the log, that pulls when the socket has room and only then.
//!
//! The next piece is asked for when the one before is sent, so no queue stands between log and socket: at most about
//! [`PIECE`] bytes, one batch here, and the kernel's socket buffer. When the client leaves, this is dropped, and with it
//! the reader's attendance; the stream itself stays.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_chat::Verdict;
use tokio::time::{Instant, Sleep};

use crate::exchange::Exchange;
use crate::frames::{Form, keepalive};
use crate::streams::follow::Follow;

/// Events that are ready together leave together, up to about this many bytes.
const PIECE: usize = 16 * 1024;

/// About what an event has more than its data: the id, and the names of two fields.
const EVENT_OVERHEAD: usize = 48;

/// What is about to be sent as an event stream.
pub(crate) struct Live {
    /// The stream, from where on it is sent.
    pub(crate) follow: Follow,
    pub(crate) form: Box<dyn Form>,
    /// What is sent before anything that comes from `follow`.
    pub(crate) first: Vec<u8>,
}

/// An event stream under way.
pub(crate) struct Events {
    follow: Follow,
    form: Box<dyn Form>,
    first: Vec<u8>,
    exchange: Exchange,
    silence: Silence,
    over: bool,
}

/// When to show that the connection lives.
struct Silence {
    limit: Duration,
    last_sign: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Events {
    pub(crate) fn new(live: Live, exchange: Exchange, keepalive: Duration) -> Self {
        let Live { follow, form, first } = live;
        Self {
            follow,
            form,
            first,
            exchange,
            silence: Silence::new(keepalive),
            over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Appends the next bytes for the socket. Ready if there are some, or if it [is over](Self::is_over).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        let before = out.len();
        out.append(&mut self.first);
        self.fill(cx, before + PIECE, out);
        if out.len() == before && !self.over && self.silence.poll_broken(cx) {
            // The log is looked at whenever this is polled, so a wake-up that was lost costs this long at most.
            keepalive(out);
        }
        if out.len() > before {
            self.silence.last_sign = Instant::now();
            self.exchange.sent(out.len() - before);
        } else if !self.over {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Takes what the log has, until `out` is as long as `enough`.
    fn fill(&mut self, cx: &mut Context<'_>, enough: usize, out: &mut Vec<u8>) {
        while out.len() < enough && !self.over {
            match self.follow.poll(cx) {
                Poll::Ready(Ok(true)) => {
                    self.exchange.first_token();
                    // Mostly enough: many records at once would make the buffer grow, and move, time and again.
                    let (records, bytes) = self.follow.size();
                    out.reserve(bytes + records * EVENT_OVERHEAD);
                    for (seq, record) in self.follow.records() {
                        self.form.record(seq, record, out);
                    }
                }
                Poll::Ready(Ok(false)) => {
                    self.form.close(out);
                    self.over = true;
                    self.exchange.verdict(self.follow.footer().verdict);
                }
                Poll::Ready(Err(refusal)) => {
                    self.form.error(refusal.body(), out);
                    self.over = true;
                    self.exchange.verdict(Verdict::Interrupted.as_str());
                }
                Poll::Pending => return,
            }
        }
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
