//! Math set apart: `$$ … $$` and `\[ … \]`, on one line or several.
//!
//! No standard has it, but models write it. So that neither a price nor an escaped bracket swallows what follows, it has to
//! begin its line, nothing may follow it on the line where it ends, and a blank line ends it, too, as it does in TeX.

use super::scan::{More, Scan, is_blank};

/// The beginning of a math block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MathStart<'a> {
    /// What stands on its first line.
    pub(super) text: &'a str,
    /// What closes it; `None` if that has stood on the first line.
    pub(super) close: Option<&'static str>,
}

/// A math block that begins here.
pub(super) fn start<'a>(mut scan: Scan<'a>) -> Result<Option<MathStart<'a>>, More> {
    let dollars = scan.eat_str("$$")?;
    if !dollars && !scan.eat_str("\\[")? || dollars && scan.peek()? == Some(b'$') {
        return Ok(None);
    }
    let close = if dollars { "$$" } else { "\\]" };
    let from = scan.at();
    if let Some(found) = scan.find(close)? {
        scan.advance(found - from + close.len());
        let text = scan.between(from, found).trim();
        return Ok((scan.only_blanks()? && !text.is_empty()).then_some(MathStart { text, close: None }));
    }
    // `\[` is an escaped bracket as well: it takes white space to tell them apart.
    if !dollars && !scan.peek()?.is_none_or(is_blank) {
        return Ok(None);
    }
    scan.eat_while(usize::MAX, |_| true)?;
    Ok(scan.peek()?.is_none().then(|| MathStart {
        text: scan.between(from, scan.at()).trim(),
        close: Some(close),
    }))
}
