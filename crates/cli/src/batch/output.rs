//! The output, which is also the checkpoint: what is in it is done.
//!
//! It is looked through before anything is changed: a file that is not the result of a batch, or is that of another
//! input, is left as it is. A last line that was cut off by a crash is removed. To do failed items again, the file is
//! written anew without them and takes the old one's place in one step; so at every moment there is at most one line for
//! an id.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::index::{Fate, Index};
use super::key::Key;
use super::lines::Lines;
use super::record::{BEGINNING, Stored};
use super::tally::Tally;
use crate::claimed::{claim, flush_folder, is_at, led_to};
use crate::problem::{Problem, Result};

/// The longest line of a result that is read: an answer at its own limit, every byte of it escaped.
const MAX_RECORD: usize = 512 << 20;

/// An output that this process alone writes.
#[derive(Debug)]
pub(crate) struct Output {
    /// As it was named.
    name: PathBuf,
    /// The file itself, where the name is a link.
    path: PathBuf,
    file: File,
    is_new: bool,
}

/// What is in an output.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What its results are.
    pub(crate) tally: Tally,
    /// Errors of lines that could not be read and are there no more.
    stale: u64,
    /// Where the last whole line ends.
    end: u64,
    /// What follows it: less than a line.
    tail: Tail,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tail {
    #[default]
    None,
    /// A whole result that lacks its line feed.
    Whole,
    /// The beginning of one.
    Torn,
}

/// What is found about an output that does not fit its input.
#[derive(Debug, Default)]
struct Misfits {
    results: u64,
    stale: u64,
    /// Results of ids that the input does not have: how many, and the first one's id and line.
    aliens: u64,
    alien: Option<(Key, u64)>,
    /// Results of items that have changed since.
    changed: u64,
    change: Option<(Key, u64)>,
}

