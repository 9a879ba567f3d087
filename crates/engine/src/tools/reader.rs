//! Calls in an answer's text, told apart from it and passed on while they are written.
//!
//! However the text is cut, what comes out says the same. Text that may still turn out to begin a call is held back; what
//! turns out to be none is text after all, its marks included. Nothing of an answer is lost.

use std::hash::{BuildHasher, RandomState};

use aurora_chat::ToolCallDelta;

use super::scan::{Balance, Head, head};
use super::syntax::Syntax;
use crate::text::overlap;

/// The longest head of a call: its name, and whatever stands before the arguments.
const HEAD_MAX: usize = 16 << 10;
/// Calls of one answer that are told apart; what would be another one is text.
const CALLS_MAX: u32 = 128;

/// What a piece of an answer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Text.
    Text(String),
    /// So many bytes that are a call and no text.
    Syntax(usize),
    /// A fragment of a call.
    Call(ToolCallDelta),
    /// A call begins, if it is one; and so it goes on as far as is known, from behind the cue on.
    Cue(String),
}

/// Reads the calls of one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    syntax: Syntax,
    /// The functions that may be called.
    names: Vec<String>,
    state: State,
    /// Text that was not told apart yet.
    held: String,
    calls: u32,
    /// Within a list of calls.
    in_list: bool,
    /// Nothing but white space came so far.
    at_start: bool,
    /// What stands before a call's head: text after all, if it turns out to be none.
    before: String,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Text, in which a cue may come.
    Text,
    /// Behind a cue, or between two calls of a list.
    Head,
    Arguments(Balance),
    /// Behind the arguments, before the end of the call's object.
    Tail(Balance),
    /// Behind a call.
    After,
}

impl Reader {
    /// A reader of calls of these functions.
    pub(crate) fn new(syntax: Syntax, names: Vec<String>) -> Self {
        Self {
            syntax,
            names,
            state: State::Text,
            held: String::new(),
            calls: 0,
            in_list: false,
            at_start: true,
            before: String::new(),
        }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether a control token is part of the syntax, so that its spelling has to be read.
    pub(crate) fn is_mark(&self, spelling: &str) -> bool {
        self.syntax.marks().contains(&spelling)
    }

    /// Adds text; appends what it turned out to be.
    pub(crate) fn push(&mut self, text: &str, out: &mut Vec<Said>) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    /// The end: what is held back and is no call is text.
    pub(crate) fn finish(&mut self, out: &mut Vec<Said>) {
        match self.state {
            State::Text => self.text(self.held.len(), out),
            State::Head => self.give_up(out),
            State::After if !self.held.trim().is_empty() => self.text(self.held.len(), out),
            State::Arguments(_) | State::Tail(_) | State::After => self.syntax(self.held.len(), out),
        }
    }

    /// One move; false if more text is needed for the next.
    fn step(&mut self, out: &mut Vec<Said>) -> bool {
        match self.state {
            State::Text if self.syntax == Syntax::Llama => self.find_bare(out),
            State::Text => self.find_cue(out),
            State::Head => self.read_head(out),
            State::Arguments(balance) => self.read_arguments(balance, out),
            State::Tail(mut balance) => {
                let end = balance.end(&self.held);
                self.syntax(end.unwrap_or(self.held.len()), out);
                self.state = match end {
                    Some(_) => State::After,
                    None => State::Tail(balance),
                };
                end.is_some()
            }
            State::After => self.read_after(out),
        }
    }

    /// Looks for the cue, wherever it comes.
    fn find_cue(&mut self, out: &mut Vec<Said>) -> bool {
        let cue = self.syntax.cue();
        let Some(at) = self.held.find(cue) else {
            self.text(self.held.len() - overlap(&self.held, cue), out);
            return false;
        };
        self.text(at, out);
        if self.calls == CALLS_MAX {
            self.text(cue.len(), out);
            return true;
        }
        self.set_aside(cue.len());
        out.push(Said::Cue(self.held.clone()));
        self.state = State::Head;
        true
    }

    /// Looks for an object that begins as a call does, at the beginning of the answer.
    fn find_bare(&mut self, out: &mut Vec<Said>) -> bool {
        const BEGINNINGS: [&str; 2] = ["{\"name\":\"", "{\"type\":\"function\",\"name\":\""];
        const TAG: &str = "<|python_tag|>";
        let trimmed = self.held.trim_start();
        let bare = trimmed.strip_prefix(TAG).unwrap_or(trimmed).trim_start();
        let bare: String = bare
            .chars()
            .filter(|c| !c.is_ascii_whitespace())
            .take(BEGINNINGS[1].len())
            .collect();
        if self.at_start && BEGINNINGS.iter().any(|beginning| bare.starts_with(beginning)) {
            let start = self.held.find('{').unwrap_or(0);
            self.set_aside(start);
            out.push(Said::Cue(self.held.clone()));
            self.state = State::Head;
            return true;
        }
        let may_become = BEGINNINGS
            .iter()
            .any(|beginning| beginning.starts_with(bare.as_str()))
            || TAG.starts_with(trimmed);
        if !(self.at_start && may_become) {
            self.text(self.held.len(), out);
        }
        false
    }

    fn read_head(&mut self, out: &mut Vec<Said>) -> bool {
        if self.syntax == Syntax::MistralArgs {
            return self.read_name(out);
        }
        let trimmed = self.held.trim_start();
        if !self.in_list && self.calls_in_lists() && trimmed.starts_with('[') {
            let end = self.held.len() - trimmed.len() + 1;
            self.set_aside(end);
            self.in_list = true;
            return true;
        }
        match head(&self.held) {
            Head::More if self.held.len() <= HEAD_MAX => false,
            Head::Open { name, arguments } if self.is_known(&name) => {
                match self.held[arguments..].chars().next() {
                    Some('{') => {}
                    None => return false,
                    Some(_) => return self.no_call(out),
                }
                self.begin(name, out);
                self.syntax(arguments, out);
                self.state = State::Arguments(Balance::default());
                true
            }
            Head::Whole { name, arguments, end } if self.is_known(&name) => {
                let arguments = match arguments {
                    None => "{}".to_owned(),
                    Some((start, end)) => self.held[start..end].to_owned(),
                };
                self.begin(name, out);
                self.fragment(arguments, out);
                self.syntax(end, out);
                self.state = State::After;
                true
            }
            Head::More | Head::Bad | Head::Open { .. } | Head::Whole { .. } => self.no_call(out),
        }
    }

    /// A name, and then arguments, without an object around them.
    fn read_name(&mut self, out: &mut Vec<Said>) -> bool {
        const MARK: &str = "[ARGS]";
        let Some(brace) = self.held.find('{') else {
            if self.held.len() > HEAD_MAX {
                return self.no_call(out);
            }
            return false;
        };
        let name = self.held[..brace].trim();
        let name = name.strip_suffix(MARK).unwrap_or(name).trim().to_owned();
        if !self.is_known(&name) {
            return self.no_call(out);
        }
        self.begin(name, out);
        self.syntax(brace, out);
        self.state = State::Arguments(Balance::default());
        true
    }

    fn read_arguments(&mut self, mut balance: Balance, out: &mut Vec<Said>) -> bool {
        let end = balance.end(&self.held);
        let piece = self.held[..end.unwrap_or(self.held.len())].to_owned();
        self.syntax(piece.len(), out);
        if !piece.is_empty() {
            self.fragment(piece, out);
        }
        self.state = match end {
            None => State::Arguments(balance),
            Some(_) if self.syntax == Syntax::MistralArgs => State::After,
            Some(_) => State::Tail(Balance::inside()),
        };
        end.is_some()
    }

    /// Between calls, and behind the last.
    fn read_after(&mut self, out: &mut Vec<Said>) -> bool {
        let trimmed = self.held.trim_start();
        let space = self.held.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            return false;
        };
        let close = self.syntax.close();
        if self.in_list && first == ',' {
            self.state = State::Head;
            self.set_aside(space + 1);
        } else if self.in_list && first == ']' {
            self.in_list = false;
            self.syntax(space + 1, out);
        } else if !close.is_empty() && trimmed.starts_with(close) {
            self.syntax(space + close.len(), out);
        } else if !close.is_empty() && close.starts_with(trimmed) {
            return false;
        } else if self.syntax == Syntax::Llama && first == ';' {
            self.state = State::Head;
            self.set_aside(space + 1);
        } else {
            let cue = self.syntax.cue();
            if !cue.is_empty() && cue.len() > trimmed.len() && cue.starts_with(trimmed) {
                return false;
            }
            // White space between calls is nobody's text.
            if !cue.is_empty() && trimmed.starts_with(cue) {
                self.syntax(space, out);
            }
            self.in_list = false;
            self.state = State::Text;
        }
        true
    }

