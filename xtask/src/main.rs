//! Checks and benchmarks of this repository.
fn main() {}
