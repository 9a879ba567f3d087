//! Checks and benchmarks of this repository, run as `cargo xtask COMMAND`.
//!
//! What a compiler or a test can check is not here. Each command is a module with one public function that takes the
//! top of the repository; it prints on stdout and returns the exit code, or an error that says why it could not be done.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod tidy;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy    check the rules that no compiler checks: arrows between crates, file sizes, documents
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["tidy"] => top().and_then(|top| tidy::run(&top)),
        [] | ["help" | "--help" | "-h", ..] => print(USAGE).map(|()| ExitCode::SUCCESS),
        _ => Err(format!("unknown command: {}\n\n{USAGE}", words.join(" "))),
    };
    result.unwrap_or_else(|message| {
        // Nobody is left to be told that stderr is closed.
        let _ = writeln!(std::io::stderr(), "xtask: {message}");
        ExitCode::from(2)
    })
}

/// The top of the repository: this package's folder, which cargo names, is one below it.
fn top() -> Result<PathBuf, String> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run me as cargo xtask")?;
    Path::new(&folder)
        .parent()
        .map(Path::to_owned)
        .ok_or_else(|| "this package has no folder above it".to_owned())
}

/// Writes to stdout.
fn print(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}
