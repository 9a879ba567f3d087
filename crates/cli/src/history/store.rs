//! The file as it is read and tidied: list, find, load, search, remove. What adds to it is the [`super::scribe`].
//!
//! Every call is one statement or one transaction, so that other processes may write meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_chat::{Content, Message, Role, Usage};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use super::entry::{self, Answer, Answerer, Ending, Entry, Heading, Moment};
use super::error::{Error, Result};
use super::snippet::Snippets;
use super::{claim, schema, words};

/// The characters around a match in a [`Hit`].
pub(crate) const MATCH: (char, char) = ('\u{2}', '\u{3}');

/// How many conversations that begin alike are named.
const NAMED: usize = 5;

/// The open file.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    connection: Connection,
}

/// A message in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Its conversation.
    pub(crate) heading: Heading,
    /// Its place there, from 0.
    pub(crate) place: u64,
    /// Who said it.
    pub(crate) role: Role,
    /// A piece of it, every match between the two characters of [`MATCH`].
    pub(crate) snippet: String,
}

/// A message and the number by which the file knows it.
pub(super) type Kept = (i64, Entry);

impl Store {
    /// Opens the history in this folder, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be had, or is one of a newer version.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            connection: schema::open(folder)?,
        })
    }

    /// Opens the history in this folder; `None` if there is none yet.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open_existing(folder: &Path) -> Result<Option<Self>> {
        if schema::path(folder).exists() {
            Self::open(folder).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The conversations, the one that was added to last first; at most this many.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn list(&self, limit: usize) -> Result<Vec<Heading>> {
        self.headings("ORDER BY updated DESC, key DESC LIMIT ?1", [to_i64(limit)])
    }

    /// The conversation with this id, or the only one whose id begins like this; without an id the latest.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn find(&self, id: Option<&str>) -> Result<Heading> {
        let Some(prefix) = id else {
            return self.list(1)?.pop().ok_or(Error::Empty);
        };
        let prefix = prefix.trim().to_ascii_lowercase();
        // Compared as text, not by LIKE: what is typed is no pattern.
        let mut found = self.headings(
            "WHERE substr(id, 1, length(?1)) = ?1 AND ?1 <> '' ORDER BY id <> ?1, updated DESC LIMIT ?2",
            params![prefix, to_i64(NAMED + 1)],
        )?;
        match found.len() {
            0 => Err(Error::Unknown(prefix)),
            1 => Ok(found.remove(0)),
            _ if found[0].id == prefix => Ok(found.remove(0)),
            _ => {
                let mut ids: Vec<String> = found.into_iter().map(|heading| heading.id).collect();
                if ids.len() > NAMED {
                    ids[NAMED] = "…".to_owned();
                }
                Err(Error::Ambiguous { prefix, ids })
            }
        }
    }

    /// The messages of a conversation, in their order; of an unfinished answer as much as has come.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn messages(&self, heading: &Heading) -> Result<Vec<Entry>> {
        Ok(self.kept(heading)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// As [`Store::messages`], with the numbers by which the file knows them.
    pub(super) fn kept(&self, heading: &Heading) -> Result<Vec<Kept>> {
        let read = || -> rusqlite::Result<_> {
            // In one transaction: an answer that is folded in between would be seen twice or not at all.
            let transaction = self.connection.unchecked_transaction()?;
            let mut statement = transaction.prepare(
                "SELECT key, role, content, parts, reasoning, created, endpoint, model, verdict, finish_reason, error, \
                 input_tokens, output_tokens, first_ms, elapsed_ms, seams FROM messages WHERE conversation = ?1 \
                 ORDER BY seq",
            )?;
            let entries = statement.query_map([heading.key], kept)?;
            let mut entries = entries.collect::<rusqlite::Result<Vec<Kept>>>()?;
            for (key, entry) in &mut entries {
                if let Some(answer) = entry.answer.as_mut().filter(|answer| answer.ending.is_none()) {
                    answer.is_live = claim::is_held(&self.folder, *key);
                    let (text, reasoning) = pieces(&transaction, *key)?;
                    let whole = entry.message.plain_text().into_owned() + &text;
                    entry.message.content = Content::Text(whole);
                    entry.reasoning += &reasoning;
                }
            }
            Ok(entries)
        };
        read().map_err(self.wrong())
    }

    /// What people said in other conversations than the one with this id, the latest last: at most this many, and none
    /// that is longer than so many bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn prompts(&self, except: &str, limit: usize, longest: usize) -> Result<Vec<String>> {
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT content FROM messages WHERE role = 'user' AND octet_length(content) BETWEEN 1 AND ?3 \
                 AND conversation NOT IN (SELECT key FROM conversations WHERE id = ?1) ORDER BY key DESC LIMIT ?2",
            )?;
            let found =
                statement.query_map(params![except, to_i64(limit), to_i64(longest)], |row| row.get(0))?;
            found.collect::<rusqlite::Result<Vec<String>>>()
        };
        let mut prompts = read().map_err(self.wrong())?;
        prompts.reverse();
        Ok(prompts)
    }

    /// The messages in which all of these words are found, those of the latest conversations first; at most this many.
    ///
    /// # Errors
    /// There is no word among them, or the file cannot be read.
    pub(crate) fn search(&mut self, terms: &[String], limit: usize) -> Result<Vec<Hit>> {
        let query = words::query(terms.iter().map(String::as_str)).ok_or(Error::NoWord)?;
        // What a program that was killed left is not in the index yet. If the file cannot be written, it stays so.
        if let Err(error) = self.settle() {
            tracing::debug!(%error, "answers that were cut off are not searched");
        }
        let found = self.matching(&query, terms, limit).map_err(self.wrong())?;
        let mut hits = Vec::with_capacity(found.len());
        for (conversation, place, role, snippet) in found {
            let heading = self.headings("WHERE key = ?1", [conversation])?.pop();
            // Removed by another process in this moment.
            hits.extend(heading.map(|heading| Hit {
                heading,
                place,
                role,
                snippet,
            }));
        }
        Ok(hits)
    }

    /// The conversation, place, role and snippet of every match.
    fn matching(
        &self,
        query: &str,
        terms: &[String],
        limit: usize,
    ) -> rusqlite::Result<Vec<(i64, u64, Role, String)>> {
        let mut statement = self.connection.prepare(
            "SELECT m.conversation, (SELECT count(*) FROM messages e WHERE e.conversation = m.conversation \
             AND e.seq < m.seq), m.role, m.content FROM words JOIN messages m ON m.key = words.rowid \
             JOIN conversations c ON c.key = m.conversation WHERE words MATCH ?1 \
             ORDER BY c.updated DESC, c.key DESC, m.seq LIMIT ?2",
        )?;
        let rows = statement.query_map(params![query, to_i64(limit)], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, i64>(1)?,
                role(row, 2)?,
                row.get::<_, String>(3)?,
            ))
        })?;
        let snippets = Snippets::new(terms)?;
        rows.map(|row| {
            let (conversation, place, role, text) = row?;
            let snippet = snippets
                .as_ref()
                .map_or(Ok(String::new()), |snippets| snippets.of(&text))?;
            Ok((conversation, u64::try_from(place).unwrap_or(0), role, snippet))
        })
        .collect()
    }

    /// Removes these conversations for good. That they are gone and yet something of them may be left in the bytes of the
    /// file, or its space is not given back, is returned: the disk is full, or another process is reading.
    ///
    /// # Errors
    /// The file cannot be written, and nothing was removed.
    pub(crate) fn remove(&mut self, headings: &[Heading]) -> Result<Option<Error>> {
        let wrong = Error::of(&schema::path(&self.folder));
        let remove = |transaction: &Transaction<'_>| {
            headings.iter().try_for_each(|heading| {
                let rows = transaction.execute("DELETE FROM conversations WHERE key = ?1", [heading.key]);
                rows.map(drop)
            })
        };
        // What was removed shall be found neither in the file nor in its index or its log.
        let overwrite = self.connection.pragma_update(None, "secure_delete", true);
        overwrite.map_err(&wrong)?;
        self.transaction(remove)?;
        let connection = &self.connection;
        let tidy = || {
            connection.execute("INSERT INTO words (words) VALUES ('optimize')", [])?;
            let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            // The space goes back once there is more of it than of what is kept: to copy what is kept costs time.
            if pages("freelist_count")? > pages("page_count")? / 2 {
                connection.execute("VACUUM", [])?;
            }
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        Ok(tidy().map_err(&wrong).err())
    }

    /// Removes everything in this folder's history by removing the file, which needs no space, unlike [`Store::remove`].
    ///
    /// # Errors
    /// A program has the file open, be it this one, or it cannot be removed.
    pub(crate) fn erase(folder: &Path) -> Result<()> {
        schema::erase(folder)
    }

    /// Folds what programs that were killed have left: pieces become text, and the text can be found.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn settle(&mut self) -> Result<()> {
        let unfinished = || -> rusqlite::Result<Vec<i64>> {
            let sql = "SELECT key FROM messages WHERE role = 'assistant' AND verdict IS NULL \
                       AND key IN (SELECT message FROM pieces)";
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let mut unfinished = unfinished().map_err(self.wrong())?;
        unfinished.retain(|key| !claim::is_held(&self.folder, *key));
        if unfinished.is_empty() {
            return Ok(());
        }
        self.transaction(|transaction| unfinished.iter().try_for_each(|key| fold(transaction, *key)))
    }

    fn transaction(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        let wrong = Error::of(&schema::path(&self.folder));
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&wrong)?;
        work(&transaction).map_err(&wrong)?;
        transaction.commit().map_err(&wrong)
    }

    fn headings(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<Heading>> {
        let read = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT key, id, title, endpoint, model, created, updated, (SELECT count(*) FROM messages \
                 WHERE conversation = conversations.key AND role = 'user') FROM conversations {which}"
            ))?;
            let headings = statement.query_map(values, |row| {
                Ok(Heading {
                    key: row.get(0)?,
                    id: row.get(1)?,
                    title: row.get(2)?,
                    answerer: Answerer {
                        endpoint: row.get(3)?,
                        model: row.get(4)?,
                    },
                    created: Moment(row.get(5)?),
                    updated: Moment(row.get(6)?),
                    turns: u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
                })
            })?;
            headings.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(self.wrong())
    }

    fn wrong(&self) -> impl Fn(rusqlite::Error) -> Error + use<> {
        Error::of(&schema::path(&self.folder))
    }
}

