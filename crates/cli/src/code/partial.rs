//! A file that is there whole or not at all: what comes is written beside it, as `FILE.partial`, and takes its name once
//! it is complete.
//!
//! Written as it comes, so not even a crash costs what had come. What is not complete stays under the other name.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aurora_chat::Verdict;

use crate::problem::{Problem, Result};

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Partial {
    target: PathBuf,
    path: PathBuf,
    file: File,
    /// Whether `path` was not there before.
    is_new: bool,
    bytes: u64,
    lines: u64,
    /// Whether the last line has its line feed.
    closed: bool,
}

impl Partial {
    /// Makes sure that the file can be written, and changes nothing yet: what an earlier run left is kept until there
    /// is something to take its place.
    ///
    /// # Errors
    /// It cannot be written (usage).
    pub(crate) fn open(target: &Path) -> Result<Self> {
        let wrong =
            |what: &dyn std::fmt::Display| Problem::usage(format!("--output {}: {what}", target.display()));
        if target.is_dir() {
            return Err(wrong(&"is a folder; name a file in it"));
        }
        // The file a link leads to is what is meant, not the link.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let mut path = target.clone().into_os_string();
        path.push(".partial");
        let path = PathBuf::from(path);
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| wrong(&error))?;
        Ok(Self {
            target,
            path,
            file,
            is_new,
            bytes: 0,
            lines: 0,
            closed: true,
        })
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
    /// It cannot be written.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        let Some(last) = text.as_bytes().last() else {
            return Ok(());
        };
        if self.bytes == 0 {
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

    /// Puts the file in its place if it is complete, flushed to the disk; otherwise keeps it beside. Says what became of
    /// it.
    ///
    /// # Errors
    /// It cannot be written or renamed.
    pub(crate) fn finish(mut self, verdict: Verdict) -> Result<String> {
        if verdict != Verdict::Complete {
            if self.bytes == 0 {
                return Ok(format!("{} is left as it was", self.target.display()));
            }
            self.file.sync_all().map_err(|error| self.wrong(&error))?;
            return Ok(format!(
                "what came is kept in {}: {}",
                self.path.display(),
                self.size()
            ));
        }
        if self.bytes == 0 {
            self.file.set_len(0).map_err(|error| self.wrong(&error))?;
        } else if !self.closed {
            self.write("\n")?;
        }
        if let Ok(before) = fs::metadata(&self.target) {
            // A script that could be run can be run again.
            let _ = self.file.set_permissions(before.permissions());
        }
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, &self.target))
            .map_err(|error| self.wrong(&error))?;
        // The name is in the folder, which has to be flushed too; not every system can.
        let folder = self
            .target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        self.is_new = false;
        Ok(format!("{}: {}", self.target.display(), self.size()))
    }

    fn size(&self) -> String {
        size(self.lines, self.bytes)
    }

    fn wrong(&self, error: &std::io::Error) -> Problem {
        Problem::internal(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Drop for Partial {
    /// Nothing came: nothing is left.
    fn drop(&mut self) {
        if self.is_new && self.bytes == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A size for a person, in ASCII.
pub(crate) fn size(lines: u64, bytes: u64) -> String {
    let plural = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(lines, "line"), plural(bytes, "byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed with its value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("aurora-partial-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_complete_file_takes_its_place_and_ends_with_a_line_feed() {
        let folder = Folder::new("complete");
        let target = folder.0.join("a.py");
        fs::write(&target, "old").unwrap();
        let mut file = Partial::open(&target).unwrap();
        file.write("one\ntw").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old", "not before the end");
        file.write("o").unwrap();
        assert_eq!((file.lines(), file.bytes()), (2, 7));
        let told = file.finish(Verdict::Complete).unwrap();
        assert!(told.ends_with("a.py: 2 lines, 8 bytes"), "{told}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "one\ntwo\n");
        assert_eq!(folder.names(), ["a.py"]);
    }

    #[test]
    fn an_incomplete_one_is_kept_beside_and_nothing_leaves_nothing() {
        let folder = Folder::new("incomplete");
        let target = folder.0.join("a.py");
        drop(Partial::open(&target).unwrap());
        let untouched = Partial::open(&target).unwrap();
        untouched.finish(Verdict::Cancelled).unwrap();
        assert!(folder.names().is_empty());

        let mut file = Partial::open(&target).unwrap();
        file.write("half").unwrap();
        let told = file.finish(Verdict::Length).unwrap();
        assert!(told.contains("a.py.partial"), "{told}");
        drop(Partial::open(&target).unwrap());
        assert_eq!(folder.names(), ["a.py.partial"]);
        assert_eq!(
            fs::read_to_string(folder.0.join("a.py.partial")).unwrap(),
            "half",
            "kept until there is something new"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_script_stays_executable() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = Folder::new("link");
        let (target, link) = (folder.0.join("run.sh"), folder.0.join("link"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&target, &link).unwrap();
        let mut file = Partial::open(&link).unwrap();
        file.write("new\n").unwrap();
        file.finish(Verdict::Complete).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), target);
        assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_folder_and_a_missing_one_are_refused() {
        let folder = Folder::new("refused");
        for target in [folder.0.clone(), folder.0.join("none/a.py")] {
            let problem = Partial::open(&target).unwrap_err();
            assert_eq!(problem.exit_code(), 2, "{problem}");
        }
    }
}
