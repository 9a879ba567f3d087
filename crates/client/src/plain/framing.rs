//! How long a response's body is, and where its bytes lie: the framings of RFC 9112 §6.3, decoded in place.
//!
//! No socket: what was read goes in, and the bytes that are the body's come out of the same buffer. So nothing is held of
//! a body between two reads but where in its framing it stands.

use std::ops::Range;

/// The most that a body may spend on the extensions of its chunks and on what follows the last one, in bytes. Nothing of
/// it is used.
const MAX_EXTRA: usize = 16 << 10;

/// Where in a body its next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    /// Until the connection closes.
    UntilClose,
    /// In chunks.
    Chunked(Chunked),
}

/// Where in a chunked body (RFC 9112 §7.1) its next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    at: At,
    /// What extensions and trailers took so far.
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a chunk's size, of which so many digits were read.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind a chunk's size, in white space, with which some servers pad it.
    Padding {
        size: u64,
    },
    /// In a chunk's extensions, which mean nothing here.
    Extension {
        size: u64,
    },
    /// Before the line feed that ends the line of the size.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// Behind the last chunk, at the start of a line.
    Trailer,
    /// Within a field behind the last chunk.
    TrailerField,
    /// Before the line feed of a field's line.
    TrailerLf,
    /// Before the very last line feed.
    LastLf,
    Over,
    /// Behind what keeps no rule.
    Broken(FramingError),
}

/// Where in a buffer the body's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The bytes of the body, in one piece.
    pub(crate) data: Range<usize>,
    /// How many bytes of the buffer belong to this response; fewer than all only once it is over.
    pub(crate) used: usize,
}

/// A body that keeps no rule of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("a chunk's size is no number")]
    Size,
    #[error("a chunk's size is larger than any body")]
    TooLarge,
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    #[error("chunks have more than 16 KiB of extensions or trailers")]
    Extra,
}

impl Framing {
    /// Before the first byte of a chunked body.
    pub(crate) fn chunked() -> Self {
        let at = At::Size { size: 0, digits: 0 };
        Self::Chunked(Chunked { at, extra: 0 })
    }

    /// Whether the body is known to be over.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::UntilClose => false,
            Self::Chunked(chunked) => chunked.at == At::Over,
        }
    }

    /// Whether the body may end with its connection, here.
    pub(crate) fn may_close(&self) -> bool {
        *self == Self::UntilClose || self.is_over()
    }

    /// What is wrong behind all that was decoded so far.
    pub(crate) fn error(&self) -> Option<FramingError> {
        match self {
            Self::Chunked(Chunked {
                at: At::Broken(error),
                ..
            }) => Some(*error),
            _ => None,
        }
    }

    /// Takes what was read. Bytes of a chunked body are moved together, over the lines between them. What comes before a
    /// mistake is not lost with it: then there is an [error](Self::error) afterwards.
    ///
    /// # Errors
    /// The framing is broken, and there is nothing before that.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, FramingError> {
        match self {
            Self::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= len as u64;
                Ok(Decoded {
                    data: 0..len,
                    used: len,
                })
            }
            Self::UntilClose => Ok(Decoded {
                data: 0..bytes.len(),
                used: bytes.len(),
            }),
            Self::Chunked(chunked) => chunked.decode(bytes),
        }
    }
}

