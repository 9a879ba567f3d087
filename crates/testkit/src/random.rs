//! Numbers for tests that try many things: random from run to run, and the same again for who is told the seed.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
    ops::RangeInclusive,
};

/// Numbers that look random and follow from a seed (SplitMix64). Cheap to make: one for each thing that is tried keeps
/// what is tried first from changing what is tried next.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of this seed that belong to the thing with this number.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        let mut mixed = Self(number);
        Self(seed ^ mixed.number())
    }

    /// A seed to begin with: the value of this variable, or one that differs from run to run. Whoever uses it prints it.
    ///
    /// # Panics
    ///
    /// If the variable holds no number.
    #[must_use]
    pub fn seed(variable: &str) -> u64 {
        match env::var(variable) {
            Ok(value) => value.parse().expect("a seed is a number"),
            Err(_) => RandomState::new().hash_one(variable),
        }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number in this range, each as often as another.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (least, most) = range.into_inner();
        let count = most.checked_sub(least).expect("a range that is not empty");
        match count.checked_add(1) {
            Some(count) => least + self.number() % count,
            None => self.number(),
        }
    }

    /// True once in so many times.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.within(1..=times) == 1
    }

    /// A number in this range, each order of magnitude as often as another.
    ///
    /// # Panics
    ///
    /// If the range is empty or begins with 0.
    pub fn magnitude(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (least, most) = range.into_inner();
        let octaves = u64::from(least.ilog2())..=u64::from(most.ilog2());
        let octave = 1 << self.within(octaves);
        self.within(octave..=2 * octave - 1).clamp(least, most)
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let last = from.len().checked_sub(1).expect("something to pick from");
        &from[self.within(0..=last as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_another_gives_others() {
        let numbers = |mut random: Random| -> Vec<u64> { (0..4).map(|_| random.number()).collect() };
        assert_eq!(numbers(Random::of(1, 2)), numbers(Random::of(1, 2)));
        for other in [Random::of(1, 3), Random::of(2, 2), Random::new(1)] {
            assert_ne!(numbers(Random::of(1, 2)), numbers(other));
        }
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::new(7);
        let mut all: Vec<u64> = (0..200).map(|_| random.within(3..=6)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, [3, 4, 5, 6]);
        let sizes: Vec<u64> = (0..1000).map(|_| random.magnitude(100..=100_000)).collect();
        assert!(sizes.iter().all(|size| (100..=100_000).contains(size)));
        assert!(sizes.iter().filter(|size| **size < 1000).count() > 100);
        random.within(0..=u64::MAX);
    }
}
