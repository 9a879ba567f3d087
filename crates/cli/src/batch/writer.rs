//! The thread that writes results: every one is flushed to the disk as soon as the disk takes it, and what comes while it
//! does so goes along with the next flush.
//!
//! A file that cannot be written any more is cut back to its last whole line.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many results may wait to be written: as many as come while a slow disk flushes what came before.
const QUEUE: usize = 1024;

/// How many KiB of them may wait, unless one result is longer.
const ROOM: u32 = 8 << 10;

/// How many bytes are written before they are flushed, unless one result is longer.
const MAX_COMMIT: usize = 4 << 20;

/// Where results are left to be written.
#[derive(Debug)]
pub(crate) struct Writer {
    results: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    thread: JoinHandle<io::Result<u64>>,
}

/// A result that waits, and the room that it takes.
type Waiting = (Vec<u8>, OwnedSemaphorePermit);

/// Nothing is written any more: [`Writer::finish`] tells why.
#[derive(Debug)]
pub(crate) struct Closed;

/// What is written to, which is a file.
trait Target: Send + 'static {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
    fn cut(&mut self, end: u64) -> io::Result<()>;
}

impl Writer {
    /// Writes to this file, whose cursor is at its end.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(file: File, end: u64) -> io::Result<Self> {
        Self::over(file, end)
    }

    fn over(mut target: impl Target, end: u64) -> io::Result<Self> {
        let (results, mut queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("results".to_owned())
            .spawn(move || write(&mut target, end, &mut queue))?;
        let room = Arc::new(Semaphore::new(ROOM as usize));
        Ok(Self {
            results,
            room,
            thread,
        })
    }

    /// Leaves a result, a line with its end. Waits while many are to be written.
    ///
    /// # Errors
    /// Nothing is written any more.
    pub(crate) async fn write(&self, line: Vec<u8>) -> Result<(), Closed> {
        let size = u32::try_from(line.len() >> 10).unwrap_or(ROOM).clamp(1, ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(size).await;
        let waiting = (line, room.map_err(|_| Closed)?);
        self.results.send(waiting).await.map_err(|_| Closed)
    }

    /// Waits until everything is on the disk; returns how many results that are.
    ///
    /// # Errors
    /// What kept them from being written. Those before it are written and whole.
    pub(crate) fn finish(self) -> io::Result<u64> {
        drop(self.results);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the thread that writes results ended")))
    }
}

/// Writes until all are gone who could leave something; returns how many results were written.
fn write(target: &mut impl Target, mut end: u64, queue: &mut mpsc::Receiver<Waiting>) -> io::Result<u64> {
    let mut written = 0;
    while let Some((mut batch, room)) = queue.blocking_recv() {
        let mut rooms = vec![room];
        while batch.len() < MAX_COMMIT
            && let Ok((next, room)) = queue.try_recv()
        {
            batch.extend_from_slice(&next);
            rooms.push(room);
        }
        let kept = target.append(&batch).and_then(|()| target.flush());
        if let Err(error) = kept {
            // Half a line would be mended at the next start, but others read the file before that.
            let _ = target.cut(end);
            return Err(error);
        }
        end += batch.len() as u64;
        written += rooms.len() as u64;
    }
    Ok(written)
}

impl Target for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.set_len(end)?;
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk with room for so many bytes.
    #[derive(Clone, Default)]
    struct Disk {
        bytes: Arc<Mutex<Vec<u8>>>,
        flushed: Arc<Mutex<usize>>,
        room: usize,
    }

    impl Target for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut have = self.bytes.lock().unwrap();
            let room = self.room - have.len();
            have.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            *self.flushed.lock().unwrap() = self.bytes.lock().unwrap().len();
            Ok(())
        }

        fn cut(&mut self, end: u64) -> io::Result<()> {
            self.bytes.lock().unwrap().truncate(end as usize);
            Ok(())
        }
    }

    fn run(disk: &Disk, lines: usize) -> io::Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let writer = Writer::over(disk.clone(), 0).unwrap();
        runtime.block_on(async {
            for _ in 0..lines {
                if writer.write(b"0123456\n".to_vec()).await.is_err() {
                    break;
                }
            }
        });
        writer.finish()
    }

    #[test]
    fn everything_is_flushed_in_its_order() {
        let disk = Disk {
            room: usize::MAX,
            ..Disk::default()
        };
        assert_eq!(run(&disk, 1000).unwrap(), 1000);
        let bytes = disk.bytes.lock().unwrap();
        assert_eq!((bytes.len(), *disk.flushed.lock().unwrap()), (8000, 8000));
        assert!(bytes.chunks(8).all(|line| line == b"0123456\n"));
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_whole_lines() {
        let disk = Disk {
            room: 8 * 100 + 3,
            ..Disk::default()
        };
        let error = run(&disk, 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let bytes = disk.bytes.lock().unwrap();
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(bytes.len(), *disk.flushed.lock().unwrap());
    }
}