impl Output {
    /// Opens the output and locks it; makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be read and written, or another program is writing it (usage).
    pub(crate) fn open(name: &Path) -> Result<Self> {
        let wrong =
            |what: &dyn std::fmt::Display| Problem::usage(format!("--output {}: {what}", name.display()));
        let path = match fs::metadata(name) {
            Ok(there) if there.is_dir() => return Err(wrong(&"is a folder; name a file in it")),
            Ok(there) if !there.is_file() => {
                return Err(wrong(
                    &"is no regular file; a batch reads again what it has written, to go on where it stopped",
                ));
            }
            Ok(_) => fs::canonicalize(name),
            Err(error) if error.kind() == ErrorKind::NotFound => led_to(name),
            Err(error) => Err(error),
        };
        let path = path.map_err(|error| wrong(&error))?;
        let (file, is_new) =
            claim(&path, OpenOptions::new().read(true).write(true)).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => wrong(&"is being written by another aurora"),
                _ => wrong(&error),
            })?;
        if is_new {
            flush_folder(&path);
        }
        Ok(Self {
            name: name.to_owned(),
            path,
            file,
            is_new,
        })
    }

    /// Looks at an output that is only to be read; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read (usage), or as [`survey`].
    pub(crate) fn look(name: &Path, input: &Path, index: &mut Index) -> Result<Option<Survey>> {
        match File::open(name) {
            Ok(file) => survey(&file, name, input, index).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Problem::usage(format!("--output {}: {error}", name.display()))),
        }
    }

    /// Looks through it, and notes in the index what is done. `input` is how the input is called.
    ///
    /// # Errors
    /// It is not the result of a batch, or that of another input (usage).
    pub(crate) fn survey(&self, input: &Path, index: &mut Index) -> Result<Survey> {
        survey(&self.file, &self.name, input, index)
    }

    /// Mends the last line. Says what was mended.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn mend(&mut self, survey: &mut Survey) -> Result<Option<&'static str>> {
        let mended = match survey.tail {
            Tail::None => return Ok(None),
            Tail::Torn => {
                let cut = self.file.set_len(survey.end);
                cut.map_err(|error| self.failed(&error))?;
                "its last line was cut off and is removed; that item is done again"
            }
            Tail::Whole => {
                let added = self.file.seek(SeekFrom::End(0));
                let added = added.and_then(|_| self.file.write_all(b"\n"));
                added.map_err(|error| self.failed(&error))?;
                "its last line lacked its end, which is added"
            }
        };
        self.file.sync_data().map_err(|error| self.failed(&error))?;
        survey.tail = Tail::None;
        Ok(Some(mended))
    }

    /// Takes the failed items out, so that they are missing. All else stays, in its order and to the byte. To be called
    /// after [`Output::mend`]. Says how many they were.
    ///
    /// # Errors
    /// The new file cannot be written; the old one stays then.
    pub(crate) fn forget_failed(&mut self, survey: &mut Survey, index: &mut Index) -> Result<u64> {
        let folder_name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{folder_name}.aurora"));
        if index.count(Fate::Failed) == 0 && survey.stale == 0 {
            return Ok(0);
        }
        let written = self.write_without_failed(&beside, index);
        let (file, forgotten) = written.map_err(|error| {
            let _ = fs::remove_file(&beside);
            Problem::output(format!(
                "cannot write {} anew: {error}; it is left as it was",
                self.name.display()
            ))
        })?;
        self.file = file;
        survey.tally = survey.tally.without_failed();
        Ok(forgotten)
    }

    fn write_without_failed(&self, beside: &Path, index: &mut Index) -> io::Result<(File, u64)> {
        let (file, _) = claim(beside, OpenOptions::new().read(true).write(true))?;
        file.set_len(0)?;
        file.set_permissions(self.file.metadata()?.permissions())?;
        let mut out = BufWriter::with_capacity(1 << 16, &file);
        let mut from = &self.file;
        from.rewind()?;
        let mut lines = Lines::with_limit(BufReader::with_capacity(1 << 16, from), MAX_RECORD);
        let mut forgotten = 0;
        while let Some(line) = lines.next()? {
            let bytes = line.bytes.unwrap_or_default();
            let stored = Stored::read(bytes);
            if let Some(stored) = stored.filter(|stored| stored.error.is_some()) {
                forgotten += 1;
                if let Some(known) = index.find(&stored.key, 0) {
                    index.set(known.place, Fate::Missing);
                }
                continue;
            }
            out.write_all(bytes)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        // From now on the name means the new file, which is locked already.
        fs::rename(beside, &self.path)?;
        flush_folder(&self.path);
        Ok((file, forgotten))
    }

    /// The file, to be written to from its end on, and how long it is.
    ///
    /// # Errors
    /// Its end cannot be found.
    pub(crate) fn end(&self) -> Result<(File, u64)> {
        let end = self.file.try_clone().and_then(|mut file| {
            let end = file.seek(SeekFrom::End(0))?;
            Ok((file, end))
        });
        end.map_err(|error| self.failed(&error))
    }

    /// Makes sure that what was written is where it was to be.
    ///
    /// # Errors
    /// Somebody removed the file, or put another one in its place.
    pub(crate) fn check_place(&self) -> Result<()> {
        match is_at(&self.file, &self.path) {
            true => Ok(()),
            false => Err(Problem::output(format!(
                "{} was removed or replaced while it was written; its results are lost with it",
                self.name.display()
            ))),
        }
    }

    /// Takes back that it was made, if it was and nothing is in it.
    pub(crate) fn discard(self) {
        if self.is_new && self.file.metadata().is_ok_and(|file| file.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn failed(&self, error: &io::Error) -> Problem {
        Problem::output(format!("cannot write {}: {error}", self.name.display()))
    }
}

fn survey(file: &File, name: &Path, input: &Path, index: &mut Index) -> Result<Survey> {
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("--output {}: {what}", name.display()));
    let mut file = file;
    file.rewind().map_err(|error| wrong(&error))?;
    let mut survey = Survey::default();
    let mut misfits = Misfits::default();
    let mut lines = Lines::with_limit(BufReader::with_capacity(1 << 16, file), MAX_RECORD);
    let mut tail = Vec::new();
    while let Some(line) = lines.next().map_err(|error| wrong(&error))? {
        // Longer than any result.
        let bytes = line.bytes.unwrap_or(b"?");
        let stored = Stored::read(bytes);
        if line.ended {
            survey.end += line.size;
        } else {
            survey.tail = match &stored {
                Some(_) => Tail::Whole,
                None => Tail::Torn,
            };
            tail = bytes[..bytes.len().min(BEGINNING.len())].to_vec();
        }
        match stored {
            Some(stored) => {
                if let Err(what) = misfits.take(&stored, line.number, index, &mut survey.tally) {
                    return Err(wrong(&what));
                }
            }
            None if bytes.iter().all(u8::is_ascii_whitespace) => {}
            None if line.ended => {
                return Err(wrong(&format_args!(
                    "line {} is no result of a batch; a file that is something else is left as it is, so name another one",
                    line.number
                )));
            }
            None => {}
        }
    }
    // A file that was grown and not yet written when the power went ends in zeros.
    let ours = tail.iter().all(|byte| *byte == 0) || BEGINNING.as_bytes().starts_with(&tail);
    if survey.tail == Tail::Torn && !ours {
        return Err(wrong(
            &"does not end with the result of a batch; a file that is something else is left as it is, so name another one",
        ));
    }
    survey.stale = misfits.stale;
    match misfits.message(input) {
        Some(what) => Err(wrong(&what)),
        None => Ok(survey),
    }
}

impl Misfits {
    /// Takes a result.
    ///
    /// # Errors
    /// There was one for its id before.
    fn take(
        &mut self,
        stored: &Stored<'_>,
        line: u64,
        index: &mut Index,
        tally: &mut Tally,
    ) -> std::result::Result<(), String> {
        self.results += 1;
        let failed = stored.error.is_some();
        let Some(known) = index.find(&stored.key, stored.print.unwrap_or_default()) else {
            // A line that could not be read may have been mended since, and has another id now.
            if failed && stored.key == Key::of_line(line_of(&stored.key)) {
                self.stale += 1;
            } else {
                self.aliens += 1;
                self.alien.get_or_insert_with(|| (stored.key.clone(), line));
            }
            return Ok(());
        };
        if known.fate != Fate::Missing {
            return Err(format!("line {line} is a second result for {}", stored.key));
        }
        if !failed && stored.print.is_some() && !known.same {
            self.changed += 1;
            self.change.get_or_insert_with(|| (stored.key.clone(), line));
        }
        index.set(known.place, if failed { Fate::Failed } else { Fate::Answered });
        tally.add(&stored.verdict, stored.error.as_deref());
        Ok(())
    }

    fn message(&self, input: &Path) -> Option<String> {
        let input = input.display();
        if let Some((key, line)) = &self.alien {
            return Some(format!(
                "belongs to another input: {} of its {} results are of ids that {input} does not have (the first is {key}, on \
                 line {line}); name another file",
                self.aliens, self.results
            ));
        }
        let (key, line) = self.change.as_ref()?;
        Some(format!(
            "belongs to another input: {} of its {} results are of items that say something else in {input} (the first is \
             {key}, on line {line}); name another file",
            self.changed, self.results
        ))
    }
}

/// The number in an id that follows from one; 0 if it is another id.
fn line_of(key: &Key) -> u64 {
    match key {
        Key::Text(text) => text
            .strip_prefix("line-")
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
        Key::Number(_) => 0,
    }
}

#[cfg(test)]
#[path = "output/tests.rs"]
mod tests;
