//! From tokens to what an answer says: whole characters, tool calls told from text, stop strings, log probabilities.
//!
//! The order matters. Characters are put together first. Then reasoning is told apart, in which nothing is a call or a stop
//! string. Then calls are, so that no stop string can cut one in two. What is text then passes the stop strings, and is told together with what is known of its tokens.

use aurora_chat::{Delta, TokenLogprob};

use super::likely::Waiting;
use super::{Assembler, Stops, Thoughts, Tokenizer};
use crate::tools::{Reader, Said};

/// The wording of one answer.
#[derive(Debug)]
pub(crate) struct Wording {
    assembler: Assembler,
    thoughts: Thoughts,
    reader: Option<Reader>,
    stops: Stops,
    waiting: Waiting,
    /// Bytes of the tokens so far.
    bytes: usize,
    /// Bytes of the text that the assembler has given so far.
    assembled: usize,
    /// How much of that was told apart, as text or as calls.
    told_apart: usize,
    /// What the reader said last; kept for its room.
    said: Vec<Said>,
    /// How the first call begins, from behind its cue on, until somebody asks.
    cue: Option<String>,
    /// Whether there was a cue.
    cued: bool,
}

impl Wording {
    /// The wording of an answer that ends at these stop strings; `reader` tells calls apart.
    pub(crate) fn new(stops: Stops, reader: Option<Reader>) -> Self {
        Self {
            assembler: Assembler::default(),
            thoughts: Thoughts::default(),
            reader,
            stops,
            waiting: Waiting::default(),
            bytes: 0,
            assembled: 0,
            told_apart: 0,
            said: Vec::new(),
            cue: None,
            cued: false,
        }
    }

    /// Tells this reasoning apart from now on.
    pub(crate) fn think(&mut self, thoughts: Thoughts) {
        self.thoughts = thoughts;
    }

    /// Whether the next token is reasoning, as far as is known.
    pub(crate) fn is_thinking(&self) -> bool {
        self.thoughts.is_inside()
    }

    /// Takes the next token and appends what it says. True: a stop string was found, and nothing more comes.
    pub(crate) fn push(
        &mut self,
        token: u32,
        logprob: Option<TokenLogprob>,
        tokenizer: &Tokenizer,
        out: &mut Vec<Delta>,
    ) -> bool {
        let bytes = self.spelled(token, tokenizer);
        self.bytes += bytes.len();
        // A token without text has no place in it.
        if let Some(logprob) = logprob
            && !bytes.is_empty()
        {
            self.waiting.push(logprob, self.assembled, self.bytes);
        }
        let mut whole = String::new();
        self.assembler.push(bytes, &mut whole);
        self.hear(&whole, out)
    }

