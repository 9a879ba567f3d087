//! What the benchmarks share: a counting allocator, the clock, and how peers that are streams are fed.

mod allocations;

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cpu_time::ThreadTime;
use futures_util::{Stream, stream};

pub use allocations::count;

/// The median CPU time of each contestant in seconds. They take turns, so that a busy machine slows all of them alike.
///
/// `prepare` makes what a contestant consumes; its time does not count.
pub fn medians<const N: usize, P, T>(
    rounds: usize,
    mut prepare: impl FnMut(usize) -> P,
    mut run: impl FnMut(usize, P) -> T,
) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (contestant, times) in times.iter_mut().enumerate() {
            let prepared = prepare(contestant);
            let start = ThreadTime::now();
            std::hint::black_box(run(contestant, prepared));
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// Slices of static memory, always ready: no reference counts, the cheapest input a `Stream` can have.
pub fn slices(stream: &'static [u8], size: usize) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter(stream.chunks(size).map(|read| Ok(Bytes::from_static(read))))
}

/// Polls a stream that is always ready to its end.
pub fn drain<T>(stream: impl Stream<Item = T>, mut item: impl FnMut(T)) {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(next)) = stream.as_mut().poll_next(&mut context) {
        item(next);
    }
}

/// A generator of numbers that gives the same ones everywhere (xorshift64, Marsaglia 2003).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x2545_F491_4F6C_DD1D)
    }
}

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of these.
    pub fn choose<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[(self.number() % from.len() as u64) as usize]
    }
}
