//! Whole characters from tokens that may end in the middle of one.

/// Collects bytes and gives back text that is whole UTF-8; invalid bytes become U+FFFD, as the WHATWG encoding standard
/// replaces them.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl Assembler {
    /// Adds bytes, and appends what is now whole to `out`.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut String) {
        self.pending.extend_from_slice(bytes);
        let mut rest = &self.pending[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    out.push_str(std::str::from_utf8(valid).unwrap_or_default());
                    rest = after;
                    let Some(invalid) = error.error_len() else { break };
                    out.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        let kept = rest.len();
        self.pending.drain(..self.pending.len() - kept);
    }

    /// How many bytes wait for the rest of their character.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The end: a character that never became whole is one U+FFFD.
    pub(crate) fn finish(&mut self, out: &mut String) {
        if !self.pending.is_empty() {
            self.pending.clear();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_chunking_equals_one_lossy_conversion(bytes: Vec<u8>, cuts: Vec<usize>) {
            let mut assembler = Assembler::default();
            let (mut out, mut rest) = (String::new(), &bytes[..]);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut % (rest.len() + 1));
                assembler.push(head, &mut out);
                rest = tail;
            }
            assembler.push(rest, &mut out);
            assembler.finish(&mut out);
            prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn nothing_is_given_before_it_is_whole() {
        let (mut assembler, mut out) = (Assembler::default(), String::new());
        for (byte, so_far) in "é語".bytes().zip(["", "é", "é", "é", "é語"]) {
            assembler.push(&[byte], &mut out);
            assert_eq!(out, so_far);
        }
    }
}
