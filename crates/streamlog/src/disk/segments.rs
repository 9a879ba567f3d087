//! Which segments are needed. A segment stays as long as a stream that is kept lies in it; so an open stream is never lost
//! to cleaning up, however long it runs. No I/O here.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Owner, StreamId};

/// The segments there are.
#[derive(Debug, Default)]
pub(super) struct Segments {
    segments: BTreeMap<u32, Segment>,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: u64,
    /// The streams that are kept and lie in it.
    streams: HashSet<StreamId>,
    /// The streams that began here and are gone, as a frame in another segment says. Were that one to go first, they would
    /// be back after a restart.
    graves: HashMap<StreamId, Grave>,
}

/// That a stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grave {
    pub(super) owner: Owner,
    pub(super) has_expired: bool,
    /// The last segment that it lay in.
    pub(super) last: u32,
    /// The segment that says so; `None` if that could not be written, or may not be on the disk.
    pub(super) said_in: Option<u32>,
}

impl Segments {
    /// There is a segment of so many bytes, or it has so many more.
    pub(super) fn add(&mut self, number: u32, bytes: u64) {
        self.bytes += bytes;
        self.segments.entry(number).or_default().bytes += bytes;
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A stream lies in the segment.
    pub(super) fn pin(&mut self, number: u32, id: StreamId) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.streams.insert(id);
        }
    }

    /// A stream that lay in these segments is gone.
    pub(super) fn release(&mut self, segments: &[u32], id: &StreamId) {
        for number in segments {
            if let Some(segment) = self.segments.get_mut(number) {
                segment.streams.remove(id);
            }
        }
    }

    /// A stream is gone which began in the segment `begin`.
    pub(super) fn bury(&mut self, begin: u32, id: StreamId, grave: Grave) {
        // In one segment, the two go together.
        if let Some(segment) = self.segments.get_mut(&begin)
            && Some(begin) != grave.said_in
        {
            segment.graves.insert(id, grave);
        }
    }

    /// The streams of each segment in which some lie, the first segment first, other than the one that is being written.
    pub(super) fn streams(&self, current: Option<u32>) -> impl Iterator<Item = &HashSet<StreamId>> {
        let others = self
            .segments
            .iter()
            .filter(move |(number, _)| Some(**number) != current);
        others
            .map(|(_, segment)| &segment.streams)
            .filter(|streams| !streams.is_empty())
    }

    /// What the segment says may not be on the disk.
    pub(super) fn unsay(&mut self, number: u32) {
        let graves = self
            .segments
            .values_mut()
            .flat_map(|segment| segment.graves.values_mut());
        for grave in graves.filter(|grave| grave.said_in == Some(number)) {
            grave.said_in = None;
        }
    }

    /// The next segment after this number in which no stream lies that is kept, other than the one that is being written.
    pub(super) fn idle(&self, after: u32, current: Option<u32>) -> Option<u32> {
        let is_idle =
            |(number, segment): &(&u32, &Segment)| segment.streams.is_empty() && Some(**number) != current;
        let mut later = self.segments.range(after.saturating_add(1)..);
        later.find(is_idle).map(|(number, _)| *number)
    }

    /// What has to be written before the segment may go, with where the streams began: that those are gone of which only it
    /// says so, and that those are gone which lie in it and of which nothing says so. Without their ends, they would be found
    /// as streams that were cut short.
    pub(super) fn graves_in(&self, number: u32) -> Vec<(u32, StreamId, Grave)> {
        let others = self.segments.iter().filter(|(begin, _)| **begin != number);
        let graves = others
            .flat_map(|(begin, segment)| segment.graves.iter().map(|(id, grave)| (*begin, *id, *grave)));
        let needs_it = |(begin, _, grave): &(u32, StreamId, Grave)| match grave.said_in {
            Some(said_in) => said_in == number,
            None => (*begin..=grave.last).contains(&number),
        };
        graves.filter(needs_it).collect()
    }

    /// The segment is gone.
    pub(super) fn remove(&mut self, number: u32) {
        self.bytes -= self.segments.remove(&number).map_or(0, |segment| segment.bytes);
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

    fn clean(segments: &mut Segments, current: u32) -> Vec<u32> {
        let idle = std::iter::from_fn(|| {
            let number = segments.idle(0, Some(current))?;
            segments.remove(number);
            Some(number)
        });
        idle.collect()
    }

    #[test]
    fn a_segment_stays_while_a_stream_lies_in_it() {
        let mut segments = segments(4);
        let (one, other) = (StreamId::from_bytes([1; 16]), StreamId::from_bytes([2; 16]));
        for (number, id) in [(1, one), (2, one), (2, other), (3, one)] {
            segments.pin(number, id);
        }
        assert_eq!(clean(&mut segments, 4), [0; 0]);
        segments.release(&[1, 2, 3], &one);
        assert_eq!(clean(&mut segments, 4), [1, 3]);
        assert_eq!(segments.bytes(), 200);
        segments.release(&[2], &other);
        assert_eq!(clean(&mut segments, 4), [2]);
        assert_eq!(segments.bytes(), 100);
    }

    #[test]
    fn what_says_that_a_stream_is_gone_outlives_its_beginning() {
        let (id, other) = (StreamId::from_bytes([1; 16]), StreamId::from_bytes([2; 16]));
        let grave = |segment| Grave {
            owner: Owner::ANYONE,
            has_expired: true,
            last: 2,
            said_in: Some(segment),
        };
        let mut segments = segments(4);
        segments.bury(1, id, grave(3));
        segments.bury(3, other, grave(3));
        assert_eq!(segments.graves_in(3), [(1, id, grave(3))]);
        assert_eq!(segments.graves_in(1), []);
        segments.bury(1, id, grave(4));
        assert_eq!(segments.graves_in(3), [], "it was written again");
        assert_eq!(segments.graves_in(4), [(1, id, grave(4))]);
        segments.unsay(4);
        let unsaid = Grave {
            said_in: None,
            ..grave(4)
        };
        assert_eq!(segments.graves_in(4), [], "it says nothing");
        assert_eq!(
            segments.graves_in(2),
            [(1, id, unsaid)],
            "it holds the stream's end"
        );
        segments.bury(1, id, grave(4));
        segments.remove(1);
        assert_eq!(segments.graves_in(4), []);
        segments.bury(1, id, grave(4));
        assert_eq!(segments.graves_in(4), [], "what is gone cannot come back");
    }
}
