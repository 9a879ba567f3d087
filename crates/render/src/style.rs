//! How a cell looks, and the shortest escape sequences from one look to the next.
//!
//! Only the eight colours that every theme chooses for its own background are used, so text is legible on light and on
//! dark. Without colour the attributes stay.

use std::fmt::Write as _;
use std::sync::Arc;

/// The longest address that is made a hyperlink; longer ones are shown. It is the limit of VTE, the least of those known.
pub(crate) const MAX_URL: usize = 2083;

/// A set of attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attrs(u8);

impl Attrs {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const BOLD: Self = Self(1);
    pub(crate) const DIM: Self = Self(2);
    pub(crate) const ITALIC: Self = Self(4);
    pub(crate) const UNDERLINE: Self = Self(8);
    pub(crate) const STRIKE: Self = Self(16);
    /// Not drawn: a row does not break inside, but at spaces.
    pub(crate) const SOLID: Self = Self(32);

    /// The attributes that are drawn, with the codes that turn each on and off (ECMA-48, 8.3.117).
    const DRAWN: [(Self, u8, u8); 5] = [
        (Self::BOLD, 1, 22),
        (Self::DIM, 2, 22),
        (Self::ITALIC, 3, 23),
        (Self::UNDERLINE, 4, 24),
        (Self::STRIKE, 9, 29),
    ];

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A colour of the terminal's theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "highlight"),
    expect(dead_code, reason = "some colours are of code alone")
)]
pub(crate) enum Color {
    Red = 31,
    Green = 32,
    Blue = 34,
    Magenta = 35,
    Cyan = 36,
}

/// Where a hyperlink leads to; harmless inside an escape sequence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: String,
    number: u64,
}

impl Target {
    /// `None` for what is better shown than hidden behind text: other schemes than the web's and mail's, relative
    /// addresses, and those that are too long.
    pub(crate) fn new(url: &str, number: u64) -> Option<Arc<Self>> {
        let known = ["https://", "http://", "mailto:"].iter().any(|scheme| {
            url.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if !known || url.len() > MAX_URL {
            return None;
        }
        let mut safe = String::with_capacity(url.len());
        for byte in url.bytes() {
            if byte.is_ascii_graphic() {
                safe.push(char::from(byte));
            } else {
                let _ = write!(safe, "%{byte:02X}");
            }
        }
        (safe.len() <= MAX_URL).then(|| Arc::new(Self { url: safe, number }))
    }
}

/// How a piece of text looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) attrs: Attrs,
    pub(crate) color: Option<Color>,
    pub(crate) link: Option<Arc<Target>>,
}

impl Style {
    pub(crate) const fn of(attrs: Attrs) -> Self {
        Self {
            attrs,
            color: None,
            link: None,
        }
    }

    pub(crate) const fn colored(color: Color, attrs: Attrs) -> Self {
        Self {
            attrs,
            color: Some(color),
            link: None,
        }
    }
}

/// What the terminal draws with at the moment.
#[derive(Debug)]
pub(crate) struct Pen {
    color: bool,
    style: Style,
}

impl Pen {
    /// A pen of no style; `color` is whether colours may be used.
    pub(crate) const fn new(color: bool) -> Self {
        Self {
            color,
            style: Style::of(Attrs::NONE),
        }
    }

    /// Writes what makes the terminal draw like this from now on.
    pub(crate) fn set(&mut self, style: &Style, out: &mut String) {
        if self.style == *style {
            return;
        }
        let color = |style: &Style| style.color.filter(|_| self.color);
        let (from, to) = (
            (self.style.attrs, color(&self.style)),
            (style.attrs, color(style)),
        );
        let onward = changes(from, to);
        if !onward.is_empty() {
            let anew = changes((Attrs::NONE, None), to);
            if anew.is_empty() {
                out.push_str("\u{1b}[m");
            } else if anew.len() + 1 < onward.len() {
                let _ = write!(out, "\u{1b}[;{anew}m");
            } else {
                let _ = write!(out, "\u{1b}[{onward}m");
            }
        }
        if self.style.link != style.link {
            match &style.link {
                Some(link) => {
                    let _ = write!(out, "\u{1b}]8;id={};{}\u{1b}\\", link.number, link.url);
                }
                None => out.push_str("\u{1b}]8;;\u{1b}\\"),
            }
        }
        self.style.clone_from(style);
    }

