//! Emphasis: which runs of delimiters belong together (CommonMark 6.2, and the appendix, "process emphasis").
//!
//! The algorithm goes through closers from left to right, so it can run while text comes. It has to wait where a bracket
//! before the closer may yet begin a link, since links bind tighter.

use super::flanking::Flanking;
use super::node::{Kind, Run};
use super::{Inline, Outside};

/// A run that may open something, or waits to close something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimiter {
    pub(super) node: usize,
    pub(super) at: usize,
    mark: u8,
    /// How many characters it had, and how many are left.
    length: usize,
    left: usize,
    flanking: Flanking,
    /// It can close, and it is not known yet what.
    pub(super) waits: bool,
}

impl Delimiter {
    /// Whether this run and a closer belong together: the rule of three (CommonMark 6.2, rules 9 and 10), and for
    /// strikethrough runs of one length.
    fn opens(&self, closer: &Self) -> bool {
        if self.mark != closer.mark || !self.flanking.opens {
            return false;
        }
        if self.mark == b'~' {
            return self.length == closer.length;
        }
        let both = self.flanking.closes || closer.flanking.opens;
        let threes = self.length.is_multiple_of(3) && closer.length.is_multiple_of(3);
        !both || threes || !(self.length + closer.length).is_multiple_of(3)
    }
}

impl Delimiter {
    /// Opens what the run can open, in a preview: closers will come.
    pub(super) fn open_all(&self, run: &mut Run) {
        while self.flanking.opens && run.left > 0 {
            let used = if self.mark == b'~' {
                run.left
            } else {
                run.left.min(2)
            };
            run.left -= used;
            run.opens.add(self.mark, used);
        }
    }
}

impl Inline {
    /// Adds a run of delimiters that lies between two places.
    pub(super) fn add_run(&mut self, from: usize, to: usize, flanking: Flanking, outside: Outside<'_>) {
        let mark = self.text(from, to).as_bytes()[0];
        let length = to - from;
        let run = Run {
            left: length,
            closes: Default::default(),
            opens: Default::default(),
        };
        let node = self.add(from, to, Kind::Run(run));
        self.at = to;
        let waits = flanking.closes;
        self.delimiters.push_back(Delimiter {
            node,
            at: from,
            mark,
            length,
            left: length,
            flanking,
            waits,
        });
        self.waiting += usize::from(waits);
        if waits && !self.brackets.iter().any(|bracket| bracket.active) {
            self.close_with(self.delimiters.len() - 1, 0, outside);
        }
    }

    /// Closes what the waiting runs close, up to the first bracket that may begin a link.
    pub(super) fn close_waiting(&mut self, outside: Outside<'_>) {
        let until = self
            .brackets
            .iter()
            .find(|bracket| bracket.active)
            .map_or(usize::MAX, |bracket| bracket.node);
        self.close_between(0, until, outside);
    }

    /// Within a link, closes what can be closed, and gives up the rest.
    pub(super) fn close_within(&mut self, bracket: usize, outside: Outside<'_>) {
        self.close_between(bracket, usize::MAX, outside);
        let from = self.delimiters.partition_point(|run| run.node < bracket);
        self.delimiters.truncate(from);
    }

    /// Closes what the waiting runs among these nodes close.
    fn close_between(&mut self, from: usize, until: usize, outside: Outside<'_>) {
        let mut index = self.delimiters.partition_point(|run| run.node < from);
        let bottom = index;
        while self.waiting > 0 && self.delimiters.get(index).is_some_and(|run| run.node < until) {
            if self.delimiters[index].waits {
                index = self.close_with(index, bottom, outside);
            } else {
                index += 1;
            }
        }
    }

    /// Closes what one run closes, with openers from `bottom` on. Says where the run after it is.
    fn close_with(&mut self, mut index: usize, bottom: usize, outside: Outside<'_>) -> usize {
        self.waiting -= 1;
        self.delimiters[index].waits = false;
        while self.delimiters[index].left > 0
            && let Some(opener) = self.opener(index, bottom, outside)
        {
            let (mark, left) = (self.delimiters[index].mark, self.delimiters[index].left);
            let used = match mark {
                b'~' => left,
                _ => left.min(self.delimiters[opener].left).min(2),
            };
            for (run, opens) in [(opener, true), (index, false)] {
                let run = &mut self.delimiters[run];
                run.left -= used;
                let Delimiter { node, left, .. } = *run;
                if let Some(Kind::Run(run)) = self.node(node).map(|node| &mut node.kind) {
                    run.left = left;
                    let depths = if opens { &mut run.opens } else { &mut run.closes };
                    depths.add(mark, used);
                }
            }
            // What stands between them can neither open nor close any more.
            let keep = opener + usize::from(self.delimiters[opener].left > 0);
            self.delimiters.drain(keep..index);
            index = keep;
        }
        let run = self.delimiters[index];
        if run.left == 0 || !run.flanking.opens {
            self.delimiters.remove(index);
            return index;
        }
        index + 1
    }

    /// The nearest run that opens what this one closes, from `bottom` on and within a window.
    fn opener(&self, closer: usize, bottom: usize, outside: Outside<'_>) -> Option<usize> {
        let run = &self.delimiters[closer];
        (bottom..closer)
            .rev()
            .take_while(|&index| run.at - self.delimiters[index].at <= outside.window)
            .find(|&index| self.delimiters[index].opens(run))
    }
}
