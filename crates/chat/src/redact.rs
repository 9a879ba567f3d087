//! Text from a server made fit to show and to log: keys masked, control characters harmless, length bounded.
//!
//! Servers echo what they were sent, keys included ("Incorrect API key provided: sk-…"). Everything that quotes a
//! server goes through [`printable`]. Masking errs on the side of hiding: a word too many is a nuisance, a key too many
//! is a leak. It knows keys by their shape; a secret that is known, and has none, is for those who know it to hide.

use std::borrow::Cow;

/// What stands where a secret was.
pub const MASK: &str = "[masked]";

/// What the keys of well-known services begin with. The prefix is kept, so that a person sees which key it was.
const KEY_PREFIXES: [&str; 23] = [
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "csk-",
    "gsk_",
    "xai-",
    "hf_",
    "r8_",
    "fw_",
    "tgp_",
    "nvapi-",
    "pplx-",
    "AIza",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "xoxb-",
    "xoxp-",
    "eyJ",
];

/// Fewer characters than this after a prefix are a word (`sk-learn`), not a key.
const KEY_MIN: usize = 8;

/// Names whose value is a secret, in a URL query, a header or a setting. Compared without regard to case.
const SECRET_NAMES: [&str; 12] = [
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "key",
    "token",
    "access_token",
    "auth_token",
    "secret",
    "client_secret",
    "password",
    "sig",
];

/// Words that follow "Bearer" in prose.
const AFTER_BEARER: [&str; 10] = [
    "token",
    "tokens",
    "auth",
    "authentication",
    "authorization",
    "scheme",
    "header",
    "prefix",
    "format",
    "realm",
];

/// The text with everything that looks like a key, a bearer token or a secret's value replaced by [`MASK`].
///
/// Runs in time linear in the text.
#[must_use]
pub fn mask_keys(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let word = word_len(&text[at..]);
        if word == 0 {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        match secret_at(&text[at..], word) {
            Some((keep, end)) => {
                masked.push_str(&text[copied..at + keep]);
                masked.push_str(MASK);
                at += end;
                copied = at;
            }
            None => at += word,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// The text on one line, with keys masked and control characters made harmless, cut to at most `limit` bytes. A cut
/// text ends in an ellipsis.
///
/// White space of any kind and length becomes one space. Control characters, and the invisible ones that turn the
/// direction of writing, become U+FFFD.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let masked = mask_keys(text);
    let mut shown = String::with_capacity(masked.len().min(limit));
    let mut gap = false;
    for c in masked.trim().chars() {
        if c.is_whitespace() {
            gap = true;
            continue;
        }
        let c = if is_harmful(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        if shown.len() + usize::from(gap) + c.len_utf8() > limit {
            return ellipsis(shown, limit);
        }
        if gap {
            shown.push(' ');
            gap = false;
        }
        shown.push(c);
    }
    shown
}

fn ellipsis(mut text: String, limit: usize) -> String {
    const ELLIPSIS: char = '…';
    while text.len() + ELLIPSIS.len_utf8() > limit {
        if text.pop().is_none() {
            return text;
        }
    }
    text.push(ELLIPSIS);
    text
}

fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of the word at the start: what a key may be made of.
fn word_len(text: &str) -> usize {
    let is_key =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*' | b'+' | b'/' | b'.' | b'~');
    let len = text.bytes().take_while(is_key).count();
    // A full stop or a slash at the end belongs to the sentence or the address, not to the word.
    text[..len].trim_end_matches(['.', '/']).len()
}

/// Whether a secret begins here, at a word of this length: how many bytes of it may stay, and where it ends.
fn secret_at(text: &str, word: usize) -> Option<(usize, usize)> {
    let (name, rest) = text.split_at(word);
    if name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic") {
        let gap = rest.len() - rest.trim_start_matches([' ', ':', '\'', '"']).len();
        let token = word_len(&rest[gap..]);
        let value = &rest[gap..gap + token];
        let prose = AFTER_BEARER.iter().any(|word| value.eq_ignore_ascii_case(word)) || token < 6;
        // "Basic" begins ordinary sentences too; only what a base64 pair of name and password looks like is hidden.
        let prose = prose
            || (name.eq_ignore_ascii_case("basic")
                && !value.bytes().any(|b| b.is_ascii_digit() || b == b'='));
        return (gap > 0 && !prose).then(|| (word + gap, word + gap + padded(&rest[gap..], token)));
    }
    // A word may hold a path or an address before the key: look after each slash too.
    for start in std::iter::once(0).chain(name.match_indices(['/', '+']).map(|(at, _)| at + 1)) {
        let part = &name[start..];
        let key = KEY_PREFIXES
            .iter()
            .find(|prefix| part.starts_with(**prefix) && part.len() >= prefix.len() + KEY_MIN);
        if let Some(prefix) = key {
            return Some((start + prefix.len(), word));
        }
    }
    let is_name = SECRET_NAMES
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret));
    let value_at = rest.strip_prefix('=').map(|_| 1).or_else(|| {
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        rest.starts_with(':')
            .then(|| text[word..].len() - rest[1..].trim_start_matches([' ', '"', '\'']).len())
    })?;
    let value = word_len(&rest[value_at..]);
    // After a colon there may be prose ("key: value expected"), after an equals sign there is not.
    let long_enough = if rest.starts_with('=') {
        value > 0
    } else {
        value >= 2 * KEY_MIN
    };
    (is_name && long_enough).then(|| {
        (
            word + value_at,
            word + value_at + padded(&rest[value_at..], value),
        )
    })
}

