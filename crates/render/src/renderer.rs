//! The whole way, from text to bytes.

use crate::canvas::{Canvas, Options};
use crate::event::Event;
use crate::parser::{Limits, Parser};

/// Renders one text while it is still coming.
///
/// Whoever holds it decides how often there is a frame: after every piece, or a few dozen times a second. What is
/// written in the end, scrollback included, depends neither on that nor on how the text was cut.
///
/// The bytes are for a terminal whose cursor stands at the beginning of an empty row, and to which nobody else writes
/// unless [`interrupt`](Self::interrupt) says so. Rows end with CR LF, which is right whether or not the terminal
/// translates line feeds. Between frames no style is set, and the cursor stands behind the text.
///
/// ```
/// use aurora_render::{Options, Renderer};
///
/// let mut renderer = Renderer::new(Options::default());
/// let mut screen = String::new();
/// for delta in ["# Ti", "tle\n", "te", "xt"] {
///     renderer.push(delta);
///     renderer.frame(&mut screen);
/// }
/// renderer.finish(&mut screen);
/// let title = "\u{1b}[1;35m# Ti\u{1b}[m\u{1b}[1;35mtle\u{1b}[m\r\n";
/// assert_eq!(screen, format!("{title}text\r\n"));
/// ```
#[derive(Debug)]
pub struct Renderer {
    /// `None` where the text is code.
    parser: Option<Parser>,
    canvas: Canvas,
}

impl Renderer {
    /// A renderer of one text, with the parser's usual [`Limits`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            parser: Some(Parser::new(Limits::default())),
            canvas: Canvas::new(options),
        }
    }

    /// A renderer of code alone, not set off in any way. `language` is what would stand behind its opening fence; one that
    /// is not known, or none, is plain.
    #[must_use]
    pub fn code(language: &str, options: Options) -> Self {
        Self {
            parser: None,
            canvas: Canvas::code(language, options),
        }
    }

    /// Takes the next piece of the text, of any length. Nothing is drawn, and what is to be drawn waits for the next
    /// frame; so the memory that is used between two frames grows with the text between them, and with that alone.
    pub fn push(&mut self, text: &str) {
        let canvas = &mut self.canvas;
        match &mut self.parser {
            Some(parser) => parser.push(text, |event| canvas.event(event)),
            None => canvas.event(Event::Verbatim(text)),
        }
    }

    /// Appends the bytes that bring the terminal up to date; none if it is.
    pub fn frame(&mut self, out: &mut String) {
        let parser = self.parser.as_ref();
        let preview = |sink: &mut dyn FnMut(Event<'_>)| {
            if let Some(parser) = parser {
                parser.preview(sink);
            }
        };
        self.canvas.frame(preview, out);
    }

    /// The terminal has another size. Appends the bytes that take away what is not final, which the next frame draws for
    /// the new width; rows that are final belong to the terminal. To be called before text that is to be set for the new
    /// size is pushed, and after a frame, so that rows set for the old one are not drawn on the new.
    pub fn resize(&mut self, columns: usize, rows: usize, out: &mut String) {
        self.canvas.resize(columns, rows, out);
    }

    /// Appends the bytes that take away what is not final, so that something else can be written: the cursor stands at
    /// the beginning of an empty row, and has to stand at such a place again before the next frame, which draws what was
    /// taken away anew.
    pub fn interrupt(&mut self, out: &mut String) {
        self.canvas.clear(out);
    }

    /// The column behind the text of the last frame, counted from 0, if it is certain: terminals differ about the width of some
    /// emoji and scripts, and where a row is full the cursor stands neither here nor there. The rest of the row is
    /// empty, and may be used for something that is gone before the next frame.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.canvas.column()
    }

    /// The text has ended. Appends the bytes of its last frame; the cursor stands at the beginning of an empty row. What is
    /// pushed afterwards is another text.
    pub fn finish(&mut self, out: &mut String) {
        let canvas = &mut self.canvas;
        if let Some(parser) = &mut self.parser {
            let parser = std::mem::replace(parser, Parser::new(Limits::default()));
            parser.finish(|event| canvas.event(event));
        }
        canvas.finish(out);
    }
}

#[cfg(test)]
mod tests;
