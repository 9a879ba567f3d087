//! What a segment is made of: a header, then frames. One place for the form, both directions, without I/O.
//!
//! All numbers are little-endian. A segment opens with 16 bytes: `aurora\0`, the version of the form (1), a salt of four
//! bytes, four zeros. A frame is a mark of four bytes, the length of its body (u32), a CRC32C of length and body (u32), and
//! the body: kind (u8), stream (16 bytes), and what the kind says.
//!
//! The CRC starts from the segment's salt. So what somebody got a model to say is never taken for a frame where a reader
//! searches behind damage for the next one.

use std::time::{Duration, SystemTime};

use crate::{MAX_RECORD, Owner, StreamId};

/// The version of the form that is written, and the only one that is read.
pub(super) const VERSION: u8 = 1;

/// How long the header of a segment is.
pub(super) const HEADER_LEN: usize = 16;

/// Mark, length and CRC.
const PREFIX_LEN: usize = 12;

/// Kind and stream.
const KIND_LEN: usize = 17;

/// How many frames may say at the start of a segment where others end.
pub(super) const MAX_VOIDS: usize = 1000;

/// How long the start of a segment is at most, with all of them.
pub(super) const START_LEN: usize = HEADER_LEN + MAX_VOIDS * (PREFIX_LEN + KIND_LEN + 8);

/// The longest body: a record, header or footer at the limit, and a block's worth of others before it.
const MAX_BODY: usize = MAX_RECORD + (64 << 10);

const MAGIC: &[u8; 7] = b"aurora\0";
const MARK: [u8; 4] = [0xf5, b'l', b'o', b'g'];

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the segment.
    pub(super) segment: u32,
    /// Bytes from the segment's start.
    pub(super) offset: u32,
}

/// What a frame says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// It begins.
    Create {
        owner: Owner,
        created: SystemTime,
        header: &'a [u8],
    },
    /// It has records more, of one block.
    Records {
        first_seq: u64,
        count: u32,
        /// The frame with the records before these in the block; `None` if these begin it.
        previous: Option<Place>,
        packed: &'a [u8],
    },
    /// It ends with this many records.
    Finish {
        next_seq: u64,
        at: SystemTime,
        footer: &'a [u8],
    },
    /// A new writer goes on after this many records. Frames before this one that say more are void: their writer was told
    /// that they could not be stored.
    Adopt { next_seq: u64 },
    /// Of no stream: the segment ends here, whatever lies behind, which nobody was told is there and which could not be cut
    /// off. Lies at the start of later segments.
    Void { end: Place },
    /// It is gone.
    Drop {
        owner: Owner,
        /// Whether it expired. Otherwise it was removed, and nobody shall know of it.
        has_expired: bool,
    },
}

/// A frame as read, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) stream: StreamId,
    pub(super) frame: Frame<'a>,
    pub(super) len: usize,
}

/// The header of a segment.
pub(super) fn header(salt: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..7].copy_from_slice(MAGIC);
    header[7] = VERSION;
    header[8..12].copy_from_slice(&salt.to_le_bytes());
    header
}

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A segment of ours, with its salt.
    Salt(u32),
    /// A segment of another version.
    Version(u8),
    /// No header.
    None,
}

pub(super) fn parse_header(bytes: &[u8]) -> Header {
    let Some(header) = bytes.get(..HEADER_LEN).filter(|header| header.starts_with(MAGIC)) else {
        return Header::None;
    };
    match header[7] {
        VERSION => Header::Salt(u32::from_le_bytes([header[8], header[9], header[10], header[11]])),
        version => Header::Version(version),
    }
}

