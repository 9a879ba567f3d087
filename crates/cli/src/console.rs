//! The process's own stdout and stderr: what they are, and locked writing to them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::args::{self, ColorWhen, Common};
use crate::output::{Place, Size, Style, visible};
use crate::problem::{Problem, Result};
use crate::settings::Env;

/// How an answer is to be written here.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn style(flags: &Common, env: &Env) -> Result<Style> {
    let out_is_terminal = io::stdout().is_terminal();
    let err_is_terminal = io::stderr().is_terminal();
    Ok(Style {
        json: flags.json,
        out_is_terminal,
        render: out_is_terminal && !flags.json && !flags.plain && !is_dumb(env)?,
        out_color: out_color(flags, env)?,
        reflows: reflows(env)?,
        err_is_terminal,
        err_color: color(
            flags.color.unwrap_or_default(),
            err_is_terminal && !flags.plain,
            env,
        )?,
        plain: flags.plain,
        show_reasoning: flags.show_reasoning,
        usage: flags.usage,
        footer: false,
        countdown: if countdown(flags, env)? {
            place()
        } else {
            Place::Nowhere
        },
        ambiguous: east_asian(env)?,
    })
}

/// Whether a notice that goes away again is wanted. Not where a log goes to stderr: its lines come whenever they like.
fn countdown(flags: &Common, env: &Env) -> Result<bool> {
    let log_on_stderr = flags.verbose > 0 && flags.log_file.is_none();
    Ok(!flags.json && !flags.plain && !log_on_stderr && !is_dumb(env)?)
}

/// Whether the terminal wraps its rows anew when its width changes, which only a few do not.
fn reflows(env: &Env) -> Result<bool> {
    Ok(env.text("XTERM_VERSION")?.is_none() && env.text("TERM")? != Some("linux"))
}

/// Where such a notice has a place.
#[cfg(unix)]
fn place() -> Place {
    use std::fs::{File, Metadata};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    fn metadata(stream: &impl AsFd) -> io::Result<Metadata> {
        File::from(stream.as_fd().try_clone_to_owned()?).metadata()
    }
    let (out, err) = (io::stdout(), io::stderr());
    let (Ok(out_data), Ok(err_data)) = (metadata(&out), metadata(&err)) else {
        return Place::Nowhere;
    };
    if !err.is_terminal() {
        Place::Nowhere
    } else if out.is_terminal() && out_data.rdev() == err_data.rdev() {
        Place::BesideAnswer
    } else if out_data.file_type().is_fifo() || out_data.file_type().is_socket() {
        Place::BeforeAnswer
    } else {
        Place::Alone
    }
}

/// Where such a notice has a place.
#[cfg(not(unix))]
fn place() -> Place {
    match (io::stdout().is_terminal(), io::stderr().is_terminal()) {
        (_, false) => Place::Nowhere,
        (true, true) => Place::BesideAnswer,
        (false, true) => Place::BeforeAnswer,
    }
}

/// Whether the locale is one whose terminals may show characters of ambiguous width wide.
fn east_asian(env: &Env) -> Result<bool> {
    let mut locale = None;
    for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
        locale = locale.or(env.text(name)?);
    }
    Ok(locale.is_some_and(|locale| {
        ["zh", "ja", "ko"]
            .iter()
            .any(|language| locale.starts_with(language))
    }))
}

/// Whether what is printed on stdout may be coloured.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn out_color(flags: &Common, env: &Env) -> Result<bool> {
    let is_terminal = io::stdout().is_terminal() && !flags.plain && !flags.json;
    color(flags.color.unwrap_or_default(), is_terminal, env)
}

/// The columns of the terminal that stdout is; 0 if that is not known.
pub(crate) fn out_columns() -> usize {
    ::console::Term::stdout()
        .size_checked()
        .map_or(0, |(_, columns)| usize::from(columns))
}

/// The size of the terminal that stdout is, or else stderr.
pub(crate) fn size() -> Size {
    let known = ::console::Term::stdout()
        .size_checked()
        .or_else(|| ::console::Term::stderr().size_checked());
    known.map_or_else(Size::default, |(rows, columns)| Size {
        columns: columns.into(),
        rows: rows.into(),
    })
}

/// The size of the terminal that stderr is.
pub(crate) fn err_size() -> Size {
    let known = ::console::Term::stderr().size_checked();
    known.map_or_else(Size::default, |(rows, columns)| Size {
        columns: columns.into(),
        rows: rows.into(),
    })
}

/// How long a frame lasts where nothing is said: one repaint of most screens.
const FRAME: Duration = Duration::from_millis(16);

/// Within which time the pieces of an answer are written as one. On a terminal, which repaints for each, it is
/// `--frame-ms` or `AURORA_FRAME_MS`; anywhere else every piece is written as it comes.
///
/// # Errors
/// The variable is no number of milliseconds (configuration).
pub(crate) fn frame(flags: &Common, env: &Env, style: &Style) -> Result<Duration> {
    let variable = env.read("AURORA_FRAME_MS", args::frame)?;
    if style.json || !style.out_is_terminal {
        return Ok(Duration::ZERO);
    }
    let frame = flags.frame_ms.or(variable.map(|variable| variable.value));
    Ok(frame.map_or(FRAME, |frame| frame.0))
}

/// Whether escape sequences for colour may be written. `TERM=dumb` forbids every escape sequence, whatever was asked
/// for; `NO_COLOR` (no-color.org) forbids colour unless a flag asks for it.
fn color(when: ColorWhen, is_terminal: bool, env: &Env) -> Result<bool> {
    if is_dumb(env)? {
        return Ok(false);
    }
    Ok(match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => is_terminal && env.text("NO_COLOR")?.is_none(),
    })
}

/// Whether the terminal understands no escape sequences.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn is_dumb(env: &Env) -> Result<bool> {
    Ok(env.text("TERM")? == Some("dumb"))
}

/// Writes to stdout.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Problem::stdout(&error))
}

/// Tells something on stderr, a line or several, with the program's name in front and control characters harmless.
pub(crate) fn tell(message: &str) {
    let lines: Vec<String> = message
        .lines()
        .map(|text| format!("aurora: {}\n", visible::line(text)))
        .collect();
    tell_raw(&lines.concat());
}

/// Writes to stderr. Whether that works is nobody's to hear.
pub(crate) fn tell_raw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::of_pairs(pairs)
    }

    #[test]
    fn color_is_forbidden_by_no_color_and_every_escape_by_a_dumb_terminal() {
        use ColorWhen::{Always, Auto, Never};
        for (when, terminal, pairs, expected) in [
            (Auto, true, &[][..], true),
            (Auto, false, &[], false),
            (Auto, true, &[("NO_COLOR", "1")], false),
            (Auto, true, &[("NO_COLOR", "")], true),
            (Never, true, &[], false),
            (Always, false, &[("NO_COLOR", "1")], true),
            (Always, true, &[("TERM", "dumb")], false),
        ] {
            assert_eq!(
                color(when, terminal, &env(pairs)),
                Ok(expected),
                "{when:?} {terminal} {pairs:?}"
            );
        }
    }
}
