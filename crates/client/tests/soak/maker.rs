//! Draws plans from a seed: which faults a stream meets, and where.

use std::{sync::atomic::AtomicUsize, time::Duration};

use aurora_chat::{Deadline, Fault, Verdict};
use aurora_testkit::{Gate, Reply, fixtures};

use crate::plan::{Consumer, Expected, Plan};

/// The deadlines that are meant to pass. Long enough that none passes by accident: what is due before them is written
/// at once.
const SHORT: Duration = Duration::from_secs(4);

/// The limit on events where one is meant to be too large.
const EVENT_LIMIT: usize = 4 << 10;

/// Draws plans.
#[derive(Debug)]
pub(crate) struct Maker {
    random: Random,
    gate: Gate,
}

/// A generator of numbers that gives the same ones everywhere (SplitMix64: Steele, Lea and Flood 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in this range, its end included.
    fn within(&mut self, from: usize, to: usize) -> usize {
        let span = (to - from + 1) as u64;
        from + usize::try_from(self.number() % span).expect("a span of usize")
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.within(0, from.len() - 1)]
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.within(0, 99) < chance
    }
}

/// An answer's texts, and the stream that says them, up to the finish reason.
struct Said {
    texts: Vec<String>,
    stream: String,
    garbage: usize,
}

/// Makes plans of one kind.
type Make = fn(&mut Maker) -> Plan;

impl Maker {
    /// Plans drawn from this seed, of streams that say nothing before `gate` is open.
    pub(crate) fn new(seed: u64, gate: Gate) -> Self {
        Self {
            random: Random(seed),
            gate,
        }
    }