/// Appends a frame. Gives its length.
pub(super) fn put(out: &mut Vec<u8>, salt: u32, stream: StreamId, frame: &Frame<'_>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; PREFIX_LEN - MARK.len()]);
    out.push(frame.kind());
    out.extend_from_slice(&stream.to_bytes());
    match *frame {
        Frame::Create {
            owner,
            created,
            header,
        } => {
            out.extend_from_slice(&owner.to_bytes());
            put_time(out, created);
            out.extend_from_slice(header);
        }
        Frame::Records {
            first_seq,
            count,
            previous,
            packed,
        } => {
            out.extend_from_slice(&first_seq.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
            // No frame lies at the start of a segment, where its header is.
            let previous = previous.unwrap_or(Place {
                segment: 0,
                offset: 0,
            });
            out.extend_from_slice(&previous.segment.to_le_bytes());
            out.extend_from_slice(&previous.offset.to_le_bytes());
            out.extend_from_slice(packed);
        }
        Frame::Finish { next_seq, at, footer } => {
            out.extend_from_slice(&next_seq.to_le_bytes());
            put_time(out, at);
            out.extend_from_slice(footer);
        }
        Frame::Adopt { next_seq } => out.extend_from_slice(&next_seq.to_le_bytes()),
        Frame::Void { end } => {
            out.extend_from_slice(&end.segment.to_le_bytes());
            out.extend_from_slice(&end.offset.to_le_bytes());
        }
        Frame::Drop { owner, has_expired } => {
            out.extend_from_slice(&owner.to_bytes());
            out.push(u8::from(has_expired));
        }
    }
    let body = start + PREFIX_LEN;
    let len = ((out.len() - body) as u32).to_le_bytes();
    let crc = checksum(salt, len, &out[body..]).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&len);
    out[start + 8..start + 12].copy_from_slice(&crc);
    out.len() - start
}

/// What the start of a segment says of where others end.
pub(super) fn voids(start: &[u8]) -> Vec<Place> {
    let Header::Salt(salt) = parse_header(start) else {
        return Vec::new();
    };
    let mut at = HEADER_LEN;
    let voids = std::iter::from_fn(|| {
        let parsed = parse(&start[at..], salt)?;
        at += parsed.len;
        match parsed.frame {
            Frame::Void { end } => Some(end),
            _ => None,
        }
    });
    voids.collect()
}

/// How long the frame is that begins here, if one does: what has to be read before it can be parsed.
pub(super) fn frame_len(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.get(..PREFIX_LEN)?;
    let len = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
    (prefix.starts_with(&MARK) && (KIND_LEN..=MAX_BODY).contains(&len)).then_some(PREFIX_LEN + len)
}

/// The frame that the bytes begin with, if they do and it is whole.
pub(super) fn parse(bytes: &[u8], salt: u32) -> Option<Parsed<'_>> {
    let len = frame_len(bytes)?;
    let (prefix, body) = bytes.get(..len)?.split_at(PREFIX_LEN);
    let crc = u32::from_le_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
    if checksum(salt, [prefix[4], prefix[5], prefix[6], prefix[7]], body) != crc {
        return None;
    }
    let mut rest = Rest(body);
    let kind = rest.take::<1>()?[0];
    let stream = StreamId::from_bytes(rest.take()?);
    let frame = match kind {
        1 => Frame::Create {
            owner: Owner::from_bytes(rest.take()?),
            created: rest.time()?,
            header: rest.0,
        },
        2 => Frame::Records {
            first_seq: rest.u64()?,
            count: rest.u32()?,
            previous: Some(Place {
                segment: rest.u32()?,
                offset: rest.u32()?,
            })
            .filter(|place| place.offset != 0),
            packed: rest.0,
        },
        3 => Frame::Finish {
            next_seq: rest.u64()?,
            at: rest.time()?,
            footer: rest.0,
        },
        4 => Frame::Adopt {
            next_seq: rest.u64()?,
        },
        5 => Frame::Drop {
            owner: Owner::from_bytes(rest.take()?),
            has_expired: rest.take::<1>()?[0] == 1,
        },
        6 => Frame::Void {
            end: Place {
                segment: rest.u32()?,
                offset: rest.u32()?,
            },
        },
        _ => return None,
    };
    Some(Parsed { stream, frame, len })
}

/// Where the next whole frame begins, searching byte by byte from `from`.
pub(super) fn search(bytes: &[u8], salt: u32, from: usize) -> Option<usize> {
    (from..bytes.len()).find(|at| bytes[*at..].starts_with(&MARK) && parse(&bytes[*at..], salt).is_some())
}

impl Frame<'_> {
    fn kind(&self) -> u8 {
        match self {
            Self::Create { .. } => 1,
            Self::Records { .. } => 2,
            Self::Finish { .. } => 3,
            Self::Adopt { .. } => 4,
            Self::Drop { .. } => 5,
            Self::Void { .. } => 6,
        }
    }
}

/// The part of a body that is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<SystemTime> {
        let (seconds, nanos) = (self.u64()?, self.u32()?);
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos.min(999_999_999)))
    }
}

