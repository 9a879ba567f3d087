//! The files of a log: their names, their modes, and what is done to them. Writing goes through a trait, so that tests can
//! have a disk that is full.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// What the log asks of a file system.
pub(super) trait Medium: Send + Sync + fmt::Debug {
    /// Makes a file that must not exist yet, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File> {
        private().read(true).write(true).create_new(true).open(path)
    }

    /// Writes all of the bytes at the offset.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all_at(file, bytes, offset)
    }

    /// Cuts the file off at the offset.
    fn cut(&self, file: &File, offset: u64) -> io::Result<()> {
        file.set_len(offset)
    }

    /// Returns when what was written is on the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Returns when the names in the folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened, and names are as safe as the file system makes them.
        if cfg!(unix) {
            File::open(folder)?.sync_all()
        } else {
            Ok(())
        }
    }
}

/// The file system as it is.
#[derive(Debug)]
pub(super) struct Real;

impl Medium for Real {}

/// Where a segment lies.
pub(super) fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.seg"))
}

/// The segments of a folder, in order.
pub(super) fn list_segments(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        let number =
            number.filter(|digits| digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        numbers.extend(number.and_then(|digits| digits.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes the folder, for this user only, if it does not exist, and returns when it and those above it that were made are on
/// the disk.
pub(super) fn make_folder(folder: &Path, medium: &dyn Medium) -> io::Result<()> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let made: Vec<_> = folder.ancestors().take_while(is_new).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    for folder in made {
        // A name without a folder before it is one in the working directory.
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        medium.sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Locks the folder for this process. `None` if another holds it. The lock is held until the file is dropped, and goes
/// with the process, however it ends.
pub(super) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let file = private()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Reads until the buffer is full or the file ends. Gives how much was read.
pub(super) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, buffer, offset);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset);
        match read {
            Ok(0) => break,
            Ok(read) => {
                total += read;
                offset += read as u64;
                buffer = &mut buffer[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Files that only this user may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
