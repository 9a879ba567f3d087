//! The configuration file as it is written: every value with its line, nothing resolved.
//!
//! The file is walked by hand instead of being deserialised, so that each mistake can be reported with file, line and
//! full key, and all of them at once. Only keys whose function exists are accepted. Which value wins over which flag
//! or variable is decided in [`super::load`], not here.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_client::OnDrop;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::units;
use crate::args::EditKeys;
pub(crate) use server::{Fsync, ServerTable, StoreKind, StreamsTable, listen};

#[cfg(feature = "engine")]
pub(crate) mod local;
mod server;

/// The largest configuration file that is read.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// A value and the line it stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) default_model: Option<At<String>>,
    pub(crate) endpoints: BTreeMap<String, EndpointTable>,
    pub(crate) aliases: BTreeMap<String, At<String>>,
    pub(crate) server: ServerTable,
    pub(crate) streams: StreamsTable,
    #[cfg(feature = "engine")]
    pub(crate) local: local::LocalTable,
    /// `history.keep`.
    pub(crate) keep_history: Option<At<bool>>,
    /// `chat.edit_keys`.
    pub(crate) edit_keys: Option<At<EditKeys>>,
}

/// `[endpoints.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndpointTable {
    /// The table's own line.
    pub(crate) line: usize,
    pub(crate) base_url: Option<At<String>>,
    pub(crate) api_key: Option<At<KeyPlace>>,
    /// Deadlines; the inner `None` is `off`.
    pub(crate) connect_timeout: Option<At<Option<Duration>>>,
    pub(crate) headers_timeout: Option<At<Option<Duration>>>,
    pub(crate) first_event_timeout: Option<At<Option<Duration>>>,
    pub(crate) idle_timeout: Option<At<Option<Duration>>>,
    pub(crate) total_timeout: Option<At<Option<Duration>>>,
    pub(crate) retries: Option<At<u32>>,
    /// Limits on the rate of calls; the inner `None` is `off`.
    pub(crate) max_concurrent: Option<At<Option<NonZeroU32>>>,
    pub(crate) requests_per_minute: Option<At<Option<NonZeroU32>>>,
    pub(crate) tokens_per_minute: Option<At<Option<NonZeroU32>>>,
    pub(crate) on_drop: Option<At<OnDrop>>,
}

/// Where a key is to be looked up. A key itself never stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// `api_key_env`: an environment variable.
    Env(String),
    /// `api_key_file`: a file that holds the key and nothing else.
    File(PathBuf),
    /// `api_key_command`: a shell command that prints the key.
    Command(String),
}

/// Reads the text of a configuration file.
///
/// # Errors
/// Every mistake, each as `file:line: key: what is wrong`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<File, Vec<String>> {
    let mut walk = Walk {
        path,
        text,
        mistakes: Vec::new(),
    };
    let (root, syntax) = DeTable::parse_recoverable(text);
    for error in syntax {
        let offset = error.span().map_or(0, |span| span.start);
        let line = walk.line(offset);
        let key = text
            .lines()
            .nth(line - 1)
            .and_then(|line| line.split_once('='))
            .map_or("", |(key, _)| key.trim());
        walk.mistakes.push(match key {
            "" => format!("{}:{line}: {}", path.display(), error.message()),
            key => format!("{}:{line}: {key}: {}", path.display(), error.message()),
        });
    }
    if walk.mistakes.is_empty() {
        let file = walk.file(root.get_ref());
        if walk.mistakes.is_empty() {
            return Ok(file);
        }
    }
    Err(walk.mistakes)
}

