//! Bytes to text as the WHATWG Encoding standard's "UTF-8 decode without BOM" does it: every maximal subpart of an
//! ill-formed sequence becomes one U+FFFD.
//!
//! Decoding line by line gives the same text as decoding the stream: CR and LF are ASCII, and no sequence, well or ill
//! formed, reaches across an ASCII byte. That is why the decoder cuts bytes first and decodes only what it hands out.

use alloc::string::String;

/// The text of `bytes`: `bytes` itself where it is valid, else a repaired copy in `scratch`.
#[inline]
pub(crate) fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> &'a str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            scratch.clear();
            push_lossy(bytes, scratch);
            scratch
        }
    }
}

/// Appends the text of `bytes`, repaired, to `out`.
pub(crate) fn push_lossy(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
