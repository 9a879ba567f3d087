//! What has come of parts, kept for the next run: a file each, named by a hash of everything that it depends on.
//!
//! A file is written beside its place and renamed, so it is whole or not there, whatever ends the process. It is for its
//! owner's eyes only. All together they take no more than [`MAX_BYTES`]; those that were used longest ago go first. Nothing
//! depends on it: what cannot be read is asked for again, and what cannot be written is told once.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aurora_chat::{Usage, Verdict};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::private;

/// What all files may take together; the summaries of some hundred books.
const MAX_BYTES: u64 = 64 << 20;

/// And how many there may be.
const MAX_FILES: usize = 20_000;

/// The largest of them.
const MAX_FILE: u64 = 1 << 20;

/// What a file takes on the disk beside its bytes, at most.
const BLOCK: u64 = 4096;

/// The form of the files; another one is not read.
const FORM: u64 = 1;

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) text: String,
    /// Complete or length.
    pub(crate) verdict: Verdict,
    pub(crate) usage: Option<Usage>,
}

/// The folder of kept answers.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// The name of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The name of what is answered to this; everything that makes a difference has to be in it.
    pub(crate) fn of(asked: &Value) -> Self {
        // Fields of a map are in the order of their names.
        let hash = Sha256::digest(asked.to_string().as_bytes());
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Cache {
    /// The cache in this data folder.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            folder: data.join("summaries"),
        }
    }

    /// What was kept under this name.
    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        let path = self.path(key);
        let file = fs::File::open(&path).ok()?;
        let mut bytes = Vec::new();
        (&file).take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        let kept = parse(&bytes)?;
        // So that it is not the next to go. A folder that cannot be written still serves.
        let _ = file.set_modified(SystemTime::now());
        Some(kept)
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put(&self, key: &Key, kept: &Kept) -> io::Result<()> {
        let bytes = render(kept);
        if bytes.len() as u64 >= MAX_FILE {
            return Ok(());
        }
        self.make_folder()?;
        let path = self.path(key);
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let written = private::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// Removes what was used longest ago, until the rest is within the limits; and what a process that was killed has left.
    pub(crate) fn evict(&self) {
        self.evict_to(MAX_BYTES, MAX_FILES);
    }

    fn evict_to(&self, max_bytes: u64, max_files: usize) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((
                    data.modified().ok()?,
                    data.len().next_multiple_of(BLOCK),
                    entry.path(),
                ))
            })
            .collect();
        // The latest first.
        files.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let (mut bytes, mut count) = (0, 0);
        let now = SystemTime::now();
        for (used, size, path) in files {
            let is_left_over = path.extension().is_some_and(|ending| ending == "new")
                && now.duration_since(used).is_ok_and(|age| age.as_secs() > 3600);
            bytes += size;
            count += 1;
            if is_left_over || bytes > max_bytes || count > max_files {
                // Another process may have removed it first.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.json", key.0))
    }

    fn make_folder(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)
    }
}

fn render(kept: &Kept) -> Vec<u8> {
    let value = json!({
        "form": FORM,
        "verdict": kept.verdict.as_str(),
        "input_tokens": kept.usage.map(|usage| usage.input_tokens),
        "output_tokens": kept.usage.map(|usage| usage.output_tokens),
        "text": kept.text,
    });
    value.to_string().into_bytes()
}

fn parse(bytes: &[u8]) -> Option<Kept> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if value["form"] != FORM {
        return None;
    }
    let verdict = match value["verdict"].as_str()? {
        "complete" => Verdict::Complete,
        "length" => Verdict::Length,
        _ => return None,
    };
    let count = |name: &str| value[name].as_u64();
    let usage = count("input_tokens").zip(count("output_tokens"));
    Some(Kept {
        text: value["text"].as_str()?.to_owned(),
        verdict,
        usage: usage.map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("aurora-summaries-{}-{name}", std::process::id()));
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kept(text: &str) -> Kept {
        Kept {
            text: text.to_owned(),
            verdict: Verdict::Length,
            usage: Some(Usage {
                input_tokens: 3,
                output_tokens: 4,
                ..Usage::default()
            }),
        }
    }

    #[test]
    fn what_is_put_is_got_and_damage_is_nothing() {
        let folder = Folder::new("got");
        let cache = Cache::new(&folder.0);
        let (key, other) = (
            Key::of(&json!({"a": 1, "b": "x"})),
            Key::of(&json!({"a": 1, "b": "y"})),
        );
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &kept("雪")).unwrap();
        assert_eq!((cache.get(&key), cache.get(&other)), (Some(kept("雪")), None));
        fs::write(cache.path(&key), &render(&kept("雪"))[..20]).unwrap();
        assert_eq!(cache.get(&key), None);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("own");
        let cache = Cache::new(&folder.0);
        let key = Key::of(&json!(1));
        cache.put(&key, &kept("x")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.path(&key)), mode(&cache.folder)), (0o600, 0o700));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let folder = Folder::new("old");
        let cache = Cache::new(&folder.0);
        let keys: Vec<Key> = (0..6).map(|n| Key::of(&json!(n))).collect();
        for (n, key) in keys.iter().enumerate() {
            cache.put(key, &kept("x")).unwrap();
            let then = SystemTime::now() - std::time::Duration::from_secs(1000 - n as u64);
            fs::File::options()
                .write(true)
                .open(cache.path(key))
                .unwrap()
                .set_modified(then)
                .unwrap();
        }
        assert!(cache.get(&keys[0]).is_some());
        cache.evict_to(MAX_BYTES, 3);
        let left: Vec<bool> = keys.iter().map(|key| cache.get(key).is_some()).collect();
        assert_eq!(left, [true, false, false, false, true, true]);
        cache.evict_to(2 * BLOCK, MAX_FILES);
        assert_eq!(keys.iter().filter(|key| cache.get(key).is_some()).count(), 2);
    }
}
