//! The readable text of an HTML page, as Markdown: headings, paragraphs, items, rows and code. What is no part of the
//! reading is left out: scripts, styles, menus, footers, forms, and what is hidden.
//!
//! It goes over the tokens once and builds no tree, so a page of any depth takes the same little memory. A page whose menu is
//! never closed would be all menu; then, and where nothing else is left, menus and the like are read too.

use std::cell::RefCell;

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// Never shown to a reader, and text of another kind.
const CODE: &[&str] = &["script", "style", "noscript", "template", "iframe"];

/// No text, or not the page's.
const PICTURES: &[&str] = &["svg", "math", "object", "canvas", "audio", "video", "map"];

/// Seen, but no part of what is read.
const ASIDE: &[&str] = &[
    "nav", "footer", "aside", "form", "button", "select", "menu", "dialog", "textarea",
];

/// Roles of elements that are no part of what is read.
const ASIDE_ROLES: &[&str] = &[
    "navigation",
    "banner",
    "contentinfo",
    "complementary",
    "search",
    "dialog",
    "menu",
    "menubar",
];

/// Elements that begin and end a paragraph.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "html",
    "legend",
    "main",
    "nav",
    "ol",
    "p",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "ul",
    "center",
];

/// The text of a page; empty if there is none to read.
pub(crate) fn text(page: &str) -> String {
    let reading = read(page, true);
    // What was never closed may have swallowed the text.
    if reading.skipped.is_none() && !reading.out.trim().is_empty() {
        return reading.finish();
    }
    read(page, false).finish()
}

fn read(page: &str, leave_out: bool) -> Reading {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(page));
    let reading = Reading {
        leave_out,
        ..Reading::default()
    };
    let tokenizer = Tokenizer::new(Reader(RefCell::new(reading)), TokenizerOpts::default());
    // It stops where a script would run, which none does.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

struct Reader(RefCell<Reading>);

/// How much has been read.
#[derive(Debug, Default)]
struct Reading {
    leave_out: bool,
    out: String,
    title: String,
    /// Line feeds that are due before the next text.
    due: usize,
    /// A space that is due before the next text of the same line.
    space: bool,
    /// What a line begins with, such as an item's dash, once it has text.
    lead: String,
    /// The element that is left out, and how many of its name are open.
    skipped: Option<(String, usize)>,
    in_title: bool,
    has_heading: bool,
    preformatted: usize,
    /// The lists that are open: the number of the last item of an ordered one.
    lists: Vec<Option<usize>>,
    cells: usize,
}

/// The deepest list whose items are indented.
const MAX_LISTS: usize = 64;

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut reading = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => {
                match tag.kind {
                    TagKind::StartTag => reading.open(&tag),
                    TagKind::EndTag => reading.close(&tag.name),
                }
                raw(&tag)
            }
            Token::CharacterTokens(text) => {
                reading.text(&text);
                TokenSinkResult::Continue
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => TokenSinkResult::Continue,
        }
    }
}

/// Elements whose content is no markup: HTML, 13.2.6.4.
fn raw(tag: &Tag) -> TokenSinkResult<()> {
    if tag.kind == TagKind::EndTag || tag.self_closing {
        return TokenSinkResult::Continue;
    }
    match &*tag.name {
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        _ => TokenSinkResult::Continue,
    }
}

