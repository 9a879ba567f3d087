//! What is asked for a summary, and in which order: the parts of the text, then the notes on them, level by level, until
//! everything fits into one request, which is the last.
//!
//! It asks nobody. Whoever drives it takes a [`Task`], and hands back the [`Note`] that came of it; in whatever order notes
//! come, they are put together in the order of the text. Every byte of a level's text is in exactly one part of it.

use std::fmt;
use std::ops::Range;

use super::marks::{Mark, Rank, marks};
use super::split::split;

/// How many levels of notes there may be: each is at most half as long as the one before where a model does what it is told,
/// so a thousand times the largest text is within it.
pub(crate) const MAX_LEVELS: usize = 12;

/// Notes that do not fit together yet have to be shorter by this part of what they are about.
const LEAST_SHRINK: usize = 10;

/// The most requests that one level may take.
pub(crate) const MAX_PARTS: usize = 100_000;

/// A text to be read, with its places to be cut and the files it is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    marks: Vec<Mark>,
    /// Where each file begins, with its name; one without a name is not told.
    files: Vec<(usize, String)>,
}

impl Text {
    /// The text of one file.
    pub(crate) fn of_file(text: String) -> Self {
        let marks = marks(&text);
        Self {
            text,
            marks,
            files: Vec::new(),
        }
    }

    /// The texts of several files, one after the other, each under a line that names it.
    pub(crate) fn of_files<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut joined = Self::default();
        for (name, text) in files {
            let start = joined.text.len();
            let feed = if text.ends_with('\n') { "" } else { "\n" };
            let head = format!("----- file: {name} -----\n");
            joined.push(&format!("{head}{text}{feed}\n"));
            joined.files.push((start, name.to_owned()));
        }
        joined
    }

    /// Adds what is a text of its own.
    fn push(&mut self, text: &str) {
        let start = self.text.len();
        if start > 0 {
            self.marks.push(Mark {
                at: start,
                rank: Rank::Text,
            });
        }
        self.text.push_str(text);
        let inner = marks(text).into_iter();
        self.marks.extend(inner.map(|mark| Mark {
            at: mark.at + start,
            ..mark
        }));
    }

    /// The name of the file that a place is in, where there are several.
    fn file(&self, at: usize) -> Option<&str> {
        let after = self.files.partition_point(|(start, _)| *start <= at);
        self.files
            .get(after.checked_sub(1)?)
            .map(|(_, name)| name.as_str())
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// 0 for the text itself, 1 for notes on it, 2 for notes on notes.
    pub(crate) level: usize,
    /// Which part of the level, from 0, and how many there are.
    pub(crate) part: usize,
    pub(crate) parts: usize,
    /// Its place in the level's text.
    pub(crate) range: Range<usize>,
    /// The tokens of its text.
    pub(crate) tokens: usize,
    /// Whether its answer is the summary.
    pub(crate) is_last: bool,
    /// The file it begins in, where there are several.
    pub(crate) file: Option<String>,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.level, self.is_last) {
            (_, true) => return f.write_str("the summary"),
            (0, false) => write!(f, "part {} of {}", self.part + 1, self.parts)?,
            (level, false) => write!(f, "merge {} of {} of level {level}", self.part + 1, self.parts)?,
        }
        self.file.iter().try_for_each(|file| write!(f, " ({file})"))
    }
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
}

/// Why there will be no summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stuck {
    /// Notes are hardly shorter than what they are about.
    #[error(
        "the notes of level {level} are hardly shorter than what they are about ({after} tokens after {before}), so they would \
         hardly ever fit together; a larger --part-tokens, or a model that keeps to lengths, helps"
    )]
    NotShrinking {
        level: usize,
        before: usize,
        after: usize,
    },
    /// There would be too many levels.
    #[error(
        "the notes do not fit together after {MAX_LEVELS} levels ({after} tokens are left); a larger --part-tokens helps"
    )]
    Levels { after: usize },
    /// There would be too many parts.
    #[error("the text has more than {MAX_PARTS} parts; a larger --part-tokens makes fewer")]
    Parts,
}

/// A summary on its way.
pub(crate) struct Digest {
    /// What this level reads.
    text: Text,
    level: usize,
    parts: Vec<Range<usize>>,
    /// How many tokens each has.
    sizes: Vec<usize>,
    notes: Vec<Option<Note>>,
    /// The next one to be asked for, and how many are missing.
    next: usize,
    missing: usize,
    /// The most tokens of text in one request.
    budget: usize,
    tokens: Counter,
    over: bool,
}

