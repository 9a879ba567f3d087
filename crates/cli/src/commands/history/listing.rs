//! Conversations and matches in lines: aligned columns for people, JSON for programs.

use std::fmt::Write as _;

use aurora_chat::Role;
use aurora_render::visible;
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Look;
use crate::history::entry::{Heading, Moment};
use crate::history::store::{Hit, MATCH};

/// A line for each conversation: id, when, prompts, who answered, title. On a terminal the title ends with the row.
pub(super) fn table(headings: &[Heading], look: Look) -> String {
    let models: Vec<String> = headings
        .iter()
        .map(|heading| visible::line(&model(heading)))
        .collect();
    let width = models
        .iter()
        .map(|model| model.width())
        .max()
        .unwrap_or(0)
        .min(28);
    let mut out = String::new();
    for (heading, model) in headings.iter().zip(&models) {
        let head = format!(
            "{}  {}  {:>3}  {}  ",
            heading.id,
            local(heading.updated),
            heading.turns,
            pad(&fit(model, width), width)
        );
        let title = visible::line(&heading.title);
        let title = match look.columns.checked_sub(head.width() + 1) {
            Some(left) if look.is_terminal => fit(&title, left.max(8)),
            _ => title,
        };
        let id = look.paint("1", &heading.id);
        let _ = writeln!(out, "{id}{}{title}", &head[heading.id.len()..]);
    }
    out
}

/// One object a line.
pub(super) fn json_lines(headings: &[Heading]) -> String {
    headings
        .iter()
        .map(|heading| format!("{}\n", object(heading)))
        .collect()
}

/// The conversations with their matches below them, marked on a terminal.
pub(super) fn hits(hits: &[Hit], look: Look) -> String {
    let mut out = String::new();
    let mut last = None;
    for hit in hits {
        if last != Some(&hit.heading.id) {
            let gap = if last.is_some() { "\n" } else { "" };
            let (id, when) = (look.paint("1", &hit.heading.id), local(hit.heading.updated));
            let _ = writeln!(out, "{gap}{id}  {when}  {}", visible::line(&hit.heading.title));
            last = Some(&hit.heading.id);
        }
        // What stands between the marks is every other piece.
        let pieces = hit.snippet.split([MATCH.0, MATCH.1]).enumerate();
        let mut snippet = String::new();
        for (n, piece) in pieces {
            let mut shown = String::new();
            visible::within_line(piece, &mut shown);
            snippet += &if n % 2 == 1 {
                look.paint("1;33", &shown)
            } else {
                shown
            };
        }
        let _ = writeln!(out, "  {}: {}", speaker(hit.role), snippet.trim());
    }
    out
}

/// One object a line; `matches` are places in `snippet`, in bytes.
pub(super) fn hits_json(hits: &[Hit]) -> String {
    let line = |hit: &Hit| {
        let mut snippet = String::new();
        let mut marks = Vec::new();
        for c in hit.snippet.chars() {
            match c {
                c if c == MATCH.0 => marks.push([snippet.len(), snippet.len()]),
                c if c == MATCH.1 => marks
                    .iter_mut()
                    .last()
                    .into_iter()
                    .for_each(|mark| mark[1] = snippet.len()),
                c => snippet.push(c),
            }
        }
        let line = json!({
            "id": hit.heading.id, "title": hit.heading.title, "updated": utc(hit.heading.updated),
            "place": hit.place, "role": hit.role.as_str(), "snippet": snippet, "matches": marks,
        });
        format!("{line}\n")
    };
    hits.iter().map(line).collect()
}

/// What is known of a conversation besides its messages.
pub(super) fn object(heading: &Heading) -> Value {
    json!({
        "id": heading.id,
        "title": heading.title,
        "created": utc(heading.created),
        "updated": utc(heading.updated),
        "endpoint": heading.answerer.endpoint,
        "model": heading.answerer.model,
        "turns": heading.turns,
    })
}

/// Who answered, in one word.
pub(super) fn model(heading: &Heading) -> String {
    heading.answerer.name()
}

/// Who says a message.
pub(super) fn speaker(role: Role) -> &'static str {
    match role {
        Role::User => "you",
        Role::Assistant => "model",
        Role::System | Role::Developer => "system",
        Role::Tool => "tool",
    }
}

/// The time on this machine's clock, to the minute.
pub(super) fn local(moment: Moment) -> String {
    let time = jiff::Timestamp::from_millisecond(moment.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The time as RFC 3339 has it, in UTC, to the millisecond.
pub(super) fn utc(moment: Moment) -> String {
    let time = jiff::Timestamp::from_millisecond(moment.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// The text, or as much of it as fits into so many columns, with an ellipsis at its end.
fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let mut out: String = text.chars().take_while(fits).collect();
    out.push('…');
    out
}

fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Answerer;

    fn heading(title: &str, model: &str) -> Heading {
        Heading::sample(
            "k3f9ab",
            title,
            Answerer {
                endpoint: "e".into(),
                model: model.into(),
            },
        )
    }

    #[test]
    fn columns_are_aligned_by_what_they_take_and_the_row_is_not_left() {
        let headings = [
            heading("什么是数据库？它有什么用处？", "m"),
            heading("why", "模型"),
            heading("a\u{1b}[2J", "m"),
        ];
        let look = Look {
            is_terminal: true,
            columns: 50,
            ..Look::default()
        };
        let table = table(&headings, look);
        let rows: Vec<&str> = table.lines().collect();
        assert!(rows.iter().all(|row| row.width() <= 50), "{table}");
        assert!(
            rows[0].ends_with('…') && rows[1].ends_with("  e/模型  why"),
            "{table}"
        );
        assert!(rows[2].ends_with("  e/m     a␛[2J"), "{table}");
        assert!(
            super::table(&headings, Look::default()).contains("用处？"),
            "a pipe gets all of it"
        );
    }

    #[test]
    fn matches_are_marked_or_counted() {
        let hit = Hit {
            heading: heading("t", "m"),
            place: 1,
            role: Role::Assistant,
            snippet: format!("the {}data{}\nbase {}数据{}", MATCH.0, MATCH.1, MATCH.0, MATCH.1),
        };
        let look = Look {
            color: true,
            ..Look::default()
        };
        let shown = hits(&[hit.clone(), hit.clone()], look);
        assert!(
            shown.contains("  model: the \u{1b}[1;33mdata\u{1b}[0m base \u{1b}[1;33m数据\u{1b}[0m\n"),
            "{shown}"
        );
        assert_eq!(shown.matches("k3f9ab").count(), 1, "the conversation once");
        let line: Value = serde_json::from_str(hits_json(&[hit]).trim()).unwrap();
        assert_eq!(
            (&line["snippet"], &line["matches"]),
            (&json!("the data\nbase 数据"), &json!([[4, 8], [14, 20]]))
        );
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(utc(Moment(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(
            utc(Moment(i64::MAX)),
            "1970-01-01T00:00:00.000Z",
            "a time of no year"
        );
    }
}
