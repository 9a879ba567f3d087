//! Cuts a text into parts that fit a budget of tokens, where its structure lets it be cut best.
//!
//! The parts are ranges that follow one another: together they are the text, whatever it is. A part has no more tokens
//! than the budget, unless it is a single character. Parts are made about equally long, so that the last one is no scrap,
//! and within what is allowed a cut goes before a heading rather than between paragraphs, and so on down to characters.
//!
//! How tokens are counted is the caller's to say. A count need not add up over pieces: pieces are counted one by one to
//! find a place, and the part that comes of it is counted once more as a whole.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use super::marks::{Mark, Rank};

/// The least that a part is filled, of what would make all parts equally long, if that lets it end in a better place.
const LEAST: f64 = 0.55;

/// The bytes of a slice of a word that is too long: enough to count tokens by, few enough to fill parts well.
const SLICE: usize = 64;

/// A piece that is not cut unless it has to be.
#[derive(Clone, Debug)]
struct Piece {
    range: Range<usize>,
    tokens: usize,
    /// How gladly the text is cut behind it.
    behind: Rank,
    /// What the piece would be cut into next.
    grain: Rank,
}

/// The parts of a text. `marks` are places inside it, in order. No text has no parts.
pub(crate) fn split(
    text: &str,
    marks: &[Mark],
    budget: usize,
    tokens: &dyn Fn(&str) -> usize,
) -> Vec<Range<usize>> {
    let mut splitter = Splitter {
        text,
        budget: budget.max(1),
        tokens,
        ahead: Vec::new(),
        left: 0,
    };
    splitter.begin(marks);
    let mut parts = Vec::new();
    while let Some(part) = splitter.next_part() {
        parts.push(part);
    }
    parts
}

struct Splitter<'t> {
    text: &'t str,
    budget: usize,
    tokens: &'t dyn Fn(&str) -> usize,
    /// What no part has yet, the next piece last.
    ahead: Vec<Piece>,
    /// The tokens of all of them.
    left: usize,
}

impl Splitter<'_> {
    fn begin(&mut self, marks: &[Mark]) {
        let mut starts = vec![(0, Rank::Text)];
        starts.extend(marks.iter().map(|mark| (mark.at, mark.rank)));
        starts.push((self.text.len(), Rank::Text));
        let pieces = starts
            .windows(2)
            .filter(|pair| pair[0].0 < pair[1].0)
            .map(|pair| self.piece(pair[0].0..pair[1].0, pair[1].1, Rank::Sentence))
            .collect();
        self.put_back(pieces);
    }

    fn piece(&self, range: Range<usize>, behind: Rank, grain: Rank) -> Piece {
        let tokens = (self.tokens)(&self.text[range.clone()]);
        Piece {
            range,
            tokens,
            behind,
            grain,
        }
    }

    /// Puts pieces in front of what is ahead.
    fn put_back(&mut self, pieces: Vec<Piece>) {
        self.left += pieces.iter().map(|piece| piece.tokens).sum::<usize>();
        self.ahead.extend(pieces.into_iter().rev());
    }

    fn take(&mut self) -> Option<Piece> {
        let piece = self.ahead.pop()?;
        self.left -= piece.tokens;
        Some(piece)
    }

    fn next_part(&mut self) -> Option<Range<usize>> {
        let mut budget = self.budget;
        loop {
            let start = self.ahead.last()?.range.start;
            match self.end(budget) {
                End::After(count) => {
                    // With nothing left to try, a piece is a part: only one by itself has a count that is certain.
                    let count = if budget == 1 { 1 } else { count };
                    let last = self.ahead.len() - count;
                    let part = start..self.ahead[last].range.end;
                    let whole = if count == 1 {
                        self.ahead[last].tokens
                    } else {
                        (self.tokens)(&self.text[part.clone()])
                    };
                    if whole > self.budget && count > 1 {
                        // Counted as a whole it is more: less is tried, down to one piece, whose count is its own.
                        budget = budget.saturating_sub((whole - self.budget).max(1)).max(1);
                        continue;
                    }
                    for _ in 0..count {
                        self.take();
                    }
                    return Some(part);
                }
                End::Within(at) => self.refine(at),
            }
        }
    }

    /// Where the next part is best ended.
    fn end(&self, budget: usize) -> End {
        let parts = self.left.div_ceil(budget).max(1);
        let ideal = self.left.div_ceil(parts);
        let least = ideal as f64 * LEAST;
        let (mut sum, mut best, mut fitting) = (0, None, 0);
        for (n, piece) in self.ahead.iter().rev().enumerate() {
            sum += piece.tokens;
            if sum > budget {
                break;
            }
            fitting = n + 1;
            let rest = self.left - sum;
            // What is left over fits into no other part if this one ends too early.
            let enough = sum as f64 >= least || rest == 0;
            if enough {
                let key = (piece.behind, usize::MAX - sum.abs_diff(ideal));
                if best.is_none_or(|(known, _)| key >= known) {
                    best = Some((key, n + 1));
                }
            }
        }
        match (best, fitting) {
            (Some((_, count)), _) => End::After(count),
            // The next piece is too large to be taken, and without it the part is too small.
            (None, fitting) => match self.ahead.iter().rev().nth(fitting) {
                Some(piece) if piece.grain > Rank::Char || piece.range.len() > 1 && self.can_cut(piece) => {
                    End::Within(fitting)
                }
                // It cannot be cut: what fits before it is a part, or else it is one by itself.
                Some(_) | None => End::After(fitting.max(1)),
            },
        }
    }

    fn can_cut(&self, piece: &Piece) -> bool {
        self.text[piece.range.clone()].chars().nth(1).is_some()
    }

    /// Cuts the piece that has so many before it into smaller ones.
    fn refine(&mut self, before: usize) {
        let kept: Vec<Piece> = (0..before).filter_map(|_| self.take()).collect();
        if let Some(piece) = self.take() {
            let pieces = self.cut(&piece);
            self.put_back(pieces);
        }
        self.put_back(kept);
    }

    /// The piece in smaller ones, of the first grain that gives more than one.
    fn cut(&self, piece: &Piece) -> Vec<Piece> {
        let text = &self.text[piece.range.clone()];
        let mut grain = piece.grain;
        loop {
            let starts = starts(text, grain);
            let finer = finer(grain);
            if starts.is_empty() && grain > Rank::Char {
                grain = finer;
                continue;
            }
            let mut bounds = vec![0];
            bounds.extend(starts);
            bounds.push(text.len());
            let count = bounds.len() - 1;
            let pieces = bounds.windows(2).enumerate().map(|(n, pair)| {
                let range = piece.range.start + pair[0]..piece.range.start + pair[1];
                let behind = if n + 1 == count { piece.behind } else { grain };
                self.piece(range, behind, finer)
            });
            return pieces.collect();
        }
    }
}

