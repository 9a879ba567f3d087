//! API keys: looked up where the settings say, only when a call needs them, and never shown.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use aurora_client::Secret;

use super::Settings;
use super::file::KeyPlace;
use crate::problem::{Problem, Result};

/// The longest key that is read.
const MAX_BYTES: u64 = 64 << 10;

/// How long a command may take to print a key; a person may have to unlock a password store meanwhile.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

impl Settings {
    /// The key of an endpoint, if it has one.
    ///
    /// # Errors
    /// The place that was configured holds no usable key. The message names the place, and never what is in it.
    pub(crate) fn key(&self, endpoint: &super::Endpoint) -> Result<Option<Secret>> {
        let Some(place) = &endpoint.api_key else {
            return Ok(None);
        };
        let wrong = |what: String| Problem::config(format!("the key of endpoint {}: {what}", endpoint.name));
        let (text, place) = match &place.value {
            KeyPlace::Env(name) => match self.env.text(name)? {
                Some(text) => (text.to_owned(), name.clone()),
                None => return Err(wrong(format!("the variable {name} is not set"))),
            },
            KeyPlace::File(path) => {
                let path = self.expand(path);
                (
                    read_file(&path).map_err(|error| wrong(format!("{}: {error}", path.display())))?,
                    path.display().to_string(),
                )
            }
            KeyPlace::Command(command) => (
                run(command).map_err(wrong)?,
                "the output of api_key_command".to_owned(),
            ),
        };
        let key = text.trim();
        if key.is_empty() {
            return Err(wrong(format!("{place} is empty")));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(format!(
                "{place} holds something that is not one key: a space, a line break or a character outside ASCII"
            )));
        }
        Ok(Some(Secret::new(key)))
    }

    /// `~/` is the home folder; other relative paths start at the configuration file's folder.
    fn expand(&self, path: &Path) -> PathBuf {
        if let (Ok(rest), Ok(home)) = (path.strip_prefix("~"), etcetera::home_dir()) {
            return home.join(rest);
        }
        let base = self.config_path.as_ref().and_then(|config| config.value.parent());
        base.map_or_else(|| path.to_owned(), |base| base.join(path))
    }
}

fn read_file(path: &Path) -> std::result::Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    read_text(file)
}

fn read_text(from: impl Read) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 64 KiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not text".to_owned())
}

/// Runs the command with the shell and reads what it prints. Its stderr and stdin are the terminal's, so that a
/// password store can ask.
fn run(command: &str) -> std::result::Result<String, String> {
    let mut child = shell(command)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("api_key_command cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("api_key_command has no output".to_owned());
    };
    let (send, receive) = mpsc::sync_channel(1);
    // A thread, because reading from a pipe has no deadline. It ends when the pipe closes.
    std::thread::spawn(move || send.send(read_text(stdout)));
    let text = match receive.recv_timeout(COMMAND_LIMIT) {
        Ok(text) => text.map_err(|error| format!("the output of api_key_command {error}"))?,
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!(
                "api_key_command did not finish within {} s",
                COMMAND_LIMIT.as_secs()
            ));
        }
    };
    let status = child
        .wait()
        .map_err(|error| format!("api_key_command: {error}"))?;
    if status.success() {
        Ok(text)
    } else {
        Err(format!("api_key_command failed ({status})"))
    }
}

fn shell(command: &str) -> Command {
    let (program, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let mut shell = Command::new(program);
    shell.arg(flag).arg(command);
    shell
}
