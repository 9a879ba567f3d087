//! Completion at the prompt: commands, models, files.

use std::fs;

use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::models::Models;
use super::slash::{Argument, KNOWN};

/// The most that is suggested at once; a folder may hold any number of files.
const MOST: usize = 200;

/// Completes what is typed.
pub(super) struct Words {
    /// The models that can be named.
    pub(super) models: Models,
}

impl Completer for Words {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let line = line.get(..pos).unwrap_or_default();
        CompletionResult::fresh(suggestions(line, || self.models.names()))
    }
}

/// What may stand in place of the end of this line.
fn suggestions<'a>(line: &str, models: impl FnOnce() -> &'a [String]) -> Vec<Suggestion> {
    let Some(rest) = line.strip_prefix('/') else {
        return Vec::new();
    };
    let Some((name, typed)) = rest.split_once(' ') else {
        return KNOWN
            .iter()
            .filter(|known| known.name.starts_with(rest))
            .map(|known| {
                let more = !known.usage.is_empty();
                suggestion(line, rest, known.name.to_owned(), more, Some(known.help))
            })
            .collect();
    };
    let argument = KNOWN.iter().find(|known| known.name == name);
    match argument.map_or(Argument::None, |known| known.argument) {
        Argument::None => Vec::new(),
        Argument::Model => models()
            .iter()
            .filter(|model| model.contains(typed))
            .take(MOST)
            .map(|model| suggestion(line, typed, model.clone(), false, None))
            .collect(),
        Argument::Path => paths(typed)
            .into_iter()
            .map(|path| suggestion(line, typed, path, false, None))
            .collect(),
    }
}

/// A suggestion for the end of a line, of which this much was typed.
fn suggestion(line: &str, typed: &str, value: String, more: bool, help: Option<&str>) -> Suggestion {
    Suggestion {
        value,
        description: help.map(str::to_owned),
        span: Span::new(line.len() - typed.len(), line.len()),
        append_whitespace: more,
        ..Suggestion::default()
    }
}

/// The files and folders whose paths begin like this; folders end with a slash.
fn paths(typed: &str) -> Vec<String> {
    let (folder, begun) = match typed.rfind('/') {
        Some(slash) => typed.split_at(slash + 1),
        None => ("", typed),
    };
    let place = match (folder.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if folder.is_empty() => ".".into(),
        (None, _) | (_, None) => folder.into(),
    };
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !begun.starts_with('.');
            // A name with controls in it cannot be shown as what it is.
            let shown = name.starts_with(begun) && !hidden && !name.contains(char::is_control);
            let slash = if entry.path().is_dir() { "/" } else { "" };
            shown.then(|| format!("{folder}{name}{slash}"))
        })
        .take(MOST)
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<String> {
        let models = ["local/smollm2".to_owned(), "openai/gpt-5".to_owned()];
        suggestions(line, || &models)
            .into_iter()
            .map(|suggestion| {
                assert_eq!(suggestion.span.end, line.len());
                line[..suggestion.span.start].to_owned() + &suggestion.value
            })
            .collect()
    }

    #[test]
    fn commands_and_models_are_completed_and_prompts_are_not() {
        assert_eq!(values("/mo"), ["/model"]);
        assert_eq!(values("/c"), ["/copy", "/code", "/clear"]);
        assert_eq!(values("/model gpt"), ["/model openai/gpt-5"]);
        assert_eq!(values("/model ").len(), 2);
        assert!(values("why /mo").is_empty());
        assert!(values("/undo x").is_empty());
    }

    #[test]
    fn files_are_completed_below_their_folder() {
        let folder = std::env::temp_dir().join(format!("aurora-complete-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/a b.txt"), "").unwrap();
        fs::write(folder.join(".hidden"), "").unwrap();
        let line = |end: &str| format!("/file {}/{end}", folder.display());
        assert_eq!(values(&line("")), [line("sub/")]);
        assert_eq!(values(&line("sub/a")), [line("sub/a b.txt")]);
        assert_eq!(values(&line(".")), [line(".hidden")]);
        assert!(values(&line("none/")).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