    /// The end: appends what was held back for characters, calls and stop strings.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta>) {
        let mut whole = String::new();
        self.assembler.finish(&mut whole);
        let mut stopped = self.hear(&whole, out);
        let held = self.thoughts.held();
        let mut text = String::new();
        self.thoughts.finish(|delta| think(delta, &mut text, out));
        stopped |= self.heed(held, text, out);
        if let Some(reader) = &mut self.reader {
            reader.finish(&mut self.said);
            stopped |= self.tell(out);
        }
        if !stopped {
            self.flush(out);
            self.text(String::new(), true, out);
        }
    }

    /// Whether there was a call.
    pub(crate) fn has_called(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.calls() > 0)
    }

    /// How the answer's first call begins, from behind its cue on, once it does. Said once; nothing where a character of
    /// it lacks bytes.
    pub(crate) fn cue(&mut self) -> Option<String> {
        self.cue.take().filter(|_| self.assembler.pending() == 0)
    }

    /// The bytes a token stands for; those of its spelling, if it marks a call.
    fn spelled<'t>(&self, token: u32, tokenizer: &'t Tokenizer) -> &'t [u8] {
        let bytes = tokenizer.bytes(token);
        let mark = self
            .reader
            .as_ref()
            .filter(|_| bytes.is_empty())
            .and_then(|reader| {
                tokenizer
                    .spelling(token as usize)
                    .filter(|spelling| reader.is_mark(spelling))
            });
        mark.map_or(bytes, str::as_bytes)
    }

    /// Takes text.
    fn hear(&mut self, whole: &str, out: &mut Vec<Delta>) -> bool {
        self.assembled += whole.len();
        self.waiting
            .settle(self.bytes - self.assembler.pending(), self.assembled);
        let held = self.thoughts.held();
        let mut text = String::new();
        self.thoughts.push(whole, |delta| think(delta, &mut text, out));
        let taken = (held + whole.len()).saturating_sub(self.thoughts.held());
        self.heed(taken, text, out)
    }

    /// Takes text of which reasoning was told apart: what is left of so many bytes, at their end.
    fn heed(&mut self, taken: usize, text: String, out: &mut Vec<Delta>) -> bool {
        let thought = taken.saturating_sub(text.len());
        if thought > 0 {
            self.said.push(Said::Syntax(thought));
        }
        match &mut self.reader {
            Some(reader) => reader.push(&text, &mut self.said),
            None if text.is_empty() => {}
            None => self.said.push(Said::Text(text)),
        }
        self.tell(out)
    }

    /// Passes on what was said.
    fn tell(&mut self, out: &mut Vec<Delta>) -> bool {
        let mut said = std::mem::take(&mut self.said);
        let mut stopped = false;
        for said in said.drain(..) {
            match said {
                _ if stopped => break,
                Said::Text(text) => {
                    self.told_apart += text.len();
                    let mut given = String::new();
                    let before = self.told_apart - text.len() - self.stops.held();
                    stopped = self.stops.push(&text, &mut given);
                    if stopped {
                        // What the stop string hides is behind what is given.
                        self.told_apart = before + given.len();
                    }
                    self.text(given, stopped, out);
                }
                Said::Syntax(length) => {
                    // Text that waits for a stop string waits no longer: something else came.
                    self.flush(out);
                    self.told_apart += length;
                    self.waiting.forget(self.told_apart);
                }
                Said::Call(call) => add(out, Delta::ToolCall(call)),
                Said::Cue(begun) => {
                    if !std::mem::replace(&mut self.cued, true) {
                        self.cue = Some(begun);
                    }
                }
            }
        }
        self.said = said;
        stopped
    }

    fn flush(&mut self, out: &mut Vec<Delta>) {
        let mut text = String::new();
        self.stops.finish(&mut text);
        if !text.is_empty() {
            self.text(text, false, out);
        }
    }

    /// Passes on text, and what is known of the tokens it is made of.
    fn text(&mut self, text: String, is_last: bool, out: &mut Vec<Delta>) {
        let given = self.told_apart - self.stops.held();
        let tokens = if is_last {
            self.waiting.told_at_last(given)
        } else {
            self.waiting.told(given)
        };
        if !tokens.is_empty() {
            out.push(Delta::Logprobs(tokens));
        }
        if !text.is_empty() {
            add(out, Delta::Text(text));
        }
    }
}

/// Passes on reasoning, and keeps text.
fn think(delta: Delta, text: &mut String, out: &mut Vec<Delta>) {
    match delta {
        Delta::Text(piece) => text.push_str(&piece),
        reasoning => add(out, reasoning),
    }
}

/// Appends a delta, as part of the last one where that is of the same kind.
fn add(out: &mut Vec<Delta>, delta: Delta) {
    match (out.last_mut(), delta) {
        (Some(Delta::Text(last)), Delta::Text(text))
        | (Some(Delta::Reasoning(last)), Delta::Reasoning(text)) => last.push_str(&text),
        (Some(Delta::ToolCall(last)), Delta::ToolCall(call))
            if last.index == call.index && call.name.is_none() =>
        {
            last.arguments.push_str(&call.arguments);
        }
        (_, delta) => out.push(delta),
    }
}
