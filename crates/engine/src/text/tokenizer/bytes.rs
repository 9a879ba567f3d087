//! Bytes as printable characters, the alphabet of byte-level vocabularies.
//!
//! Such a vocabulary spells the byte 0x20 as `Ġ` and so on: printable bytes of Latin-1 stand for themselves, the other
//! 68 for the characters from U+0100 on (the encoder of GPT-2).

/// Characters from U+0100 on that stand for bytes.
const MOVED: u32 = 68;

/// The alphabet, and which of its letters a vocabulary has.
#[derive(Debug)]
pub(super) struct ByteAlphabet {
    letters: [char; 256],
    present: [bool; 256],
}

impl ByteAlphabet {
    /// The alphabet of a vocabulary.
    pub(super) fn new(tokens: &[&str]) -> Self {
        let mut letters = ['\0'; 256];
        let mut moved = 0x100;
        for byte in 0..=u8::MAX {
            letters[byte as usize] = if stands_for_itself(byte) {
                char::from(byte)
            } else {
                moved += 1;
                char::from_u32(moved - 1).unwrap_or_default()
            };
        }
        let mut present = [false; 256];
        for token in tokens {
            let mut characters = token.chars();
            if let (Some(letter), None) = (characters.next(), characters.next())
                && let Some(byte) = byte_of(letter)
            {
                present[byte as usize] = true;
            }
        }
        Self { letters, present }
    }

    /// Spells a piece of text and hands it to `take`, in parts where the vocabulary lacks a byte: the byte is left out,
    /// and what stands on its two sides is not merged across the hole.
    pub(super) fn spell(&self, piece: &str, spelled: &mut String, mut take: impl FnMut(&str)) {
        for part in piece.as_bytes().split(|&byte| !self.present[byte as usize]) {
            if !part.is_empty() {
                spelled.clear();
                spelled.extend(part.iter().map(|&byte| self.letters[byte as usize]));
                take(spelled);
            }
        }
    }

    /// The bytes a token's spelling stands for. Characters outside the alphabet stand for themselves.
    pub(super) fn bytes(token: &str) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(token.len());
        for letter in token.chars() {
            match byte_of(letter) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes.into_boxed_slice()
    }
}

fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The byte a letter stands for.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    match u8::try_from(code) {
        Ok(byte) => stands_for_itself(byte).then_some(byte),
        Err(_) if code < 0x100 + MOVED => (0..=u8::MAX)
            .filter(|&byte| !stands_for_itself(byte))
            .nth((code - 0x100) as usize),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_and_back() {
        let alphabet = ByteAlphabet::new(&[]);
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(alphabet.letters[byte as usize]), Some(byte));
        }
        assert_eq!((alphabet.letters[0x20], alphabet.letters[0x0a]), ('Ġ', 'Ċ'));
    }

    #[test]
    fn a_missing_byte_leaves_a_hole() {
        let alphabet = ByteAlphabet::new(&["a", "b", "ab"]);
        let mut parts = Vec::new();
        alphabet.spell("abcba", &mut String::new(), |part| parts.push(part.to_owned()));
        assert_eq!(parts, ["ab", "ba"]);
    }
}
