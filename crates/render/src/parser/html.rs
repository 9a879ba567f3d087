//! HTML: where a block of it begins and ends (CommonMark 4.6), and what is a tag within text (6.6).
//!
//! Nothing is understood of it, for it is shown as the text it is.

use super::scan::{More, Scan, is_blank};

/// What ends an HTML block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HtmlEnd {
    /// A line with one of these in it.
    Line(&'static [&'static str]),
    /// A blank line.
    Blank,
}

/// The longest text that ends a block, in bytes.
pub(super) const LONGEST_END: usize = 11;

const RAW_ENDS: &[&str] = &["</script>", "</pre>", "</style>", "</textarea>"];
const RAW: &[&str] = &["script", "pre", "style", "textarea"];

/// The elements whose tag begins a block, whatever follows it.
#[rustfmt::skip]
const BLOCKS: &[&str] = &[
    "address", "article", "aside", "base", "basefont", "blockquote", "body", "caption", "center", "col", "colgroup",
    "dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frame",
    "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "iframe", "legend", "li", "link",
    "main", "menu", "menuitem", "nav", "noframes", "ol", "optgroup", "option", "p", "param", "search", "section",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "track", "ul",
];

/// Whether an HTML block begins here, and what will end it. One that begins with any other tag than those of blocks
/// does not interrupt a paragraph.
pub(super) fn block(mut scan: Scan<'_>, in_paragraph: bool) -> Result<Option<HtmlEnd>, More> {
    let start = scan;
    if !scan.eat(b'<')? {
        return Ok(None);
    }
    match scan.peek()? {
        Some(b'?') => return Ok(Some(HtmlEnd::Line(&["?>"]))),
        Some(b'!') => {
            scan.bump();
            return Ok(match scan.peek()? {
                Some(b'-') => scan.eat_str("--")?.then_some(HtmlEnd::Line(&["-->"])),
                Some(b'[') => scan.eat_str("[CDATA[")?.then_some(HtmlEnd::Line(&["]]>"])),
                Some(byte) if byte.is_ascii_alphabetic() => Some(HtmlEnd::Line(&[">"])),
                _ => None,
            });
        }
        Some(byte) if byte == b'/' || byte.is_ascii_alphabetic() => {}
        _ => return Ok(None),
    }
    let closing = scan.eat(b'/')?;
    let from = scan.at();
    scan.eat_while(usize::MAX, |byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
    let name = scan.between(from, scan.at());
    let next = scan.peek()?;
    let one_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !closing && one_of(RAW) && next.is_none_or(|byte| is_blank(byte) || byte == b'>') {
        return Ok(Some(HtmlEnd::Line(RAW_ENDS)));
    }
    if one_of(BLOCKS) && (next.is_none_or(|byte| is_blank(byte) || byte == b'>') || scan.eat_str("/>")?) {
        return Ok(Some(HtmlEnd::Blank));
    }
    if in_paragraph {
        return Ok(None);
    }
    let mut tag = start;
    Ok((eat_tag(&mut tag)? && tag.only_blanks()?).then_some(HtmlEnd::Blank))
}

/// Steps over raw HTML (CommonMark 6.6): a tag, a comment, an instruction, a declaration or a CDATA section. Where it is
/// none of these the scan is left anywhere.
pub(super) fn eat_html(scan: &mut Scan<'_>) -> Result<bool, More> {
    let mut ahead = *scan;
    if !ahead.eat(b'<')? {
        return Ok(false);
    }
    let end = match ahead.peek()? {
        Some(b'?') => "?>",
        Some(b'!') => {
            ahead.bump();
            match ahead.peek()? {
                Some(b'-') if ahead.eat_str("--")? => {
                    // `<!-->` and `<!--->` are comments, too.
                    if ahead.eat(b'>')? || ahead.eat_str("->")? {
                        *scan = ahead;
                        return Ok(true);
                    }
                    "-->"
                }
                Some(b'[') if ahead.eat_str("[CDATA[")? => "]]>",
                Some(byte) if byte.is_ascii_alphabetic() => ">",
                _ => return Ok(false),
            }
        }
        _ => return eat_tag(scan),
    };
    let Some(found) = ahead.find(end)? else {
        return Ok(false);
    };
    ahead.advance(found - ahead.at() + end.len());
    *scan = ahead;
    Ok(true)
}

/// Steps over an opening or closing tag. Where it is none the scan is left anywhere.
fn eat_tag(scan: &mut Scan<'_>) -> Result<bool, More> {
    scan.bump();
    let closing = scan.eat(b'/')?;
    if !scan.peek()?.is_some_and(|byte| byte.is_ascii_alphabetic()) {
        return Ok(false);
    }
    scan.eat_while(usize::MAX, |byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
    loop {
        let apart = scan.eat_while(usize::MAX, is_space)? > 0;
        match scan.peek()? {
            Some(b'>') => {
                scan.bump();
                return Ok(true);
            }
            Some(b'/') if !closing => {
                scan.bump();
                return scan.eat(b'>');
            }
            Some(byte)
                if apart && !closing && (byte.is_ascii_alphabetic() || byte == b'_' || byte == b':') =>
            {
                if !eat_attribute(scan)? {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
}

/// Steps over a name and, if there is one, its value.
fn eat_attribute(scan: &mut Scan<'_>) -> Result<bool, More> {
    scan.eat_while(usize::MAX, |byte| {
        byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)
    })?;
    let mut ahead = *scan;
    ahead.eat_while(usize::MAX, is_space)?;
    if !ahead.eat(b'=')? {
        return Ok(true);
    }
    ahead.eat_while(usize::MAX, is_space)?;
    *scan = ahead;
    match scan.peek()? {
        Some(quote @ (b'"' | b'\'')) => {
            scan.bump();
            scan.eat_while(usize::MAX, |byte| byte != quote)?;
            scan.eat(quote)
        }
        _ => Ok(scan.eat_while(usize::MAX, |byte| !is_space(byte) && !b"\"'=<>`".contains(&byte))? > 0),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::super::scan::Edge;
    use super::*;

    fn tag(text: &str) -> Option<usize> {
        let mut scan = Scan::new(text, Edge::End);
        eat_html(&mut scan).unwrap().then(|| scan.at())
    }

    #[test]
    fn tags_and_what_only_looks_like_one() {
        for text in [
            "<b>",
            "</b >",
            "<br/>",
            "<a href=x>",
            "<a b='>' c>",
            "<!-- a -->",
            "<!-->",
            "<?x?>",
            "<!X y>",
        ] {
            assert_eq!(tag(text), Some(text.len()), "{text}");
        }
        for text in [
            "<",
            "< b>",
            "<1>",
            "<b",
            "<a href=>",
            "</b c>",
            "<a'b'>",
            "<a b='c'd>",
            "<!-- a",
            "<!>",
        ] {
            assert_eq!(tag(text), None, "{text}");
        }
    }

    #[test]
    fn what_begins_a_block() {
        let whole = |text| block(Scan::new(text, Edge::End), false).unwrap();
        assert_eq!(whole("<div id=1 x"), Some(HtmlEnd::Blank));
        assert_eq!(whole("</div>x"), Some(HtmlEnd::Blank));
        assert_eq!(whole("<divx"), None);
        assert_eq!(whole("<x-y z>  "), Some(HtmlEnd::Blank));
        assert_eq!(whole("<x-y z> a"), None);
        assert_eq!(whole("<PRE>"), Some(HtmlEnd::Line(RAW_ENDS)));
        assert_eq!(whole("<!-- x"), Some(HtmlEnd::Line(&["-->"])));
        assert_eq!(block(Scan::new("<x>", Edge::End), true), Ok(None));
        assert_eq!(block(Scan::new("<di", Edge::Open), true), Err(More));
    }

    #[test]
    fn no_end_is_longer_than_the_longest() {
        assert_eq!(RAW_ENDS.iter().map(|end| end.len()).max(), Some(LONGEST_END));
    }
}
