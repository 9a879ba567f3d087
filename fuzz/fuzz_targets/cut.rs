//! How the targets cut a stream into reads, by bytes of the fuzzer's choice.

/// Cuts `stream` into reads of the given sizes, over and over; at the end of them comes one more byte.
pub fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for size in sizes.iter().chain([&1]).cycle() {
        if stream.is_empty() {
            break;
        }
        let (read, rest) = stream.split_at(usize::from(*size).min(stream.len()));
        reads.push(read);
        stream = rest;
    }
    reads
}
