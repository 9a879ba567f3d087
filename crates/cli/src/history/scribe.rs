//! What is written, step by step: a conversation as it is made, said, answered and taken back.
//!
//! A [`Scribe`] turns a run of [`Op`]s into one transaction. If that fails nothing was written and the scribe is as it
//! was, so that the same run can be tried again. An answer's text goes into a table of pieces, a row for every run, and
//! is made one text at its end: to write the whole text each time would cost its length squared.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aurora_chat::Message;
use rusqlite::{Transaction, TransactionBehavior, params};

use super::claim::Claim;
use super::entry::{self, Answerer, Ending, Moment, Seam};
use super::error::{Error, Result};
use super::{schema, store};

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// The conversation begins.
    Create { title: String, answerer: Answerer },
    /// A message is said.
    Say { message: Message, at: Moment },
    /// This is who answers from now on.
    Address(Answerer),
    /// An answer begins.
    Begin { answerer: Answerer, at: Moment },
    /// The answer at this place goes on.
    Reopen { place: usize, seam: Seam },
    /// More of the text of the answer that has begun.
    Text(String),
    /// More of what it thinks aloud.
    Reasoning(String),
    /// The answer is over.
    End(Box<Ending>),
    /// The system prompt, which is in front of everything, is this now.
    Lead(Option<Message>),
    /// Only the first so many messages remain.
    Truncate(usize),
}

/// Writes one conversation.
#[derive(Clone, Debug)]
pub(super) struct Scribe {
    folder: PathBuf,
    /// The conversation's id; where it is not written yet, the one it is going to have if nobody else has it.
    pub(super) id: String,
    /// The conversation's number, once it is written.
    conversation: Option<i64>,
    /// The numbers of the messages, by their places.
    messages: Vec<i64>,
    /// The answer that is being written.
    open: Option<i64>,
    claim: Option<Arc<Claim>>,
}

