//! The process's own stdout and stderr: what they are, and locked writing to them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::args::{self, ColorWhen, Common};
use crate::output::{Style, visible};
use crate::problem::{Problem, Result};
use crate::settings::Env;

/// How an answer is to be written here.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn style(flags: &Common, env: &Env) -> Result<Style> {
    let err_is_terminal = io::stderr().is_terminal();
    Ok(Style {
        json: flags.json,
        out_is_terminal: io::stdout().is_terminal(),
        err_is_terminal,
        err_color: color(
            flags.color.unwrap_or_default(),
            err_is_terminal && !flags.plain,
            env,
        )?,
        plain: flags.plain,
        show_reasoning: flags.show_reasoning,
        usage: flags.usage,
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
