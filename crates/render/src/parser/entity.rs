//! Entities and escapes (CommonMark 2.4 and 2.5).

use std::borrow::Cow;
use std::sync::LazyLock;

use entities::ENTITIES;

use super::scan::{Edge, More, Scan};

/// The longest name of an entity, in bytes: `CounterClockwiseContourIntegral`.
const LONGEST: usize = 31;

/// The entities of HTML that end in a semicolon: their names, without `&` and `;`, and what they stand for; by name.
static NAMED: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let name = |entity: &'static str| entity.strip_prefix('&')?.strip_suffix(';');
    let mut named: Vec<_> = ENTITIES
        .iter()
        .filter_map(|known| Some((name(known.entity)?, known.characters)))
        .collect();
    named.sort_unstable();
    named
});

/// What an entity stands for: no allocation, for most are one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    Named(&'static str),
    Numeric(char),
}

impl Entity {
    pub(super) fn push_to(self, text: &mut String) {
        match self {
            Self::Named(characters) => text.push_str(characters),
            Self::Numeric(character) => text.push(character),
        }
    }
}

/// Steps over an entity, from its `&` to its `;`. Where it is none the scan is left anywhere.
pub(super) fn eat(scan: &mut Scan<'_>) -> Result<Option<Entity>, More> {
    scan.bump();
    if scan.eat(b'#')? {
        let hexadecimal = scan.eat(b'x')? || scan.eat(b'X')?;
        let (radix, most) = if hexadecimal { (16, 6) } else { (10, 7) };
        let from = scan.at();
        let digits = scan.eat_while(most, |byte| char::from(byte).is_digit(radix))?;
        let to = scan.at();
        if digits == 0 || !scan.eat(b';')? {
            return Ok(None);
        }
        let number = u32::from_str_radix(scan.between(from, to), radix).unwrap_or(0);
        let character = char::from_u32(number).filter(|&character| character != '\0');
        return Ok(Some(Entity::Numeric(
            character.unwrap_or(char::REPLACEMENT_CHARACTER),
        )));
    }
    let from = scan.at();
    scan.eat_while(LONGEST, |byte| byte.is_ascii_alphanumeric())?;
    let name = scan.between(from, scan.at());
    if name.is_empty() || !scan.eat(b';')? {
        return Ok(None);
    }
    let found = NAMED.binary_search_by_key(&name, |&(name, _)| name);
    Ok(found.ok().map(|index| Entity::Named(NAMED[index].1)))
}

/// The text with its entities and escapes resolved.
pub(super) fn resolve(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr2(b'&', b'\\', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut resolved = String::from(&text[..first]);
    let mut rest = &text[first..];
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        if next == '\\' && after.starts_with(|escaped: char| escaped.is_ascii_punctuation()) {
            resolved.push_str(&after[..1]);
            rest = &after[1..];
            continue;
        }
        if next == '&' {
            let mut scan = Scan::new(rest, Edge::End);
            if let Ok(Some(entity)) = eat(&mut scan) {
                entity.push_to(&mut resolved);
                rest = scan.rest();
                continue;
            }
        }
        resolved.push(next);
        rest = after;
    }
    Cow::Owned(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resolved_and_what_is_not() {
        for (text, resolved) in [
            ("a&amp;b", "a&b"),
            ("&copy;&ngE;", "©≧̸"),
            ("&#35;&#x22;&#X1F600;", "#\"😀"),
            ("&#0;&#xD800;", "\u{fffd}\u{fffd}"),
            ("&nbsp &x; &#; &#12345678; &amp", "&nbsp &x; &#; &#12345678; &amp"),
            (r"\*\a\\", r"*\a\"),
            (r"a\", r"a\"),
        ] {
            assert_eq!(resolve(text), resolved);
        }
    }

    #[test]
    fn no_name_is_longer_than_the_longest() {
        assert_eq!(NAMED.iter().map(|(name, _)| name.len()).max(), Some(LONGEST));
        assert_eq!(NAMED.len(), 2125);
    }
}
