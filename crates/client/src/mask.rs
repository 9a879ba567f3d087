//! Hides the call's key wherever its server repeats it: before anything is read, so that an answer, its diagnostics and
//! its recording all say the same.
//!
//! The key is looked for as it was sent. Not here: a key that the server spells otherwise, or spreads over two events,
//! and what merely looks like a key, which [`mask_keys`](aurora_chat::redact::mask_keys) hides in diagnostics.

use std::{borrow::Cow, fmt};

use aurora_chat::redact::MASK;
use memchr::memmem::Finder;

use crate::Secret;

/// The shortest key that is hidden, in bytes. Local servers are given placeholders such as `none` or `x`, and to hide
/// those would garble what is said and recorded.
const SHORTEST: usize = 6;

/// Longer placeholders, which the manuals of local servers tell their users to give for a key.
const PLACEHOLDERS: [&str; 6] = [
    "ollama",
    "lm-studio",
    "no-key",
    "no-key-required",
    "sk-no-key-required",
    "not-needed",
];

/// The key to hide, if there is one. It is searched for in every event, with tables that are made once.
#[derive(Clone, Default)]
pub(crate) struct Mask(Option<Finder<'static>>);

impl Mask {
    /// Hides this key, unless it is a placeholder.
    pub(crate) fn new(key: Option<&Secret>) -> Self {
        let key = key.map(Secret::expose).filter(|key| {
            let is_word = PLACEHOLDERS
                .iter()
                .any(|placeholder| key.eq_ignore_ascii_case(placeholder));
            key.len() >= SHORTEST && !is_word
        });
        Self(key.map(|key| Finder::new(key).into_owned()))
    }

    /// The text with [`MASK`] for every occurrence of the key.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A key is text: what is cut out of text by it is text.
            Cow::Owned(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
        }
    }

    /// The bytes with [`MASK`] for every occurrence of the key.
    pub(crate) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(finder) = &self.0 else {
            return Cow::Borrowed(bytes);
        };
        let mut masked = Vec::new();
        let mut rest = bytes;
        while let Some(at) = finder.find(rest) {
            masked.extend_from_slice(&rest[..at]);
            masked.extend_from_slice(MASK.as_bytes());
            rest = &rest[at + finder.needle().len()..];
        }
        if masked.is_empty() {
            return Cow::Borrowed(bytes);
        }
        masked.extend_from_slice(rest);
        Cow::Owned(masked)
    }

    /// How many bytes at the end may be the beginning of the key: all but its last byte at most.
    pub(crate) fn begun_at_end(&self, bytes: &[u8]) -> usize {
        let key = self.0.as_ref().map_or(&[][..], Finder::needle);
        let longest = bytes.len().min(key.len().saturating_sub(1));
        (1..=longest)
            .rev()
            .find(|&n| bytes.ends_with(&key[..n]))
            .unwrap_or(0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(key: &str) -> Mask {
        Mask::new(Some(&Secret::new(key)))
    }

    #[test]
    fn every_occurrence_is_hidden_and_nothing_else() {
        let mask = mask("hunter2é");
        for (text, masked) in [
            ("", ""),
            ("hunter2", "hunter2"),
            ("hunter2é", "[masked]"),
            ("ahunter2éhunter2é ü", "a[masked][masked] ü"),
        ] {
            assert_eq!(mask.text(text), masked);
        }
        assert_eq!(&*mask.bytes(b"\xff hunter2\xc3\xa9"), b"\xff [masked]");
        assert!(matches!(mask.text("nothing"), Cow::Borrowed("nothing")));
    }

    #[test]
    fn placeholders_are_left_in_what_is_said() {
        for key in ["", "x", "EMPTY", "ollama", "Ollama", "lm-studio"] {
            assert_eq!(
                mask(key).text("EMPTY is not ollama or lm-studio"),
                "EMPTY is not ollama or lm-studio"
            );
        }
        assert_eq!(Mask::default().text("any"), "any");
        assert_eq!(mask("ollama2").text("ollama2"), "[masked]");
    }

    #[test]
    fn a_beginning_at_the_end_is_known_at_every_length() {
        let mask = mask("ababac");
        for (bytes, n) in [
            ("", 0),
            ("c", 0),
            ("xa", 1),
            ("abab", 4),
            ("ababa", 5),
            ("ababab", 4),
            ("b", 0),
        ] {
            assert_eq!(mask.begun_at_end(bytes.as_bytes()), n, "{bytes}");
        }
        assert_eq!(Mask::default().begun_at_end(b"ab"), 0);
    }

    #[test]
    fn the_key_is_not_in_its_debug_form() {
        assert!(!format!("{:?}", mask("hunter2")).contains("hunter2"));
    }
}
