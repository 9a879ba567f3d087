//! What the thread does where the disk refuses: it gives the segment up, tells everybody whose jobs were in it, and sees to it
//! that what they were told stays true. Frames of theirs may lie at the segment's end, whole and never shown. They are cut off;
//! where that fails too, every later segment says at its start where that one ends, until it could be cut.

use std::{io, sync::Arc, time::SystemTime};

use super::Thread;
use crate::{
    Error, StreamId,
    disk::{
        frame::{self, Frame, MAX_VOIDS, Place},
        queue::Job,
        reader::SegmentFile,
    },
    lock::lock,
};

/// A segment whose end could not be cut off.
#[derive(Debug)]
pub(in crate::disk) struct Void {
    segment: Arc<SegmentFile>,
    /// Where it ends, whatever lies behind.
    end: Place,
    /// The last segment that says so, if one does.
    said_in: Option<u32>,
}

impl Thread {
    /// Gives a segment up in which something failed.
    pub(super) fn abandon(&mut self) {
        if let Some(current) = self.current.take() {
            self.unsynced = None;
            self.voids.push(Void {
                segment: current.segment,
                end: Place {
                    segment: current.number,
                    offset: current.len as u32,
                },
                said_in: None,
            });
            self.mend();
        }
    }

    /// Cuts off what could not be cut off before, as far as the disk lets it.
    pub(super) fn mend(&mut self) {
        let medium = &self.medium;
        self.voids.retain(|void| {
            let file = &void.segment.file;
            let cut = medium.cut(file, u64::from(void.end.offset));
            cut.and_then(|()| medium.sync(file)).is_err()
        });
    }

    /// Adds to the start of a segment where those end that could not be cut off.
    pub(super) fn put_voids(&self, out: &mut Vec<u8>, salt: u32) -> io::Result<()> {
        if self.voids.len() > MAX_VOIDS {
            return Err(io::Error::other("too many segments could not be cut off"));
        }
        for void in &self.voids {
            frame::put(
                out,
                salt,
                StreamId::from_bytes([0; 16]),
                &Frame::Void { end: void.end },
            );
        }
        Ok(())
    }

    /// The segment says it now.
    pub(super) fn voids_are_said_in(&mut self, number: u32) {
        for void in &mut self.voids {
            void.said_in = Some(number);
        }
    }

    /// Whether nothing but this segment says where another one ends. Tries to change that.
    pub(super) fn is_needed_for_voids(&mut self, number: u32) -> bool {
        let is_needed = |voids: &[Void]| {
            voids
                .iter()
                .any(|void| void.said_in == Some(number) && void.end.segment != number)
        };
        if is_needed(&self.voids) {
            // The segment that is begun says it too. If none can be, the next sweep tries again.
            let _ = self.ensure_segment();
        }
        is_needed(&self.voids)
    }

    /// The segment is gone, with all that lay at its end.
    pub(super) fn forget_void(&mut self, number: u32) {
        self.voids.retain(|void| void.end.segment != number);
    }

    /// Nothing is left that was refused and might be found later.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.mend();
        if self.voids.iter().any(|void| void.said_in.is_none()) {
            self.ensure_segment()?;
        }
        Ok(())
    }

    /// Tells whoever gave the job that it could not be done.
    pub(super) fn refuse(&mut self, job: Job, error: &Error) {
        match job {
            Job::Create { stream, done, .. } => {
                // What its writer has flushed since has nothing to belong to.
                stream.stop(error.clone());
                let _ = lock(&self.shared.catalog).remove(&stream.id, &stream.owner, SystemTime::now());
                let _ = done.send(Err(error.clone()));
            }
            Job::Adopt { done, .. } | Job::Remove { done, .. } => {
                let _ = done.send(Err(error.clone()));
            }
            Job::Records { stream, packed } => {
                stream.stop(error.clone());
                self.shared.queue.release(packed.bytes.len(), &mut self.woken);
            }
            Job::Finish { stream, done, .. } => {
                stream.stop(error.clone());
                lock(&self.shared.catalog).orphan(&stream.id);
                let _ = done.send(Err(error.clone()));
            }
            // Room is needed most of all when nothing can be written. What holds its end stays until it is said, or its beginning
            // is gone.
            Job::Evict { stream } => self.let_go(&stream, Error::Expired, None),
            Job::Bury { .. } | Job::Sweep | Job::Close => {}
        }
    }
}
