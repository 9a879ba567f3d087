//! What one text has become: rows that are final and not drawn yet, and a screen with the rest.

use crate::event::Event;
use crate::layout::{Layout, Setting};
use crate::measure::Widths;
use crate::painter::Painter;
use crate::row::Row;

/// The most rows that are drawn before they are final.
const TAIL: usize = 12;

/// The least columns for which text is set: a quarter of them is room for any character. On a terminal with less, which
/// wraps the rows in its own way, nothing is drawn before it is final, and so nothing is ever drawn over.
const NARROW: usize = 8;

/// What a terminal is, and how text is to look on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its columns. Default 80. For less than 8 text is set as for 8 and left to the terminal to wrap, and a row is shown
    /// when it is final.
    pub columns: usize,
    /// Its rows. At most 12 of them, and at most two less than there are, show what is not final. Default 24, at least 1.
    pub rows: usize,
    /// Whether colours may be used; without them, bold, dim, italic and underlined text remains. Default true.
    pub color: bool,
    /// Whether links are hyperlinks (OSC 8). Otherwise, and where an address is none of the web's or of mail, it follows
    /// the text in parentheses. Default true: a terminal that does not know the sequence skips it.
    pub hyperlinks: bool,
    /// Whether characters of ambiguous width (Unicode Annex 11) are wide, as in fonts made for Chinese, Japanese and
    /// Korean. Default false.
    pub ambiguous_wide: bool,
    /// Whether the terminal wraps its rows anew when its width changes, as nearly all do but xterm and the Linux console.
    /// Default true.
    pub reflows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 24,
            color: true,
            hyperlinks: true,
            ambiguous_wide: false,
            reflows: true,
        }
    }
}

/// Events in, bytes for a terminal out.
#[derive(Debug)]
pub(crate) struct Canvas {
    setting: Setting,
    /// Of code alone, the language.
    language: Option<String>,
    layout: Layout,
    settled: Vec<Row>,
    painter: Painter,
    tail: usize,
    reflows: bool,
}

impl Canvas {
    pub(crate) fn new(options: Options) -> Self {
        let widths = Widths {
            ambiguous_wide: options.ambiguous_wide,
        };
        let tail = tail(options.columns, options.rows);
        let setting = Setting {
            columns: options.columns.max(NARROW),
            widths,
            hyperlinks: options.hyperlinks,
            highlight: options.color,
            patience: patience(tail),
        };
        Self {
            setting,
            language: None,
            layout: Layout::new(setting),
            settled: Vec::new(),
            painter: Painter::new(options.columns, widths, options.color),
            tail,
            reflows: options.reflows,
        }
    }

    /// One whose events are [`Event::Verbatim`] alone.
    pub(crate) fn code(language: &str, options: Options) -> Self {
        let mut canvas = Self::new(options);
        canvas.layout.open_code(language);
        canvas.language = Some(language.to_owned());
        canvas
    }

    /// What is final.
    pub(crate) fn event(&mut self, event: Event<'_>) {
        self.layout.event(event, &mut self.settled);
    }

    /// Draws what is final, and what `preview` tells on top of it.
    pub(crate) fn frame(&mut self, preview: impl FnOnce(&mut dyn FnMut(Event<'_>)), out: &mut String) {
        let (mut layout, mut rows) = (self.layout.pause(), Vec::new());
        preview(&mut |event| layout.event(event, &mut rows));
        layout.finish(&mut rows);
        let hidden = rows.len().saturating_sub(self.tail);
        self.painter
            .paint(std::mem::take(&mut self.settled), &rows[hidden..], out);
    }

    /// The text has ended: draws all of it. What comes is another one.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.layout.finish(&mut self.settled);
        self.painter.paint(std::mem::take(&mut self.settled), &[], out);
        self.layout = Layout::new(self.setting);
        if let Some(language) = &self.language {
            self.layout.open_code(language);
        }
    }

    pub(crate) fn resize(&mut self, columns: usize, rows: usize, out: &mut String) {
        self.tail = tail(columns, rows);
        self.setting.columns = columns.max(NARROW);
        self.setting.patience = patience(self.tail);
        self.painter.resize(columns, rows, self.reflows, out);
        self.layout.resize(self.setting.columns, self.setting.patience);
    }

    pub(crate) fn clear(&mut self, out: &mut String) {
        self.painter.clear(out);
    }

    pub(crate) fn column(&self) -> Option<usize> {
        self.painter.column()
    }
}

fn tail(columns: usize, rows: usize) -> usize {
    if columns < NARROW {
        0
    } else {
        rows.saturating_sub(2).clamp(1, TAIL)
    }
}

/// How many rows of a table's body wait: some rows of the tail remain for its head, and for cells of several lines.
fn patience(tail: usize) -> usize {
    tail.saturating_sub(4).max(1)
}
