//! What becomes of an answer's text on its way to stdout.

use aurora_render::visible::Visible;
use aurora_render::{Options, Renderer};

use super::{Size, Style};

/// The size of a terminal that does not tell its own.
const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// The form in which an answer is written.
#[derive(Debug)]
pub(super) enum Form {
    /// As it came.
    Raw,
    /// Harmless for a terminal.
    Visible(Visible),
    /// As the markdown that it is, or as code of a language; the renderer is there from the first text on.
    Rendered {
        style: Style,
        code: Option<String>,
        renderer: Option<Box<Renderer>>,
    },
}

impl Form {
    pub(super) fn new(style: Style) -> Self {
        match style {
            Style { render: true, .. } => Self::Rendered {
                style,
                code: None,
                renderer: None,
            },
            Style {
                out_is_terminal: true,
                ..
            } => Self::Visible(Visible::default()),
            _ => Self::Raw,
        }
    }

    /// What comes is code, of this language.
    pub(super) fn set_code(&mut self, language: &str) {
        if let Self::Rendered { code, .. } = self {
            *code = Some(language.to_owned());
        }
    }

    /// Appends what the next text adds, on a terminal of this size.
    pub(super) fn text(&mut self, text: &str, size: Size, out: &mut String) {
        if text.is_empty() {
            return;
        }
        match self {
            Self::Raw => out.push_str(text),
            Self::Visible(visible) => visible.push(text, out),
            Self::Rendered {
                style,
                code,
                renderer,
            } => {
                let renderer = renderer.get_or_insert_with(|| {
                    let options = options(*style, size);
                    Box::new(match code {
                        Some(language) => Renderer::code(language, options),
                        None => Renderer::new(options),
                    })
                });
                renderer.push(text);
                renderer.frame(out);
            }
        }
    }

    /// Appends what makes way for something else: takes away what [`again`](Self::again) puts back.
    pub(super) fn make_way(&mut self, out: &mut String) {
        if let Some(renderer) = self.renderer() {
            renderer.interrupt(out);
        }
    }

    /// Appends what puts back what made way.
    pub(super) fn again(&mut self, out: &mut String) {
        if let Some(renderer) = self.renderer() {
            renderer.frame(out);
        }
    }

    /// Appends what makes way on a terminal that has another size now; [`again`](Self::again) puts it back.
    pub(super) fn resize(&mut self, size: Size, out: &mut String) {
        if let Some(renderer) = self.renderer() {
            let size = size.or(USUAL);
            renderer.resize(size.columns, size.rows, out);
        }
    }

    /// Appends the rest, at the end of the answer.
    pub(super) fn finish(&mut self, out: &mut String) {
        match self {
            Self::Raw => {}
            Self::Visible(visible) => visible.finish(out),
            Self::Rendered { renderer: None, .. } => {}
            Self::Rendered {
                renderer: Some(renderer),
                ..
            } => renderer.finish(out),
        }
    }

    /// The renderer, once it is there.
    fn renderer(&mut self) -> Option<&mut Renderer> {
        match self {
            Self::Rendered { renderer, .. } => renderer.as_deref_mut(),
            Self::Raw | Self::Visible(_) => None,
        }
    }

    /// Where the cursor stands, as far as the renderer knows; `None` if there is none, and what is written tells.
    pub(super) fn column(&self) -> Option<Option<usize>> {
        match self {
            Self::Rendered {
                renderer: Some(renderer),
                ..
            } => Some(renderer.column()),
            Self::Rendered { .. } | Self::Raw | Self::Visible(_) => None,
        }
    }
}

fn options(style: Style, size: Size) -> Options {
    let size = size.or(USUAL);
    Options {
        columns: size.columns,
        rows: size.rows,
        color: style.out_color,
        hyperlinks: true,
        ambiguous_wide: style.ambiguous,
        reflows: style.reflows,
    }
}

#[cfg(test)]
mod tests;
