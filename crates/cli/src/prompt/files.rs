//! The files that `-f` means: a path, or a pattern that the shell was kept from expanding.

use std::fs::File;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::input::{self, Input};
use crate::problem::{Problem, Result};

/// The most files that one pattern may mean.
const MAX_MATCHES: usize = 1000;

/// As shells do it: `*` stops at a slash, and hidden files and folders are left out.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The paths that are meant, in the order of their names. A file whose name looks like a pattern is that file.
///
/// # Errors
/// Nothing or too much matches, a folder cannot be read, or it is no path but an address (usage).
pub(super) fn resolve(named: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("--file {}: {what}", named.display()));
    let pattern = named.to_str().unwrap_or_default();
    if pattern.starts_with("http://") || pattern.starts_with("https://") {
        return Err(wrong(
            &"addresses are not fetched; give it what another program fetches (curl -sSL … | aurora -f - PROMPT)",
        ));
    }
    if !pattern.contains(['*', '?', '[']) || named.exists() {
        return Ok(vec![named.to_owned()]);
    }
    let matches = glob::glob_with(pattern, OPTIONS).map_err(|error| wrong(&error))?;
    let mut paths = Vec::new();
    for path in matches {
        let path = path.map_err(|error| wrong(&error))?;
        if path.is_dir() {
            continue;
        }
        if paths.len() == MAX_MATCHES {
            return Err(wrong(&format_args!("means more than {MAX_MATCHES} files")));
        }
        paths.push(path);
    }
    if paths.is_empty() {
        return Err(wrong(&"no file matches"));
    }
    paths.sort();
    Ok(paths)
}

/// Reads one of them.
///
/// # Errors
/// It cannot be read, or is nothing that can be sent (usage).
pub(super) fn read(path: &Path) -> Result<Input> {
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("--file {}: {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    input::read(file).map_err(|what| wrong(&what))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn patterns_mean_the_files_that_a_shell_would_find() {
        let root = std::env::temp_dir().join(format!("aurora-globs-{}", std::process::id()));
        for name in [
            "b.rs",
            "a.rs",
            "c.txt",
            ".hidden.rs",
            "inner/d.rs",
            "inner/deep/e.rs",
            "odd[1].rs",
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let found = |pattern: &str| {
            resolve(&root.join(pattern)).map(|paths| {
                let names = paths
                    .iter()
                    .map(|path| path.strip_prefix(&root).unwrap().display().to_string());
                names.collect::<Vec<_>>().join(" ")
            })
        };
        for (pattern, expected) in [
            ("*.rs", "a.rs b.rs odd[1].rs"),
            ("**/*.rs", "a.rs b.rs inner/d.rs inner/deep/e.rs odd[1].rs"),
            ("[ab].rs", "a.rs b.rs"),
            ("odd[1].rs", "odd[1].rs"),
            ("*", "a.rs b.rs c.txt odd[1].rs"),
            ("inner/*", "inner/d.rs"),
            ("missing.rs", "missing.rs"),
        ] {
            assert_eq!(found(pattern).as_deref(), Ok(expected), "{pattern}");
        }
        for (pattern, word) in [("*.md", "no file matches"), ("a***", "wildcard")] {
            let problem = found(pattern).unwrap_err();
            assert!(
                problem.exit_code() == 2 && problem.to_string().contains(word),
                "{problem}"
            );
        }
        for number in 0..=MAX_MATCHES {
            fs::write(root.join(format!("{number}.many")), "").unwrap();
        }
        assert!(found("*.many").unwrap_err().to_string().contains("1000"));
        fs::remove_dir_all(&root).unwrap();
        let address = resolve(Path::new("https://example.org/a*")).unwrap_err();
        assert!(address.to_string().contains("not fetched"), "{address}");
    }
}
