//! The files of recordings: written by `--record`, read by `aurora replay`. What is in them is the client's to say.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aurora_client::Recording;

use crate::private;
use crate::problem::{Problem, Result};

/// The largest recording that is read: many times what the client's limit on an answer lets one grow to, with every
/// read a line of its own.
const MAX_BYTES: u64 = 1 << 30;

/// Opens the file of a recording that is to be made. What was in it is gone; a file that is new is for its owner's eyes,
/// since prompts and answers go into it.
///
/// # Errors
/// It cannot be written (usage).
pub(crate) fn create(path: &Path) -> Result<File> {
    if path == Path::new("-") {
        return Err(Problem::usage(
            "--record -: standard output is the answer's; name a file",
        ));
    }
    private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(|error| Problem::usage(format!("--record {}: {error}", path.display())))
}

/// Reads a recording; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is none that this version can play; the message names the line (usage).
pub(crate) fn read(path: &Path) -> Result<Recording> {
    if path == Path::new("-") {
        return parse(io::stdin().lock(), MAX_BYTES)
            .map_err(|what| Problem::usage(format!("standard input: {what}")));
    }
    File::open(path)
        .map_err(|error| error.to_string())
        .and_then(|file| parse(file, MAX_BYTES))
        .map_err(|what| Problem::usage(format!("{}: {what}", path.display())))
}

fn parse(from: impl Read, limit: u64) -> std::result::Result<Recording, String> {
    let mut bytes = Vec::new();
    from.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("larger than the limit of {} MiB", limit >> 20));
    }
    if bytes.is_empty() {
        return Err("is empty: the run that made it ended before anything happened".to_owned());
    }
    Recording::parse(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_refused_by_name() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"hello\n", "not JSON"),
            (b"{\"aurora_recording\":9}\n", "version 9"),
        ] {
            let message = parse(bytes, MAX_BYTES).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
        let message = parse(io::repeat(b'a'), 1 << 20).unwrap_err();
        assert!(message.contains("limit of 1 MiB"), "{message}");
    }
}