/// Makes one text of a message and its pieces, and puts it into the index.
pub(super) fn fold(transaction: &Transaction<'_>, key: i64) -> rusqlite::Result<()> {
    let (text, reasoning) = pieces(transaction, key)?;
    transaction.execute(
        "UPDATE messages SET content = content || ?2, reasoning = reasoning || ?3 WHERE key = ?1",
        params![key, text, reasoning],
    )?;
    transaction.execute("DELETE FROM pieces WHERE message = ?1", [key])?;
    index(transaction, key)
}

/// Puts a message into the index, in place of what was there of it.
pub(super) fn index(transaction: &Transaction<'_>, key: i64) -> rusqlite::Result<()> {
    let sql = "SELECT content FROM messages WHERE key = ?1";
    let text: String = transaction.query_row(sql, [key], |row| row.get(0))?;
    transaction.execute("DELETE FROM words WHERE rowid = ?1", [key])?;
    let cut = words::cut(&text);
    transaction.execute(
        "INSERT INTO words (rowid, text) VALUES (?1, ?2)",
        params![key, cut],
    )?;
    Ok(())
}

/// The pieces of a message put together: its text, and what was thought.
fn pieces(connection: &Connection, key: i64) -> rusqlite::Result<(String, String)> {
    let mut statement =
        connection.prepare("SELECT kind, text FROM pieces WHERE message = ?1 ORDER BY key")?;
    let mut rows = statement.query([key])?;
    let (mut text, mut reasoning) = (String::new(), String::new());
    while let Some(row) = rows.next()? {
        let into = if row.get_ref(0)?.as_str()? == "reasoning" {
            &mut reasoning
        } else {
            &mut text
        };
        into.push_str(row.get_ref(1)?.as_str()?);
    }
    Ok((text, reasoning))
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let role = role(row, 1)?;
    let text: String = row.get(2)?;
    let parts: Option<String> = row.get(3)?;
    let content = parts.and_then(|parts| entry::parts_from_json(&parts));
    let mut message = Message::text(role, "");
    message.content = content.unwrap_or(Content::Text(text));
    let millis = |at| -> rusqlite::Result<Option<Duration>> {
        let millis: Option<i64> = row.get(at)?;
        Ok(millis
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Duration::from_millis))
    };
    let ending = |verdict: String| -> rusqlite::Result<Ending> {
        Ok(Ending {
            verdict,
            finish_reason: row.get(9)?,
            error: row.get(10)?,
            usage: usage(row.get(11)?, row.get(12)?),
            first: millis(13)?,
            elapsed: millis(14)?.unwrap_or_default(),
        })
    };
    let answer = if role == Role::Assistant {
        Some(Answer {
            answerer: Answerer {
                endpoint: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
                model: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            },
            ending: row.get::<_, Option<String>>(8)?.map(ending).transpose()?,
            is_live: false,
            seams: row
                .get::<_, Option<String>>(15)?
                .map_or_else(Vec::new, |seams| entry::seams_from_json(&seams)),
        })
    } else {
        None
    };
    let entry = Entry {
        message,
        reasoning: row.get(4)?,
        created: Moment(row.get(5)?),
        answer,
    };
    Ok((row.get(0)?, entry))
}

fn usage(input: Option<i64>, output: Option<i64>) -> Option<Usage> {
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
    Some(Usage {
        input_tokens: count(input?),
        output_tokens: count(output?),
        ..Usage::default()
    })
}

/// A role that this version does not know can only be in a file that somebody has edited.
fn role(row: &Row<'_>, at: usize) -> rusqlite::Result<Role> {
    let name = row.get_ref(at)?.as_str()?;
    Role::from_wire(name).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            at,
            rusqlite::types::Type::Text,
            format!("no role is called {name:?}").into(),
        )
    })
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
