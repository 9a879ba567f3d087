//! A file that is there whole or not at all: what comes is written beside it, as `FILE.partial`, and takes its name once
//! it is complete.
//!
//! Written as it comes, so not even a crash costs what had come. What is not complete stays under the other name. Only one
//! program writes at a time: the other name is locked meanwhile. What is no regular file, a device or a pipe, cannot be
//! replaced and is written as it comes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use aurora_chat::Verdict;

use crate::claimed::{claim, flush_folder, led_to};
use crate::problem::{Problem, Result};

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Partial {
    target: PathBuf,
    file: File,
    /// Where it is written until it is complete; `None` if it is written through.
    beside: Option<Beside>,
    /// Whether anything may have been written, be it in vain.
    touched: bool,
    bytes: u64,
    lines: u64,
    /// Whether the last line has its line feed.
    closed: bool,
}

/// The other name.
#[derive(Debug)]
struct Beside {
    path: PathBuf,
    /// Whether the file was not there before.
    is_new: bool,
}

impl Partial {
    /// Makes sure that the file can be written, and changes nothing yet: what an earlier run left is kept until there
    /// is something to take its place. Waits for the reader of a named pipe.
    ///
    /// # Errors
    /// It cannot be written, or another program is writing it (usage).
    pub(crate) fn open(target: &Path) -> Result<Self> {
        let wrong =
            |what: &dyn std::fmt::Display| Problem::usage(format!("--output {}: {what}", target.display()));
        let real = match fs::metadata(target) {
            Ok(there) if there.is_dir() => return Err(wrong(&"is a folder; name a file in it")),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(target);
                return Ok(Self::new(
                    target.to_owned(),
                    file.map_err(|error| wrong(&error))?,
                    None,
                ));
            }
            // The file a link leads to is what is meant, not the link.
            Ok(_) => fs::canonicalize(target),
            Err(error) if error.kind() == ErrorKind::NotFound => led_to(target),
            Err(error) => Err(error),
        };
        let real = real.map_err(|error| wrong(&error))?;
        let mut path = real.clone().into_os_string();
        path.push(".partial");
        let path = PathBuf::from(path);
        let (file, is_new) =
            claim(&path, OpenOptions::new().write(true)).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => wrong(&"is being written by another aurora"),
                _ => wrong(&format_args!("cannot write {}: {error}", path.display())),
            })?;
        let partial = Self::new(real, file, Some(Beside { path, is_new }));
        partial.hide().map_err(|error| wrong(&error))?;
        Ok(partial)
    }

    fn new(target: PathBuf, file: File, beside: Option<Beside>) -> Self {
        Self {
            target,
            file,
            beside,
            touched: false,
            bytes: 0,
            lines: 0,
            closed: true,
        }
    }

    /// The file that is written in the end.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Whether a file that has something in it is replaced.
    pub(crate) fn replaces(&self) -> bool {
        self.beside.is_some() && fs::metadata(&self.target).is_ok_and(|there| there.len() > 0)
    }

    /// How many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many lines were begun.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// It cannot be written; what was written before is kept.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        let Some(last) = text.as_bytes().last() else {
            return Ok(());
        };
        if !std::mem::replace(&mut self.touched, true) && self.beside.is_some() {
            self.file.set_len(0).map_err(|error| self.wrong(&error))?;
        }
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| self.wrong(&error))?;
        self.bytes += text.len() as u64;
        let feeds = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        let open = |closed: bool| u64::from(!closed);
        let before = open(self.closed);
        self.closed = *last == b'\n';
        self.lines += feeds + open(self.closed) - before;
        Ok(())
    }

    /// Puts the file in its place if it is complete and there is anything in it, flushed to the disk; otherwise keeps it
    /// beside. Says what became of it.
    ///
    /// # Errors
    /// It cannot be written or renamed.
    pub(crate) fn finish(mut self, verdict: Verdict) -> Result<String> {
        let complete = verdict == Verdict::Complete;
        if complete && !self.closed {
            self.write("\n")?;
        }
        if self.bytes == 0 {
            return Ok(match self.beside {
                Some(_) => format!("{} is left as it was", self.target.display()),
                None => format!("nothing is written to {}", self.target.display()),
            });
        }
        let Some(beside) = &self.beside else {
            // What it is written to may have nothing to flush to.
            let _ = self.file.sync_all();
            return Ok(format!("{}: {}", self.target.display(), self.size()));
        };
        if !complete {
            self.file.sync_all().map_err(|error| self.wrong(&error))?;
            let (path, size) = (beside.path.display(), self.size());
            return Ok(format!("what came is kept in {path}: {size}"));
        }
        if let Ok(before) = fs::metadata(&self.target) {
            // A script that could be run can be run again.
            let _ = self.file.set_permissions(before.permissions());
        }
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&beside.path, &self.target))
            .map_err(|error| self.wrong(&error))?;
        flush_folder(&self.target);
        Ok(format!("{}: {}", self.target.display(), self.size()))
    }

    /// Lets nobody read what is written who may not read the file that it replaces.
    fn hide(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Ok(before) = fs::metadata(&self.target) {
            use std::os::unix::fs::PermissionsExt as _;
            let mut permissions = before.permissions();
            // One that is not to be written can be replaced nevertheless, and the next run has to open this one.
            permissions.set_mode(permissions.mode() | 0o200);
            self.file.set_permissions(permissions)?;
        }
        Ok(())
    }

    fn size(&self) -> String {
        size(self.lines, self.bytes)
    }

    fn wrong(&self, error: &io::Error) -> Problem {
        let path = self.beside.as_ref().map_or(&self.target, |beside| &beside.path);
        let kept = if self.beside.is_some() && self.touched && !self.is_empty() {
            "; what was written before is kept there"
        } else {
            ""
        };
        Problem::output(format!("cannot write {}: {error}{kept}", path.display()))
    }

    /// Whether the file is, whatever was counted: a write that failed may have written some.
    fn is_empty(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() == 0)
    }
}

impl Drop for Partial {
    /// Nothing came: nothing is left.
    fn drop(&mut self) {
        if let Some(beside) = &self.beside
            && beside.is_new
            && self.is_empty()
        {
            let _ = fs::remove_file(&beside.path);
        }
    }
}

/// A size for a person, in ASCII.
pub(crate) fn size(lines: u64, bytes: u64) -> String {
    let plural = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(lines, "line"), plural(bytes, "byte"))
}

#[cfg(test)]
mod tests;
