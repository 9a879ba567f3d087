//! Which segments are needed. A segment stays as long as a stream that is kept lies in it; so an open stream is never lost
//! to cleaning up, however long it runs. No I/O here.

use std::collections::BTreeMap;

/// The segments there are.
#[derive(Debug, Default)]
pub(super) struct Segments {
    segments: BTreeMap<u32, Segment>,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: u64,
    /// How many streams lie in it, and how many streams that were dropped in it begin in segments that are still there.
    needed_by: usize,
    /// The segments that say of streams which begin here that they are gone. Were one of them to go first, the streams
    /// would be back after a restart.
    graves: Vec<u32>,
}

impl Segments {
    /// There is a segment of so many bytes.
    pub(super) fn add(&mut self, number: u32, bytes: u64) {
        self.bytes += bytes;
        self.segments.entry(number).or_default().bytes += bytes;
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A stream lies in the segment.
    pub(super) fn pin(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.needed_by += 1;
        }
    }

    /// A stream that lay in these segments, and began in the first, is gone; `grave` says so, if it could be written.
    pub(super) fn release(&mut self, segments: &[u32], grave: Option<u32>) {
        for number in segments {
            self.unpin(*number);
        }
        if let (Some(begin), Some(grave)) = (segments.first(), grave)
            && let Some(segment) = self.segments.get_mut(begin)
            && *begin != grave
        {
            segment.graves.push(grave);
            self.pin(grave);
        }
    }

    /// Takes out a segment that nobody needs, other than the one that is being written.
    pub(super) fn take_idle(&mut self, current: Option<u32>) -> Option<u32> {
        let is_idle =
            |(number, segment): &(&u32, &Segment)| segment.needed_by == 0 && Some(**number) != current;
        let number = *self.segments.iter().find(is_idle)?.0;
        let segment = self.segments.remove(&number)?;
        self.bytes -= segment.bytes;
        for grave in segment.graves {
            self.unpin(grave);
        }
        Some(number)
    }

    fn unpin(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.needed_by -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(count: u32) -> Segments {
        let mut segments = Segments::default();
        for number in 1..=count {
            segments.add(number, 100);
        }
        segments
    }

    fn idle(segments: &mut Segments, current: u32) -> Vec<u32> {
        std::iter::from_fn(|| segments.take_idle(Some(current))).collect()
    }

    #[test]
    fn a_segment_stays_while_a_stream_lies_in_it() {
        let mut segments = segments(4);
        for number in [1, 2, 3] {
            segments.pin(number);
        }
        segments.pin(2);
        assert_eq!(idle(&mut segments, 4), [0; 0]);
        segments.release(&[1, 2, 3], None);
        assert_eq!(idle(&mut segments, 4), [1, 3]);
        assert_eq!(segments.bytes(), 200);
        segments.release(&[2], None);
        assert_eq!(idle(&mut segments, 4), [2]);
        assert_eq!(segments.bytes(), 100);
    }

    #[test]
    fn what_says_that_a_stream_is_gone_stays_as_long_as_its_beginning() {
        let mut segments = segments(4);
        // A long stream holds segment 1, in which a short one began that was dropped in segment 3.
        segments.pin(1);
        segments.pin(1);
        segments.release(&[1], Some(3));
        assert_eq!(idle(&mut segments, 4), [2]);
        segments.release(&[1], Some(4));
        assert_eq!(idle(&mut segments, 4), [1, 3]);
    }
}
