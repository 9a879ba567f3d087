//! What a text consists of once it is read, and how that is told.

use crate::event::{Attributes, Event, Link};
use crate::parser::Sink;
use crate::parser::entity::Entity;

/// A part of a text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it lies in the text.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The text as it is.
    Text,
    /// A bracket that began nothing.
    Bracket,
    Entity(Entity),
    /// A tag, as it is.
    Html,
    Code,
    Math,
    SoftBreak,
    HardBreak,
    /// What is left of a run of `*`, `_` or `~`, and what it closes and opens on either side of that.
    Run(Run),
    /// A link begins here, or the description of an image.
    Open {
        url: String,
        image: bool,
    },
    /// The link or image that was begun last ends.
    Close,
    /// An image's description that has not ended: all that follows is part of it. In previews only.
    Description,
    /// A mark that is not shown.
    Hidden,
}

/// A run of delimiters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// How many of its characters are literal.
    pub(super) left: usize,
    pub(super) closes: Depths,
    pub(super) opens: Depths,
}

/// How often each style is set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Depths {
    strong: usize,
    emphasis: usize,
    strike: usize,
}

impl Depths {
    /// The style that so many of these delimiters set, once more.
    pub(super) fn add(&mut self, mark: u8, count: usize) {
        match (mark, count) {
            (b'~', _) => self.strike += 1,
            (_, 2) => self.strong += 1,
            _ => self.emphasis += 1,
        }
    }
}

/// The style at a place of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    depths: Depths,
    images: usize,
    /// The links and images that are open, the innermost last.
    links: Vec<Opened>,
    /// How many there have been in all texts.
    numbered: u64,
}

#[derive(Clone, Debug)]
struct Opened {
    url: String,
    image: bool,
    number: u64,
}

impl Style {
    /// Tells a piece of text in this style.
    pub(super) fn tell(&self, text: &str, code: bool, math: bool, sink: Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let attributes = Attributes {
            strong: self.depths.strong > 0,
            emphasis: self.depths.emphasis > 0,
            strike: self.depths.strike > 0,
            code,
            math,
            image: self.images > 0,
        };
        let link = self.links.last().map(|opened| Link {
            url: &opened.url,
            number: opened.number,
        });
        sink(Event::Text {
            text,
            attributes,
            link,
        });
    }

    fn open(&mut self, depths: Depths) {
        self.depths.strong += depths.strong;
        self.depths.emphasis += depths.emphasis;
        self.depths.strike += depths.strike;
    }

    /// Every style that a run closes was opened by one before it.
    fn close(&mut self, depths: Depths) {
        self.depths.strong -= depths.strong;
        self.depths.emphasis -= depths.emphasis;
        self.depths.strike -= depths.strike;
    }

    /// Back to plain text, as every text begins.
    pub(super) fn clear(&mut self) {
        *self = Self {
            numbered: self.numbered,
            ..Self::default()
        };
    }
}

impl Node {
    /// Tells the node, whose text this is.
    pub(super) fn tell(self, text: &str, style: &mut Style, sink: Sink<'_>) {
        match self.kind {
            Kind::Text | Kind::Bracket => style.tell(text, false, false, sink),
            Kind::Entity(entity) => {
                let mut resolved = String::new();
                entity.push_to(&mut resolved);
                tell_lines(&resolved, false, false, style, sink);
            }
            Kind::Html => tell_lines(text, false, false, style, sink),
            Kind::Code => tell_lines(text, true, false, style, sink),
            Kind::Math => tell_lines(text, false, true, style, sink),
            Kind::SoftBreak => sink(Event::SoftBreak),
            Kind::HardBreak => sink(Event::HardBreak),
            Kind::Run(run) => {
                style.close(run.closes);
                style.tell(&text[..run.left], false, false, sink);
                style.open(run.opens);
            }
            Kind::Open { url, image } => {
                style.images += usize::from(image);
                style.links.push(Opened {
                    url,
                    image,
                    number: style.numbered,
                });
                style.numbered += 1;
            }
            Kind::Close => {
                style.images -= usize::from(style.links.pop().is_some_and(|opened| opened.image));
            }
            Kind::Description => style.images += 1,
            Kind::Hidden => {}
        }
    }
}

/// Tells text whose line breaks are spaces.
fn tell_lines(text: &str, code: bool, math: bool, style: &Style, sink: Sink<'_>) {
    for (index, line) in text.split(['\n', '\r']).enumerate() {
        if index > 0 {
            style.tell(" ", code, math, sink);
        }
        style.tell(line, code, math, sink);
    }
}
