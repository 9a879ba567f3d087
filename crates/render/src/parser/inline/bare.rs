//! Addresses in the text: in angle brackets (CommonMark 6.5), and bare (GFM, "Autolinks").
//!
//! A bare address ends at CJK text, which follows addresses without a space, and one may begin behind it. Bare mail addresses
//! are left as they are.

use crate::parser::scan::{More, Scan, UNKNOWN};

use super::flanking::{is_cjk, is_space};

/// An address in angle brackets: the length of the token, and where it leads to.
pub(super) fn angle(mut scan: Scan<'_>) -> Result<Option<(usize, String)>, More> {
    scan.bump();
    let from = scan.at();
    let mut mail = scan;
    if scan.peek()?.is_some_and(|byte| byte.is_ascii_alphabetic()) {
        let scheme = scan.eat_while(33, |byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))?;
        if (2..=32).contains(&scheme) && scan.eat(b':')? {
            scan.eat_while(usize::MAX, |byte| {
                !byte.is_ascii_control() && !b" <>".contains(&byte)
            })?;
            let url = scan.between(from, scan.at());
            return Ok(scan.eat(b'>')?.then(|| (scan.at(), url.to_owned())));
        }
    }
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    if mail.eat_while(usize::MAX, local)? == 0 || !mail.eat(b'@')? {
        return Ok(None);
    }
    loop {
        let label = mail.at();
        mail.eat_while(64, |byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
        let label = mail.between(label, mail.at());
        if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
            return Ok(None);
        }
        if !mail.eat(b'.')? {
            break;
        }
    }
    let address = mail.between(from, mail.at());
    Ok(mail.eat(b'>')?.then(|| (mail.at(), format!("mailto:{address}"))))
}

/// A bare address: its length, and where it leads to.
pub(super) fn url(
    mut scan: Scan<'_>,
    before: Option<char>,
    in_link: bool,
) -> Result<Option<(usize, String)>, More> {
    let begins = before.is_none_or(|before| is_space(before) || "*_~(".contains(before) || is_cjk(before));
    if in_link || !begins {
        return Ok(None);
    }
    let whole = scan;
    let scheme = ["https://", "http://", "www."];
    let mut found = None;
    for scheme in scheme {
        if scan.eat_str(scheme)? {
            found = Some(scheme);
            break;
        }
    }
    let Some(scheme) = found else { return Ok(None) };
    // Bytes are ASCII or part of a character; only whole characters say whether they are CJK.
    scan.eat_while(usize::MAX, |byte| {
        !byte.is_ascii_control() && !matches!(byte, b' ' | b'<')
    })?;
    let come = whole.between(0, scan.at());
    let length = match come.find(|character| is_cjk(character) || is_space(character)) {
        Some(end) => trimmed(&come[..end]).len(),
        // It has to have ended, within reach.
        None if scan.peek()? == Some(UNKNOWN) => return Ok(None),
        None => trimmed(come).len(),
    };
    let url = &come[..length];
    let Some(rest) = url.strip_prefix(scheme) else {
        return Ok(None);
    };
    if !is_domain(rest, scheme == "www.") {
        return Ok(None);
    }
    let prefix = if scheme == "www." { "http://" } else { "" };
    Ok(Some((length, format!("{prefix}{url}"))))
}

/// The address without the punctuation behind it that belongs to the sentence.
fn trimmed(mut url: &str) -> &str {
    while let Some(last) = url.chars().next_back() {
        let shorter = match last {
            '?' | '!' | '.' | ',' | ':' | '*' | '_' | '~' | '\'' | '"' => &url[..url.len() - 1],
            ')' if url.matches(')').count() > url.matches('(').count() => &url[..url.len() - 1],
            ';' => match url[..url.len() - 1].rfind(|byte: char| !byte.is_ascii_alphanumeric()) {
                // An entity is not part of it.
                Some(and) if url[and..].starts_with('&') && and + 2 < url.len() => &url[..and],
                _ => &url[..url.len() - 1],
            },
            _ => return url,
        };
        url = shorter;
    }
    url
}

/// Whether what follows the scheme begins with a domain: labels of letters, digits, `-` and `_`, the last two without `_`;
/// at least two, counting the `www` that is gone, where there is no other sign of an address.
fn is_domain(rest: &str, dotted: bool) -> bool {
    let domain = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let mut labels = domain.rsplit('.');
    let valid = |character: char| character.is_alphanumeric() || character == '-' || character == '_';
    let last = labels.next().unwrap_or_default();
    let next = labels.next();
    !(last.is_empty() || last.contains('_') || next.is_some_and(|label| label.contains('_')))
        && domain
            .chars()
            .all(|character| valid(character) || character == '.')
        && !(dotted && last.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::scan::Edge;

    #[test]
    fn bare_addresses_end_where_the_sentence_goes_on() {
        for (text, address) in [
            ("https://a.b/c?d=e.", "https://a.b/c?d=e"),
            ("http://a.b/(c)) x", "http://a.b/(c)"),
            ("https://a.b/c&amp; x", "https://a.b/c"),
            ("https://a.b。然后", "https://a.b"),
            ("https://a.b/c即可", "https://a.b/c"),
            ("http://localhost:8080/x**", "http://localhost:8080/x"),
            ("www.a.b<c", "www.a.b"),
        ] {
            let (length, _) = url(Scan::new(text, Edge::End), None, false).unwrap().unwrap();
            assert_eq!(&text[..length], address);
        }
        for text in [
            "https://",
            "http:/a.b",
            "https://_a._b",
            "www.",
            "https://?a",
            "hello",
        ] {
            assert_eq!(url(Scan::new(text, Edge::End), None, false), Ok(None), "{text}");
        }
        assert_eq!(url(Scan::new("https://a.b", Edge::Open), None, false), Err(More));
        assert_eq!(
            url(Scan::new("https://a.b", Edge::End), Some('x'), false),
            Ok(None)
        );
    }

    #[test]
    fn addresses_in_angle_brackets() {
        let whole = |text| angle(Scan::new(text, Edge::End)).unwrap().map(|(_, url)| url);
        assert_eq!(whole("<a+b:c d>"), None);
        assert_eq!(whole("<made-up:x>").as_deref(), Some("made-up:x"));
        assert_eq!(whole("<a.b@c-d.e>").as_deref(), Some("mailto:a.b@c-d.e"));
        assert_eq!(whole("<a@-b>"), None);
        assert_eq!(whole("<m:x>"), None);
        assert_eq!(angle(Scan::new("<ab", Edge::Open)), Err(More));
    }
}
