//! What the beginning of a line says: the containers that go on, those that begin, and what stands in them
//! (CommonMark, appendix: phase 1).
//!
//! [`decide`] changes nothing. It is asked again with every piece that comes until it answers, and it looks at no more
//! of a line than a window.

use crate::event::Alignment;

use super::container::{Open, eat_quote};
use super::cursor::Cursor;
use super::definition::{self, Definition};
use super::html::{self, HtmlEnd};
use super::limits::Limits;
use super::marker::{self, Fence, ListKind};
use super::math::{self, MathStart};
use super::scan::{Edge, More};
use super::table;

/// What a line is read against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) limits: &'a Limits,
    pub(super) containers: &'a [Open],
    pub(super) current: Current<'a>,
}

/// The block that is open.
#[derive(Clone, Copy, Debug)]
pub(super) enum Current<'a> {
    None,
    Paragraph {
        /// Its last line, if that may yet become a heading or the head of a table.
        held: Option<&'a str>,
        /// That line is the only one.
        single: bool,
    },
    Fenced(Fence),
    Indented,
    Html(HtmlEnd),
    Math,
    Table,
}

/// What the beginning of a line says.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    /// How many of the open containers go on; the others end, unless the line is [`What::Continued`].
    pub(super) matched: usize,
    /// The containers that begin.
    pub(super) opened: Vec<New>,
    pub(super) what: What<'a>,
    /// Where the rest of the line begins, and how many spaces stand before it that are left of a tab.
    pub(super) at: usize,
    pub(super) spare: usize,
}

/// A container that begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum New {
    Quote,
    Item {
        list: ListKind,
        number: u64,
        indent: usize,
        task: Option<bool>,
    },
}

