//! Link reference definitions (CommonMark 4.7), and the labels that links refer to them by.
//!
//! A definition stands on one line here, and defines for what comes after it: what went before has been told.

use std::collections::HashMap;
use std::sync::Arc;

use super::destination::{self, eat_title};
use super::entity::resolve;
use super::scan::{More, Scan, UNKNOWN, is_blank};

/// The longest label, in bytes of its text (CommonMark has 999 characters; a window is shorter).
const LABEL: usize = 999;

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    label: String,
    url: String,
}

/// A definition that is all there is on this line. `[^1]:` is none, for it begins a footnote, which is left readable.
pub(super) fn read(mut scan: Scan<'_>) -> Result<Option<Definition>, More> {
    let Some(label) = eat_label(&mut scan)? else {
        return Ok(None);
    };
    if label.starts_with('^') || !scan.eat(b':')? {
        return Ok(None);
    }
    scan.blanks()?;
    let Some(url) = destination::eat(&mut scan)? else {
        return Ok(None);
    };
    // `<>` is an empty one; no text at all is none.
    let mut title = scan;
    if title.blanks()? > 0 && eat_title(&mut title)? {
        scan = title;
    }
    if !scan.only_blanks()? {
        return Ok(None);
    }
    Ok(Some(Definition {
        label: normal(label),
        url: resolve(url).into_owned(),
    }))
}

/// Steps over a label in its brackets; it has at least one character that is no white space, and no bracket that is not
/// escaped.
pub(super) fn eat_label<'a>(scan: &mut Scan<'a>) -> Result<Option<&'a str>, More> {
    if !scan.eat(b'[')? {
        return Ok(None);
    }
    let from = scan.at();
    loop {
        match scan.peek()? {
            Some(b']') => break,
            Some(b'\\') => {
                scan.bump();
                if scan.peek()?.is_some_and(|byte| byte.is_ascii_punctuation()) {
                    scan.bump();
                }
            }
            Some(b'[' | UNKNOWN) | None => return Ok(None),
            Some(_) => scan.bump(),
        }
        if scan.at() - from > LABEL {
            return Ok(None);
        }
    }
    let label = scan.between(from, scan.at());
    scan.bump();
    let blank = label.bytes().all(|byte| is_blank(byte) || byte == b'\n');
    Ok((!blank).then_some(label))
}

/// The definitions so far. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions(Arc<HashMap<String, String>>);

impl Definitions {
    /// Remembers a definition, if its label has none yet and there is room.
    pub(super) fn add(&mut self, definition: Definition, limit: usize) {
        if self.0.len() < limit {
            Arc::make_mut(&mut self.0)
                .entry(definition.label)
                .or_insert(definition.url);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the label leads to.
    pub(super) fn url(&self, label: &str) -> Option<&str> {
        if self.is_empty() {
            None
        } else {
            self.0.get(&normal(label)).map(String::as_str)
        }
    }
}

/// The label as labels are compared: case folded, white space in it made one.
fn normal(label: &str) -> String {
    let mut normal = String::with_capacity(label.len());
    for word in label.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        // Both cases in this order make one of `ß`, `ẞ` and `SS`, as folding would.
        normal.extend(
            word.chars()
                .flat_map(char::to_lowercase)
                .flat_map(char::to_uppercase),
        );
    }
    normal
}
