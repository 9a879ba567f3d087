//! Paragraphs and headings, out of lines that stand somewhere.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::line::{Line, Open, Placed};

/// Characters that stand further apart, up or down, stand on two lines.
const OFF_LINE: f64 = 0.5;

/// Lines further apart than this, in sizes of their type, belong to two paragraphs.
const PARAGRAPH: f64 = 1.75;

/// A line that begins so far to the right of the one before, in sizes of its type, begins a paragraph.
const INDENT: f64 = 0.8;

/// Lines that end within this of the right edge, in sizes of their type, are full.
const FULL: f64 = 1.5;

/// Type that is so much larger than most is a heading's.
const HEADING: f64 = 1.18;

/// A longer line is no heading.
const MAX_HEADING: usize = 120;

/// How many pages on a running title is looked for: left and right pages may have one each.
const NEXT_PAGES: usize = 2;

/// Puts pages together.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lines: Vec<Line>,
    bytes: usize,
    pages: usize,
}

impl Layout {
    /// How much text there is so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a page.
    pub(super) fn page(&mut self, glyphs: &[Placed]) {
        let first = self.lines.len();
        let mut line: Option<Open> = None;
        for glyph in glyphs {
            let Some(open) = &mut line else {
                line = Some(Open::new(glyph, None, self.pages));
                continue;
            };
            let size = open.size_with(glyph);
            let drop = open.stands() - glyph.line;
            // Far to the left on the same line is another line too: a table's, or a column's.
            if drop.abs() <= size * OFF_LINE && open.step(glyph) > -size * 2.0 {
                open.push(glyph);
                continue;
            }
            let gap = (drop > 0.0).then_some(drop / size);
            let ended = line.replace(Open::new(glyph, gap, self.pages));
            self.add(ended);
        }
        self.add(line);
        let page = &mut self.lines[first..];
        find_full(page);
        find_edges(page);
        self.pages += 1;
    }

