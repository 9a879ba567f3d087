//! A conversation for people: who said what, when, and how each answer ended.

use std::fmt::Write as _;

use aurora_chat::{Content, Message, Part, Role};
use aurora_render::visible;

use super::Look;
use super::listing::{local, model, speaker};
use crate::console;
use crate::history::entry::{Entry, Heading};
use crate::output::{self, Style};

/// The whole of it. On a terminal answers are rendered, and what models and servers wrote is made harmless; elsewhere texts are as they were.
pub(super) fn show(heading: &Heading, entries: &[Entry], look: Look) -> String {
    let mut out = String::new();
    let (id, title) = (look.paint("1", &heading.id), visible::line(&heading.title));
    let _ = writeln!(out, "{id}  {title}");
    let about = format!("{} · {}", local(heading.updated), visible::line(&model(heading)));
    let _ = writeln!(out, "{}", look.paint("2", &about));
    for entry in entries {
        let _ = writeln!(out, "\n{}", look.paint("1;36", &title_of(entry)));
        if look.reasoning && !entry.reasoning.is_empty() {
            let reasoning = harmless(&entry.reasoning, look);
            let _ = writeln!(out, "{}\n", look.paint("2", reasoning.trim_end()));
        }
        // What models write is Markdown. The lines of a prompt stay as they were typed.
        let style = Style {
            render: look.style.render && entry.message.role == Role::Assistant,
            ..look.style
        };
        out += &output::shown(&plain(&entry.message), style, console::size());
    }
    out
}

/// Who said it, when, and what is to be said of the answer.
fn title_of(entry: &Entry) -> String {
    let who = match (&entry.answer, entry.message.role) {
        (Some(answer), Role::Assistant) => visible::line(&answer.answerer.name()),
        (_, role) => speaker(role).to_owned(),
    };
    let mut title = format!("── {who} · {}", local(entry.created));
    if let Some(answer) = &entry.answer {
        for _ in &answer.seams {
            title += " · continued by another request";
        }
        if let Some(remark) = answer.remark() {
            let _ = write!(title, " · {}", visible::line(&remark));
        }
    }
    title
}

/// The text, with what is no text named in its place.
fn plain(message: &Message) -> String {
    let Content::Parts(parts) = &message.content else {
        return message.plain_text().into_owned();
    };
    let parts = parts.iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Other(part) => format!("[{}]", super::export::describe(part)),
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn harmless(text: &str, look: Look) -> String {
    if look.is_terminal {
        visible::text(text)
    } else {
        text.to_owned()
    }
}