/// One pass over the parsed document that gathers mistakes instead of stopping at the first.
struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    mistakes: Vec<String>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Walk<'_> {
    fn file(&mut self, root: &DeTable<'_>) -> File {
        let mut file = File::default();
        for (key, value) in root {
            match key.get_ref().as_ref() {
                "default_model" => file.default_model = self.string("default_model", value),
                "endpoints" => {
                    for (name, value) in self.entries("endpoints", value) {
                        let table = self.endpoint(&name, value);
                        file.endpoints.insert(name, table);
                    }
                }
                "aliases" => {
                    for (name, value) in self.entries("aliases", value) {
                        if let Some(target) = self.alias(&name, value) {
                            file.aliases.insert(name, target);
                        }
                    }
                }
                "server" => file.server = self.server(value),
                "streams" => file.streams = self.streams(value),
                #[cfg(feature = "engine")]
                "local" => file.local = self.local(value),
                #[cfg(not(feature = "engine"))]
                "local" => self.mistake("local", value, "this build has no engine for local models"),
                "history" => file.keep_history = self.history(value),
                "chat" => file.edit_keys = self.chat(value),
                other => self.unknown(
                    other,
                    key.span().start,
                    &[
                        "default_model",
                        "endpoints",
                        "aliases",
                        "server",
                        "streams",
                        "local",
                        "history",
                        "chat",
                    ],
                ),
            }
        }
        file
    }

    fn chat(&mut self, value: &Value<'_>) -> Option<At<EditKeys>> {
        let mut keys = None;
        for (key, value) in self.entries("chat", value) {
            let at = format!("chat.{key}");
            match key.as_str() {
                "edit_keys" => keys = self.text(&at, value, units::edit_keys),
                _ => self.unknown_at(&at, value, &["edit_keys"]),
            }
        }
        keys
    }

    fn history(&mut self, value: &Value<'_>) -> Option<At<bool>> {
        let mut keep = None;
        for (key, value) in self.entries("history", value) {
            let at = format!("history.{key}");
            match key.as_str() {
                "keep" => keep = self.boolean(&at, value),
                _ => self.unknown_at(&at, value, &["keep"]),
            }
        }
        keep
    }

    fn endpoint(&mut self, name: &str, value: &Value<'_>) -> EndpointTable {
        let mut table = EndpointTable {
            line: self.line(value.span().start),
            ..EndpointTable::default()
        };
        let at = format!("endpoints.{}", show_key(name));
        if name == "local" {
            self.mistake(
                &at,
                value,
                "this name belongs to the models that run on this machine; choose another",
            );
        } else if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            self.mistake(&at, value, "a name has only letters, digits, and - _ . in it");
        }
        for (key, value) in self.entries(&at, value) {
            let at = format!("{at}.{key}");
            match key.as_str() {
                "dialect" => match self.string(&at, value) {
                    Some(dialect) if dialect.value != "openai" => {
                        self.mistake(
                            &at,
                            value,
                            &format!("unknown dialect \"{}\"; this version knows openai", dialect.value),
                        );
                    }
                    Some(_) | None => {}
                },
                "base_url" => table.base_url = self.text(&at, value, units::base_url),
                "api_key_env" | "api_key_file" | "api_key_command" => {
                    let place = self.key_place(&at, &key, value);
                    if table.api_key.is_some() {
                        self.mistake(
                            &at,
                            value,
                            "give one of api_key_env, api_key_file and api_key_command, not several",
                        );
                    } else {
                        table.api_key = place;
                    }
                }
                "connect_timeout" => table.connect_timeout = self.text(&at, value, units::deadline),
                "headers_timeout" => table.headers_timeout = self.text(&at, value, units::deadline),
                "first_event_timeout" => table.first_event_timeout = self.text(&at, value, units::deadline),
                "idle_timeout" => table.idle_timeout = self.text(&at, value, units::deadline),
                "total_timeout" => table.total_timeout = self.text(&at, value, units::deadline),
                "retries" => table.retries = self.whole(&at, value, 0..=super::MAX_RETRIES),
                "max_concurrent" => table.max_concurrent = self.rate(&at, value),
                "requests_per_minute" => table.requests_per_minute = self.rate(&at, value),
                "tokens_per_minute" => table.tokens_per_minute = self.rate(&at, value),
                "on_drop" => table.on_drop = self.text(&at, value, units::on_drop),
                _ => self.unknown_at(
                    &at,
                    value,
                    &[
                        "dialect",
                        "base_url",
                        "api_key_env",
                        "api_key_file",
                        "api_key_command",
                        "connect_timeout",
                        "headers_timeout",
                        "first_event_timeout",
                        "idle_timeout",
                        "total_timeout",
                        "retries",
                        "max_concurrent",
                        "requests_per_minute",
                        "tokens_per_minute",
                        "on_drop",
                    ],
                ),
            }
        }
        if table.base_url.is_none() && name != "openai" && self.mistakes.is_empty() {
            self.mistake(
                &format!("{at}.base_url"),
                value,
                "is missing: the address of the API, such as \"https://api.openai.com/v1\"",
            );
        }
        table
    }

    fn key_place(&mut self, at: &str, key: &str, value: &Value<'_>) -> Option<At<KeyPlace>> {
        let At { value: text, line } = self.string(at, value)?;
        let place = match key {
            "api_key_env" => KeyPlace::Env(text),
            "api_key_file" => KeyPlace::File(PathBuf::from(text)),
            _ => KeyPlace::Command(text),
        };
        Some(At { value: place, line })
    }

    fn alias(&mut self, name: &str, value: &Value<'_>) -> Option<At<String>> {
        let at = format!("aliases.{}", show_key(name));
        if value.get_ref().is_array() {
            self.mistake(
                &at,
                value,
                "a list of targets (failover) is not supported by this version; name one model",
            );
            return None;
        }
        if name.contains('/') {
            self.mistake(
                &at,
                value,
                "a name with a slash would look like endpoint/model; leave the slash out",
            );
        }
        self.string(&at, value)
    }

    /// The entries of a table in the file's own order of keys; nothing, and a mistake, if the value is no table.
    fn entries<'v, 't>(&mut self, at: &str, value: &'v Value<'t>) -> Vec<(String, &'v Value<'t>)> {
        if let Some(table) = value.get_ref().as_table() {
            table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), value))
                .collect()
        } else {
            self.mistake(at, value, &format!("is a table, not {}", kind(value)));
            Vec::new()
        }
    }

    fn string(&mut self, at: &str, value: &Value<'_>) -> Option<At<String>> {
        match value.get_ref().as_str() {
            Some("") => self.mistake(at, value, "is empty"),
            Some(text) => {
                return Some(At {
                    value: text.to_owned(),
                    line: self.line(value.span().start),
                });
            }
            None => self.mistake(at, value, &format!("is a text in quotes, not {}", kind(value))),
        }
        None
    }

    /// A text, or a bare number, in the form that `read` understands.
    fn text<T>(
        &mut self,
        at: &str,
        value: &Value<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.mistake(at, value, &format!("is a text in quotes, not {}", kind(value)));
                return None;
            }
        };
        match read(text) {
            Ok(read) => Some(At {
                value: read,
                line: self.line(value.span().start),
            }),
            Err(error) => {
                self.mistake(at, value, &error);
                None
            }
        }
    }

    fn strings(&mut self, at: &str, value: &Value<'_>) -> Option<At<Vec<String>>> {
        let Some(array) = value.get_ref().as_array() else {
            self.mistake(at, value, &format!("is a list of texts, not {}", kind(value)));
            return None;
        };
        let texts = array
            .iter()
            .filter_map(|item| self.string(at, item))
            .map(|item| item.value)
            .collect();
        Some(At {
            value: texts,
            line: self.line(value.span().start),
        })
    }

    fn boolean(&mut self, at: &str, value: &Value<'_>) -> Option<At<bool>> {
        match value.get_ref().as_bool() {
            Some(switch) => Some(At {
                value: switch,
                line: self.line(value.span().start),
            }),
            None => {
                self.mistake(at, value, &format!("is true or false, not {}", kind(value)));
                None
            }
        }
    }

    fn whole(&mut self, at: &str, value: &Value<'_>, range: RangeInclusive<u32>) -> Option<At<u32>> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| number.as_str().parse().ok());
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(At {
                value: number,
                line: self.line(value.span().start),
            });
        }
        let (least, most) = (range.start(), range.end());
        self.mistake(at, value, &format!("is a whole number from {least} to {most}"));
        None
    }

    /// A number that limits something, or `"off"`.
    fn rate(&mut self, at: &str, value: &Value<'_>) -> Option<At<Option<NonZeroU32>>> {
        let number = value.get_ref().as_integer();
        let limit = match value.get_ref().as_str() {
            Some("off") => Some(None),
            _ => number.and_then(|number| number.as_str().parse().ok()).map(Some),
        };
        if limit.is_none() {
            self.mistake(
                at,
                value,
                &format!("is a whole number from 1 to {}, or \"off\"", u32::MAX),
            );
        }
        limit.map(|value_read| At {
            value: value_read,
            line: self.line(value.span().start),
        })
    }

    fn unknown_at(&mut self, at: &str, value: &Value<'_>, known: &[&str]) {
        // A key's own place is not kept by `entries`; it stands on the line its value begins, or on the table's.
        self.unknown(at, value.span().start, known);
    }

    fn unknown(&mut self, at: &str, offset: usize, known: &[&str]) {
        let line = self.line(offset);
        let known = known.join(", ");
        self.mistakes.push(format!(
            "{}:{line}: {at}: unknown key; known here: {known}",
            self.path.display()
        ));
    }

    fn mistake(&mut self, at: &str, value: &Value<'_>, what: &str) {
        let line = self.line(value.span().start);
        self.mistakes
            .push(format!("{}:{line}: {at}: {what}", self.path.display()));
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

fn kind(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A key as it has to be written in the file.
pub(crate) fn show_key(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { key.to_owned() } else { format!("{key:?}") }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