/// Counts the tokens of a text.
pub(crate) type Counter = std::sync::Arc<dyn Fn(&str) -> usize + Send + Sync>;

impl Digest {
    /// Begins with a text, which says something.
    ///
    /// # Errors
    /// It has too many parts.
    pub(crate) fn new(text: Text, budget: usize, tokens: Counter) -> Result<Self, Stuck> {
        let mut digest = Self {
            text: Text::default(),
            level: 0,
            parts: Vec::new(),
            sizes: Vec::new(),
            notes: Vec::new(),
            next: 0,
            missing: 0,
            budget,
            tokens,
            over: false,
        };
        digest.read(text)?;
        Ok(digest)
    }

    /// Begins a level.
    fn read(&mut self, text: Text) -> Result<(), Stuck> {
        self.parts = split(&text.text, &text.marks, self.budget, &*self.tokens);
        // What is blank says nothing: it is read here.
        self.parts
            .retain(|part| !text.text[part.clone()].trim().is_empty());
        if self.parts.len() > MAX_PARTS {
            return Err(Stuck::Parts);
        }
        self.sizes = self
            .parts
            .iter()
            .map(|part| (self.tokens)(&text.text[part.clone()]))
            .collect();
        self.notes = vec![None; self.parts.len()];
        self.next = 0;
        self.missing = self.parts.len();
        self.text = text;
        Ok(())
    }

    /// What is to be asked next; `None` while nothing can be asked before a note comes, and in the end.
    pub(crate) fn next(&mut self) -> Option<Task> {
        let part = self.next;
        let range = self.parts.get(part)?.clone();
        self.next += 1;
        let is_last = self.parts.len() == 1;
        Some(Task {
            level: self.level,
            part,
            parts: self.parts.len(),
            tokens: self.sizes[part],
            is_last,
            file: self
                .text
                .file(range.start)
                .filter(|_| !is_last)
                .map(str::to_owned),
            range,
        })
    }

    /// The text that a task of the current level is about.
    pub(crate) fn text(&self, task: &Task) -> &str {
        &self.text.text[task.range.clone()]
    }

    /// Takes what came of a task.
    ///
    /// # Errors
    /// The notes of this level lead nowhere.
    pub(crate) fn done(&mut self, task: &Task, note: Note) -> Result<(), Stuck> {
        if task.level != self.level || self.over {
            return Ok(());
        }
        if self.notes[task.part].replace(note).is_none() {
            self.missing -= 1;
        }
        if self.missing > 0 {
            return Ok(());
        }
        if task.is_last {
            self.over = true;
            return Ok(());
        }
        let before: usize = self.sizes.iter().sum();
        let notes = self.merged();
        let after = (self.tokens)(&notes.text);
        self.level += 1;
        // A model that repeats what it reads would otherwise be asked for all of it on every level.
        if after >= before || after > self.budget && after > before - before / LEAST_SHRINK {
            return Err(Stuck::NotShrinking {
                level: self.level,
                before,
                after,
            });
        }
        if self.level > MAX_LEVELS {
            return Err(Stuck::Levels { after });
        }
        self.read(notes)
    }

    /// How many parts of this level have no note yet.
    pub(crate) fn missing(&self) -> usize {
        self.missing
    }

    /// Whether the summary has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The tokens of this level's text that are yet to be asked for, and an estimate of those of later levels.
    pub(crate) fn ahead(&self, of_note: usize) -> usize {
        if self.over {
            return 0;
        }
        let unasked: usize = self.sizes[self.next.min(self.sizes.len())..].iter().sum();
        let mut parts = self.parts.len();
        let mut later = 0;
        for _ in 0..MAX_LEVELS {
            if parts <= 1 {
                break;
            }
            let level = parts * of_note;
            later += level;
            parts = level.div_ceil(self.budget.max(1));
        }
        unasked + later
    }

    /// The notes of this level as the next level's text, in order, each under its file's name where there are several.
    fn merged(&self) -> Text {
        let mut merged = Text::default();
        for (part, note) in self.parts.iter().zip(&self.notes) {
            let Some(note) = note
                .as_ref()
                .map(|note| note.text.trim())
                .filter(|note| !note.is_empty())
            else {
                continue;
            };
            let start = merged.text.len();
            match self.text.file(part.start) {
                Some(file) => {
                    merged.push(&format!("[{file}]\n{note}\n\n"));
                    if merged.files.last().is_none_or(|(_, known)| known != file) {
                        merged.files.push((start, file.to_owned()));
                    }
                }
                None => merged.push(&format!("{note}\n\n")),
            }
        }
        merged
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest")
            .field("level", &self.level)
            .field("parts", &self.parts.len())
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
