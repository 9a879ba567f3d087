//! The undecided end of a text as it will most likely be: what is open is shown as if it closed well, and a mark that
//! may still become anything is not shown.

use crate::parser::Sink;
use crate::parser::scan::{Edge, is_blank};

use super::node::Kind;
use super::{Inline, Outside};

impl Inline {
    /// Tells the rest as it should be shown if nothing came for a while. For a copy only.
    pub(in crate::parser) fn pretend(&mut self, outside: Outside<'_>, sink: Sink<'_>) {
        while self.at < self.end() {
            self.guess(sink);
            self.read(Edge::Open, outside, sink);
        }
        let brackets = std::mem::take(&mut self.brackets);
        for bracket in brackets.iter().filter(|bracket| bracket.active) {
            let kind = if bracket.image {
                Kind::Description
            } else {
                Kind::Hidden
            };
            if let Some(node) = self.node(bracket.node) {
                node.kind = kind;
            }
        }
        self.close_waiting(outside);
        for run in std::mem::take(&mut self.delimiters) {
            if let Some(Kind::Run(node)) = self.node(run.node).map(|node| &mut node.kind) {
                run.open_all(node);
            }
        }
        self.tell(usize::MAX, sink);
        self.style.clear();
    }

    /// Goes past the token that cannot be read because it has not ended.
    fn guess(&mut self, sink: Sink<'_>) {
        let (at, end) = (self.at, self.end());
        let rest = self.text(at, end);
        let first = rest.bytes().next().unwrap_or_default();
        let marks = rest.bytes().take_while(|&byte| byte == first).count();
        match first {
            b'`' => {
                let to = at + rest.trim_end_matches('`').len();
                self.guess_verbatim(at + marks, to, Kind::Code);
            }
            // A price, or a variable of a shell: two capitals, of which math has one at a time.
            b'$' if rest[marks..].starts_with(|next: char| next.is_ascii_digit())
                || rest.len() >= marks + 2
                    && rest[marks..]
                        .bytes()
                        .take(2)
                        .all(|byte| byte.is_ascii_uppercase()) =>
            {
                self.plain(at, at + marks, sink)
            }
            b'$' => {
                let to = at + rest.trim_end_matches('$').len();
                self.guess_verbatim(at + marks, to, Kind::Math);
            }
            b'\\' if rest.starts_with("\\(") => {
                let to = at + rest.trim_end_matches('\\').len();
                self.guess_verbatim(at + 2, to, Kind::Math);
            }
            b'\\' | b'*' | b'_' | b'~' => self.at += marks,
            // The address of a link, of which the text is shown.
            b']' => self.at = end,
            b'h' | b'w' => {
                let blank = rest.bytes().position(is_blank).unwrap_or(rest.len());
                self.plain(at, at + blank.max(1), sink);
            }
            first if is_blank(first) => self.at = end,
            _ => self.plain(at, at + 1, sink),
        }
    }

    /// Code or math that has not ended: all that follows is part of it.
    fn guess_verbatim(&mut self, from: usize, to: usize, kind: Kind) {
        if from < to {
            self.add(from, to, kind);
        }
        self.at = self.end();
    }
}
