//! One line of an event stream, taken apart. Lines come whole and without their end.

use core::time::Duration;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// A line of the event's data.
    Data(&'a [u8]),
    /// The event's type.
    Event(&'a [u8]),
    /// The last event id, without NUL.
    Id(&'a [u8]),
    /// The reconnection time.
    Retry(Duration),
    /// A comment, or a known field with a value the standard says to ignore.
    Ignored,
    /// A field name the standard does not know.
    Stray,
}

impl<'a> Field<'a> {
    /// Takes apart a line that is not empty.
    #[inline]
    pub(crate) fn of(line: &'a [u8]) -> Self {
        match line {
            [b'd', b'a', b't', b'a', rest @ ..] => value(rest).map_or(Self::Stray, Self::Data),
            [b'e', b'v', b'e', b'n', b't', rest @ ..] => value(rest).map_or(Self::Stray, Self::Event),
            [b'i', b'd', rest @ ..] => value(rest).map_or(Self::Stray, id),
            [b'r', b'e', b't', b'r', b'y', rest @ ..] => value(rest).map_or(Self::Stray, retry),
            [b':', ..] => Self::Ignored,
            _ => Self::Stray,
        }
    }
}

/// The value in what follows a field's name, or `None` if the name goes on.
///
/// A line without a colon is a field with an empty value; one space after the colon is not part of the value.
#[inline]
fn value(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(rest),
        _ => None,
    }
}

fn id(value: &[u8]) -> Field<'_> {
    if memchr::memchr(0, value).is_none() {
        Field::Id(value)
    } else {
        Field::Ignored
    }
}

/// Only ASCII digits count, and at least one of them: the standard interprets the value "as an integer in base ten",
/// which the empty string is not. It knows no largest number; ours is `u64::MAX` milliseconds, and larger ones are
/// taken for that.
fn retry(value: &[u8]) -> Field<'_> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Field::Ignored;
    }
    let millis = value.iter().fold(0_u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    Field::Retry(Duration::from_millis(millis))
}
