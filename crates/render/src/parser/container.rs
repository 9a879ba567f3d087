//! The containers that are open, and which of them a line goes on with (CommonMark, appendix: phase 1).

use super::cursor::Cursor;
use super::marker::ListKind;
use super::scan::More;

/// An open container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) kind: Kind,
    /// Something stands in it.
    pub(super) filled: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Quote,
    /// An item, with the list that it stands in: a list has no open part but its last item.
    Item {
        list: ListKind,
        /// What a line of it is indented by, in columns.
        indent: usize,
        /// Its first line is blank and was followed by another: nothing more can be in it (CommonMark 5.2).
        over: bool,
    },
}

impl Open {
    pub(super) fn quote() -> Self {
        Self {
            kind: Kind::Quote,
            filled: false,
        }
    }

    pub(super) fn item(list: ListKind, indent: usize) -> Self {
        Self {
            kind: Kind::Item {
                list,
                indent,
                over: false,
            },
            filled: false,
        }
    }

    /// Whether the line goes on with it; if so, its mark is stepped over.
    pub(super) fn eat_mark(&self, cursor: &mut Cursor<'_>) -> Result<bool, More> {
        match self.kind {
            Kind::Quote => eat_quote(cursor),
            Kind::Item { over: true, .. } => cursor.is_blank(),
            Kind::Item { indent, .. } => {
                // Blank lines belong to every item; in one that has nothing yet, they are all that it will have.
                if !self.filled && cursor.is_blank()? {
                    return Ok(true);
                }
                if cursor.indent(indent)? == indent {
                    cursor.skip(indent)?;
                    return Ok(true);
                }
                let blank = cursor.is_blank()?;
                if blank {
                    cursor.skip(usize::MAX)?;
                }
                Ok(blank)
            }
        }
    }
}

/// Steps over the mark of a quote, which stands here or behind at most three columns (CommonMark 5.1).
pub(super) fn eat_quote(cursor: &mut Cursor<'_>) -> Result<bool, More> {
    let indent = cursor.indent(4)?;
    let mut ahead = *cursor;
    ahead.skip(indent)?;
    if indent > 3 || ahead.scan().peek()? != Some(b'>') {
        return Ok(false);
    }
    ahead.advance(1);
    ahead.skip(1)?;
    *cursor = ahead;
    Ok(true)
}
