//! Bytes to text as the WHATWG Encoding standard's "UTF-8 decode without BOM" does it: every maximal subpart of an
//! ill-formed sequence becomes one U+FFFD.
//!
//! Decoding line by line gives the same text as decoding the stream: CR and LF are ASCII, and no sequence, well or ill
//! formed, reaches across an ASCII byte. That is why the decoder cuts bytes first and decodes only what it hands out.
//!
//! This is the crate's only module with `unsafe`, and it has one use of it: text that [`is_valid`] has checked is not
//! checked again. [`core::str::from_utf8`] looks at single bytes before and after the aligned part of its input, and on
//! values whose lengths vary those loops are mispredicted: 28 ns for 302 to 317 bytes of ASCII, of which `is_valid`
//! takes 2. In the benchmark (`bench/README.md`, reads of 16 KiB) that is the difference between 0.44 and 0.94 of the
//! floor.

use alloc::string::String;

/// The text of `bytes`: `bytes` itself where it is valid, else a repaired copy in `scratch`.
#[inline]
pub(crate) fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> &'a str {
    match valid(bytes) {
        Some(text) => text,
        None => {
            scratch.clear();
            push_lossy(bytes, scratch);
            scratch
        }
    }
}

/// Appends the text of `bytes`, repaired where it must be, to `out`.
pub(crate) fn push_lossy(bytes: &[u8], out: &mut String) {
    if let Some(text) = valid(bytes) {
        out.push_str(text);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// `bytes` as text, if they are valid UTF-8.
#[inline]
pub(crate) fn valid(bytes: &[u8]) -> Option<&str> {
    if !is_valid(bytes) {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "the bytes have just been checked; the module's documentation has the figures"
    )]
    // SAFETY: `is_valid` is true only of valid UTF-8, as it explains, and the tests hold it against `from_utf8`.
    Some(unsafe { core::str::from_utf8_unchecked(bytes) })
}

/// As many bytes as are looked at together. The compiler makes vector instructions of it on every target that has some.
const BLOCK: usize = 32;

/// Whether `bytes` are valid UTF-8.
///
/// All of it is ASCII nearly always, which is found out without a look at single bytes: whole blocks, and the last block
/// once more from the end.
#[inline]
fn is_valid(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<BLOCK>() else {
        return core::str::from_utf8(bytes).is_ok();
    };
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let mut seen = *last;
    for block in blocks {
        for (seen, byte) in seen.iter_mut().zip(block) {
            *seen |= byte;
        }
    }
    seen.iter().fold(0, |all, byte| all | byte) < 0x80 || core::str::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The safe twin: same answer, same text.
        #[test]
        fn agrees_with_the_standard_library(
            pieces in prop::collection::vec(
                prop_oneof![
                    4 => "[ -~]{0,80}".prop_map(|text| text.into_bytes()),
                    4 => "[à-ÿ一-龥😀-😎]{1,12}".prop_map(|text| text.into_bytes()),
                    1 => prop::collection::vec(any::<u8>(), 1..6),
                ],
                0..12,
            ),
        ) {
            let bytes = pieces.concat();
            prop_assert_eq!(valid(&bytes), core::str::from_utf8(&bytes).ok());
        }
    }

    /// Every byte at every place of the first blocks, and every way to cut a character there.
    #[test]
    fn every_byte_at_every_place() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5] {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = [b'a'].repeat(length);
                    bytes[at] = byte;
                    assert_eq!(valid(&bytes), core::str::from_utf8(&bytes).ok());
                }
                for character in ["é", "€", "😀"] {
                    for cut in 1..=character.len() {
                        let piece = &character.as_bytes()[..cut.min(length - at)];
                        let mut bytes: Vec<u8> = [b'a'].repeat(length);
                        bytes[at..at + piece.len()].copy_from_slice(piece);
                        assert_eq!(valid(&bytes), core::str::from_utf8(&bytes).ok());
                    }
                }
            }
        }
    }
}