    fn add(&mut self, line: Option<Open>) {
        let Some(line) = line.and_then(Open::close) else {
            return;
        };
        self.bytes += line.text.len() + 1;
        self.lines.push(line);
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        let usual = self.usual_size();
        let running = self.running();
        let mut out = String::with_capacity(self.bytes + self.bytes / 16);
        // The line before, and its place.
        let mut before: Option<(usize, &Line)> = None;
        for (n, line) in self.lines.iter().enumerate() {
            if running.contains(&n) {
                continue;
            }
            let level = level(line, usual);
            let mut begins_heading = level > 0;
            if let Some((place, last)) = before {
                let gap = line.gap.filter(|_| place + 1 == n);
                let last_level = self::level(last, usual);
                if level > 0 && level == last_level && gap.is_some_and(|gap| gap <= PARAGRAPH) {
                    // A heading of two lines.
                    out.push(' ');
                    begins_heading = false;
                } else if level > 0 || last_level > 0 || begins_paragraph(last, line, gap) {
                    out.push_str("\n\n");
                } else {
                    join(&mut out, last, line);
                }
            }
            if begins_heading {
                let _ = write!(out, "{} ", "#".repeat(level));
            }
            out.push_str(&line.text);
            before = Some((n, line));
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    /// The size of most characters.
    fn usual_size(&self) -> u32 {
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for line in &self.lines {
            *sizes.entry(line.size).or_default() += line.text.len();
        }
        let most = sizes.into_iter().max_by_key(|(size, bytes)| (*bytes, *size));
        most.map_or(0, |(size, _)| size)
    }

    /// The lines that are page numbers, or stand in the same place of pages near each other.
    fn running(&self) -> HashSet<usize> {
        if self.pages < 2 {
            return HashSet::new();
        }
        let lines = self.lines.iter().enumerate();
        let edges: Vec<_> = lines
            .filter(|(_, line)| line.at_edge)
            .map(|(n, line)| (n, line, place(line)))
            .collect();
        // The pages on which the same stands in the same place, in order.
        let mut pages: HashMap<&(String, i64), Vec<usize>> = HashMap::new();
        for (_, line, place) in &edges {
            let pages = pages.entry(place).or_default();
            if pages.last() != Some(&line.page) {
                pages.push(line.page);
            }
        }
        let recurs = |page: usize, place: &(String, i64)| {
            let pages = &pages[place];
            let near = &pages[pages.partition_point(|other| other + NEXT_PAGES < page)..];
            let mut near = near.iter().take_while(|other| **other <= page + NEXT_PAGES);
            let letters = place.0.chars().filter(|c| c.is_alphabetic());
            letters.count() > 1 && near.any(|other| *other != page)
        };
        let running = edges
            .iter()
            .filter(|(_, line, place)| is_number(&line.text) || recurs(line.page, place));
        running.map(|(n, ..)| *n).collect()
    }
}

/// What a line says but for numbers, and how high it stands.
fn place(line: &Line) -> (String, i64) {
    let without_digits = |word: &str| word.chars().filter(|c| !c.is_numeric()).collect::<String>();
    let words = line.text.split(' ').map(without_digits);
    let text = words.filter(|word| !is_roman(word)).collect();
    (text, line.stands.round() as i64)
}

/// Whether a line is a page's number, as `12`, `- 12 -`, `3/7` or `xii`.
fn is_number(text: &str) -> bool {
    let has_digit = text.chars().any(|c| c.is_ascii_digit());
    let is_plain = text.len() <= 12 && !text.chars().any(char::is_alphabetic);
    (has_digit && is_plain) || is_roman(text)
}

fn is_roman(word: &str) -> bool {
    (1..=8).contains(&word.len()) && word.bytes().all(|byte| b"ivxlc".contains(&byte))
}

/// Marks the lines that end where the longest one does of those that begin in the same place.
fn find_full(page: &mut [Line]) {
    let column = |line: &Line| (line.begin / 8.0).round() as i64;
    let mut edges: HashMap<i64, f64> = HashMap::new();
    for line in page.iter() {
        let edge = edges.entry(column(line)).or_insert(line.end);
        *edge = edge.max(line.end);
    }
    for line in page {
        let edge = edges.get(&column(line)).copied().unwrap_or(line.end);
        line.is_full = line.end >= edge - FULL * line.type_size();
    }
}

/// Marks the highest and the lowest lines of a page, and the first and the last that are drawn.
fn find_edges(page: &mut [Line]) {
    let stands = |line: &Line| line.stands;
    let high = page.iter().map(stands).fold(f64::NEG_INFINITY, f64::max);
    let low = page.iter().map(stands).fold(f64::INFINITY, f64::min);
    let last = page.len().saturating_sub(1);
    for (n, line) in page.iter_mut().enumerate() {
        let near = line.type_size() * OFF_LINE;
        line.at_edge = n == 0 || n == last || line.stands >= high - near || line.stands <= low + near;
    }
}

/// Whether a line begins a paragraph. `gap` is how far below the last one it stands, in sizes of its type; `None` where it
/// does not.
fn begins_paragraph(last: &Line, line: &Line, gap: Option<f64>) -> bool {
    let ends = last
        .text
        .ends_with(['.', '!', '?', ':', '"', '”', '。', '！', '？', '」', '』']);
    let step = (line.begin - last.begin) / line.type_size();
    match gap {
        Some(gap) if gap > PARAGRAPH => true,
        // The first lines of paragraphs are set in.
        Some(_) => ends && (INDENT..=4.0).contains(&step),
        // Another column or page: a sentence goes on there.
        None => ends,
    }
}

/// Ends the last line and goes on in the same paragraph, or even in the middle of a word.
fn join(out: &mut String, last: &Line, line: &Line) {
    let mut backwards = last.text.chars().rev();
    let (end, before) = (backwards.next(), backwards.next());
    let is_hyphen = matches!(end, Some('\u{ad}' | '-' | '\u{2010}'));
    if is_hyphen && before.is_some_and(char::is_alphabetic) && line.text.starts_with(char::is_lowercase) {
        out.pop();
    } else if !(last.is_full && end.is_some_and(is_cjk) && line.text.starts_with(is_cjk)) {
        out.push('\n');
    }
}

/// Whether a character is of a script without spaces, or of its punctuation.
fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The depth of a heading, 1 to 3; 0 for other lines.
fn level(line: &Line, usual: u32) -> usize {
    let larger = f64::from(line.size) / f64::from(usual.max(1));
    let has_letters = line.text.chars().any(char::is_alphabetic);
    if larger < HEADING || line.text.len() > MAX_HEADING || !has_letters {
        0
    } else if larger > 1.7 {
        1
    } else if larger > 1.35 {
        2
    } else {
        3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of glyphs, half as wide as large, without glyphs for spaces.
    fn line(text: &str, x: f64, y: f64, size: f64) -> Vec<Placed> {
        let place = |(n, c): (usize, char)| Placed {
            at: x + n as f64 * size / 2.0,
            line: y,
            width: size / 2.0,
            size,
            text: c.to_string(),
        };
        text.chars()
            .enumerate()
            .filter(|(_, c)| *c != ' ')
            .map(place)
            .collect()
    }

    fn laid_out(pages: &[Vec<Vec<Placed>>]) -> String {
        let mut layout = Layout::default();
        for page in pages {
            layout.page(&page.concat());
        }
        layout.finish()
    }

    #[test]
    fn words_lines_paragraphs_and_headings_come_of_places() {
        let page = vec![
            line("The Title", 100.0, 700.0, 20.0),
            line("of two lines", 100.0, 676.0, 20.0),
            line("It was a dark and storm-", 72.0, 640.0, 10.0),
            line("y night; the rain fell", 72.0, 628.0, 10.0),
            line("in torrents.", 72.0, 616.0, 10.0),
            line("Another paragraph.", 72.0, 590.0, 10.0),
            line("A column", 320.0, 640.0, 10.0),
            line("of its own", 320.0, 628.0, 10.0),
        ];
        assert_eq!(
            laid_out(&[page]),
            "# The Title of two lines\n\nIt was a dark and stormy night; the rain fell\nin torrents.\n\nAnother paragraph.\n\n\
             A column\nof its own\n"
        );
    }

    #[test]
    fn paragraphs_that_are_set_in_and_lines_of_chinese_are_known() {
        let page = vec![
            line("The lamp was lit at", 82.0, 700.0, 10.0),
            line("dusk by the keeper.", 72.0, 688.0, 10.0),
            line("Then he slept at", 82.0, 676.0, 10.0),
            line("last.", 72.0, 664.0, 10.0),
            line("看守人每晚点灯", 72.0, 620.0, 10.0),
            line("然后睡觉", 72.0, 608.0, 10.0),
            line("灯塔", 72.0, 596.0, 10.0),
        ];
        assert_eq!(
            laid_out(&[page]),
            "The lamp was lit at\ndusk by the keeper.\n\nThen he slept at\nlast.\n\n看守人每晚点灯\n然后睡觉\n灯塔\n"
        );
        let full = vec![
            line("看守人每晚点灯看守人每晚点灯", 72.0, 620.0, 10.0),
            line("然后睡觉", 72.0, 608.0, 10.0),
            line("灯塔", 72.0, 596.0, 10.0),
        ];
        assert_eq!(laid_out(&[full]), "看守人每晚点灯看守人每晚点灯然后睡觉\n灯塔\n");
    }

    #[test]
    fn numbers_and_running_titles_of_pages_are_left_out() {
        let page = |number: usize| {
            vec![
                line(
                    &format!("Chapter {} of it {number}", number / 3),
                    72.0,
                    780.0,
                    10.0,
                ),
                line(&format!("sentence number{number} goes"), 72.0, 700.0, 10.0),
                line("on and on", 72.0, 688.0, 10.0),
                line(&number.to_string(), 300.0, 40.0, 10.0),
            ]
        };
        let mut pages: Vec<_> = (1..=3).map(page).collect();
        // A title over the beginning of a page stays, though another stands there later.
        pages.insert(
            0,
            vec![
                line("Preface", 72.0, 780.0, 10.0),
                line("a word first", 72.0, 700.0, 10.0),
            ],
        );
        let text = laid_out(&pages);
        assert_eq!(
            text,
            "Preface\n\na word first\nsentence number1 goes\non and on\nsentence number2 goes\non and on\nsentence number3 goes\non and on\n"
        );
    }
}
