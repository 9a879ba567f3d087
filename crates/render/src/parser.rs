//! Markdown as it comes: CommonMark 0.31 and GFM, read in one pass, in pieces of any size.
//!
//! [`Parser::push`] tells what is certain: true under every continuation of the text. [`Parser::preview`] tells, on top of
//! that, what a screen should show if the answer paused here, and [`Parser::finish`] what is true because it has ended.
//! What is certain is a function of the text so far and of the [`Limits`], and not of how the text was cut or when it came.
//! So what is drawn of it is never touched again, and any cutting gives the same screen.
//!
//! ```
//! use aurora_render::{Event, Parser};
//!
//! let words = |text: &mut String, event: Event<'_>| {
//!     if let Event::Text { text: piece, .. } = event {
//!         *text += piece;
//!     }
//! };
//! let mut parser = Parser::default();
//! let mut certain = String::new();
//! parser.push("Some text.\n\n- and an *it", |event| words(&mut certain, event));
//! assert_eq!(certain, "Some text.");
//!
//! let mut shown = String::new();
//! parser.preview(|event| words(&mut shown, event));
//! assert_eq!(shown, "and an it");
//! ```
//!
//! # How it is read
//!
//! The beginning of a line says which containers go on or begin and which block the line belongs to (`start`); the rest of the
//! line flows into that block (`flow`), the text of paragraphs, headings and cells through `inline`. Every rule reads
//! through a `scan`, which knows whether its text may go on: a rule answers or asks for more.
//!
//! Nothing is waited for longer than [`Limits::window`]. A parser holds at most the beginning of a line, a line that may be a heading or
//! the head of a table, and three windows of text; each token is read once, and where one has not ended, it is read
//! again with every piece, a window of it at most. Code is told character by character; of a line in a fence only what
//! may be the closing fence is held back.
//!
//! # Where it differs from CommonMark and GFM
//!
//! Since nobody waits for the end of an answer:
//!
//! - What is open for longer than a window is literal: emphasis, code, links, HTML, math, addresses; and so is a line whose
//!   beginning is undecided for so long: a thematic break, a fence with its info string, an HTML block, a definition (all
//!   of CommonMark 4 to 6).
//! - A setext heading has one line, of at most [`Limits::heading`] bytes (4.3). `---` under more is a thematic break.
//! - A link reference definition stands on one line, and defines for what comes after it; references to what
//!   comes later are text (4.7, 6.3).
//! - The head of a table begins with a pipe, or is the one short line of its paragraph so far (GFM, "Tables").
//! - Containers, columns and definitions are limited in number.
//!
//! Since models and people write it so:
//!
//! - Flanking follows the CJK-friendly amendment, so that `**「重要」**的` is strong (6.2).
//! - `$…$`, `$$…$$`, `\(…\)` and `\[…\]` are math. For inline `$` pandoc's rule keeps prices what they are, and one about what joins
//!   names keeps `$PATH:$HOME`; `$$` and `\[` as blocks have to begin their line.
//! - `<br>` breaks the line. Other HTML is told as the text it is (4.6, 6.6).
//! - A bare address ends at CJK text, and may begin behind it; bare mail addresses are text (GFM, "Autolinks").
//! - Marks of footnotes are left readable, and `[^1]: …` defines nothing.
//!
//! Since it makes no difference on a screen:
//!
//! - The description of an image keeps its styles (6.4). Titles of links are not told.
//! - A blank line in indented code is told without its white space (4.4); more than a window of white space is no blank line.
//! - U+0000 is told as it is (2.3): whoever shows text has to neutralise control characters.

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
mod text;

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
#[derive(Clone, Debug)]
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
        let blocks = Blocks::new(limits.clamped());
        Self {
            blocks,
            begun: String::new(),
            within: false,
            returned: false,
        }
    }

    /// Takes more text, and tells `sink` what has become certain: true whatever comes after. The text may be cut anywhere.
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
                let edge = if end.is_some() { Edge::End } else { Edge::Open };
                self.begin_line(piece, edge, &mut sink);
            }
            let Some(end) = end else { return };
            self.blocks.end_line(true, &mut sink);
            self.within = false;
            self.returned = rest.as_bytes()[end] == b'\r';
            rest = &rest[end + 1..];
        }
    }

    /// Tells, on top of all that `push` has told, what a screen should show if nothing came for a while, and ends every
    /// block and container. It changes nothing, and costs about as much as reading what is held.
    ///
    /// What is open is shown as if it closed well: `**bo` is bold, half a link is its text, a line that begins with a pipe
    /// the head of a table. Marks that may become anything are not shown. The numbers of links are those that they will
    /// have if it comes so.
    pub fn preview(&self, mut sink: impl FnMut(Event<'_>)) {
        let mut copy = self.clone();
        if !copy.begun.bytes().all(is_mark) {
            copy.begin_line("", Edge::End, &mut sink);
        }
        copy.blocks.pretend(&mut sink);
    }

    /// Tells the rest: what is true because the text ends here. What has not closed is literal; only a fence that was never
    /// closed is code all the same (CommonMark 4.5), and its [`Event::End`] says so.
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

impl Default for Parser {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// Whether a line that has begun with such bytes alone is not shown yet, since it may say anything.
fn is_mark(byte: u8) -> bool {
    b" \t#*-+_=`~>|:<$\\[]".contains(&byte)
}