impl Reading {
    fn open(&mut self, tag: &Tag) {
        let name = &*tag.name;
        if name == "title" && self.title.is_empty() {
            self.in_title = true;
        }
        if let Some((skipped, depth)) = &mut self.skipped {
            if name == skipped && !tag.self_closing {
                *depth += 1;
            }
            return;
        }
        if self.is_left_out(tag) && !tag.self_closing {
            self.skipped = Some((name.to_owned(), 1));
            return;
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.has_heading = true;
                self.gap(2);
                let depth = usize::from(name.as_bytes()[1] - b'0');
                self.lead = format!("{} ", "#".repeat(depth));
            }
            "br" => self.gap(1),
            "hr" => {
                self.gap(2);
                self.text("* * *");
                self.gap(2);
            }
            "pre" => {
                self.gap(2);
                if self.preformatted == 0 {
                    self.text("```");
                    self.gap(1);
                }
                self.preformatted += 1;
            }
            "ol" | "ul" => {
                self.gap(if self.lists.is_empty() { 2 } else { 1 });
                if self.lists.len() < MAX_LISTS {
                    self.lists.push((name == "ol").then_some(0));
                }
            }
            "li" => self.item(),
            "tr" => {
                self.gap(1);
                self.cells = 0;
            }
            "td" | "th" => {
                if self.cells > 0 && self.due == 0 {
                    self.out.push_str(" | ");
                    self.space = false;
                }
                self.cells += 1;
            }
            "dt" | "dd" | "option" => self.gap(1),
            "q" => self.text("\""),
            name if BLOCKS.contains(&name) => self.gap(2),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if name == "title" {
            self.in_title = false;
        }
        if let Some((skipped, depth)) = &mut self.skipped {
            if name == skipped {
                *depth -= 1;
                if *depth == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.lead.clear();
                self.gap(2);
            }
            "pre" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                if self.preformatted == 0 {
                    self.gap(1);
                    self.text("```");
                    self.gap(2);
                }
            }
            "ol" | "ul" => {
                self.lists.pop();
                self.gap(if self.lists.is_empty() { 2 } else { 1 });
            }
            "li" | "tr" => {
                self.lead.clear();
                self.gap(1);
            }
            "q" => self.text("\""),
            name if BLOCKS.contains(&name) => self.gap(2),
            _ => {}
        }
    }

    fn item(&mut self) {
        self.gap(1);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{number}.")
            }
            Some(None) | None => "-".to_owned(),
        };
        self.lead = format!("{indent}{mark} ");
    }

    fn is_left_out(&self, tag: &Tag) -> bool {
        let name = &*tag.name;
        if CODE.contains(&name) {
            return true;
        }
        // Elements whose end tag may be left out would never end.
        let ends = matches!(
            name,
            "div" | "section" | "span" | "ul" | "ol" | "table" | "header" | "article" | "main" | "a"
        );
        let attribute = |wanted: &str| {
            tag.attrs
                .iter()
                .find(|attribute| &*attribute.name.local == wanted)
                .map(|attribute| &*attribute.value)
        };
        if self.leave_out && PICTURES.contains(&name) {
            return true;
        }
        if self.leave_out
            && ends
            && (attribute("hidden").is_some() || attribute("aria-hidden") == Some("true"))
        {
            return true;
        }
        let is_aside = || {
            ASIDE.contains(&name)
                || ends && attribute("role").is_some_and(|role| ASIDE_ROLES.contains(&role.trim()))
        };
        self.leave_out && is_aside()
    }

    /// At least so many line feeds come before the next text.
    fn gap(&mut self, feeds: usize) {
        self.due = self.due.max(feeds);
        self.space = false;
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        if self.skipped.is_some() {
            return;
        }
        if self.preformatted > 0 {
            self.begin();
            self.out.push_str(text);
            return;
        }
        for (n, word) in text.split([' ', '\t', '\n', '\r', '\u{c}']).enumerate() {
            self.space |= n > 0;
            if word.is_empty() {
                continue;
            }
            self.begin();
            if std::mem::take(&mut self.space) && !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                self.out.push(' ');
            }
            self.out.push_str(word);
        }
    }

    /// Writes what is due before text.
    fn begin(&mut self) {
        let due = std::mem::take(&mut self.due);
        if due > 0 {
            self.space = false;
            if !self.out.is_empty() {
                let there = self.out.bytes().rev().take_while(|byte| *byte == b'\n').count();
                self.out
                    .extend(std::iter::repeat_n('\n', due.saturating_sub(there)));
            }
        }
        self.out.push_str(&std::mem::take(&mut self.lead));
    }

    /// The text, under the page's title where it has no heading of its own.
    fn finish(mut self) -> String {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        if !self.has_heading && !title.is_empty() && !self.out.trim().is_empty() {
            self.out.insert_str(0, &format!("# {title}\n\n"));
        }
        self.out.truncate(self.out.trim_end().len());
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_keeps_its_structure_and_the_rest_is_left_out() {
        let page = "<!doctype html><html><head><title>The &amp; title</title><style>p{}</style><script>if (a<b) x('</p>')</script>\
            <body><nav><ul><li>Home</nav><div role=navigation>Menu <div>more</div></div><h1>A <em>story</em></h1>\n\
            <p>One\n  two<br>three &lt;b&gt;.<p>Next&nbsp;one, <b>bold</b>er.<ul><li>first<li>second<ol><li>deep</ol></ul>\
            <pre>a\n  b</pre><table><tr><th>x<th>y<tr><td>1<td>2</table><div hidden>no</div><blockquote>Said.</blockquote>\
            <footer>Imprint</footer><noscript>Turn on scripts</noscript></body></html>";
        assert_eq!(
            text(page),
            "# A story\n\nOne two\nthree <b>.\n\nNext\u{a0}one, bolder.\n\n- first\n- second\n  1. deep\n\n```\na\n  b\n```\n\n\
             x | y\n1 | 2\n\nSaid.\n"
        );
    }

    #[test]
    fn a_title_stands_in_for_a_heading() {
        assert_eq!(text("<title> A\n b </title><p>Text"), "# A b\n\nText\n");
        assert_eq!(text("<title>Alone</title>"), "");
    }

    #[test]
    fn a_page_that_is_all_menu_is_read() {
        assert_eq!(
            text("<nav>Menu <p>and all the text"),
            "Menu\n\nand all the text\n"
        );
        assert_eq!(
            text("<p>Before.<nav>Menu</p><p>After."),
            "Before.\n\nMenu\n\nAfter.\n"
        );
        assert_eq!(
            text("<head><title>x</title><p>plain &copy; text"),
            "# x\n\nplain © text\n"
        );
    }

    #[test]
    fn depth_and_rubbish_are_no_trouble() {
        let deep = format!("{}x{}", "<div><ul>".repeat(50_000), "</ul></div>".repeat(50_000));
        assert_eq!(text(&deep), "x\n");
        for page in [
            "<",
            "<a",
            "</",
            "<!",
            "<!--",
            "&",
            "&#",
            "&#xffffffffff;",
            "<p a=",
            "<script>",
            "<title>",
            "\u{0}",
        ] {
            text(page);
        }
    }
}