    /// The plan of the next stream.
    pub(crate) fn draw(&mut self) -> Plan {
        // How many of a hundred streams or so each kind gets.
        let kinds: [(usize, Make); 20] = [
            (24, Self::whole),
            (5, Self::without_done),
            (4, Self::done_alone),
            (4, Self::named_finish),
            (6, Self::dripped),
            (6, Self::truncated),
            (8, Self::cut),
            (4, Self::reset),
            (4, Self::stalled),
            (2, Self::silent),
            (8, Self::busy_first),
            (2, Self::error_first),
            (1, Self::busy_always),
            (3, Self::refused),
            (6, Self::error_event),
            (2, Self::not_http),
            (2, Self::json_body),
            (3, Self::too_large),
            (3, Self::left),
            (3, Self::cancelled),
        ];
        let mut at = self
            .random
            .within(0, kinds.iter().map(|(weight, _)| weight).sum::<usize>() - 1);
        let chosen = kinds.iter().find(|(weight, _)| match at.checked_sub(*weight) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let (_, make) = chosen.expect("a number below the sum of the weights");
        make(self)
    }

    fn whole(&mut self) -> Plan {
        self.finished(
            "whole",
            &[&fixtures::finish("stop"), &fixtures::usage(7, 9), fixtures::DONE],
        )
    }

    fn without_done(&mut self) -> Plan {
        self.finished("no [DONE]", &[&fixtures::finish("stop")])
    }

    fn done_alone(&mut self) -> Plan {
        self.finished("[DONE] alone", &[fixtures::DONE])
    }

    fn named_finish(&mut self) -> Plan {
        let (reason, verdict) = self.random.choose(&[
            ("length", Verdict::Length),
            ("content_filter", Verdict::Filtered),
            ("tool_calls", Verdict::Complete),
        ]);
        let mut plan = self.finished("other finish", &[&fixtures::finish(reason), fixtures::DONE]);
        plan.expected.verdict = verdict;
        plan
    }

    fn dripped(&mut self) -> Plan {
        let mut said = self.say();
        said.stream += &self.frame(&fixtures::finish("stop"));
        let mut reply = self.held();
        for piece in self.chop(said.stream.as_bytes(), 200) {
            let pause = Duration::from_millis(self.random.within(1, 20) as u64);
            reply = reply.piece(piece).wait(pause);
        }
        said.plan("dripped", reply, Verdict::Complete)
    }

    fn truncated(&mut self) -> Plan {
        let said = self.say();
        let reply = match self.random.percent(50) {
            true => self.pieces(self.held(), &said.stream),
            false => self.pieces(self.held(), &said.stream).until_close(),
        };
        said.plan("truncated", reply, Verdict::Truncated)
    }

    /// Cut inside an event: the text of one that lacks only its blank line still counts.
    fn cut(&mut self) -> Plan {
        let mut said = self.say();
        let broken = fixtures::text(" broken");
        let at = self.random.within(1, broken.len());
        if at >= broken.trim_end().len() {
            said.texts.push(" broken".to_owned());
        }
        said.stream += &broken[..at];
        let reply = self.pieces(self.held(), &said.stream).cut();
        let reply = match self.random.percent(50) {
            true => reply,
            false => reply.content_length(100_000),
        };
        said.plan("cut", reply, Verdict::Interrupted)
    }

    fn reset(&mut self) -> Plan {
        let said = self.say();
        let reply = self.pieces(self.held(), &said.stream).reset();
        let mut plan = said.plan("reset", reply, Verdict::Interrupted);
        plan.expected.prefix = true;
        plan.expected.retries = None;
        plan
    }

    fn stalled(&mut self) -> Plan {
        let said = self.say();
        let reply = self.held().piece(&said.stream).stall();
        let mut plan = said.plan("stalled", reply, Verdict::TimedOut(Deadline::Idle));
        plan.terms = |endpoint| endpoint.deadlines.idle = Some(SHORT);
        plan
    }

    fn silent(&mut self) -> Plan {
        let reply = match self.random.percent(50) {
            true => Reply::sse([""; 0]).stall(),
            false => Reply::sse([": nothing but comments\n"; 3]).stall(),
        };
        let verdict = Verdict::TimedOut(Deadline::FirstEvent);
        let mut plan = Said::nothing().plan("silent", reply, verdict);
        plan.terms = |endpoint| endpoint.deadlines.first_event = Some(SHORT);
        plan
    }

    fn busy_first(&mut self) -> Plan {
        let mut plan = self.whole();
        plan.kind = "busy first";
        for _ in 0..self.random.within(1, 4) {
            plan.early.push(match self.random.within(0, 3) {
                0 => busy(429).header("retry-after", "0"),
                1 => busy(503).header("retry-after-ms", "0"),
                2 => busy(529).header("retry-after-ms", "20"),
                _ => Reply::raw("HTTP/1.1 200 OK\r\nconte"),
            });
        }
        plan.expected.retries = Some(plan.early.len());
        plan
    }

    fn error_first(&mut self) -> Plan {
        let mut plan = self.whole();
        plan.kind = "error event first";
        plan.early
            .push(Reply::sse([fixtures::role(), fixtures::error(503, "busy")]));
        plan.expected.retries = Some(1);
        plan
    }

    fn busy_always(&mut self) -> Plan {
        let reply = busy(503).header("retry-after-ms", "0");
        let mut plan = Said::nothing().plan("busy always", reply, Verdict::Failed(Fault::Server));
        plan.expected.retries = Some(4);
        plan
    }

    fn refused(&mut self) -> Plan {
        let quota =
            serde_json::json!({"error": {"message": "pay", "type": "insufficient_quota", "code": null}});
        let (reply, fault) = match self.random.within(0, 3) {
            0 => (busy(400), Fault::Caller),
            1 => (busy(404), Fault::Caller),
            2 => (Reply::json(429, &quota), Fault::Server),
            _ => (busy(429).header("retry-after", "3600"), Fault::Server),
        };
        Said::nothing().plan("refused", reply, Verdict::Failed(fault))
    }

    fn error_event(&mut self) -> Plan {
        let mut said = self.say();
        let (status, fault) =
            self.random
                .choose(&[(400, Fault::Caller), (429, Fault::Server), (500, Fault::Server)]);
        said.stream += &self.frame(&fixtures::error(status, "the script says so"));
        let reply = self.pieces(self.held(), &said.stream);
        let reply = if self.random.percent(50) {
            reply.stall()
        } else {
            reply
        };
        said.plan("error event", reply, Verdict::Failed(fault))
    }

    fn not_http(&mut self) -> Plan {
        let reply = Reply::raw("SSH-2.0-OpenSSH_9.9\r\n");
        Said::nothing().plan("not HTTP", reply, Verdict::Failed(Fault::Server))
    }

    fn json_body(&mut self) -> Plan {
        let mut said = Said::nothing();
        said.texts.push("whole, and no stream".to_owned());
        let body = serde_json::json!({"object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": said.texts[0]}, "finish_reason": "stop"}
        ]});
        said.plan("JSON body", Reply::json(200, &body), Verdict::Complete)
    }

    fn too_large(&mut self) -> Plan {
        let mut said = self.say();
        let large = fixtures::text(&"large ".repeat(EVENT_LIMIT));
        // Without its end in half of the cases, so that only the limit stops it.
        let end = if self.random.percent(50) {
            large.len()
        } else {
            2 * EVENT_LIMIT
        };
        said.stream += &large[..end];
        let reply = self.pieces(self.held(), &said.stream).stall();
        let mut plan = said.plan("too large", reply, Verdict::Failed(Fault::Server));
        plan.terms = |endpoint| endpoint.limits.event = EVENT_LIMIT;
        plan
    }

    fn left(&mut self) -> Plan {
        let said = self.say();
        let reply = self.pieces(self.held(), &said.stream).stall();
        let mut plan = said.plan("left", reply, Verdict::Cancelled);
        plan.consumer = Consumer::Leaves;
        plan.expected.prefix = true;
        plan
    }

    fn cancelled(&mut self) -> Plan {
        let mut plan = self.left();
        plan.kind = "cancelled";
        plan.consumer = Consumer::Cancels;
        plan
    }

    /// A stream that says all it has to, with these last events.
    fn finished(&mut self, kind: &'static str, ends: &[&str]) -> Plan {
        let mut said = self.say();
        for end in ends {
            said.stream += &self.frame(end);
        }
        let reply = self.pieces(self.held(), &said.stream);
        said.plan(kind, reply, Verdict::Complete)
    }

    /// The head of a stream, and no byte of its body before the gate is open.
    fn held(&self) -> Reply {
        Reply::sse([""; 0]).hold(&self.gate)
    }

    /// A role and some texts, with the quirks of real servers between them.
    fn say(&mut self) -> Said {
        let words = [
            " the",
            " answer",
            "\n\n",
            " \"quoted\"",
            " 回答",
            "流式",
            " 😀",
            " é",
            "\\",
            "\t",
            " one",
        ];
        let mut said = Said::nothing();
        said.stream += &self.frame(&fixtures::role());
        for _ in 0..self.random.within(1, 30) {
            if self.random.percent(10) {
                said.stream += ": keepalive\n";
            }
            if self.random.percent(4) {
                said.stream += "data: {oops\n\n";
                said.garbage += 1;
            }
            let text = self.random.choose(&words);
            said.stream += &self.frame(&fixtures::text(text));
            said.texts.push(text.to_owned());
        }
        said
    }

    /// An event as another server might write it.
    fn frame(&mut self, event: &str) -> String {
        match self.random.within(0, 9) {
            0 => event.replace('\n', "\r\n"),
            1 => event.replace("data: ", "data:"),
            2 => format!("event: message\n{event}"),
            _ => event.to_owned(),
        }
    }

    fn pieces(&mut self, reply: Reply, stream: &str) -> Reply {
        let largest = self.random.choose(&[7, 300, 4000]);
        self.chop(stream.as_bytes(), largest)
            .into_iter()
            .fold(reply, Reply::piece)
    }

    /// Cuts bytes anywhere, characters too, into pieces of at most this size.
    fn chop<'b>(&mut self, mut bytes: &'b [u8], largest: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.random.within(1, largest).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

impl Said {
    fn nothing() -> Self {
        Self {
            texts: Vec::new(),
            stream: String::new(),
            garbage: 0,
        }
    }

    fn plan(self, kind: &'static str, last: Reply, verdict: Verdict) -> Plan {
        Plan {
            kind,
            early: Vec::new(),
            last,
            attempts: AtomicUsize::new(0),
            terms: |_| {},
            consumer: Consumer::Stays,
            expected: Expected {
                verdict,
                text: self.texts.concat(),
                prefix: false,
                retries: Some(0),
                garbage: self.garbage,
            },
        }
    }
}

fn busy(status: u16) -> Reply {
    Reply::json(status, &fixtures::error_body(status, "no"))
}
