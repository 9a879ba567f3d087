//! `aurora config`: show, check and create the configuration.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use crate::args::{Common, ConfigCommand};
use crate::console;
use crate::problem::{Problem, Result};
use crate::roles;
use crate::settings::{self, Env, show, template};

/// Runs it; returns the exit code.
///
/// # Errors
/// There is no place for a file, it cannot be read or written, or it has mistakes.
pub(super) fn run(command: ConfigCommand, flags: &Common, env: Env) -> Result<u8> {
    let path = || {
        let path = settings::config_path(flags, &env)?;
        path.ok_or_else(|| Problem::config("there is no home folder; name a file with --config"))
    };
    match command {
        ConfigCommand::Show => {
            let settings = settings::load(flags, None, env)?;
            console::print(&if flags.json {
                show::json_lines(&settings)
            } else {
                show::toml(&settings)
            })?;
        }
        ConfigCommand::Path { roles: true } => {
            // There is a place for roles wherever there is one for the file.
            let folder = roles::folder(flags, &env)?.unwrap_or_default();
            path()?;
            console::print(&format!("{}\n", folder.display()))?;
        }
        ConfigCommand::Path { roles: false } => console::print(&format!("{}\n", path()?.display()))?,
        ConfigCommand::Check { file: Some(file) } => check(&file)?,
        ConfigCommand::Check { file: None } => {
            // Variables and aliases count as well, so the whole is put together, not only the file read.
            let settings = settings::load(flags, None, env)?;
            settings.check()?;
            let checked = settings.config_path.filter(|_| settings.config_exists);
            let checked = checked.map_or("no configuration file; the defaults".to_owned(), |path| {
                path.value.display().to_string()
            });
            console::print(&format!("{checked}: ok\n"))?;
        }
        ConfigCommand::HashKey { key } => hash_key(key)?,
        ConfigCommand::Init { force } => init(&path()?, force)?,
    }
    Ok(0)
}

fn check(path: &Path) -> Result<()> {
    settings::parse(path, &settings::read_file(path)?)?;
    console::print(&format!("{}: ok\n", path.display()))
}

/// The key itself goes nowhere.
fn hash_key(key: Option<String>) -> Result<()> {
    /// Longer than any key.
    const LONGEST: u64 = 4096;
    let key = match key {
        Some(key) => key.into_bytes(),
        None => {
            if io::stdin().is_terminal() {
                console::tell("type the key, then Enter");
            }
            let mut line = Vec::new();
            let read = io::stdin().lock().take(LONGEST).read_until(b'\n', &mut line);
            read.map_err(|error| Problem::usage(format!("standard input: {error}")))?;
            line
        }
    };
    if key.trim_ascii().is_empty() {
        return Err(Problem::usage("the key is empty; give it on standard input"));
    }
    let hash = aurora_gateway::Key::hash(&key);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    console::print(&format!("{hex}\n"))
}

fn init(path: &Path, force: bool) -> Result<()> {
    let wrong = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Problem::config(format!(
            "{} is there already; --force overwrites it",
            path.display()
        )),
        _ => Problem::config(format!("{}: {error}", path.display())),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut options = OpenOptions::new();
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.write(true).open(path).map_err(wrong)?;
    file.write_all(template::TEXT.as_bytes()).map_err(wrong)?;
    console::print(&format!("{}\n", path.display()))
}
