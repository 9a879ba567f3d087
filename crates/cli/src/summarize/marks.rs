//! Where a text may be cut, and how gladly: before headings, between paragraphs, between items and lines.
//!
//! One pass over the lines. Markdown's headings count, and so do those that plain texts have: a line that names a chapter,
//! or a gap of several empty lines. What lies below a line, sentences and words, is looked at only where a paragraph has to
//! be cut ([`super::split`]).

/// How gladly a text is cut at a place; later ones more gladly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Between two characters.
    Char,
    /// Within a long word.
    Slice,
    /// Behind white space.
    Word,
    /// Between two sentences.
    Sentence,
    /// Before a line that begins a list's item, a table's row, or follows a line that is no prose.
    Item,
    /// Between two paragraphs.
    Paragraph,
    /// At a wide gap, a rule, or a page's end.
    Gap,
    /// Before a heading of this depth, counted from the deepest: 1 for `######`, 6 for `#`.
    Heading(u8),
    /// Between two texts: two files, or two notes.
    Text,
}

/// A place where the text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The byte at which the next piece would begin.
    pub(crate) at: usize,
    /// How gladly.
    pub(crate) rank: Rank,
}

/// A line that is longer is no heading and no item; it is prose of a text without line breaks.
const SHORT: usize = 100;

/// The depth that plain texts' chapters are taken to have.
const CHAPTER: Rank = Rank::Heading(5);

/// The places of a text, in order; none at its start or end. White space stands before a place, never behind it.
pub(crate) fn marks(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut scan = Scan::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rank) = scan.line(line)
            && at > 0
        {
            marks.push(Mark { at, rank });
        } else if scan.underlines
            && let Some(before) = scan.heading_at
        {
            // The line before is a heading, which is known only now.
            let rank = Rank::Heading(if line.starts_with('=') { 6 } else { 5 });
            match marks.last_mut() {
                Some(mark) if mark.at == before => mark.rank = rank,
                _ if before > 0 => marks.push(Mark { at: before, rank }),
                _ => {}
            }
        }
        scan.passed(line, at);
        at += line.len();
    }
    marks
}

/// What is known of the lines so far.
#[derive(Debug, Default)]
struct Scan {
    /// Empty lines directly before.
    empty: usize,
    /// Whether anything came before.
    begun: bool,
    /// The fence of a code block that is open.
    fence: Option<(char, usize)>,
    /// Whether the last line was a whole thing in itself: a heading, a rule, a paragraph in one line.
    alone: bool,
    /// Where the last line began, if it may turn out to be a heading.
    heading_at: Option<usize>,
    /// Whether this line makes the last one a heading.
    underlines: bool,
}

impl Scan {
    /// Whether, and how gladly, the text may be cut before this line.
    fn line(&mut self, line: &str) -> Option<Rank> {
        let text = line.trim();
        self.underlines = false;
        if text.is_empty() {
            return None;
        }
        if self.fence.is_some() {
            // Code is cut at its empty lines, or else between lines.
            return self.begun.then_some(if self.empty > 0 {
                Rank::Paragraph
            } else {
                Rank::Item
            });
        }
        self.underlines = self.empty == 0 && self.heading_at.is_some() && is_underline(text);
        if self.underlines || !self.begun {
            return None;
        }
        let page = line.starts_with('\u{c}');
        if let Some(rank) = heading(text) {
            // A chapter's name in the middle of a paragraph is a sentence about it.
            if self.empty > 0 || page || text.starts_with('#') {
                return Some(rank);
            }
        }
        if page || self.empty > 1 || is_rule(text) {
            return Some(Rank::Gap);
        }
        if self.empty > 0 {
            return Some(Rank::Paragraph);
        }
        (self.alone || begins_item(text)).then_some(Rank::Item)
    }

    /// Takes note of a line.
    fn passed(&mut self, line: &str, at: usize) {
        let text = line.trim();
        if text.is_empty() {
            self.empty += usize::from(self.begun);
            self.heading_at = None;
            return;
        }
        let first = self.empty > 0 || !self.begun;
        (self.begun, self.empty) = (true, 0);
        let was_code = self.fence.is_some();
        self.follow_fence(text);
        let code = was_code || self.fence.is_some();
        self.heading_at = (!code && first && text.len() <= SHORT).then_some(at);
        self.alone = !code
            && (heading(text).is_some()
                || self.underlines
                || is_rule(text)
                // A long line that is not wrapped is a paragraph of its own, and so is a record of a table.
                || text.len() > SHORT
                || text.ends_with(['.', '!', '?', '。', '！', '？', ';', ',', '}']) && text.len() < SHORT / 3);
    }

    fn follow_fence(&mut self, text: &str) {
        let Some(c) = text.chars().next().filter(|c| matches!(c, '`' | '~')) else {
            return;
        };
        let length = text.chars().take_while(|next| *next == c).count();
        match self.fence {
            Some((open, least)) if open == c && length >= least && text.len() == length => self.fence = None,
            None if length >= 3 => self.fence = Some((c, length)),
            Some(_) | None => {}
        }
    }
}

/// The rank of a heading.
fn heading(text: &str) -> Option<Rank> {
    let hashes = text.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&hashes) && text[hashes..].starts_with([' ', '\t']) {
        return u8::try_from(7 - hashes).ok().map(Rank::Heading);
    }
    if text.len() > SHORT {
        return None;
    }
    is_chapter(text).then_some(CHAPTER)
}

