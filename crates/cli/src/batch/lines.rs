//! The lines of a file that may be larger than memory, one at a time, each bounded.
//!
//! A line that is longer than the limit is skipped without being kept, and told as such. A byte order mark at the start
//! and the carriage return of CR LF are no part of a line.

use std::io::{self, BufRead};

/// The longest line that is read, in bytes: room for a prompt with pictures in it.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    number: u64,
    limit: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Its bytes without the line's end; `None` if they are more than the limit.
    pub(crate) bytes: Option<&'a [u8]>,
    /// Whether a line feed ended it, which only the last line may lack.
    pub(crate) ended: bool,
    /// How many bytes it takes in the file, with all that is no part of it.
    pub(crate) size: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this, none longer than [`MAX_LINE`].
    pub(crate) fn new(from: R) -> Self {
        Self::with_limit(from, MAX_LINE)
    }

    /// The lines of this, none longer than `limit` bytes.
    pub(crate) fn with_limit(from: R, limit: usize) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            number: 0,
            limit,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        // What one long line took is not kept for all that follow.
        if self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        let (mut size, mut too_long, mut ended) = (0, false, false);
        while !ended {
            let bytes = match self.from.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            too_long |= self.buffer.len() + part.len() > self.limit;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            size += used as u64;
            self.from.consume(used);
        }
        if size == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut line = self.buffer.as_slice();
        if self.number == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(Some(Line {
            number: self.number,
            bytes: (!too_long).then_some(line),
            ended,
            size,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], limit: usize, buffer: usize) -> Vec<(u64, Option<Vec<u8>>, bool)> {
        let mut lines = Lines::with_limit(BufReader::with_capacity(buffer, text), limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.number, line.bytes.map(<[u8]>::to_vec), line.ended));
        }
        all
    }

    #[test]
    fn sizes_add_up_to_the_file() {
        let text = b"\xef\xbb\xbfa\r\n\nlonger than eight\nlast\r";
        let mut lines = Lines::with_limit(&text[..], 8);
        let mut sizes = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            sizes.push(line.size);
        }
        assert_eq!(sizes, [6, 1, 18, 5]);
    }

    #[test]
    fn lines_are_the_same_however_they_are_read() {
        let text = b"\xef\xbb\xbfa\r\n\nlonger than eight\n\xffb\nlast";
        let expected = [
            (1, Some(b"a".to_vec()), true),
            (2, Some(Vec::new()), true),
            (3, None, true),
            (4, Some(b"\xffb".to_vec()), true),
            (5, Some(b"last".to_vec()), false),
        ];
        for buffer in 1..40 {
            assert_eq!(lines(text, 8, buffer), expected, "{buffer}");
        }
        assert_eq!(lines(b"", 8, 8), []);
        assert_eq!(lines(b"\n", 8, 8), [(1, Some(Vec::new()), true)]);
    }
}
