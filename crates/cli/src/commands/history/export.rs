//! Conversations for the world outside: Markdown to be read, JSON with everything that is kept.

use std::fmt::Write as _;
use std::io::{self, Write};

use aurora_chat::{Content, Part, Role};
use serde_json::{Map, Value, json};

use super::listing;
use crate::args::ExportFormat;
use crate::history::Store;
use crate::history::entry::{Answer, Entry, Heading, parts_to_json, seams_to_json};
use crate::problem::{Problem, Result};

/// Writes these conversations, one after the other: no more than one is in memory.
///
/// # Errors
/// The history cannot be read; whatever `wrong` makes of it that `out` cannot be written.
pub(super) fn write(
    store: &Store,
    headings: &[Heading],
    is_list: bool,
    format: ExportFormat,
    out: &mut impl Write,
    wrong: impl Fn(io::Error) -> Problem,
) -> Result<()> {
    let is_json_list = is_list && format == ExportFormat::Json;
    for (number, heading) in headings.iter().enumerate() {
        let entries = store.messages(heading)?;
        let before = match (number, format) {
            (0, _) if is_json_list => "[\n",
            (0, _) => "",
            (_, ExportFormat::Json) => ",\n",
            (_, ExportFormat::Markdown) => "\n",
        };
        let text = match format {
            ExportFormat::Markdown => markdown(heading, &entries),
            ExportFormat::Json if is_list => object(heading, &entries).to_string(),
            ExportFormat::Json => format!("{:#}\n", object(heading, &entries)),
        };
        out.write_all(before.as_bytes())
            .and_then(|()| out.write_all(text.as_bytes()))
            .map_err(&wrong)?;
    }
    let after = match is_json_list {
        true if headings.is_empty() => "[]\n",
        true => "\n]\n",
        false => "",
    };
    out.write_all(after.as_bytes())
        .and_then(|()| out.flush())
        .map_err(wrong)
}

/// Everything that is kept of a conversation.
pub(super) fn object(heading: &Heading, entries: &[Entry]) -> Value {
    let mut object = listing::object(heading);
    object["messages"] = entries.iter().map(message).collect();
    object
}

fn message(entry: &Entry) -> Value {
    let mut message = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            message.insert(name.to_owned(), value);
        }
    };
    set("role", json!(entry.message.role.as_str()));
    let parts = parts_to_json(&entry.message.content);
    set(
        "content",
        parts.unwrap_or_else(|| json!(entry.message.plain_text())),
    );
    set("created", json!(listing::utc(entry.created)));
    if !entry.reasoning.is_empty() {
        set("reasoning", json!(entry.reasoning));
    }
    if let Some(answer) = &entry.answer {
        set("endpoint", json!(answer.answerer.endpoint));
        set("model", json!(answer.answerer.model));
        if !answer.seams.is_empty() {
            set("seams", seams_to_json(&answer.seams));
        }
        if let Some(ending) = &answer.ending {
            set("finish_reason", json!(ending.finish_reason));
            set("error", json!(ending.error));
            set(
                "input_tokens",
                json!(ending.usage.map(|usage| usage.input_tokens)),
            );
            set(
                "output_tokens",
                json!(ending.usage.map(|usage| usage.output_tokens)),
            );
            set("ttft_ms", json!(ending.first.map(|first| first.as_millis())));
            set("elapsed_ms", json!(ending.elapsed.as_millis()));
        }
        // Of one that was cut off it is null, and said.
        message.insert("verdict".to_owned(), json!(answer.verdict()));
    }
    Value::Object(message)
}

/// A document: the title, and a section for each message. Texts stand in it as they are, since most are Markdown.
fn markdown(heading: &Heading, entries: &[Entry]) -> String {
    let mut out = String::new();
    let title = heading.title.as_str();
    let _ = writeln!(out, "# {}", if title.is_empty() { &heading.id } else { title });
    let _ = writeln!(
        out,
        "\n{} · {} · `{}`",
        heading.id,
        listing::utc(heading.created),
        listing::model(heading)
    );
    sections(entries, &mut out);
    out
}

/// A section for each message.
pub(in crate::commands) fn sections(entries: &[Entry], out: &mut String) {
    for entry in entries {
        let who = match entry.message.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::System | Role::Developer => "System",
            Role::Tool => "Tool",
        };
        let _ = write!(out, "\n## {who}\n\n");
        if !entry.reasoning.is_empty() {
            let reasoning = entry.reasoning.trim();
            let _ = write!(
                out,
                "<details><summary>Reasoning</summary>\n\n{reasoning}\n\n</details>\n\n"
            );
        }
        let text = match &entry.message.content {
            Content::Parts(parts) => parts.iter().map(part).collect::<Vec<_>>().join("\n\n"),
            Content::Empty | Content::Text(_) => entry.message.plain_text().into_owned(),
        };
        let line_break = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let _ = write!(out, "{text}{line_break}");
        if let Some(answer) = &entry.answer {
            remarks(answer, out);
        }
    }
}

/// What a reader of an answer has to know to take it for what it is.
fn remarks(answer: &Answer, out: &mut String) {
    for seam in &answer.seams {
        let _ = writeln!(out, "\n*(continued by another request after {} bytes)*", seam.at);
    }
    if let Some(remark) = answer.remark() {
        let _ = writeln!(out, "\n*({remark})*");
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => text.clone(),
        Part::Other(other) => match image_url(other) {
            Some(url) => format!("![{}]({url})", describe(other)),
            None => format!("[{}]", describe(other)),
        },
    }
}

/// What a part that is no text is: its media type and about how large, or its type.
pub(super) fn describe(part: &Map<String, Value>) -> String {
    let data = image_url(part)
        .and_then(|url| url.strip_prefix("data:"))
        .and_then(|data| data.split_once(";base64,"));
    match data {
        // Four characters hold three bytes.
        Some((media, data)) => format!("{media}, {} KiB", (data.len() / 4 * 3).div_ceil(1024)),
        None => part
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("something else")
            .to_owned(),
    }
}

fn image_url(part: &Map<String, Value>) -> Option<&str> {
    part.get("image_url")?.get("url")?.as_str()
}
