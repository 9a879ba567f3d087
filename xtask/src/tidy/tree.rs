//! The files of the repository, as text.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Every text file that git tracks or would track, by its path from the top, with forward slashes.
#[derive(Debug)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files. One that is no UTF-8 is no text and is left out, as is one that git still lists but that is gone.
    ///
    /// # Errors
    /// git cannot list the files, or one of them cannot be read.
    pub(super) fn read(top: &Path) -> Result<Self, String> {
        let list = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(top)
            .output()
            .map_err(|error| format!("cannot run git: {error}"))?;
        if !list.status.success() {
            return Err(format!(
                "git ls-files: {}",
                String::from_utf8_lossy(&list.stderr).trim()
            ));
        }
        let paths =
            String::from_utf8(list.stdout).map_err(|error| format!("a file name is not UTF-8: {error}"))?;
        let mut files = BTreeMap::new();
        for path in paths.split_terminator('\0') {
            match std::fs::read(top.join(path)) {
                Ok(bytes) => {
                    if let Ok(text) = String::from_utf8(bytes) {
                        files.insert(path.to_owned(), text);
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{path}: {error}")),
            }
        }
        Ok(Self { files })
    }

    /// A tree made up for a test.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
        }
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Every file with its text, in the order of the paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust sources.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }
}

/// The lines of a text with their numbers, from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}
