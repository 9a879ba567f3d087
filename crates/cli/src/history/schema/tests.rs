//! Files of every version, and files that are not ours to touch.

use aurora_chat::{Content, Role};

use super::*;
use crate::history::store::Store;
use crate::history::tests::Folder;

/// A file of version 1, with data.
const V1: &str = include_str!("v1.sql");

fn version_1() -> Folder {
    let folder = Folder::new();
    Connection::open(path(folder.path()))
        .unwrap()
        .execute_batch(V1)
        .unwrap();
    folder
}

#[test]
fn a_file_of_version_1_is_read_whole() {
    let folder = version_1();
    let mut store = Store::open(folder.path()).unwrap();
    let headings = store.list(10).unwrap();
    let ids: Vec<&str> = headings.iter().map(|heading| heading.id.as_str()).collect();
    assert_eq!(ids, ["x7q2mm", "k3f9ab"]);
    let whole = store.messages(&headings[1]).unwrap();
    assert_eq!(whole[0].message.role, Role::System);
    let answer = whole[2].answer.as_ref().unwrap();
    assert_eq!((answer.verdict(), answer.seams.len()), (Some("complete"), 1));
    assert_eq!(answer.ending.as_ref().unwrap().usage.unwrap().output_tokens, 4);
    let partial = store.messages(&headings[0]).unwrap();
    assert!(matches!(&partial[0].message.content, Content::Parts(parts) if parts.len() == 2));
    assert_eq!(partial[1].message.plain_text(), "数据库是存储");
    assert_eq!(partial[1].reasoning, "想");
    assert!(partial[1].is_partial());
    // Also what its program was killed over is found, and the folding changes nothing that is read.
    assert_eq!(store.search(&["存储".into()], 10).unwrap().len(), 1);
    assert_eq!(store.messages(&headings[0]).unwrap(), partial);
    assert_eq!(store.search(&["数据".into()], 10).unwrap().len(), 2);
}

/// The schema of a new file is that of the file that is kept: a step that was edited would make two kinds of files.
#[test]
fn a_new_file_is_as_the_kept_one() {
    let (old, new) = (version_1(), Folder::new());
    open(new.path()).unwrap();
    let objects = |folder: &Folder| -> Vec<String> {
        let connection = Connection::open(path(folder.path())).unwrap();
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let spaceless = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.map(|sql| spaceless(sql.unwrap())).collect()
    };
    assert_eq!(objects(&old), objects(&new));
}

#[test]
fn later_steps_are_taken_once_and_all_or_none() {
    let folder = version_1();
    let path = path(folder.path());
    let broken = [
        STEPS[0],
        "ALTER TABLE messages ADD COLUMN stars INTEGER; SELECT * FROM nowhere;",
    ];
    assert!(connect(&path, &broken).is_err());
    let right = [
        STEPS[0],
        "ALTER TABLE messages ADD COLUMN stars INTEGER NOT NULL DEFAULT 3;",
    ];
    for _ in 0..2 {
        let connection = connect(&path, &right).unwrap();
        assert_eq!(version(&connection), Ok(2));
        let stars: i64 = connection
            .query_row("SELECT sum(stars) FROM messages", [], |row| row.get(0))
            .unwrap();
        assert_eq!(stars, 15);
    }
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = version_1();
    let path = path(folder.path());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 7)
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(crate::problem::Problem::from(error).exit_code(), 3);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_refused_in_a_line_and_left_alone() {
    for sql in [
        "CREATE TABLE conversations (name TEXT)",
        "CREATE TABLE notes (text TEXT); PRAGMA user_version = 1",
        "CREATE TABLE messages (text TEXT); PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ] {
        let folder = Folder::new();
        let path = path(folder.path());
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{sql}: {error}");
        assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
    }
    let folder = Folder::new();
    drop(open(folder.path()).unwrap());
    let connection = open(folder.path()).unwrap();
    let id: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    assert_eq!(id, APPLICATION);

    // What SQLite says of a statement is said without the statement.
    let error = connection
        .execute_batch("SELECT 1;\nSELECT * FROM nowhere")
        .unwrap_err();
    let told = Error::of(Path::new("history.db"))(error).to_string();
    assert_eq!(told, "history.db: no such table: nowhere");
}

#[test]
fn a_folder_in_the_place_of_the_file_and_a_file_in_that_of_the_folder_are_named() {
    let folder = Folder::new();
    fs::create_dir(path(folder.path())).unwrap();
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("history.db: is a folder, and no file"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file).unwrap_err().to_string();
    assert!(error.ends_with("file: is no folder"), "{error}");
}

#[test]
fn what_is_no_history_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = path(folder.path());
    fs::write(&path, "a text that somebody wrote and would miss".repeat(100)).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(
        !error.is_busy() && error.to_string().contains("history.db"),
        "{error}"
    );
    assert!(fs::read_to_string(&path).unwrap().starts_with("a text"));
}

#[cfg(unix)]
#[test]
fn file_and_folder_are_their_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let inner = folder.path().join("new").join("data");
    let connection = open(&inner).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inner), mode(&path(&inner))), (0o700, 0o600));
    // What SQLite puts beside it holds texts too.
    assert_eq!(mode(&inner.join("history.db-wal")), 0o600);
    drop(connection);
}