/// Seconds since 1970 and nanoseconds. A clock that is before that is at it.
fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    out.extend_from_slice(&since.as_secs().to_le_bytes());
    out.extend_from_slice(&since.subsec_nanos().to_le_bytes());
}

fn checksum(salt: u32, len: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &len), body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame<'a>(kind: u8, number: u64, bytes: &'a [u8; 16], tail: &'a [u8]) -> Frame<'a> {
        let time = SystemTime::UNIX_EPOCH + Duration::new(number >> 34, number as u32 % 1_000_000_000);
        let owner = Owner::from_bytes(*bytes);
        match kind {
            0 => Frame::Create {
                owner,
                created: time,
                header: tail,
            },
            1 => Frame::Records {
                first_seq: number,
                count: number as u32,
                previous: number.is_multiple_of(2).then_some(Place {
                    segment: number as u32,
                    offset: 16 + (number >> 40) as u32,
                }),
                packed: tail,
            },
            2 => Frame::Finish {
                next_seq: number,
                at: time,
                footer: tail,
            },
            3 => Frame::Adopt { next_seq: number },
            4 => Frame::Void {
                end: Place {
                    segment: number as u32,
                    offset: (number >> 32) as u32,
                },
            },
            _ => Frame::Drop {
                owner,
                has_expired: number.is_multiple_of(2),
            },
        }
    }

    #[test]
    fn the_form_does_not_change_by_accident() {
        assert_eq!(header(0x0403_0201), *b"aurora\0\x01\x01\x02\x03\x04\0\0\0\0");
        let mut out = Vec::new();
        let records = Frame::Records {
            first_seq: 5,
            count: 2,
            previous: Some(Place {
                segment: 3,
                offset: 0x1234,
            }),
            packed: b"packed",
        };
        assert_eq!(put(&mut out, 7, StreamId::from_bytes([9; 16]), &records), 55);
        assert_eq!(out[..8], *b"\xf5log\x2b\0\0\0");
        assert_eq!(
            out[8..12],
            crc32c::crc32c_append(7, &[&out[4..8], &out[12..]].concat()).to_le_bytes()
        );
        assert_eq!(
            out[12..29],
            *b"\x02\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09"
        );
        assert_eq!(
            out[29..],
            *b"\x05\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0\x34\x12\0\0packed"
        );
    }

    #[test]
    fn headers_are_told_apart() {
        assert_eq!(parse_header(&header(77)), Header::Salt(77));
        assert_eq!(parse_header(b"aurora\0\x02\0\0\0\0\0\0\0\0"), Header::Version(2));
        assert_eq!(parse_header(&header(77)[..15]), Header::None);
        assert_eq!(parse_header(&[0; 64]), Header::None);
    }

    proptest! {
        #[test]
        fn frames_come_back(kind in 0_u8..6, number: u64, bytes: [u8; 16], tail: Vec<u8>, salt: u32) {
            let (stream, frame) = (StreamId::from_bytes(bytes), frame(kind, number, &bytes, &tail));
            let mut out = vec![0xf5, b'l'];
            let len = put(&mut out, salt, stream, &frame);
            prop_assert_eq!(frame_len(&out[2..]), Some(len));
            prop_assert_eq!(parse(&out[2..], salt), Some(Parsed { stream, frame, len }));
            prop_assert_eq!(search(&out, salt, 0), Some(2));
            prop_assert_eq!(parse(&out[2..], salt ^ 1), None, "a frame of another segment");
        }

        #[test]
        fn a_frame_with_any_bit_flipped_or_cut_is_none(kind in 0_u8..6, number: u64, bytes: [u8; 16], tail: Vec<u8>, bit: usize) {
            let mut out = Vec::new();
            let len = put(&mut out, 1, StreamId::from_bytes(bytes), &frame(kind, number, &bytes, &tail));
            for cut in 0..len {
                prop_assert_eq!(parse(&out[..cut], 1), None);
            }
            let bit = bit % (len * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse(&out, 1), None);
        }

        #[test]
        fn any_bytes_are_parsed_or_not(bytes: Vec<u8>) {
            prop_assert_eq!(parse(&bytes, 0), None);
            prop_assert_eq!(search(&bytes, 0, 0), None);
        }
    }
}