/// Whether a line names a chapter: in English and its kin by a word and a number, in Chinese and Japanese by a number between
/// 第 and a measure word.
fn is_chapter(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('第') {
        let digits = rest
            .chars()
            .take_while(|c| {
                c.is_ascii_digit() || "〇零一二三四五六七八九十百千两０１２３４５６７８９".contains(*c)
            })
            .map(char::len_utf8)
            .sum::<usize>();
        return digits > 0
            && rest[digits..]
                .starts_with(['章', '节', '節', '回', '卷', '部', '篇', '編', '集', '幕', '話']);
    }
    if matches!(
        text,
        "序" | "序章" | "前言" | "引言" | "楔子" | "尾声" | "后记" | "後記" | "附录" | "附錄"
    ) {
        return true;
    }
    let text = text.trim_start_matches(['*', '_', ' ']);
    let mut words = text
        .split([' ', '.', ':', '\t', '*', '_'])
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return false };
    let first = first.to_lowercase();
    match first.as_str() {
        "chapter" | "part" | "book" | "section" | "act" | "scene" | "letter" | "volume" | "canto"
        | "chapitre" | "kapitel" | "capítulo" | "capitolo" | "teil" | "глава" | "часть" => {
            words.next().is_some_and(is_number)
        }
        "prologue" | "epilogue" | "preface" | "introduction" | "foreword" | "afterword" | "conclusion"
        | "appendix" | "abstract" | "references" => text.len() < 40 && !text.ends_with(['.', ',', ';']),
        _ => false,
    }
}

/// Whether a word is a number, in digits, Roman or spelt out.
fn is_number(word: &str) -> bool {
    let roman = |word: &str| word.len() <= 8 && word.chars().all(|c| "IVXLCivxlc".contains(c));
    let spelt = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "first", "second", "third", "fourth", "fifth", "the",
    ];
    word.starts_with(|c: char| c.is_ascii_digit())
        || roman(word)
        || spelt.contains(&word.to_lowercase().as_str())
}

/// A setext heading's underline.
fn is_underline(text: &str) -> bool {
    text.len() >= 3 && (text.bytes().all(|byte| byte == b'=') || text.bytes().all(|byte| byte == b'-'))
}

/// A thematic break, also with spaces in it, or asterisks between scenes.
fn is_rule(text: &str) -> bool {
    let mut marks = text.chars().filter(|c| !c.is_whitespace());
    let Some(first) = marks
        .next()
        .filter(|c| matches!(c, '*' | '-' | '_' | '=' | '~' | '•'))
    else {
        return false;
    };
    let mut count = 1;
    marks.all(|c| {
        count += 1;
        c == first
    }) && count >= 3
}

/// Whether a line begins a list's item, a quotation, or a table's row.
fn begins_item(text: &str) -> bool {
    let bullet = text.starts_with(['-', '*', '+', '•', '·', '–', '|', '>']);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = (1..=4).contains(&digits) && text[digits..].starts_with(['.', ')', '、', '．']);
    bullet || numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(text: &str) -> Vec<(&str, Rank)> {
        marks(text)
            .into_iter()
            .map(|mark| (text[mark.at..].lines().next().unwrap(), mark.rank))
            .collect()
    }

    #[test]
    fn headings_of_markdown_and_of_books_are_known() {
        use Rank::{Gap, Heading, Paragraph};
        let text = "# One\n\nText\nof it.\n\nTwo\n===\nText.\n\nThree\n---\n\n### Four\nText.\n\n\n\nA gap.\n\n* * *\n\nCHAPTER IV. On boats\n\n\
                    Chapter and verse were read.\n\n第十二章 风雪\n\n第二天早上。\n";
        assert_eq!(
            ranks(text),
            [
                ("Text", Paragraph),
                ("Two", Heading(6)),
                ("Text.", Rank::Item),
                ("Three", Heading(5)),
                ("### Four", Heading(4)),
                ("Text.", Rank::Item),
                ("A gap.", Gap),
                ("* * *", Gap),
                ("CHAPTER IV. On boats", Heading(5)),
                ("Chapter and verse were read.", Paragraph),
                ("第十二章 风雪", Heading(5)),
                ("第二天早上。", Paragraph),
            ]
        );
    }

    #[test]
    fn what_looks_like_a_heading_in_code_is_code() {
        let text = "Text.\n\n```sh\n# a comment\n\n## another\n```\n\n# Real\n";
        let found = ranks(text);
        assert!(found.contains(&("# Real", Rank::Heading(6))), "{found:?}");
        assert!(
            !found
                .iter()
                .any(|(line, rank)| line.contains("com") && *rank > Rank::Paragraph),
            "{found:?}"
        );
    }

    #[test]
    fn wrapped_prose_is_one_piece_and_items_are_several() {
        assert_eq!(ranks("A sentence that\ngoes over\nthree lines.\n"), []);
        assert_eq!(
            ranks("Things:\n- one\n  and more\n- two\n12. three\n"),
            [
                ("- one", Rank::Item),
                ("- two", Rank::Item),
                ("12. three", Rank::Item)
            ]
        );
    }

    #[test]
    fn places_are_in_order_and_behind_white_space() {
        let text = "\n\n  a\n\n\u{c}b\n\n \n# c\n";
        let marks = marks(text);
        assert!(marks.windows(2).all(|pair| pair[0].at < pair[1].at), "{marks:?}");
        for mark in marks {
            assert!(text[..mark.at].ends_with('\n'), "{mark:?}");
        }
    }
}
