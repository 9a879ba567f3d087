//! Files for their owner's eyes: prompts, answers and what was logged of them are nobody else's business.
//!
//! Only a file that is new gets this mode; one that is there keeps its own.

use std::fs::OpenOptions;

/// How such a file is opened; for what, and whether it may be there already, is the caller's to add.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