/// Where the next part ends.
enum End {
    /// Behind so many pieces.
    After(usize),
    /// Within the piece that has so many before it.
    Within(usize),
}

fn finer(grain: Rank) -> Rank {
    match grain {
        Rank::Char | Rank::Slice => Rank::Char,
        Rank::Word => Rank::Slice,
        Rank::Sentence => Rank::Word,
        Rank::Item | Rank::Paragraph | Rank::Gap | Rank::Heading(_) | Rank::Text => Rank::Sentence,
    }
}

/// Where pieces of this grain begin in a text, its own start aside.
fn starts(text: &str, grain: Rank) -> Vec<usize> {
    match grain {
        Rank::Char => text.char_indices().skip(1).map(|(at, _)| at).collect(),
        Rank::Slice => slices(text),
        Rank::Word => words(text),
        Rank::Sentence | Rank::Item | Rank::Paragraph | Rank::Gap | Rank::Heading(_) | Rank::Text => {
            sentences(text)
        }
    }
}

/// Sentences as Unicode has them (UAX 29), which knows those of Chinese and Japanese too. There a line break ends a sentence;
/// within a paragraph that was wrapped it is a space.
fn sentences(text: &str) -> Vec<usize> {
    let unwrapped: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c })
        .collect();
    let mut starts: Vec<usize> = unwrapped
        .split_sentence_bound_indices()
        .map(|(at, _)| before_opening(text, at))
        .filter(|at| *at > 0 && !ends_in_abbreviation(&text[..*at]))
        .collect();
    starts.dedup();
    starts
}

/// The place before the quotation marks and brackets that open there: Unicode takes those behind a full stop for closing ones.
fn before_opening(text: &str, at: usize) -> usize {
    text[..at]
        .trim_end_matches(['「', '『', '（', '(', '【', '《', '〈', '“', '‘', '['])
        .len()
}

/// Whether what looks like a sentence's end is a title before a name.
fn ends_in_abbreviation(text: &str) -> bool {
    let word = text.trim_end();
    [
        "Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.", "vs.", "No.", "Fig.", "Eq.", "cf.", "e.g.", "i.e.",
    ]
    .iter()
    .any(|known| {
        word.strip_suffix(known)
            .is_some_and(|before| !before.ends_with(char::is_alphanumeric))
    })
}

/// Where words begin: behind white space.
fn words(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut was_space = false;
    for (at, c) in text.char_indices() {
        let is_space = c.is_whitespace();
        if was_space && !is_space && at > 0 {
            starts.push(at);
        }
        was_space = is_space;
    }
    starts
}

/// Places some bytes apart, between what a reader takes for characters.
fn slices(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut last = 0;
    for (at, _) in text.grapheme_indices(true) {
        if at - last >= SLICE {
            starts.push(at);
            last = at;
        }
    }
    starts
}

#[cfg(test)]
mod tests;
