//! Spreading work over cores.
//!
//! The pool is rayon's, of the model's own, so that a server's other threads never find it busy. A step runs inside it:
//! then sharing out a piece of work is a push on a queue, and what no other thread has taken the first does itself.

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};

/// The threads that steps run on.
#[derive(Debug)]
pub(crate) struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of this many threads; one for each core by default.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self> {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = threads.unwrap_or_else(available).max(1);
        let name = |index| format!("aurora-engine-{index}");
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(name)
            .build();
        pool.map(Self)
            .map_err(|source| Error::new(ErrorKind::Machine, "cannot start a thread").with_source(source))
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` on one of the threads, and what it shares out on all.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Calls `work(index, chunk)` for every chunk of `data`, on all threads of the pool this is called in.
///
/// Sharing out costs a few microseconds in all, so a chunk should hold as much work.
pub(super) fn for_each_chunk(data: &mut [f32], chunk: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if data.len() <= chunk {
        if !data.is_empty() {
            work(0, data);
        }
        return;
    }
    data.par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(index, chunk)| work(index, chunk));
}

#[cfg(test)]
mod tests {
    use super::for_each_chunk;

    #[test]
    fn every_chunk_is_visited_once_with_its_index() {
        for length in [0, 1, 7, 8, 9, 64, 1000] {
            let mut data = vec![0.0_f32; length];
            for_each_chunk(&mut data, 8, |index, chunk| {
                for (offset, value) in chunk.iter_mut().enumerate() {
                    *value += (index * 8 + offset) as f32 + 1.0;
                }
            });
            let expected: Vec<f32> = (0..length).map(|i| i as f32 + 1.0).collect();
            assert_eq!(data, expected);
        }
    }
}
