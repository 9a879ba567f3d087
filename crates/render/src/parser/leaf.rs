//! The block that is open, and what it keeps of its text until that is decided.

use crate::event::Alignment;

use super::html::{HtmlEnd, LONGEST_END};
use super::marker::Fence;
use super::start::Current;
use super::table::Cells;

#[derive(Clone, Debug, Default)]
pub(super) enum Leaf {
    #[default]
    None,
    Paragraph(Paragraph),
    Heading {
        /// Its line so far: what closes it is not part of it. Empty once it is longer than a window.
        held: String,
        /// It is longer: its text is told as it comes.
        long: bool,
    },
    Fenced(Fence),
    Indented {
        /// Blank lines that are part of it if another line of it comes.
        blanks: usize,
    },
    Html(Html),
    Math {
        close: &'static str,
        /// The end of its line so far, at most a window: what closes it is not part of it.
        line: String,
    },
    Table(Table),
}

impl Leaf {
    /// What the next line is read against.
    pub(super) fn current(&self) -> Current<'_> {
        match self {
            Self::None | Self::Heading { .. } => Current::None,
            Self::Paragraph(paragraph) => Current::Paragraph {
                held: paragraph.holding.then_some(&paragraph.held),
                single: !paragraph.begun,
            },
            Self::Fenced(fence) => Current::Fenced(*fence),
            Self::Indented { .. } => Current::Indented,
            Self::Html(html) => Current::Html(html.end),
            Self::Math { .. } => Current::Math,
            Self::Table(_) => Current::Table,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Paragraph {
    /// Whether a blank line stands before it.
    pub(super) gap: bool,
    /// It is told to be one; until then it may become a heading or a table.
    pub(super) begun: bool,
    /// Its last line, while that may become a heading or the head of a table.
    pub(super) held: String,
    pub(super) holding: bool,
}

impl Paragraph {
    pub(super) fn new(gap: bool) -> Self {
        Self {
            gap,
            begun: false,
            held: String::new(),
            holding: true,
        }
    }

    /// How long the line may become before it is certain to be text, in bytes. The first one may be a heading; what begins
    /// with a pipe may be the head of a table.
    pub(super) fn patience(&self, heading: usize, window: usize) -> usize {
        match self.held.starts_with('|') {
            true => window,
            false if self.begun => 0,
            false => heading,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Html {
    end: HtmlEnd,
    /// The line has its end in it.
    over: bool,
    /// The last bytes of the line, in which the end may have begun.
    recent: String,
}

impl Html {
    pub(super) fn new(end: HtmlEnd) -> Self {
        Self {
            end,
            over: false,
            recent: String::new(),
        }
    }

    /// Looks for the end in the line's next piece.
    pub(super) fn look(&mut self, piece: &str) {
        let HtmlEnd::Line(ends) = self.end else { return };
        if self.over {
            return;
        }
        self.recent.push_str(piece);
        self.recent.make_ascii_lowercase();
        self.over = ends
            .iter()
            .any(|end| memchr::memmem::find(self.recent.as_bytes(), end.as_bytes()).is_some());
        let keep = self
            .recent
            .ceil_char_boundary(self.recent.len().saturating_sub(LONGEST_END));
        self.recent.drain(..keep);
    }

    /// The line ends: says whether the block does.
    pub(super) fn end_line(&mut self) -> bool {
        self.recent.clear();
        self.over
    }
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Alignment>,
    pub(super) cells: Cells,
    /// The number of the cell that is open, or comes next.
    pub(super) column: usize,
}

impl Table {
    pub(super) fn new(columns: Vec<Alignment>) -> Self {
        Self {
            columns,
            cells: Cells::default(),
            column: 0,
        }
    }
}
