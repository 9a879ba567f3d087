//! Files that one program at a time writes: they are locked while they are open.
//!
//! A lock is on a file and not on its name. Whoever has it looks once more whether the name still means that file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How many links are followed to the file they lead to, as on Linux.
const LINKS: usize = 40;

/// How often a file is opened that is renamed or removed at that very moment.
const TRIES: usize = 16;

/// Opens the file of this name with these options, which can write, and locks it; says whether it was not there before.
///
/// # Errors
/// [`WouldBlock`](ErrorKind::WouldBlock) where another program has the lock.
pub(crate) fn claim(path: &Path, options: &OpenOptions) -> io::Result<(File, bool)> {
    for _ in 0..TRIES {
        let (file, is_new) = create(path, options)?;
        match file.try_lock() {
            // Where there are no locks, nobody can be kept from writing.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
        }
        // Between the two its owner may have given it its final name, or have removed it.
        if is_at(&file, path) {
            return Ok((file, is_new));
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

fn create(path: &Path, options: &OpenOptions) -> io::Result<(File, bool)> {
    let mut options = options.clone();
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // To open a pipe would wait for its reader, and what a link leads to is not ours.
            match fs::symlink_metadata(path) {
                Ok(there) if !there.is_file() => {
                    Err(io::Error::other("it is in the way and no regular file"))
                }
                _ => options
                    .create(true)
                    .truncate(false)
                    .open(path)
                    .map(|file| (file, false)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether this is the file of this name.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |file: &fs::Metadata| (file.dev(), file.ino());
    matches!((file.metadata(), fs::symlink_metadata(path)), (Ok(this), Ok(there)) if id(&this) == id(&there))
}

/// A file that is open keeps its name here.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Where a link leads that leads to nothing yet; a name that is no link leads to itself.
pub(crate) fn led_to(name: &Path) -> io::Result<PathBuf> {
    let mut name = name.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&name) {
            Ok(next) => name = folder_of(&name).join(next),
            Err(_) => return Ok(name),
        }
    }
    Err(io::Error::other("too many links"))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Flushes the folder in which this name is, which was given to another file or is new; not every system can.
pub(crate) fn flush_folder(name: &Path) {
    let _ = File::open(folder_of(name)).and_then(|folder| folder.sync_all());
}
