//! The folder of local models: what is there, and how more get there.
//!
//! A model is one GGUF file, moved into place only when it is whole, checked and converted; beside it lies a small
//! record of where it came from and how long it must be. Whoever fetches holds a lock, so two processes that want the
//! same model fetch it once.

mod convert;
mod fetch;
mod pull;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::gguf::Gguf;
use crate::nn::Config;

pub use sources::{KNOWN, Known};

/// A folder of models.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// One model of a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without `local/`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The file's size in bytes.
    pub bytes: u64,
    /// Tokens of context; 0 where the file cannot be read.
    pub context: usize,
    /// The architecture, as the file names it; empty where the file cannot be read.
    pub architecture: String,
    /// How many weights there are; 0 where the file cannot be read.
    pub parameters: u64,
    /// The quantisation of most weights, or why the file cannot be read.
    pub quantisation: String,
    /// Where it came from, if that is known.
    pub source: Option<String>,
}

/// What fetching a model has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What is being done now, for a person.
    Step(String),
    /// Bytes that have arrived in this step, and how many there will be, where that is known.
    Bytes {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
}

/// A model that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its name in the store.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// False: it had been there already.
    pub is_new: bool,
}

/// What lies beside a model's file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The file's length in bytes. A file of another length is not used.
    bytes: u64,
    source: String,
    /// SHA-256 of what was fetched, before it was converted.
    source_sha256: String,
}

impl Store {
    /// The store in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// A model's file, if it is there and whole.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let name = name_from(name).filter(|clean| clean == name)?;
        let path = self.file(&name);
        let bytes = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        // Without a record it was put there by hand, and loading it will tell.
        self.record(&name)
            .is_none_or(|record| record.bytes == bytes)
            .then_some(path)
    }

    /// The models that are there, by name.
    ///
    /// # Errors
    /// If the folder cannot be read. A folder that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &self.folder, error)),
        };
        let names = files.filter_map(|file| {
            let path = file.ok()?.path();
            let is_model = path.extension().is_some_and(|extension| extension == "gguf");
            if is_model {
                path.file_stem()?.to_str().map(str::to_owned)
            } else {
                None
            }
        });
        let mut entries: Vec<Entry> = names.filter_map(|name| self.entry(&name)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Removes a model.
    ///
    /// # Errors
    /// If it is not there, or cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let clean = name_from(name).filter(|clean| clean == name);
        let path = clean.map(|name| self.file(&name)).filter(|path| path.exists());
        let Some(path) = path else {
            let there: Vec<String> = self.list()?.into_iter().map(|entry| entry.name).collect();
            let there = if there.is_empty() {
                "none".to_owned()
            } else {
                there.join(", ")
            };
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no local model '{name}' (there: {there})"),
            ));
        };
        fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        let record = self.record_file(name);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", record, error))
            }
            _ => Ok(()),
        }
    }

    /// Fetches a model, converts it to what this engine runs fast, and puts it in place. Blocks.
    ///
    /// `source` is a name of [`KNOWN`], a URL of a GGUF file, or the path of one. A model that is there is not fetched
    /// again. If another process is fetching the same one, this waits for it.
    ///
    /// # Errors
    /// If no source of it answers, if what arrives is not what was expected, or if it is no model this engine runs.
    /// Nothing half-done is left in place.
    pub fn pull(&self, source: &str, progress: &mut dyn FnMut(Progress)) -> Result<Pulled> {
        pull::pull(self, source, progress)
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let path = self.file(name);
        let mut entry = Entry {
            name: name.to_owned(),
            bytes: fs::metadata(&path).ok()?.len(),
            context: 0,
            architecture: String::new(),
            parameters: 0,
            quantisation: String::new(),
            source: self.record(name).map(|record| record.source),
            path,
        };
        match Gguf::open(&entry.path).and_then(|gguf| Ok((Config::read(&gguf)?, gguf))) {
            Ok((config, gguf)) => {
                entry.context = config.context;
                config.architecture.name().clone_into(&mut entry.architecture);
                entry.parameters = gguf.parameters();
                entry.quantisation = gguf.quantisation();
            }
            Err(error) => entry.quantisation = format!("unusable: {error}"),
        }
        Some(entry)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf"))
    }

    fn record_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.record_file(name)).ok()?).ok()
    }
}

/// A model's name from a file's: lower case, no ending, only what is safe in a file name. `None` if nothing is left.
fn name_from(text: &str) -> Option<String> {
    let stem = Path::new(text).file_name()?.to_str()?;
    let stem = stem
        .strip_suffix(".gguf")
        .or_else(|| stem.strip_suffix(".GGUF"))
        .unwrap_or(stem);
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.to_ascii_lowercase().chars().map(safe).collect();
    let name = name.trim_matches(['.', '-']).to_owned();
    (!name.is_empty() && name.len() <= 100).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::name_from;

    #[test]
    fn names_are_safe_file_names() {
        for (text, name) in [
            ("https://host/a/SmolLM2-135M.Q4_1.gguf", Some("smollm2-135m.q4_1")),
            ("../../etc/passwd", Some("passwd")),
            ("a b/c d.gguf", Some("c-d")),
            ("...", None),
            ("", None),
        ] {
            assert_eq!(name_from(text).as_deref(), name, "{text}");
        }
    }
}
