//! A line: characters that stand beside each other, put in the order in which they are read.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// A character, or a few that one glyph shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// Where it begins, along its line, in points.
    pub(super) at: f64,
    /// Where its line stands; the next one stands lower.
    pub(super) line: f64,
    /// How wide it is.
    pub(super) width: f64,
    /// How large its type is. Above 0.
    pub(super) size: f64,
    pub(super) text: String,
}

impl Placed {
    /// Whether another shows the same in nearly the same place, as type does that is drawn twice to look bold.
    pub(super) fn is_over(&self, other: &Self) -> bool {
        let is_near = |a: f64, b: f64| (a - b).abs() < self.size / 8.0;
        self.text == other.text && is_near(self.at, other.at) && is_near(self.line, other.line)
    }
}

/// A line of a page.
#[derive(Debug)]
pub(super) struct Line {
    /// Not blank.
    pub(super) text: String,
    /// The largest type in it, in tenths of a point.
    pub(super) size: u32,
    /// How far below the line before it stands, in sizes of its type; `None` for the first of a page or a column.
    pub(super) gap: Option<f64>,
    pub(super) begin: f64,
    pub(super) end: f64,
    pub(super) stands: f64,
    pub(super) page: usize,
    /// Whether it ends at the right edge of its column.
    pub(super) is_full: bool,
    /// Whether no line of its page stands above it, or none below.
    pub(super) at_edge: bool,
}

impl Line {
    /// The largest type in it, in points.
    pub(super) fn type_size(&self) -> f64 {
        f64::from(self.size.max(1)) / 10.0
    }
}

/// A gap between two characters that is wider is a space, in sizes of their type.
const SPACE: f64 = 0.17;

/// A line to which characters are added.
#[derive(Debug)]
pub(super) struct Open {
    /// In the order in which they were drawn.
    pieces: Vec<String>,
    /// How many of them stand to the right of the one before, less those to the left.
    rightwards: isize,
    line: Line,
}

impl Open {
    pub(super) fn new(first: &Placed, gap: Option<f64>, page: usize) -> Self {
        Self {
            pieces: vec![first.text.clone()],
            rightwards: 0,
            line: Line {
                text: String::new(),
                size: tenths(first.size),
                gap,
                begin: first.at,
                end: first.at + first.width,
                stands: first.line,
                page,
                is_full: false,
                at_edge: false,
            },
        }
    }

    /// Where the line stands.
    pub(super) fn stands(&self) -> f64 {
        self.line.stands
    }

    /// The size of the type, were this one added.
    pub(super) fn size_with(&self, glyph: &Placed) -> f64 {
        self.line.type_size().max(glyph.size)
    }

    /// How far to the right of the last one's end another stands.
    pub(super) fn step(&self, glyph: &Placed) -> f64 {
        glyph.at - self.line.end
    }

    /// Adds a character.
    pub(super) fn push(&mut self, glyph: &Placed) {
        let step = self.step(glyph);
        if step > self.size_with(glyph) * SPACE {
            self.pieces.push(" ".to_owned());
        }
        self.rightwards += if step > -glyph.width { 1 } else { -1 };
        self.pieces.push(glyph.text.clone());
        self.line.size = self.line.size.max(tenths(glyph.size));
        self.line.begin = self.line.begin.min(glyph.at);
        self.line.end = glyph.at + glyph.width;
    }

    /// The line as it is read; `None` if it is blank.
    pub(super) fn close(self) -> Option<Line> {
        let Self {
            mut pieces,
            rightwards,
            mut line,
        } = self;
        if rightwards > 0 && pieces.iter().any(|piece| side(piece) == Some(Side::Right)) {
            in_order_of_reading(&mut pieces);
        }
        line.text = tidy(&pieces.concat());
        (!line.text.is_empty()).then_some(line)
    }
}

fn tenths(size: f64) -> u32 {
    // Saturating: no type is that large.
    (size * 10.0).round() as u32
}

/// Where the lines of a script begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Where lines begin of the script that a piece is of; `None` for spaces and punctuation.
fn side(piece: &str) -> Option<Side> {
    let c = piece.chars().next()?;
    match c {
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' if c.is_alphabetic() => {
            Some(Side::Right)
        }
        _ if c.is_alphanumeric() => Some(Side::Left),
        _ => None,
    }
}

