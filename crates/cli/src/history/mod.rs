//! Conversations that are kept: every prompt and every answer, in one SQLite file, written while they stream.
//!
//! | module | does |
//! |---|---|
//! | [`conversation`] | a conversation in memory, which leaves what is said and answered to be written |
//! | [`log`] | the thread that writes, and the queue before it |
//! | [`scribe`] | what is written, as transactions |
//! | [`store`] | what is read: list, find, search, remove |
//! | [`snippet`] | the piece of a text that shows what was found |
//! | [`schema`] | the file, its tables, their versions |
//! | [`words`] | texts cut into words that can be found |
//! | [`claim`] | who is writing an answer at the moment |
//! | [`entry`] | the values of all these |
//!
//! Nothing here asks for an answer or prints one. What cannot be written is told, and costs no answer. Prompts and
//! answers are stored as they are; keys are in neither, and an upstream's words are stored as masked as they are shown.

use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};
use crate::settings::Settings;

mod claim;
pub(crate) mod conversation;
pub(crate) mod entry;
mod error;
mod log;
mod schema;
mod scribe;
mod snippet;
pub(crate) mod store;
mod words;

pub(crate) use conversation::{Conversation, Recorder};
pub(crate) use entry::{Answerer, Manner};
pub(crate) use store::Store;

/// Where conversations are kept, and whether new ones are.
#[derive(Clone, Debug)]
pub(crate) struct History {
    folder: Option<PathBuf>,
    keep: bool,
}

impl History {
    /// The history that the settings mean. Opens nothing.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            folder: settings.data_dir.as_ref().map(|folder| folder.value.clone()),
            keep: settings.keep_history.value,
        }
    }

    /// The data folder.
    ///
    /// # Errors
    /// There is none (configuration).
    pub(crate) fn folder(&self) -> Result<&Path> {
        self.folder.as_deref().ok_or_else(|| {
            Problem::config("there is no home folder to keep conversations in; set AURORA_DATA_DIR")
        })
    }

    /// A new conversation. It is in the file from the first answer that is asked for, where conversations are kept.
    pub(crate) fn begin(&self) -> Conversation {
        Conversation::new(self.folder.as_deref().filter(|_| self.keep))
    }

    /// The conversation with this id, or whose id alone begins like this; without an id the latest. What is added to it
    /// is kept where conversations are.
    ///
    /// # Errors
    /// There is none, or there are several (usage); the file cannot be read (configuration).
    pub(crate) fn resume(&self, id: Option<&str>) -> Result<Conversation> {
        let folder = self.folder()?;
        let store = Store::open_existing(folder)?.ok_or_else(|| nothing(id))?;
        let heading = store.find(id)?;
        let kept = store.kept(&heading)?;
        Ok(Conversation::of(self.keep.then_some(folder), heading, kept))
    }

    /// The prompts of other conversations than the one with this id, at most this many, the latest last; none where
    /// conversations are not kept. That they cannot be read is told by whatever has to be kept.
    pub(crate) fn prompts(&self, except: &str, limit: usize) -> Vec<String> {
        let Some(folder) = self.folder.as_deref().filter(|_| self.keep) else {
            return Vec::new();
        };
        let read = || match Store::open_existing(folder)? {
            Some(store) => store.prompts(except, limit, TYPED),
            None => Ok(Vec::new()),
        };
        read().unwrap_or_else(|error| {
            tracing::debug!(%error, "earlier prompts cannot be read");
            Vec::new()
        })
    }
}

/// The longest prompt that is offered again, in bytes: what is longer was not typed.
const TYPED: usize = 16 << 10;

/// That there is no history, or no conversation of this id in it.
pub(crate) fn nothing(id: Option<&str>) -> error::Error {
    match id {
        Some(id) => error::Error::Unknown(id.to_owned()),
        None => error::Error::Empty,
    }
}

#[cfg(test)]
mod tests;
