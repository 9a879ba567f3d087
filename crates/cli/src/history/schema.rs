//! The file: where it is, who may read it, and its tables, which later versions change step by step.
//!
//! `PRAGMA user_version` is the number of steps that the file has been through. A file with more than this program
//! knows is refused and not written to, and so is a database of another program. Steps are never edited once released: `tests/` keeps a file of every version.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::error::{Error, Result};

/// The file's name in the data folder.
pub(super) const FILE: &str = "history.db";

/// How long one statement waits for another process to finish its write. Writes take milliseconds.
const BUSY: Duration = Duration::from_secs(2);

/// `PRAGMA application_id`: "Aura" in ASCII. The number of steps alone says little, many programs have a version 1.
const APPLICATION: i64 = 0x4175_7261;

/// The steps from an empty file to the present schema.
///
/// 1: Times are milliseconds since 1970. A message with role `assistant` whose `verdict` is null was not finished: what
/// came of it is `content` and then its `pieces`. `parts` holds a content that is not one text as JSON, `content` the
/// text of it; `seams` where the message was continued, as JSON. `words` is the index of texts as `super::words` cuts
/// them; it holds no text itself.
const STEPS: [&str; 1] = ["
    CREATE TABLE conversations (
        key      INTEGER PRIMARY KEY AUTOINCREMENT,
        id       TEXT    NOT NULL UNIQUE,
        title    TEXT    NOT NULL,
        endpoint TEXT    NOT NULL,
        model    TEXT    NOT NULL,
        created  INTEGER NOT NULL,
        updated  INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX conversations_by_update ON conversations (updated);

    CREATE TABLE messages (
        key           INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation  INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
        seq           INTEGER NOT NULL,
        role          TEXT    NOT NULL,
        content       TEXT    NOT NULL,
        parts         TEXT,
        reasoning     TEXT    NOT NULL DEFAULT '',
        created       INTEGER NOT NULL,
        endpoint      TEXT,
        model         TEXT,
        verdict       TEXT,
        finish_reason TEXT,
        error         TEXT,
        input_tokens  INTEGER,
        output_tokens INTEGER,
        first_ms      INTEGER,
        elapsed_ms    INTEGER,
        seams         TEXT,
        UNIQUE (conversation, seq)
    ) STRICT;
    CREATE INDEX messages_unfinished ON messages (key) WHERE role = 'assistant' AND verdict IS NULL;

    CREATE TABLE pieces (
        key     INTEGER PRIMARY KEY,
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        kind    TEXT    NOT NULL CHECK (kind IN ('text', 'reasoning')),
        text    TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX pieces_by_message ON pieces (message);

    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER messages_deleted AFTER DELETE ON messages BEGIN
        DELETE FROM words WHERE rowid = old.key;
    END;
"];

/// The file's path in this data folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Opens the history of this folder; makes folder and file, for their owner alone, if they are not there.
///
/// # Errors
/// They cannot be made, are no history, or are one of a newer version; or another process keeps the file to itself for
/// longer than 2 s.
pub(super) fn open(folder: &Path) -> Result<Connection> {
    let path = path(folder);
    make_folder(folder).map_err(|error| Error::File {
        path: folder.to_owned(),
        error,
    })?;
    make_file(&path).map_err(|error| Error::File {
        path: path.clone(),
        error,
    })?;
    let begun = Instant::now();
    loop {
        match connect(&path, &STEPS) {
            // Two that make the same file new are not made to wait for each other by the time-out alone.
            Err(error) if error.is_busy() && begun.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Removes the file and what SQLite puts beside it. Whoever has it open would go on with a file that nobody finds again,
/// so nobody may.
///
/// # Errors
/// Another process has it open, or it cannot be removed.
pub(super) fn erase(folder: &Path) -> Result<()> {
    let path = path(folder);
    let wrong = Error::of(&path);
    let connection = Connection::open(&path).map_err(&wrong)?;
    let alone = |connection: &Connection| {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.execute_batch("BEGIN EXCLUSIVE")
    };
    alone(&connection).map_err(&wrong)?;
    let remove = |path: PathBuf| match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::File { path, error }),
        _ => Ok(()),
    };
    // The file first: what is beside it means nothing without it.
    remove(path)?;
    for beside in ["-wal", "-shm"] {
        remove(folder.join(format!("{FILE}{beside}")))?;
    }
    Ok(())
}

fn connect(path: &Path, steps: &[&str]) -> Result<Connection> {
    let wrong = Error::of(path);
    let mut connection = Connection::open(path).map_err(&wrong)?;
    connection.busy_timeout(BUSY).map_err(&wrong)?;
    // Looked at before anything is set, since to set the journal is to write.
    check(path, &connection, steps)?;
    let set_up = |connection: &Connection| {
        // A reader does not wait for a writer, and a write waits for no disk: the end of this process loses nothing,
        // a loss of power perhaps the last seconds.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)
    };
    set_up(&connection).map_err(&wrong)?;
    migrate(path, &mut connection, steps)?;
    Ok(connection)
}

/// Takes the steps that the file has not been through, all or none of them.
fn migrate(path: &Path, connection: &mut Connection, steps: &[&str]) -> Result<()> {
    let wrong = Error::of(path);
    if version(connection).map_err(&wrong)? == known(steps) {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&wrong)?;
    // Another process may have been faster.
    let found = check(path, &transaction, steps)?;
    for step in steps.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(&wrong)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION)
        .and_then(|()| transaction.pragma_update(None, "user_version", known(steps)))
        .and_then(|()| transaction.commit())
        .map_err(&wrong)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The number of steps that the file has been through, which has to be ours and not more than are known.
fn check(path: &Path, connection: &Connection, steps: &[&str]) -> Result<i64> {
    // In one statement, since another process may be making the file.
    let sql = "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema), \
               (SELECT count(*) FROM sqlite_schema WHERE name IN ('conversations', 'messages', 'pieces', 'words')) \
               FROM pragma_user_version, pragma_application_id";
    let seen = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, i64, i64, i64)> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let (found, application, objects, ours) = connection.query_row(sql, [], seen).map_err(Error::of(path))?;
    let is_ours = match application {
        APPLICATION => true,
        // An empty file is nobody's. The first histories have no number yet.
        0 => objects == 0 && found == 0 || ours == 4 && found > 0,
        _ => false,
    };
    if !is_ours {
        return Err(Error::Foreign {
            path: path.to_owned(),
        });
    }
    if found > known(steps) {
        return Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: known(steps),
        });
    }
    Ok(found)
}

fn known(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

/// A folder that is there already stays as its owner made it.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// SQLite gives its own files beside this one the same mode.
fn make_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => return Ok(()),
        Err(_) => {}
    }
    private(path).map(drop)
}

/// Opens a file for writing that is for its owner's eyes, and makes it if it is not there.
pub(super) fn private(path: &Path) -> io::Result<File> {
    crate::private::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

#[cfg(test)]
mod tests;
