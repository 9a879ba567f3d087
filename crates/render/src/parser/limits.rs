//! How much the parser holds back and remembers.

/// Bounds of what a [`Parser`](super::Parser) holds back and remembers.
///
/// What goes beyond a bound is not an error: it is read as plain text, since the text is a model's, and somebody waits
/// for it. Which rules of CommonMark that touches is listed in the documentation of [`parser`](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far a rule looks ahead, in bytes of text. What has opened something (`*`, `` ` ``, `[`, `<`, `$`) and was not
    /// closed within the window is literal, and a line whose beginning is undecided for so long is a paragraph's.
    ///
    /// Default 640: eight rows of a terminal that is 80 columns wide. At least 64.
    pub window: usize,
    /// How long the line over a setext underline may be, in bytes: until it is longer or the next line has begun, nobody
    /// knows whether it is a heading. Default 100, at most the window.
    pub heading: usize,
    /// How many containers stand within each other: quotes, and lists with the item that is open. Markers beyond are
    /// text. Default 32, at least 1.
    pub depth: usize,
    /// How many columns a table has; what would have more is no table. Default 64.
    pub columns: usize,
    /// How many link reference definitions are remembered; later ones define nothing. Default 256.
    pub definitions: usize,
}

impl Limits {
    /// These bounds, each within its own.
    pub(super) fn clamped(self) -> Self {
        let window = self.window.max(64);
        Self {
            window,
            heading: self.heading.min(window),
            depth: self.depth.max(1),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 640,
            heading: 100,
            depth: 32,
            columns: 64,
            definitions: 256,
        }
    }
}
