//! The text of a paragraph, a heading or a cell: emphasis, code, links and the rest of CommonMark's chapter 6.
//!
//! Text is read token by token, once. What is decided becomes a [`Node`]; what has opened something and may yet be closed
//! holds back itself and all behind it. Nothing is waited for longer than a window, so what is held is at most three: an opener
//! waits for a closer, which waits for a bracket, which waits for the end of some code. A closer that is further from
//! its opener than a window is no closer, whether it has come or not; so when text is told, and where it was cut, changes
//! nothing.

mod bare;
mod bracket;
mod emphasis;
mod flanking;
mod node;
mod pretend;
mod token;

use std::collections::VecDeque;

use super::Sink;
use super::definition::Definitions;
use super::scan::{Edge, More};

use bracket::Bracket;
use emphasis::Delimiter;
use node::{Kind, Node, Style};

/// How much text that is told may stay in the buffer, in bytes: what is behind it has to be moved.
const TOLD: usize = 4096;

/// What a text is read against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outside<'a> {
    /// How far a rule looks ahead, in bytes.
    pub(super) window: usize,
    pub(super) definitions: &'a Definitions,
}

/// The undecided end of a text. Places in the text are counted in bytes from its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Inline {
    /// The text from `base` on: what is not told, and a bit before it.
    buffer: String,
    base: usize,
    /// The character before the buffer.
    before: Option<char>,
    /// Up to here it is read.
    at: usize,
    /// What is read and not told.
    nodes: VecDeque<Node>,
    /// The number of the first of them; each has the next one.
    first: usize,
    /// Runs that may open emphasis, or wait for a bracket before they close some.
    delimiters: VecDeque<Delimiter>,
    /// How many of them wait.
    waiting: usize,
    /// Brackets that may begin a link.
    brackets: VecDeque<Bracket>,
    /// A line break came last, so blanks and the end of the source's line mean nothing.
    broken: bool,
    style: Style,
}

impl Inline {
    /// Takes more text, without carriage returns, and tells what is certain.
    pub(super) fn push(&mut self, text: &str, outside: Outside<'_>, sink: Sink<'_>) {
        self.buffer.push_str(text);
        self.read(Edge::Open, outside, sink);
        self.trim();
    }

    /// The text ends: tells the rest, and makes ready for another.
    pub(super) fn finish(&mut self, outside: Outside<'_>, sink: Sink<'_>) {
        self.read(Edge::End, outside, sink);
        self.brackets.clear();
        self.close_waiting(outside);
        self.delimiters.clear();
        self.tell(usize::MAX, sink);
        self.style.clear();
        self.buffer.clear();
        (self.base, self.at, self.before, self.broken) = (0, 0, None, false);
    }

    /// Reads what has come, and tells what is certain.
    fn read(&mut self, edge: Edge, outside: Outside<'_>, sink: Sink<'_>) {
        while self.at < self.end() {
            match self.read_token(edge, outside, sink) {
                Ok(()) => self.settle(outside, sink),
                Err(More) => break,
            }
        }
    }

    /// Gives up what nothing can close any more, and tells what is certain.
    fn settle(&mut self, outside: Outside<'_>, sink: Sink<'_>) {
        if self.nodes.is_empty() {
            return;
        }
        let window = outside.window;
        let mut given_up = false;
        while self
            .brackets
            .front()
            .is_some_and(|bracket| bracket.at + window < self.at)
        {
            given_up |= self.brackets.pop_front().is_some_and(|bracket| bracket.active);
        }
        if given_up {
            self.close_waiting(outside);
        }
        let bracket = self.brackets.iter().find(|bracket| bracket.active);
        // No run behind an open bracket closes anything yet.
        let decided = |at: usize| self.waiting == 0 || bracket.is_none_or(|bracket| bracket.at > at + window);
        let gone = |run: &Delimiter| run.at + window < self.at && decided(run.at);
        let count = self.delimiters.iter().take_while(|run| gone(run)).count();
        self.delimiters.drain(..count);
        let bracket = bracket.map_or(usize::MAX, |bracket| bracket.node);
        let delimiter = self.delimiters.front().map_or(usize::MAX, |run| run.node);
        self.tell(bracket.min(delimiter), sink);
    }

    /// Forgets the text that is told.
    fn trim(&mut self) {
        let keep = self.nodes.front().map_or(self.at, |node| node.from).min(self.at) - self.base;
        if keep == self.buffer.len() || keep >= TOLD {
            self.before = self.buffer[..keep].chars().next_back().or(self.before);
            self.buffer.drain(..keep);
            self.base += keep;
        }
    }

    /// The end of what has come.
    fn end(&self) -> usize {
        self.base + self.buffer.len()
    }

    /// The text between two places.
    fn text(&self, from: usize, to: usize) -> &str {
        &self.buffer[from - self.base..to - self.base]
    }

    /// The character before a place.
    fn before(&self, at: usize) -> Option<char> {
        self.text(self.base, at).chars().next_back().or(self.before)
    }

    /// Plain text up to `to`, which is told at once if nothing before it is held.
    fn plain(&mut self, from: usize, to: usize, sink: Sink<'_>) {
        self.at = to;
        if from == to {
            return;
        }
        self.broken = false;
        if self.nodes.is_empty() {
            let text = &self.buffer[from - self.base..to - self.base];
            return self.style.tell(text, false, false, sink);
        }
        if let Some(Node {
            to: end,
            kind: Kind::Text,
            ..
        }) = self.nodes.back_mut()
            && *end == from
        {
            *end = to;
            return;
        }
        self.nodes.push_back(Node {
            from,
            to,
            kind: Kind::Text,
        });
    }

    /// Adds a node, whose text lies between two places, and says which number it has.
    fn add(&mut self, from: usize, to: usize, kind: Kind) -> usize {
        self.broken = false;
        self.nodes.push_back(Node { from, to, kind });
        self.first + self.nodes.len() - 1
    }

    /// The node of a number, if it is not told.
    fn node(&mut self, number: usize) -> Option<&mut Node> {
        self.nodes.get_mut(number.checked_sub(self.first)?)
    }

    /// Tells the nodes before this one.
    fn tell(&mut self, until: usize, sink: Sink<'_>) {
        while self.first < until
            && let Some(node) = self.nodes.pop_front()
        {
            self.first += 1;
            let text = &self.buffer[node.from - self.base..node.to - self.base];
            node.tell(text, &mut self.style, sink);
        }
    }
}
