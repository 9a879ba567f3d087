//! Where the configuration file and the data folder are: a flag, a variable, or the XDG base directories.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::{Env, Origin, Sourced};
use crate::args::Common;
use crate::problem::{Problem, Result};

/// `--config`, `AURORA_CONFIG`, or `aurora/config.toml` in the XDG configuration folder.
///
/// # Errors
/// The variable is not text.
pub(super) fn config(flags: &Common, env: &Env) -> Result<Option<Sourced<PathBuf>>> {
    if let Some(path) = &flags.config {
        return Ok(Some(Sourced {
            value: path.clone(),
            origin: Origin::Flag("--config"),
        }));
    }
    if let Some(path) = env.text("AURORA_CONFIG")? {
        return Ok(Some(Sourced {
            value: PathBuf::from(path),
            origin: Origin::Variable("AURORA_CONFIG"),
        }));
    }
    let base = etcetera::choose_base_strategy().ok();
    let path = base.map(|base| base.config_dir().join("aurora").join("config.toml"));
    Ok(path.map(|value| Sourced {
        value,
        origin: Origin::Default,
    }))
}

/// `AURORA_DATA_DIR`, or `aurora` in the XDG data folder.
///
/// # Errors
/// The variable is not text.
pub(super) fn data_dir(env: &Env) -> Result<Option<Sourced<PathBuf>>> {
    if let Some(path) = env.text("AURORA_DATA_DIR")? {
        return Ok(Some(Sourced {
            value: PathBuf::from(path),
            origin: Origin::Variable("AURORA_DATA_DIR"),
        }));
    }
    let base = etcetera::choose_base_strategy().ok();
    Ok(base.map(|base| Sourced {
        value: base.data_dir().join("aurora"),
        origin: Origin::Default,
    }))
}

/// The text of a configuration file; `None` if it is not there and need not be.
///
/// # Errors
/// It cannot be read, is larger than [`super::file::MAX_BYTES`], or is not UTF-8.
pub(super) fn read(path: &Path, optional: bool) -> Result<Option<String>> {
    let wrong = |what: String| Problem::config(format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| {
        let beyond = super::file::MAX_BYTES + 1;
        file.take(beyond).read_to_end(&mut bytes)
    });
    match opened {
        Ok(_) if bytes.len() as u64 > super::file::MAX_BYTES => Err(wrong("larger than 1 MiB".to_owned())),
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(wrong(format!(
                "not UTF-8 text (byte {})",
                error.utf8_error().valid_up_to()
            ))),
        },
        Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(format!("cannot read the configuration file: {error}"))),
    }
}