impl Scribe {
    /// For a conversation that is still to be created.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            id: new_id(),
            conversation: None,
            messages: Vec::new(),
            open: None,
            claim: None,
        }
    }

    /// For a conversation that is in the file.
    pub(super) fn of(folder: &Path, id: &str, conversation: i64, messages: Vec<i64>) -> Self {
        Self {
            conversation: Some(conversation),
            messages,
            id: id.to_owned(),
            ..Self::new(folder)
        }
    }

    /// The folder of the file.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes all of this, or nothing.
    ///
    /// # Errors
    /// The file cannot be written, or the conversation was removed meanwhile.
    pub(super) fn write(&mut self, connection: &mut rusqlite::Connection, ops: &[Op]) -> Result<()> {
        let wrong = Error::of(&schema::path(&self.folder));
        let mut next = self.clone();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&wrong)?;
        // One that is still to be created is not there to be removed.
        if self.conversation.is_some() && !self.touch(&transaction).map_err(&wrong)? {
            return Err(Error::Removed);
        }
        ops.iter()
            .try_for_each(|op| next.apply(&transaction, op))
            .and_then(|()| transaction.commit())
            .map_err(wrong)?;
        *self = next;
        Ok(())
    }

    fn apply(&mut self, to: &Transaction<'_>, op: &Op) -> rusqlite::Result<()> {
        match op {
            Op::Create { title, answerer } => self.create(to, title, answerer),
            Op::Say { message, at } => {
                let key = self.insert(to, message, *at, None)?;
                store::index(to, key)
            }
            Op::Address(answerer) => to
                .execute(
                    "UPDATE conversations SET endpoint = ?2, model = ?3 WHERE key = ?1",
                    params![self.conversation, answerer.endpoint, answerer.model],
                )
                .map(drop),
            Op::Begin { answerer, at } => {
                let empty = Message::text(aurora_chat::Role::Assistant, "");
                let key = self.insert(to, &empty, *at, Some(answerer))?;
                self.open(key);
                Ok(())
            }
            Op::Reopen { place, seam } => self.reopen(to, *place, seam),
            Op::Text(text) => self.add(to, "text", text),
            Op::Reasoning(text) => self.add(to, "reasoning", text),
            Op::End(ending) => self.end(to, ending),
            Op::Lead(message) => self.lead(to, message.as_ref()),
            Op::Truncate(length) => self.truncate(to, *length),
        }
    }

    fn create(&mut self, to: &Transaction<'_>, title: &str, answerer: &Answerer) -> rusqlite::Result<()> {
        /// Two conversations by chance with the same id are rare; so many are a file that is full of them.
        const TRIES: usize = 16;
        let now = Moment::now().0;
        for _ in 0..TRIES {
            let rows = to.execute(
                "INSERT INTO conversations (id, title, endpoint, model, created, updated) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id) DO NOTHING",
                params![self.id, title, answerer.endpoint, answerer.model, now],
            )?;
            if rows == 1 {
                self.conversation = Some(to.last_insert_rowid());
                return Ok(());
            }
            self.id = new_id();
        }
        Err(rusqlite::Error::StatementChangedRows(0))
    }

    fn insert(
        &mut self,
        to: &Transaction<'_>,
        message: &Message,
        at: Moment,
        answerer: Option<&Answerer>,
    ) -> rusqlite::Result<i64> {
        let parts = entry::parts_to_json(&message.content).map(|parts| parts.to_string());
        // Another process may have added to the conversation, so the place is what the file says.
        to.execute(
            "INSERT INTO messages (conversation, seq, role, content, parts, created, endpoint, model) VALUES (?1, \
             (SELECT coalesce(max(seq) + 1, 0) FROM messages WHERE conversation = ?1), ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.conversation,
                message.role.as_str(),
                message.plain_text(),
                parts,
                at.0,
                answerer.map(|answerer| &answerer.endpoint),
                answerer.map(|answerer| &answerer.model),
            ],
        )?;
        let key = to.last_insert_rowid();
        self.messages.push(key);
        Ok(key)
    }

    fn open(&mut self, key: i64) {
        self.open = Some(key);
        self.claim = Claim::take(&self.folder, key).map(Arc::new);
    }

    fn reopen(&mut self, to: &Transaction<'_>, place: usize, seam: &Seam) -> rusqlite::Result<()> {
        let key = self.key(place)?;
        store::fold(to, key)?;
        let seams: Option<String> =
            to.query_row("SELECT seams FROM messages WHERE key = ?1", [key], |row| {
                row.get(0)
            })?;
        let mut seams = seams.map_or_else(Vec::new, |seams| entry::seams_from_json(&seams));
        seams.push(seam.clone());
        to.execute(
            "UPDATE messages SET verdict = NULL, finish_reason = NULL, error = NULL, seams = ?2 WHERE key = ?1",
            params![key, entry::seams_to_json(&seams).to_string()],
        )?;
        self.open(key);
        Ok(())
    }

    /// What comes of an answer that was taken back meanwhile is nobody's.
    fn add(&self, to: &Transaction<'_>, kind: &str, text: &str) -> rusqlite::Result<()> {
        let Some(key) = self.open else {
            return Ok(());
        };
        let mut statement = to.prepare("INSERT INTO pieces (message, kind, text) VALUES (?1, ?2, ?3)")?;
        statement.execute(params![key, kind, text]).map(drop)
    }

    fn end(&mut self, to: &Transaction<'_>, ending: &Ending) -> rusqlite::Result<()> {
        let Some(key) = self.open.take() else {
            return Ok(());
        };
        store::fold(to, key)?;
        let tokens = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let millis = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        to.execute(
            "UPDATE messages SET verdict = ?2, finish_reason = ?3, error = ?4, input_tokens = ?5, \
             output_tokens = ?6, first_ms = ?7, elapsed_ms = ?8 WHERE key = ?1",
            params![
                key,
                ending.verdict,
                ending.finish_reason,
                ending.error,
                tokens(ending.usage.map(|usage| usage.input_tokens)),
                tokens(ending.usage.map(|usage| usage.output_tokens)),
                ending.first.map(millis),
                millis(ending.elapsed),
            ],
        )?;
        self.claim = None;
        Ok(())
    }

    fn lead(&mut self, to: &Transaction<'_>, message: Option<&Message>) -> rusqlite::Result<()> {
        to.execute(
            "DELETE FROM messages WHERE role = 'system' AND conversation = ?1 \
             AND seq = (SELECT min(seq) FROM messages WHERE conversation = ?1)",
            [self.conversation],
        )?;
        if to.changes() > 0 {
            self.messages.drain(..1.min(self.messages.len()));
        }
        if let Some(message) = message {
            let key = self.insert(to, message, Moment::now(), None)?;
            to.execute(
                "UPDATE messages SET seq = (SELECT min(seq) - 1 FROM messages WHERE conversation = ?2) WHERE key = ?1",
                params![key, self.conversation],
            )?;
            self.messages.rotate_right(1);
            store::index(to, key)?;
        }
        Ok(())
    }

    fn truncate(&mut self, to: &Transaction<'_>, length: usize) -> rusqlite::Result<()> {
        for key in self.messages.drain(length.min(self.messages.len())..) {
            to.execute("DELETE FROM messages WHERE key = ?1", [key])?;
            if self.open == Some(key) {
                self.open = None;
                self.claim = None;
            }
        }
        Ok(())
    }

    /// Says when the conversation was added to; whether it is there.
    fn touch(&self, to: &Transaction<'_>) -> rusqlite::Result<bool> {
        let mut statement = to.prepare("UPDATE conversations SET updated = ?2 WHERE key = ?1")?;
        statement
            .execute(params![self.conversation, Moment::now().0])
            .map(|rows| rows > 0)
    }

    fn key(&self, place: usize) -> rusqlite::Result<i64> {
        self.messages
            .get(place)
            .copied()
            .ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// Six characters that are easy to tell apart and to type, 30 bits by chance.
fn new_id() -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits = RandomState::new().hash_one(Moment::now().0);
    (0..6)
        .map(|place| char::from(ALPHABET[(bits >> (5 * place)) as usize % ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_typeable_and_not_the_same() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        let typeable =
            |id: &String| id.len() == 6 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(ids.iter().all(typeable));
    }
}