    /// Draws without style again.
    pub(crate) fn rest(&mut self, out: &mut String) {
        self.set(&Style::default(), out);
    }
}

/// The codes that lead from one look to another.
fn changes(from: (Attrs, Option<Color>), to: (Attrs, Option<Color>)) -> String {
    let mut codes = String::new();
    let mut code = |code: u8| {
        let lead = if codes.is_empty() { "" } else { ";" };
        let _ = write!(codes, "{lead}{code}");
    };
    let mut off = 0;
    for (attr, _, end) in Attrs::DRAWN {
        if from.0.has(attr) && !to.0.has(attr) && end != off {
            off = end;
            code(end);
        }
    }
    for (attr, begin, end) in Attrs::DRAWN {
        // Bold and dim end together.
        if to.0.has(attr) && (!from.0.has(attr) || (end == 22 && off >= 22 && weight_ends(from.0, to.0))) {
            code(begin);
        }
    }
    if from.1 != to.1 {
        code(to.1.map_or(39, |color| color as u8));
    }
    codes
}

fn weight_ends(from: Attrs, to: Attrs) -> bool {
    [Attrs::BOLD, Attrs::DIM]
        .iter()
        .any(|attr| from.has(*attr) && !to.has(*attr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_is_taken() {
        let mut pen = Pen::new(true);
        let bold = Style::of(Attrs::BOLD);
        let both = Style::of(Attrs::BOLD.and(Attrs::ITALIC));
        let dim = Style::of(Attrs::DIM);
        let red = Style::colored(Color::Red, Attrs::BOLD.and(Attrs::UNDERLINE));
        let solid = Style::of(Attrs::SOLID);
        for (style, expected) in [
            (&bold, "\u{1b}[1m"),
            (&both, "\u{1b}[3m"),
            (&bold, "\u{1b}[23m"),
            (&dim, "\u{1b}[;2m"),
            (&red, "\u{1b}[;1;4;31m"),
            (&bold, "\u{1b}[;1m"),
            (&solid, "\u{1b}[m"),
            (&Style::default(), ""),
        ] {
            let mut out = String::new();
            pen.set(style, &mut out);
            assert_eq!(out, expected, "{style:?}");
        }
    }

    #[test]
    fn bold_survives_the_end_of_dim() {
        let both = (Attrs::BOLD.and(Attrs::DIM), None);
        assert_eq!(changes(both, (Attrs::BOLD, None)), "22;1");
        assert_eq!(
            changes(both, (Attrs::BOLD.and(Attrs::ITALIC), Some(Color::Cyan))),
            "22;1;3;36"
        );
    }

    #[test]
    fn without_colour_the_attributes_stay() {
        let (mut pen, mut out) = (Pen::new(false), String::new());
        pen.set(&Style::colored(Color::Green, Attrs::NONE), &mut out);
        pen.set(&Style::colored(Color::Green, Attrs::BOLD), &mut out);
        assert_eq!(out, "\u{1b}[1m");
    }

    #[test]
    fn an_address_cannot_leave_its_escape_sequence() {
        let target = Target::new("https://a.b/\u{1b}\\\u{7}ü x;y", 7).unwrap();
        assert_eq!(target.url, "https://a.b/%1B\\%07%C3%BC%20x;y");
        for shown in ["javascript:alert(1)", "file:///etc/passwd", "#top", "http:x", ""] {
            assert_eq!(Target::new(shown, 0), None, "{shown}");
        }
        assert_eq!(Target::new(&format!("http://{}", "é".repeat(700)), 0), None);
    }
}
