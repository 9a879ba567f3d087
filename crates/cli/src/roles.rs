//! System prompts that have a name: `-s NAME` means `roles/NAME.md` beside the configuration file, if that is there.
//!
//! In such a file `{{os}}`, `{{shell}}`, `{{date}}`, `{{cwd}}`, `{{lang}}` and whatever `--var` gives are replaced. A
//! text with white space in it is always the prompt itself and is sent as it is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::args::Common;
use crate::console;
use crate::problem::{Problem, Result};
use crate::settings::{self, Env};

/// The largest role.
const MAX_BYTES: u64 = 1 << 20;

/// How many roles are named where one is not found.
const NAMED: usize = 20;

/// The system prompt that `-s` means; `None` without `-s`.
///
/// # Errors
/// The role cannot be read, has a variable that nobody gives, or none of a name that `--var` gives (usage).
pub(crate) fn system(flags: &Common, env: &Env) -> Result<Option<String>> {
    let unused = || match flags.vars.first() {
        Some((name, _)) => Err(Problem::usage(format!(
            "--var {name}: only a role has variables (-s NAME, a file in the folder that aurora config path --roles prints)"
        ))),
        None => Ok(()),
    };
    let Some(given) = &flags.system else {
        return unused().map(|()| None);
    };
    let folder = folder(flags, env)?;
    let path = folder
        .as_deref()
        .filter(|_| is_name(given))
        .map(|folder| folder.join(format!("{given}.md")));
    let text = match &path {
        Some(path) => read(path)?,
        None => None,
    };
    match (text, path) {
        (Some(text), Some(path)) => {
            let vars = variables(flags, env)?;
            fill(text.trim_end(), &vars, &flags.vars)
                .map(Some)
                .map_err(|what| Problem::usage(format!("{}: {what}", path.display())))
        }
        _ => {
            look_for_mistakes(given, folder.as_deref())?;
            unused().map(|()| Some(given.clone()))
        }
    }
}

/// The folder of the roles; `None` without a home folder.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn folder(flags: &Common, env: &Env) -> Result<Option<PathBuf>> {
    let config = settings::config_path(flags, env)?;
    Ok(config.map(|path| path.with_file_name("roles")))
}

/// What may be a role's name is one word, and no path.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// A text of one word may be a name that was not spelt right: it is told where there are roles, and refused where it can
/// be nothing but a file's name.
fn look_for_mistakes(given: &str, folder: Option<&Path>) -> Result<()> {
    let is_file_name = given.ends_with(".md") || given.ends_with(".txt");
    if given.contains(char::is_whitespace) || !(is_file_name || is_name(given)) {
        return Ok(());
    }
    let names = folder.map(names).unwrap_or_default();
    let known = match names.as_slice() {
        [] => "there are none".to_owned(),
        names => names.join(", "),
    };
    let place = folder.map_or_else(String::new, |folder| format!(" in {}", folder.display()));
    if is_file_name {
        return Err(Problem::usage(format!(
            "--system {given}: looks like a file; a role is named without its ending{place} ({known}), and \
             --system \"$(cat {given})\" takes a text from anywhere"
        )));
    }
    if !names.is_empty() {
        console::tell(&format!(
            "\"{given}\" is no role{place} ({known}) and is sent as the system prompt itself"
        ));
    }
    Ok(())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .collect();
    names.sort();
    names.truncate(NAMED);
    names
}

/// The text of a role; `None` if it is not there.
fn read(path: &Path) -> Result<Option<String>> {
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("{}: {what}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(&error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(&"larger than the limit of 1 MiB"));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| wrong(&"not UTF-8 text"))
}

/// What is known without being told.
fn variables(flags: &Common, env: &Env) -> Result<BTreeMap<String, String>> {
    let shell = env
        .text("SHELL")?
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or("sh");
    let mut language = None;
    for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        language = language.or(env.text(name)?);
    }
    let language = language
        .and_then(|locale| locale.split('.').next())
        .filter(|locale| !matches!(*locale, "C" | "POSIX"))
        .unwrap_or("en");
    let cwd = std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string());
    let today = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    let known = [
        ("os", std::env::consts::OS.to_owned()),
        ("shell", shell.to_owned()),
        ("date", today),
        ("cwd", cwd),
        ("lang", language.to_owned()),
    ];
    let known = known.map(|(name, value)| (name.to_owned(), value));
    Ok(known.into_iter().chain(flags.vars.iter().cloned()).collect())
}

/// The text with its variables replaced. What is replaced is not looked at again, and braces around anything but a name
/// are text.
fn fill(
    text: &str,
    vars: &BTreeMap<String, String>,
    given: &[(String, String)],
) -> std::result::Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut used = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, braces) = rest.split_at(at);
        out.push_str(before);
        let name = braces[2..]
            .split_once("}}")
            .map(|(name, after)| (name.trim(), after));
        match name.filter(|(name, _)| is_variable(name)) {
            Some((name, after)) => {
                let value = vars
                    .get(name)
                    .ok_or_else(|| format!("nobody says what {{{{{name}}}}} is; --var {name}=… does"))?;
                out.push_str(value);
                used.push(name);
                rest = after;
            }
            None => {
                out.push_str("{{");
                rest = &braces[2..];
            }
        }
    }
    out.push_str(rest);
    match given.iter().find(|(name, _)| !used.contains(&name.as_str())) {
        Some((name, _)) => Err(format!("has no {{{{{name}}}}} for --var {name}")),
        None => Ok(out),
    }
}

/// Whether this may be a variable's name: a letter, then letters, digits, `_` and `-`.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn variables_are_replaced_once_and_other_braces_stay() {
        let given = pairs(&[("who", "a {{os}}")]);
        let vars: BTreeMap<_, _> = pairs(&[("os", "linux"), ("who", "a {{os}}")])
            .into_iter()
            .collect();
        for (text, expected) in [
            ("You are {{who}} on {{ os }}.", Ok("You are a {{os}} on linux.")),
            (
                "{{who}} {{}} {{ 1 }} {{a b}} {{",
                Ok("a {{os}} {{}} {{ 1 }} {{a b}} {{"),
            ),
            ("{{{who}}}", Err("has no {{who}}")),
            ("{{{{who}}}}", Ok("{{a {{os}}}}")),
            ("{{who}} {{when}}", Err("--var when=")),
            ("{{os}}", Err("has no {{who}} for --var who")),
        ] {
            match (fill(text, &vars, &given), expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected),
                (Err(what), Err(part)) => assert!(what.contains(part), "{text}: {what}"),
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_name_is_one_word_and_no_path() {
        for name in ["reviewer", "code-review_2", "审稿人", "a.b"] {
            assert!(is_name(name), "{name}");
        }
        for text in [
            "",
            "two words",
            "../secret",
            ".hidden",
            "a/b",
            "line\nbreak",
            "Be brief!",
        ] {
            assert!(!is_name(text), "{text}");
        }
    }
}
