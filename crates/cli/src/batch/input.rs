//! The input, read twice: once for the ids, so that nothing is sent where two items have the same; and once for the items.
//!
//! What cannot be read twice, a pipe, is kept meanwhile in a file without a name beside the output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use super::index::{Index, MAX_ITEMS};
use super::item::{Item, Manner};
use super::key::Key;
use super::lines::Lines;
use crate::private;
use crate::problem::{Problem, Result};

/// How many ids that more than one item has are told.
const TWINS_TOLD: usize = 5;

/// How often another key is tried where different ids have one hash.
const TRIES: usize = 4;

/// How much is read at a time.
const BUFFER: usize = 1 << 16;

/// An input that can be read twice.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    /// How it is called.
    name: PathBuf,
    /// How long it was when it was opened: what is added later is another run's.
    length: u64,
}

/// The second pass.
#[derive(Debug)]
pub(crate) struct Items {
    lines: Lines<BufReader<io::Take<File>>>,
    manner: Manner,
}

impl Input {
    /// Opens the input; `-` is standard input. What cannot be read twice is read to its end, into a file in `folder`.
    ///
    /// # Errors
    /// It cannot be read, or not be kept (usage).
    pub(crate) fn open(name: &Path, folder: &Path) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| Problem::usage(format!("{}: {error}", name.display()));
        let (file, name_told) = if name == Path::new("-") {
            (keep(&mut io::stdin().lock(), folder), "standard input")
        } else {
            match fs::metadata(name) {
                Ok(there) if there.is_dir() => {
                    return Err(wrong(&"is a folder; name a file with an item a line"));
                }
                Ok(there) if there.is_file() => (File::open(name), ""),
                Ok(_) => (File::open(name).and_then(|mut pipe| keep(&mut pipe, folder)), ""),
                Err(error) => (Err(error), ""),
            }
        };
        let file = file.map_err(|error| wrong(&error))?;
        let length = file.metadata().map_err(|error| wrong(&error))?.len();
        let name = match name_told {
            "" => name.to_owned(),
            told => PathBuf::from(told),
        };
        Ok(Self { file, name, length })
    }

    /// How it is called.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether this is the same file.
    pub(crate) fn is(&self, other: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        real(&self.name).is_some_and(|this| Some(this) == real(other))
    }

    /// The first pass: all ids. `None` if it was stopped.
    ///
    /// # Errors
    /// Two items have one id, there are too many, or the input cannot be read (usage).
    pub(crate) fn index(&self, stopped: &dyn Fn() -> bool) -> Result<Option<Index>> {
        for _ in 0..TRIES {
            let mut index = Index::new();
            let whole = self.each(|key, print, _| {
                index.add(&key, print).map_err(|_| {
                    self.wrong(&format!(
                        "has more than {MAX_ITEMS} items, which is the limit; split it"
                    ))
                })?;
                Ok(!stopped())
            })?;
            if !whole {
                return Ok(None);
            }
            index.seal();
            let twins = index.twins(TWINS_TOLD);
            if twins.is_empty() {
                return Ok(Some(index));
            }
            self.refuse_twins(&index, &twins)?;
            // Different ids with one hash: one in a million times with ten million items. Another key tells them apart.
        }
        Err(Problem::internal("the ids of the items cannot be told apart"))
    }

    /// The second pass.
    ///
    /// # Errors
    /// The input cannot be read (usage).
    pub(crate) fn items(&self) -> Result<Items> {
        Ok(Items {
            lines: self.lines()?,
            manner: Manner::default(),
        })
    }

    fn lines(&self) -> Result<Lines<BufReader<io::Take<File>>>> {
        let file = self.file.try_clone().and_then(|mut file| {
            file.rewind()?;
            Ok(file)
        });
        let file = file.map_err(|error| self.wrong(&error))?;
        Ok(Lines::new(BufReader::with_capacity(
            BUFFER,
            file.take(self.length),
        )))
    }

    /// Calls this for the id, the print and the line of every item, until it returns false; returns whether it never did.
    fn each(&self, mut take: impl FnMut(Key, u64, u64) -> Result<bool>) -> Result<bool> {
        let (mut lines, mut manner) = (self.lines()?, Manner::default());
        while let Some(line) = lines.next().map_err(|error| self.wrong(&error))? {
            if let Some((key, print)) = manner.identify(&line)
                && !take(key, print, line.number)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at the items of which several have one hash.
    ///
    /// # Errors
    /// Some of them have one id, too.
    fn refuse_twins(&self, index: &Index, twins: &[u64]) -> Result<()> {
        // Without a hash that is shared by chance, one id of each is all there is to remember.
        let mut first: Vec<(Key, u64)> = Vec::new();
        let mut told: Vec<String> = Vec::new();
        self.each(|key, _, line| {
            if twins.contains(&index.hash(&key)) {
                match first.iter().find(|(other, _)| *other == key) {
                    Some((_, earlier)) => told.push(format!("{key} on lines {earlier} and {line}")),
                    None => first.push((key, line)),
                }
            }
            Ok(told.len() < TWINS_TOLD)
        })?;
        if told.is_empty() {
            return Ok(());
        }
        Err(self.wrong(&format!(
            "several items have one id, and nothing is sent: {}",
            told.join(", ")
        )))
    }

    fn wrong(&self, what: &dyn std::fmt::Display) -> Problem {
        Problem::usage(format!("{}: {what}", self.name.display()))
    }
}

impl Items {
    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// The input cannot be read any more.
    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        loop {
            let line = self.lines.next();
            let line = line.map_err(|error| Problem::usage(format!("cannot read the input: {error}")))?;
            let Some(line) = line else {
                return Ok(None);
            };
            if let Some(item) = self.manner.read(&line) {
                return Ok(Some(item));
            }
        }
    }
}

/// Copies what cannot be read twice into a file that has no name and goes with its last handle.
fn keep(from: &mut impl io::Read, folder: &Path) -> io::Result<File> {
    let (file, path) = unnamed(folder)?;
    // Where a file that is open keeps its name, it is left behind; elsewhere it is gone whatever happens.
    let _ = fs::remove_file(&path);
    io::copy(from, &mut &file)?;
    Ok(file)
}

fn unnamed(folder: &Path) -> io::Result<(File, PathBuf)> {
    let mut options: OpenOptions = private::options();
    options.read(true).write(true).create_new(true);
    let mut number = u64::from(std::process::id()) << 16;
    loop {
        let path = folder.join(format!(".aurora-batch-{number:x}"));
        match options.open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number & 0xff < 0xff => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[path = "input/tests.rs"]
mod tests;