impl Chunked {
    fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, FramingError> {
        let mut data = 0..0;
        let mut used = 0;
        while used < bytes.len() && self.at != At::Over {
            if let At::Data { left } = self.at {
                let len = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - used);
                match data.is_empty() {
                    true => data = used..used + len,
                    false => {
                        bytes.copy_within(used..used + len, data.end);
                        data.end += len;
                    }
                }
                used += len;
                self.at = match left - len as u64 {
                    0 => At::DataCr,
                    left => At::Data { left },
                };
                continue;
            }
            match self.step(bytes[used]) {
                Ok(at) => self.at = at,
                Err(error) => {
                    self.at = At::Broken(error);
                    if data.is_empty() {
                        return Err(error);
                    }
                    used = bytes.len();
                    break;
                }
            }
            used += 1;
        }
        Ok(Decoded { data, used })
    }

    /// Behind a byte that is no data.
    fn step(&mut self, byte: u8) -> Result<At, FramingError> {
        Ok(match (self.at, byte) {
            (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if size >> 60 != 0 || digits == u8::MAX {
                    return Err(FramingError::TooLarge);
                }
                let size = size << 4 | u64::from(digit);
                At::Size {
                    size,
                    digits: digits + 1,
                }
            }
            (At::Size { digits: 0, .. }, _) => return Err(FramingError::Size),
            (At::Size { size, .. } | At::Padding { size } | At::Extension { size }, b'\r') => {
                At::SizeEnd { size }
            }
            (At::Size { size, .. } | At::Padding { size }, b' ' | b'\t') => At::Padding { size },
            (At::Size { size, .. } | At::Padding { size }, b';') => self.spend(At::Extension { size })?,
            (At::Size { .. } | At::Padding { .. }, _) | (At::Extension { .. }, b'\n') => {
                return Err(FramingError::Size);
            }
            (At::Extension { .. }, _) => self.spend(self.at)?,
            (At::SizeEnd { size: 0 }, b'\n') => At::Trailer,
            (At::SizeEnd { size }, b'\n') => At::Data { left: size },
            (At::SizeEnd { .. }, _) => return Err(FramingError::Size),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { size: 0, digits: 0 },
            (At::DataCr | At::DataLf, _) => return Err(FramingError::ChunkEnd),
            (At::Trailer, b'\r') => At::LastLf,
            (At::TrailerField, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Trailer,
            (At::Trailer | At::TrailerField, _) => self.spend(At::TrailerField)?,
            (At::LastLf, b'\n') => At::Over,
            (At::TrailerLf | At::LastLf, _) => return Err(FramingError::ChunkEnd),
            // Not asked for data, nor once it is over.
            (At::Data { .. } | At::Over, _) => self.at,
            (At::Broken(error), _) => return Err(error),
        })
    }

    fn spend(&mut self, at: At) -> Result<At, FramingError> {
        self.extra += 1;
        match self.extra {
            0..=MAX_EXTRA => Ok(at),
            _ => Err(FramingError::Extra),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a body is, read in these pieces: its bytes, what is left behind it, and where it stands then.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, Framing), FramingError> {
        let (mut body, mut rest) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut bytes = piece.to_vec();
            let Decoded { data, used } = framing.decode(&mut bytes)?;
            body.extend_from_slice(&bytes[data]);
            rest.extend_from_slice(&piece[used..]);
        }
        Ok((body, rest, framing))
    }

    #[test]
    fn each_framing_knows_its_end() {
        let (body, rest, framing) = read(Framing::Length(3), &[b"ab", b"cHTTP"]).expect("a body");
        assert_eq!(
            (&*body, &*rest, framing.is_over()),
            (&b"abc"[..], &b"HTTP"[..], true)
        );
        let (body, _, framing) = read(Framing::UntilClose, &[b"ab", b"c"]).expect("a body");
        assert_eq!(
            (&*body, framing.is_over(), framing.may_close()),
            (&b"abc"[..], false, true)
        );
        let chunked = b"3;x=\"y\"\r\nabc\r\n00A \r\n0123456789\r\n0\r\nDate: now\r\nX: \r\n\r\nHTTP";
        let (body, rest, framing) = read(Framing::chunked(), &[chunked]).expect("a body");
        assert_eq!((&*body, &*rest), (&b"abc0123456789"[..], &b"HTTP"[..]));
        assert!(framing.is_over());
        let (_, _, framing) = read(Framing::chunked(), &[&chunked[..chunked.len() - 5]]).expect("a part");
        assert!(!framing.may_close());
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        let long = [b"1;".as_slice(), &[b'x'; MAX_EXTRA]].concat();
        for (bytes, expected) in [
            (&b"x"[..], FramingError::Size),
            (b"\r\n", FramingError::Size),
            (b"1x", FramingError::Size),
            (b"1\n", FramingError::Size),
            (b"1\rx", FramingError::Size),
            (b"1;a\nb", FramingError::Size),
            (b"11111111111111111", FramingError::TooLarge),
            (b"1 x", FramingError::Size),
            (b"0\r\n\rx", FramingError::ChunkEnd),
            (&long, FramingError::Extra),
        ] {
            assert_eq!(read(Framing::chunked(), &[bytes]), Err(expected), "{bytes:?}");
        }
        for bytes in [&b"1\r\nab"[..], b"1\r\na\rb", b"1\r\na\r\nx"] {
            let (body, _, framing) = read(Framing::chunked(), &[bytes]).expect("what comes before");
            assert_eq!(body, b"a");
            assert!(framing.error().is_some() && !framing.may_close(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn the_cuts_make_no_difference(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(0.0..1.0f64, 0..12),
            whole in any::<bool>(),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(if whole { b"0\r\n\r\n" } else { b"!" });
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * wire.len() as f64) as usize).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
            let mut framing = Framing::chunked();
            let mut body = Vec::new();
            for piece in pieces {
                let mut bytes = piece.to_vec();
                if let Ok(Decoded { data, .. }) = framing.decode(&mut bytes) {
                    body.extend_from_slice(&bytes[data]);
                }
            }
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(framing.is_over(), whole);
            prop_assert_eq!(framing.error().is_some(), !whole);
        }

        #[test]
        fn no_bytes_are_too_much(text in "[0-9a-f;x \\r\\n]{0,200}") {
            let bytes = text.as_bytes();
            let mut framing = Framing::chunked();
            let mut buffer = bytes.to_vec();
            match framing.decode(&mut buffer) {
                Ok(Decoded { data, used }) => {
                    prop_assert!(data.end <= used && used <= bytes.len());
                    prop_assert!(framing.is_over() || used == bytes.len());
                }
                Err(error) => prop_assert_eq!(framing.error(), Some(error)),
            }
        }
    }
}
