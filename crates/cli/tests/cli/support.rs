//! Running the binary with nothing of this machine's configuration around it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_testkit::{Reply, Script, Upstream};
use serde_json::Value;

/// A home folder that is removed with its value.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "aurora-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in this home; returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The binary, with this home and no other variables, and nothing to read.
    pub(crate) fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aurora"));
        command
            .args(args)
            .env_clear()
            .env("HOME", &self.0)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[impl AsRef<OsStr>]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    /// Runs with this on standard input.
    pub(crate) fn pipe(&self, input: &[u8], args: &[impl AsRef<OsStr>]) -> Run {
        let mut child = self.spawn(self.command(args).stdin(Stdio::piped()));
        // The child may leave without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        Run::of(child.wait_with_output().unwrap())
    }

    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// stdout as JSON lines.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} in {self:?}")))
            .collect()
    }
}

/// Asks an upstream that plays this script; the flags come first.
pub(crate) fn ask(script: impl Into<Script>, flags: &[&str]) -> (Run, Upstream) {
    let upstream = Upstream::start(script);
    let home = Home::new();
    let url = upstream.url();
    let mut args = vec!["-e", url.as_str(), "-m", "m", "--retries", "0"];
    args.extend(flags);
    args.push("hi");
    (home.run(&args), upstream)
}

/// The content of the request's only message.
pub(crate) fn prompt(upstream: &Upstream) -> String {
    let request = upstream.requests().into_iter().next().expect("a request").json();
    request["messages"][0]["content"]
        .as_str()
        .expect("a text")
        .to_owned()
}

/// A whole answer.
pub(crate) fn answer() -> Reply {
    Reply::sse(aurora_testkit::fixtures::sse_answer(&["Hel", "lo"]))
}

/// Sends a signal, by its name with a dash.
#[cfg(unix)]
pub(crate) fn kill(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}
