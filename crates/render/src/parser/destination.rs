//! Where a link leads to, as it is written: destinations and titles (CommonMark 6.3).

use super::scan::{More, Scan, UNKNOWN};

/// How deep parentheses may stand in a destination, as in the reference implementation.
const PARENTHESES: usize = 32;

/// Steps over a destination. Its escapes and entities are not resolved.
pub(super) fn eat<'a>(scan: &mut Scan<'a>) -> Result<Option<&'a str>, More> {
    if scan.eat(b'<')? {
        let from = scan.at();
        loop {
            match scan.peek()? {
                Some(b'>') => break,
                Some(b'\\') => {
                    scan.bump();
                    escaped(scan)?;
                }
                Some(b'<' | b'\n' | UNKNOWN) | None => return Ok(None),
                Some(_) => scan.bump(),
            }
        }
        let url = scan.between(from, scan.at());
        scan.bump();
        return Ok(Some(url));
    }
    let from = scan.at();
    let mut depth = 0;
    loop {
        match scan.peek()? {
            Some(b'\\') => {
                scan.bump();
                escaped(scan)?;
                continue;
            }
            Some(b'(') if depth == PARENTHESES => return Ok(None),
            Some(b'(') => depth += 1,
            Some(b')') if depth == 0 => break,
            Some(b')') => depth -= 1,
            Some(UNKNOWN) => return Ok(None),
            Some(byte) if !byte.is_ascii_control() && byte != b' ' => {}
            _ => break,
        }
        scan.bump();
    }
    let url = scan.between(from, scan.at());
    Ok((depth == 0 && !url.is_empty()).then_some(url))
}

/// Steps over a title, which nobody is shown: `"…"`, `'…'` or `(…)`. Where it is none the scan is left anywhere.
pub(super) fn eat_title(scan: &mut Scan<'_>) -> Result<bool, More> {
    let close = match scan.peek()? {
        Some(b'(') => b')',
        Some(quote @ (b'"' | b'\'')) => quote,
        _ => return Ok(false),
    };
    scan.bump();
    loop {
        match scan.peek()? {
            Some(byte) if byte == close => {
                scan.bump();
                return Ok(true);
            }
            Some(b'\\') => {
                scan.bump();
                escaped(scan)?;
            }
            Some(b'(') if close == b')' => return Ok(false),
            Some(UNKNOWN) | None => return Ok(false),
            Some(_) => scan.bump(),
        }
    }
}

/// Steps over what a backslash escapes.
fn escaped(scan: &mut Scan<'_>) -> Result<(), More> {
    if scan.peek()?.is_some_and(|byte| byte.is_ascii_punctuation()) {
        scan.bump();
    }
    Ok(())
}
