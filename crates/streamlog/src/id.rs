//! What a stream is called, who may read it, and where in it one is. Strict in what it takes: a cursor comes from a
//! client, and one that is read leniently might name a place that nobody has given out.

use std::{fmt, hint::black_box, str::FromStr};

use crate::Error;

/// The 64 digits of base64url (RFC 4648, section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many digits 128 bits take, without padding.
const ID_DIGITS: usize = 22;

/// The name of a stream: 128 random bits, so that nobody guesses one and no two nodes give out the same.
///
/// Written as exactly 22 characters of base64url without padding. Only the canonical form is read: the four bits that
/// the last character has to spare are zero, so a stream has one name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId([u8; 16]);

impl StreamId {
    /// A new id from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] if the system gives none.
    pub fn random() -> Result<Self, Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|_| Error::Random)?;
        Ok(Self(bits))
    }

    /// The id with these bits.
    #[must_use]
    pub const fn from_bytes(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// The bits of the id.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let mut text = [0; ID_DIGITS];
        for (at, digit) in text.iter_mut().enumerate() {
            // The first 21 digits hold six bits each, the last one the two that are left, followed by four zeros.
            let six = if at + 1 < ID_DIGITS {
                number >> (122 - 6 * at)
            } else {
                number << 4
            };
            *digit = DIGITS[(six & 63) as usize];
        }
        f.pad(str::from_utf8(&text).expect("the digits are ASCII"))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamId {
    type Err = ParseError;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits: &[u8; ID_DIGITS] = text.as_bytes().try_into().map_err(|_| ParseError::Malformed)?;
        let mut number = 0_u128;
        for (at, digit) in digits.iter().enumerate() {
            let six = value(*digit).ok_or(ParseError::Malformed)?;
            if at + 1 < ID_DIGITS {
                number = number << 6 | u128::from(six);
            } else if six & 15 == 0 {
                number = number << 2 | u128::from(six >> 4);
            } else {
                return Err(ParseError::Malformed);
            }
        }
        Ok(Self(number.to_be_bytes()))
    }
}

/// A place in a stream: the record with the number `seq`. Written `<stream>.<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The stream.
    pub stream: StreamId,
    /// The number of the record, from 0.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = ParseError;

    /// Reads what `Display` writes, and nothing else: no sign, no space, no leading zero.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (stream, seq) = text.split_once('.').ok_or(ParseError::Malformed)?;
        let stream = stream.parse()?;
        let is_number = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || (seq.len() > 1 && seq.starts_with('0')) {
            return Err(ParseError::Malformed);
        }
        let seq = seq.parse().map_err(|_| ParseError::Overflow)?;
        Ok(Self { stream, seq })
    }
}

/// Why a text is no stream id or no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not have the form of one.
    #[error("not of the form <stream>.<number> with a stream id of 22 characters")]
    Malformed,
    /// Its number does not fit into 64 bits.
    #[error("the number of the cursor is too large")]
    Overflow,
}

/// Who may read a stream: a fingerprint that the server makes of an API key, and that every reader has to present.
///
/// Comparing two takes the same time whatever they are, and `Debug` does not show it.
#[derive(Clone, Copy, Eq)]
pub struct Owner([u8; 16]);

impl Owner {
    /// The owner of every stream of a server without keys.
    pub const ANYONE: Self = Self([0; 16]);

    /// The owner with this fingerprint. It should be a cryptographic hash of the key, not a piece of it.
    #[must_use]
    pub const fn from_bytes(fingerprint: [u8; 16]) -> Self {
        Self(fingerprint)
    }

    /// The fingerprint, for stores that write it down.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        // One difference of all bits, and one look at it: there is no first byte at which to stop early.
        black_box(u128::from_ne_bytes(self.0) ^ u128::from_ne_bytes(other.0)) == 0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(…)")
    }
}

/// The six bits that a digit of base64url stands for.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_base64url_of_their_bits() {
        for (bits, text) in [
            ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA"),
            ([0xff; 16], "_____________________w"),
            (*b"any carnal pleas", "YW55IGNhcm5hbCBwbGVhcw"),
        ] {
            assert_eq!(StreamId(bits).to_string(), text);
            assert_eq!(text.parse(), Ok(StreamId(bits)));
        }
    }

    #[test]
    fn only_the_canonical_form_of_an_id_is_read() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "+AAAAAAAAAAAAAAAAAAAAA",
            "/AAAAAAAAAAAAAAAAAAAAA",
            " AAAAAAAAAAAAAAAAAAAAA",
            "ÄAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAA\0A",
        ] {
            assert_eq!(text.parse::<StreamId>(), Err(ParseError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(StreamId::random().unwrap(), StreamId::random().unwrap());
    }

    #[test]
    fn cursors_are_read_strictly() {
        let stream = StreamId(*b"any carnal pleas");
        for (seq, value) in [("0", 0), ("7", 7), ("10", 10), ("18446744073709551615", u64::MAX)] {
            let text = format!("{stream}.{seq}");
            assert_eq!(text.parse(), Ok(Cursor { stream, seq: value }));
            assert_eq!(Cursor { stream, seq: value }.to_string(), text);
        }
        for seq in [
            "", "-1", "+1", "00", "01", " 1", "1 ", "1.0", "0x1", "٣", "1_000", "1\n",
        ] {
            assert_eq!(
                format!("{stream}.{seq}").parse::<Cursor>(),
                Err(ParseError::Malformed),
                "{seq:?}"
            );
        }
        for seq in ["18446744073709551616", "99999999999999999999999999"] {
            assert_eq!(
                format!("{stream}.{seq}").parse::<Cursor>(),
                Err(ParseError::Overflow)
            );
        }
        for text in [
            "",
            ".",
            ".1",
            "1",
            &stream.to_string(),
            &format!("{stream}-1"),
            "x.1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_owner_is_not_shown_and_differs_in_any_bit() {
        let owner = Owner::from_bytes([0x41; 16]);
        assert_eq!(format!("{owner:?}"), "Owner(…)");
        for bit in 0..128 {
            let other = Owner((u128::from_ne_bytes(owner.0) ^ 1 << bit).to_ne_bytes());
            assert_ne!(owner, other);
        }
        assert_eq!(owner, Owner(owner.to_bytes()));
    }

    proptest! {
        #[test]
        fn ids_and_cursors_come_back(bits: [u8; 16], seq: u64) {
            let cursor = Cursor { stream: StreamId(bits), seq };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            prop_assert_eq!(cursor.stream.to_string().len(), ID_DIGITS);
        }

        /// Whatever is read is what would have been written: there is one text for a place.
        #[test]
        fn nothing_else_is_read(text in "[A-Za-z0-9_.+-]{20,26}(\\.[0-9]{1,22})?") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