/// What stands in the containers.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// Nothing.
    Blank,
    /// The text of a new paragraph.
    Text,
    /// More text of the open paragraph, whatever containers are not marked (laziness, CommonMark 5.1).
    Continued,
    /// The text of an ATX heading.
    Heading(u8),
    /// The underline of the paragraph, which is a heading.
    Underline(u8),
    Rule,
    Fence(Fence, &'a str),
    IndentedCode,
    Html(HtmlEnd),
    Math(MathStart<'a>),
    Definition(Definition),
    /// The delimiters under the head of a table.
    Delimiters(Vec<Alignment>),
    Row,
    /// More text of the open code, HTML or math.
    Verbatim,
    /// The fence that closes the open code.
    Closing,
}

/// Reads the beginning of a line.
pub(super) fn decide<'a>(line: &'a str, edge: Edge, context: Context<'_>) -> Result<Decision<'a>, More> {
    let mut cursor = Cursor::new(line, edge, context.limits.window);
    let mut matched = 0;
    for container in context.containers {
        if !container.eat_mark(&mut cursor)? {
            break;
        }
        matched += 1;
    }
    let mut opened = Vec::new();
    let what = match context.verbatim(&mut cursor, matched)? {
        Some(what) => what,
        None => context.starts(&mut cursor, matched, &mut opened)?,
    };
    Ok(Decision {
        matched,
        opened,
        what,
        at: cursor.at(),
        spare: cursor.spare(),
    })
}

impl Context<'_> {
    /// The line as one of the open block, where that takes all lines but its last.
    fn verbatim<'a>(&self, cursor: &mut Cursor<'a>, matched: usize) -> Result<Option<What<'a>>, More> {
        if matched < self.containers.len() {
            return Ok(None);
        }
        Ok(match self.current {
            Current::Fenced(fence) => {
                let indent = cursor.indent(4)?;
                let mut ahead = *cursor;
                ahead.skip(indent)?;
                if indent < 4 && fence.is_closed_by(ahead.scan())? {
                    return Ok(Some(What::Closing));
                }
                cursor.skip(fence.indent)?;
                Some(What::Verbatim)
            }
            Current::Html(HtmlEnd::Line(_)) => Some(What::Verbatim),
            Current::Html(HtmlEnd::Blank) | Current::Math if !cursor.is_blank()? => Some(What::Verbatim),
            Current::Indented if !cursor.is_blank()? && cursor.indent(4)? == 4 => {
                cursor.skip(4)?;
                Some(What::Verbatim)
            }
            Current::None
            | Current::Paragraph { .. }
            | Current::Indented
            | Current::Html(_)
            | Current::Math
            | Current::Table => None,
        })
    }

    /// The containers that begin, and what stands in them.
    fn starts<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        matched: usize,
        opened: &mut Vec<New>,
    ) -> Result<What<'a>, More> {
        loop {
            if cursor.is_blank()? {
                return Ok(What::Blank);
            }
            // The open paragraph may go on here, if only by laziness.
            let in_paragraph = opened.is_empty() && matches!(self.current, Current::Paragraph { .. });
            let direct = opened.is_empty() && matched == self.containers.len();
            let indent = cursor.indent(4)?;
            if indent == 4 && !in_paragraph {
                cursor.skip(4)?;
                return Ok(What::IndentedCode);
            }
            if indent < 4 {
                if let Some(what) = self.block(*cursor, direct, in_paragraph)? {
                    if let What::Heading(level) = what {
                        cursor.skip(indent)?;
                        cursor.advance(usize::from(level));
                    }
                    // HTML keeps its indentation; the others are whole lines.
                    return Ok(what);
                }
                if matched + opened.len() < self.limits.depth {
                    if eat_quote(cursor)? {
                        opened.push(New::Quote);
                        continue;
                    }
                    if let Some(item) = eat_item(cursor, direct && in_paragraph)? {
                        opened.push(item);
                        if matches!(item, New::Item { task: Some(_), .. }) && !cursor.is_blank()? {
                            return Ok(What::Text);
                        }
                        continue;
                    }
                }
            }
            skip_blanks(cursor)?;
            return Ok(if in_paragraph {
                What::Continued
            } else if direct && matches!(self.current, Current::Table) {
                What::Row
            } else {
                What::Text
            });
        }
    }

    /// A block that begins here and is no paragraph.
    fn block<'a>(
        &self,
        mut cursor: Cursor<'a>,
        direct: bool,
        in_paragraph: bool,
    ) -> Result<Option<What<'a>>, More> {
        let indent = cursor.skip(3)?;
        let scan = cursor.scan();
        let Some(byte) = scan.peek()? else { return Ok(None) };
        if let Current::Paragraph {
            held: Some(held),
            single,
        } = self.current
            && direct
            && matches!(byte, b'-' | b'=' | b'|' | b':')
        {
            if table::has_pipe(held)
                && let Some(columns) = table::delimiters(scan, self.limits.columns)?
                && columns.len() == table::count(held)
            {
                return Ok(Some(What::Delimiters(columns)));
            }
            if single && let Some(level) = marker::setext(scan)? {
                return Ok(Some(What::Underline(level)));
            }
        }
        Ok(match byte {
            b'#' => marker::heading(scan)?.map(What::Heading),
            b'`' | b'~' => Fence::open(scan, indent)?.map(|(fence, info)| What::Fence(fence, info)),
            b'*' | b'-' | b'_' => marker::is_thematic_break(scan)?.then_some(What::Rule),
            b'<' => html::block(scan, in_paragraph)?.map(What::Html),
            b'$' | b'\\' => math::start(scan)?.map(What::Math),
            b'[' if !in_paragraph => definition::read(scan)?.map(What::Definition),
            _ => None,
        })
    }
}

/// Steps over all white space.
fn skip_blanks(cursor: &mut Cursor<'_>) -> Result<(), More> {
    cursor.skip(usize::MAX).map(|_| ())
}

/// Steps over the marker of a list item, which stands here or behind at most three columns (CommonMark 5.2), and over
/// the box of a task.
fn eat_item(cursor: &mut Cursor<'_>, interrupts: bool) -> Result<Option<New>, More> {
    let mut ahead = *cursor;
    let before = ahead.skip(3)?;
    let Some(marker) = marker::list_marker(ahead.scan())? else {
        return Ok(None);
    };
    ahead.advance(marker.length);
    let blank = ahead.is_blank()?;
    if interrupts && (blank || matches!(marker.kind, ListKind::Ordered(_)) && marker.number != 1) {
        return Ok(None);
    }
    // Five columns are one, and indented code behind it.
    let apart = match ahead.indent(5) {
        _ if blank => 1,
        Ok(1..=4) => ahead.skip(4)?,
        other => {
            other?;
            ahead.skip(1)?
        }
    };
    let task = if blank { None } else { marker::task(ahead.scan())? };
    if task.is_some() {
        ahead.advance(3);
        skip_blanks(&mut ahead)?;
    }
    *cursor = ahead;
    Ok(Some(New::Item {
        list: marker.kind,
        number: marker.number,
        indent: before + marker.length + apart,
        task,
    }))
}