/// Puts a line of Hebrew or Arabic that was drawn from the left into the order of reading: it is turned, and what in it is
/// of other scripts turned back; or where it is a line of those, the Hebrew or Arabic in it alone is turned.
fn in_order_of_reading(pieces: &mut [String]) {
    let count = |of: Side| pieces.iter().filter(|piece| side(piece) == Some(of)).count();
    let turned = if count(Side::Right) >= count(Side::Left) {
        pieces.reverse();
        Side::Left
    } else {
        Side::Right
    };
    let is = |piece: &String, of: Side| side(piece) == Some(of);
    let other = match turned {
        Side::Left => Side::Right,
        Side::Right => Side::Left,
    };
    let mut rest = pieces;
    while let Some(first) = rest.iter().position(|piece| is(piece, turned)) {
        let run = rest[first..].iter().take_while(|piece| !is(piece, other)).count();
        let (run, after) = rest[first..].split_at_mut(run);
        let last = run.iter().rposition(|piece| is(piece, turned));
        run[..=last.unwrap_or(0)].reverse();
        rest = after;
    }
}

/// A line's text with plain letters, single spaces, and no control characters or leaders.
fn tidy(text: &str) -> String {
    let text: String = plain(text)
        .chars()
        .map(|c| match c {
            // Bullets of the fonts Symbol and Wingdings.
            '\u{f0b7}' | '\u{f0a7}' | '\u{f06c}' => '•',
            '\u{a0}' | '\u{e000}'..='\u{f8ff}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let before_dots = word.trim_end_matches('.');
        let is_leader = word.len() - before_dots.len() > 3;
        match words.last_mut() {
            // As in `. . . .`
            Some(last) if word == "." && matches!(&**last, "." | "…") => *last = "…".into(),
            _ if is_leader && before_dots.is_empty() => words.push("…".into()),
            _ if is_leader => words.push(format!("{before_dots} …").into()),
            _ => words.push(word.into()),
        }
    }
    words.join(" ")
}

/// Text without the characters that stand for the shape of others: ligatures, the forms that Arabic letters take in words,
/// radicals and doubles of Chinese characters. Fonts have them, and nobody writes them.
fn plain(text: &str) -> Cow<'_, str> {
    let is_shape =
        |c: char| matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{f900}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    if !text.contains(is_shape) {
        return text.into();
    }
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shape(c) {
            out.push_str(&nfkc.normalize(c.encode_utf8(&mut [0; 4])));
        } else {
            out.push(c);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters half as wide as large, from left to right.
    fn drawn(text: &str) -> String {
        let place = |(n, c): (usize, char)| Placed {
            at: n as f64 * 5.0,
            line: 0.0,
            width: 5.0,
            size: 10.0,
            text: c.to_string(),
        };
        let mut glyphs = text.chars().enumerate().map(place);
        let mut open = Open::new(&glyphs.next().expect("some text"), None, 0);
        glyphs.for_each(|glyph| open.push(&glyph));
        open.close().map(|line| line.text).unwrap_or_default()
    }

    #[test]
    fn shapes_become_the_letters_that_they_show() {
        for (text, expected) in [
            ("e\u{fb03}cient  \u{fb01}sh", "efficient fish"),
            ("\u{2f08}\u{2f24}", "人大"),
            ("\u{f0b7} one", "• one"),
            ("1 Intro ........ 2", "1 Intro … 2"),
            ("1 Intro...... 2", "1 Intro … 2"),
            ("1 Intro . . . . . 2", "1 Intro … 2"),
            ("and so on...", "and so on..."),
            ("x² = 9，①", "x² = 9，①"),
            ("\u{e123}", ""),
        ] {
            assert_eq!(drawn(text), expected, "{text}");
        }
    }

    #[test]
    fn hebrew_that_was_drawn_from_the_left_is_read_from_the_right() {
        let (hello, world) = ("שלום", "עולם");
        let turned = |text: &str| text.chars().rev().collect::<String>();
        let line = format!("{hello} {world}.");
        assert_eq!(drawn(&turned(&line)), line);
        assert_eq!(
            drawn(&format!("the word {} here", turned(hello))),
            format!("the word {hello} here")
        );
        let (drawn_line, line) = (
            format!("{} 2024 {}", turned(world), turned(hello)),
            format!("{hello} 2024 {world}"),
        );
        assert_eq!(drawn(&drawn_line), line);
    }
}
