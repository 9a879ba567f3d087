//! Who is writing an answer: a lock on a small file as long as it is written, so that nobody else goes on with it.
//!
//! The system lets go of such a lock when its process ends, however it ends. A number of a process could not say that:
//! numbers are used again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::schema;

/// The folder of these files, beside the history.
const FOLDER: &str = "answering";

/// The right to write one answer.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    /// Held, not used.
    _file: File,
}

impl Claim {
    /// Claims the message with this key. `None` where that cannot be done: the answer is more important.
    pub(super) fn take(folder: &Path, key: i64) -> Option<Self> {
        let path = path(folder, key);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // It may be there already.
        let _ = builder.create(folder.join(FOLDER));
        let file = schema::private(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { path, _file: file })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a program that runs holds the claim on this message. What one that was killed has left is removed.
pub(super) fn is_held(folder: &Path, key: i64) -> bool {
    let path = path(folder, key);
    let Ok(file) = OpenOptions::new().write(true).open(&path) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => {
            let _ = fs::remove_file(&path);
            false
        }
        Err(TryLockError::WouldBlock) => true,
        // Where there are no locks, nobody can be kept from going on.
        Err(TryLockError::Error(_)) => false,
    }
}

fn path(folder: &Path, key: i64) -> PathBuf {
    folder.join(FOLDER).join(key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_until_it_is_dropped_and_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("aurora-claim-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(!is_held(&folder, 1));
        let claim = Claim::take(&folder, 1).unwrap();
        assert!(is_held(&folder, 1) && !is_held(&folder, 2));
        assert!(Claim::take(&folder, 1).is_none());
        drop(claim);
        assert!(!is_held(&folder, 1));
        // What a program that was killed leaves: a file that nobody locks.
        fs::write(path(&folder, 3), "").unwrap();
        assert!(!is_held(&folder, 3) && !path(&folder, 3).exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
