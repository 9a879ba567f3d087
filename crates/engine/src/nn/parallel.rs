//! Spreading work over cores: candle's own pool, so that its kernels and our loops never compete for them.

use std::sync::{Mutex, PoisonError};

use candle_core::utils::barrier_pool;

/// How many threads work on a step, the calling one included. Set once for the process, by `CANDLE_NUM_THREADS`,
/// `RAYON_NUM_THREADS`, or the number of physical cores.
pub(crate) fn threads() -> usize {
    barrier_pool().n_workers() + 1
}

/// Calls `work(index, chunk)` for every chunk of `data`, on all threads; a thread that is done takes the next chunk.
///
/// Taking a chunk is one uncontended lock, some 20 ns, so a chunk should hold a microsecond of work or more.
pub(crate) fn for_each_chunk(data: &mut [f32], chunk: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if data.len() <= chunk {
        if !data.is_empty() {
            work(0, data);
        }
        return;
    }
    let queue = Mutex::new(data.chunks_mut(chunk).enumerate());
    barrier_pool().execute(|_| {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, chunk)) = next else { break };
            work(index, chunk);
        }
    });
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
