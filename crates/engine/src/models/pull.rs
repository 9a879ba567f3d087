//! Fetching a model: lock, fetch, check, convert, move into place, clean up.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::sources::{KNOWN, Known};
use super::{Progress, Pulled, Record, Store, convert, fetch, name_from};
use crate::error::{Error, ErrorKind, Result};

/// What to fetch.
enum Wanted<'a> {
    Known(&'a Known),
    Url(&'a str),
    File(&'a Path),
}

pub(super) fn pull(store: &Store, source: &str, progress: &mut dyn FnMut(Progress)) -> Result<Pulled> {
    let (name, wanted) = wanted(source)?;
    let pulled = |path: PathBuf, is_new: bool| {
        Ok(Pulled {
            name: name.clone(),
            path,
            is_new,
        })
    };
    if let Some(path) = there(store, &name, &wanted)? {
        return pulled(path, false);
    }
    fs::create_dir_all(&store.folder).map_err(|source| Error::io("create", &store.folder, source))?;
    let _lock = lock(&store.folder.join(format!(".{name}.lock")), &name, progress)?;
    // Another process may have fetched it while this one waited.
    if let Some(path) = there(store, &name, &wanted)? {
        return pulled(path, false);
    }
    // Under the lock nobody else uses this folder: what lies in it was left by a process that died.
    let workshop = Workshop::new(store.folder.join(format!(".{name}.partial")))?;
    let (fetched, origin) = fetch(&wanted, &workshop.0, progress)?;
    progress(Progress::Step(format!("checking {name}")));
    let sha256 = sha256(&fetched)?;
    if let Wanted::Known(known) = wanted
        && known.sha256 != sha256
    {
        return Err(Error::new(
            ErrorKind::Download,
            format!(
                "{origin} sent another file than expected (SHA-256 {sha256}, not {}); it was discarded",
                known.sha256
            ),
        ));
    }
    progress(Progress::Step(format!("converting {name} for this engine")));
    let converted = convert::convert(&fetched, &workshop.0.join("converted.gguf"))?;
    let bytes = fs::metadata(&converted)
        .map_err(|source| Error::io("read", &converted, source))?
        .len();
    let record = Record {
        bytes,
        source: origin,
        source_sha256: sha256,
    };
    put_in_place(store, &name, &converted, &workshop.0, &record)?;
    pulled(store.file(&name), true)
}

/// The model's file, if it is there already and is what is wanted. A known model whose file is another one is fetched
/// again; any other stays, and the name is refused.
fn there(store: &Store, name: &str, wanted: &Wanted<'_>) -> Result<Option<PathBuf>> {
    let Some(path) = store.path(name) else {
        return Ok(None);
    };
    let record = store.record(name);
    let source = record
        .as_ref()
        .map_or("somewhere unknown", |record| &record.source);
    let is_same = match wanted {
        Wanted::Known(known) => {
            return Ok(record
                .is_some_and(|record| record.source_sha256 == known.sha256)
                .then_some(path));
        }
        Wanted::Url(url) => source == shown(url),
        Wanted::File(file) => source == file.display().to_string(),
    };
    if is_same {
        return Ok(Some(path));
    }
    let message =
        format!("there is a model '{name}' already, from {source}; remove it, or give the file another name");
    Err(Error::new(ErrorKind::Io, message))
}

/// A URL as it may be shown: without the query, which may carry a key.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn wanted(source: &str) -> Result<(String, Wanted<'_>)> {
    let refuse = |why: String| Err(Error::new(ErrorKind::NotFound, why));
    if let Some(known) = KNOWN.iter().find(|known| known.name == source) {
        return Ok((known.name.to_owned(), Wanted::Known(known)));
    }
    let known: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
    let hint = format!(
        "a name ({}), a URL of a .gguf file, or the path of one",
        known.join(", ")
    );
    let wanted = if source.starts_with("http://") || source.starts_with("https://") {
        Wanted::Url(source)
    } else if Path::new(source).is_file() {
        Wanted::File(Path::new(source))
    } else {
        return refuse(format!("there is no model or file '{source}'; give {hint}"));
    };
    // A query is not part of the file's name.
    let path = if matches!(wanted, Wanted::Url(_)) {
        shown(source)
    } else {
        source
    };
    if !path.to_ascii_lowercase().ends_with(".gguf") {
        return refuse(format!("'{path}' does not end in .gguf; give {hint}"));
    }
    match name_from(path) {
        Some(name) if known.contains(&name.as_str()) => refuse(format!(
            "'{name}' is the name of a known model; give the file another name"
        )),
        Some(name) => Ok((name, wanted)),
        None => refuse(format!("'{path}' does not yield a name for the model")),
    }
}

/// Fetches the file; returns where it lies, and where it came from.
fn fetch(
    wanted: &Wanted<'_>,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, String)> {
    match wanted {
        Wanted::File(path) => Ok((path.to_path_buf(), path.display().to_string())),
        Wanted::Url(url) => {
            let shown = shown(url).to_owned();
            Ok((fetch::url(url, &shown, workshop, progress)?, shown))
        }
        Wanted::Known(known) => {
            let mut failures = Vec::new();
            for source in known.sources {
                match fetch::source(source, known, workshop, progress) {
                    Ok(found) => return Ok(found),
                    Err(error) => {
                        tracing::info!(%error, ?source, "a source of the model failed");
                        failures.push(error.to_string());
                    }
                }
            }
            let message = format!("cannot fetch {}: {}", known.name, failures.join("; "));
            Err(Error::new(ErrorKind::Download, message))
        }
    }
}

/// Takes the lock of a model, waiting while another process holds it. It is released when the file is dropped, and
/// by the system when the process dies.
fn lock(path: &Path, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<File> {
    let file = File::create(path).map_err(|source| Error::io("create", path, source))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            progress(Progress::Step(format!(
                "waiting for another process that is fetching {name}"
            )));
        }
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
    }
    file.lock().map_err(|source| Error::io("lock", path, source))?;
    Ok(file)
}

/// A folder that is removed, with all that is in it, when it is no longer needed.
struct Workshop(PathBuf);

impl Workshop {
    fn new(path: PathBuf) -> Result<Self> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("clear", path, error));
            }
            _ => {}
        }
        fs::create_dir_all(&path).map_err(|source| Error::io("create", &path, source))?;
        Ok(Self(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "cannot clean up; the next pull will");
        }
    }
}

fn sha256(path: &Path) -> Result<String> {
    let failed = |source| Error::io("read", path, source);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Moves a finished file and its record into place. The record goes first: a file whose record is missing would be
/// taken as put there by hand, one that is shorter than its record says is not used.
fn put_in_place(store: &Store, name: &str, file: &Path, workshop: &Path, record: &Record) -> Result<()> {
    let written = workshop.join("record.json");
    let text = serde_json::to_vec_pretty(record).unwrap_or_default();
    File::create(&written)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
        .map_err(|source| Error::io("write", &written, source))?;
    File::open(file)
        .and_then(|file| file.sync_all())
        .map_err(|source| Error::io("write", file, source))?;
    for (from, to) in [
        (written.as_path(), store.record_file(name)),
        (file, store.file(name)),
    ] {
        fs::rename(from, &to).map_err(|source| Error::io("write", to, source))?;
    }
    Ok(())
}