/// A token's length with its base64 padding.
fn padded(text: &str, token: usize) -> usize {
    token + text[token..].bytes().take_while(|b| *b == b'=').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masks_keys_that_servers_echo() {
        for (text, masked) in [
            (
                "Incorrect API key provided: sk-abcdefgh1234.",
                "Incorrect API key provided: sk-[masked].",
            ),
            ("key sk-proj-A_b-c123456 refused", "key sk-[masked] refused"),
            (
                "provided: sk-ab**********yz. You can",
                "provided: sk-[masked]. You can",
            ),
            (
                "Authorization: Bearer abc.def-123",
                "Authorization: Bearer [masked]",
            ),
            (
                "authorization: bearer Zm9vYmFyMQ==!",
                "authorization: bearer [masked]!",
            ),
            (
                "GET https://host/v1?key=AIzaSyD-1234567890&alt=sse",
                "GET https://host/v1?key=[masked]&alt=sse",
            ),
            (
                "{\"api_key\":\"0123456789abcdef0123\"}",
                "{\"api_key\":\"[masked]\"}",
            ),
            ("x-api-key: 0123456789abcdef0123", "x-api-key: [masked]"),
            ("token=x", "token=[masked]"),
            (
                "gsk_0123456789abc and hf_abcdefghijk",
                "gsk_[masked] and hf_[masked]",
            ),
            ("path/sk-0123456789", "path/sk-[masked]"),
            ("Basic dXNlcjpwYXNz1=", "Basic [masked]"),
        ] {
            assert_eq!(mask_keys(text), masked);
        }
    }

    #[test]
    fn leaves_prose_alone() {
        for text in [
            "",
            "use scikit-learn or sk-learn",
            "A Bearer token is required",
            "Bearer authentication failed",
            "Basic information is missing",
            "the key: value expected",
            "desk-0123456789 and task_0123456789",
            "日本語のエラー: 失敗",
            "maximum context length is 4096 tokens",
        ] {
            assert_eq!(mask_keys(text), text);
        }
    }

    #[test]
    fn printable_is_one_harmless_line() {
        assert_eq!(
            printable(" a\r\n\tb\u{1b}[31m\u{202e}c\0 ", 100),
            "a b\u{fffd}[31m\u{fffd}c\u{fffd}"
        );
        assert_eq!(printable("ééééé", 7), "éé…");
        assert_eq!(printable("abc", 3), "abc");
        assert_eq!(printable("abcd", 2), "");
    }

    proptest! {
        #[test]
        fn printable_keeps_its_promises(text in any::<String>(), limit in 0_usize..64) {
            let shown = printable(&text, limit);
            prop_assert!(shown.len() <= limit);
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn a_key_never_survives(before in "[^\\pL\\pN_*+./~-]{0,8}", key in "sk-[A-Za-z0-9]{20,40}", after in "[ ,;:\"]?.{0,8}") {
            let text = format!("{before}{key}{after}");
            prop_assert!(!mask_keys(&text).contains(&key));
        }
    }
}