    fn calls_in_lists(&self) -> bool {
        matches!(self.syntax, Syntax::Tagged | Syntax::TaggedList | Syntax::Mistral)
    }

    fn is_known(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    fn begin(&mut self, name: String, out: &mut Vec<Said>) {
        out.push(Said::Syntax(self.before.len()));
        self.before.clear();
        out.push(Said::Call(ToolCallDelta {
            index: self.calls,
            id: Some(id(self.syntax)),
            name: Some(name),
            arguments: String::new(),
        }));
        self.at_start = false;
        self.calls += 1;
    }

    fn fragment(&self, arguments: String, out: &mut Vec<Said>) {
        out.push(Said::Call(ToolCallDelta {
            index: self.calls.saturating_sub(1),
            id: None,
            name: None,
            arguments,
        }));
    }

    /// The first bytes held are text.
    fn text(&mut self, length: usize, out: &mut Vec<Said>) {
        if length > 0 {
            let text: String = self.held.drain(..length).collect();
            self.at_start &= text.trim_start().is_empty();
            out.push(Said::Text(text));
        }
    }

    /// The first bytes held are a call's syntax.
    fn syntax(&mut self, length: usize, out: &mut Vec<Said>) {
        if length > 0 {
            self.held.drain(..length);
            out.push(Said::Syntax(length));
        }
    }

    /// The first bytes held stand before a call's head.
    fn set_aside(&mut self, length: usize) {
        self.before.extend(self.held.drain(..length));
    }

    /// What looked like a call is none.
    fn no_call(&mut self, out: &mut Vec<Said>) -> bool {
        self.give_up(out);
        true
    }

    /// What is held back of a call, its cue included, is text.
    fn give_up(&mut self, out: &mut Vec<Said>) {
        let mut text = std::mem::take(&mut self.before);
        text.push_str(&self.held);
        self.held.clear();
        self.in_list = false;
        self.at_start = false;
        self.state = State::Text;
        if !text.is_empty() {
            out.push(Said::Text(text));
        }
    }
}

/// An id that no other call has.
fn id(syntax: Syntax) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let length = syntax.id_length().unwrap_or(24);
    let mut id = if syntax.id_length().is_some() {
        String::new()
    } else {
        "call_".to_owned()
    };
    let mut bits = 0_u64;
    for place in 0..length {
        // Five bits a letter; every twelve letters new ones.
        if place % 12 == 0 {
            bits = RandomState::new().hash_one(place);
        }
        id.push(char::from(LETTERS[(bits & 31) as usize]));
        bits >>= 5;
    }
    id
}

#[cfg(test)]
mod tests;
