//! Markdown as it comes: CommonMark and GFM, read in one pass, in pieces of any size.

mod blocks;
mod container;
mod cursor;
mod definition;
mod destination;
mod entity;
mod flow;
mod html;
mod inline;
mod leaf;
mod limits;
mod marker;
mod math;
mod scan;
mod start;
mod table;

use crate::event::Event;

use blocks::Blocks;
use scan::Edge;

pub use limits::Limits;

/// Where events go.
type Sink<'a> = &'a mut dyn FnMut(Event<'_>);

/// Tells what a text is made of while it is still coming.
///
/// [`push`](Self::push) and [`finish`](Self::finish) tell what is final: nothing of it depends on how the text was cut.
/// [`preview`](Self::preview) tells what should be shown behind that.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    blocks: Blocks,
    /// The beginning of the line that is coming, while nobody knows what it says.
    begun: String,
    /// The beginning of the line is decided; what comes is the rest of it.
    within: bool,
    /// A carriage return ended the last line; a line feed that follows is part of it.
    returned: bool,
}

impl Parser {
    /// A parser before the first byte, which keeps to these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            blocks: Blocks::new(limits.clamped()),
            ..Self::default()
        }
    }

    /// Takes more text, and tells what has become certain: true whatever comes after.
    pub fn push(&mut self, text: &str, mut sink: impl FnMut(Event<'_>)) {
        let mut rest = text;
        while !rest.is_empty() {
            if std::mem::take(&mut self.returned)
                && let Some(after) = rest.strip_prefix('\n')
            {
                rest = after;
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes());
            let piece = &rest[..end.unwrap_or(rest.len())];
            if self.within {
                self.blocks.flow(piece, &mut sink);
            } else {
                self.begin_line(
                    piece,
                    if end.is_some() { Edge::End } else { Edge::Open },
                    &mut sink,
                );
            }
            let Some(end) = end else { return };
            self.blocks.end_line(true, &mut sink);
            self.within = false;
            self.returned = rest.as_bytes()[end] == b'\r';
            rest = &rest[end + 1..];
        }
    }

    /// Tells, on top of all that `push` has told, what a screen should show if nothing came for a while, and ends every
    /// block and container. It changes nothing.
    pub fn preview(&self, mut sink: impl FnMut(Event<'_>)) {
        let mut copy = self.clone();
        if !copy.begun.bytes().all(is_mark) {
            copy.begin_line("", Edge::End, &mut sink);
        }
        copy.blocks.pretend(&mut sink);
    }

    /// Tells the rest: what is true because the text ends here.
    pub fn finish(mut self, mut sink: impl FnMut(Event<'_>)) {
        if !self.begun.is_empty() {
            self.begin_line("", Edge::End, &mut sink);
        }
        if self.within {
            self.blocks.end_line(false, &mut sink);
        }
        self.blocks.close(&mut sink);
    }

    /// More of a line whose beginning is not decided.
    fn begin_line(&mut self, piece: &str, edge: Edge, sink: Sink<'_>) {
        let mut line = std::mem::take(&mut self.begun);
        // A window decides, and a byte more tells that there is one.
        let more = piece.floor_char_boundary((self.blocks.limits.window + 4).saturating_sub(line.len()));
        let (whole, rest) = if line.is_empty() {
            (piece, "")
        } else {
            line.push_str(&piece[..more]);
            (line.as_str(), &piece[more..])
        };
        match self.blocks.decide(whole, edge) {
            Ok(decision) => {
                let at = decision.at;
                self.within = true;
                self.blocks.start(decision, sink);
                if self.blocks.flows {
                    self.blocks.flow(&whole[at..], sink);
                    self.blocks.flow(rest, sink);
                }
                line.clear();
            }
            Err(scan::More) => {
                if line.is_empty() {
                    line.push_str(piece);
                }
            }
        }
        self.begun = line;
    }
}

/// Whether a line that has begun with such bytes alone is not shown yet, since it may say anything.
fn is_mark(byte: u8) -> bool {
    b" \t#*-+_=`~>|:<$\\[]".contains(&byte)
}
