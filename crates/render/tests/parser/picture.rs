//! Events as a line of text that people can read and tests can compare.
//!
//! `[p+ …]` is a paragraph with a blank line before it, `{bi:…}` text that is bold and in italics.

use aurora_render::{Attributes, Block, Container, Event, Limits, Parser};

/// Draws events; neighbours of equal style are joined, as they mean the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    drawn: String,
    style: Option<String>,
}

impl Picture {
    pub(crate) fn add(&mut self, event: Event<'_>) {
        if let Event::Text {
            text,
            attributes,
            link,
        } = event
        {
            assert!(!text.is_empty() && !text.contains(['\n', '\r']), "{text:?}");
            let mut style = letters(attributes);
            if let Some(link) = link {
                style += &format!("a{}({})", link.number, link.url);
            }
            return self.text(style, text);
        }
        if let Event::Verbatim(text) = event {
            assert!(!text.is_empty());
            return self.text(String::new(), text);
        }
        self.text(String::new(), "");
        let plus = |gap| if gap { "+" } else { "" };
        self.drawn += &match event {
            Event::Enter {
                container: Container::Quote,
                gap,
            } => format!("[quote{} ", plus(gap)),
            Event::Enter {
                container: Container::List { start: None },
                gap,
            } => format!("[ul{} ", plus(gap)),
            Event::Enter {
                container: Container::List { start: Some(n) },
                gap,
            } => format!("[ol{} {n} ", plus(gap)),
            Event::Enter {
                container: Container::Item { task },
                gap,
            } => {
                let task = task.map_or("", |ticked| if ticked { "x" } else { "_" });
                format!("[li{}{task} ", plus(gap))
            }
            Event::Begin { block, gap } => {
                let name = match block {
                    Block::Paragraph => "p".to_owned(),
                    Block::Heading { level } => format!("h{level}"),
                    Block::Code { info } => info.map_or("code".to_owned(), |info| format!("code({info})")),
                    Block::Math => "math".to_owned(),
                    Block::Html => "html".to_owned(),
                    Block::Table { columns } => format!("table{columns:?}"),
                    Block::Rule => "rule".to_owned(),
                };
                format!("[{name}{} ", plus(gap))
            }
            Event::Leave | Event::End { closed: true } => "]".to_owned(),
            Event::End { closed: false } => "…]".to_owned(),
            Event::Row => "/".to_owned(),
            Event::Cell => "|".to_owned(),
            Event::SoftBreak => "~".to_owned(),
            Event::HardBreak => "¬".to_owned(),
            Event::Text { .. } | Event::Verbatim(_) => String::new(),
        };
    }

    fn text(&mut self, style: String, text: &str) {
        let last = self.style.as_deref().unwrap_or_default();
        if last != style {
            if !last.is_empty() {
                self.drawn.push('}');
            }
            if !style.is_empty() {
                self.drawn += &format!("{{{style}:");
            }
            self.style = Some(style);
        }
        self.drawn += text;
    }

    /// What is drawn so far.
    pub(crate) fn finish(mut self) -> String {
        self.text(String::new(), "");
        self.drawn
    }
}

fn letters(attributes: Attributes) -> String {
    let Attributes {
        strong,
        emphasis,
        strike,
        code,
        math,
        image,
    } = attributes;
    [
        (strong, 'b'),
        (emphasis, 'i'),
        (strike, 's'),
        (code, 'c'),
        (math, 'm'),
        (image, '!'),
    ]
    .into_iter()
    .filter_map(|(set, letter)| set.then_some(letter))
    .collect()
}

/// All that is told of a text in one piece.
pub(crate) fn draw(text: &str) -> String {
    draw_pieces([text], Limits::default())
}

/// All that is told of a text in pieces.
pub(crate) fn draw_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>, limits: Limits) -> String {
    let mut parser = Parser::new(limits);
    let mut picture = Picture::default();
    for piece in pieces {
        parser.push(piece, |event| picture.add(event));
    }
    parser.finish(|event| picture.add(event));
    picture.finish()
}

/// What is told for certain of a text that has not ended, and with its preview.
pub(crate) fn draw_so_far(text: &str) -> (String, String) {
    let mut parser = Parser::default();
    let mut certain = Picture::default();
    parser.push(text, |event| certain.add(event));
    let mut shown = certain.clone();
    parser.preview(|event| shown.add(event));
    (certain.finish(), shown.finish())
}
