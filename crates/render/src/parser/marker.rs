//! The marks that begin or end blocks and fit in a line: thematic breaks, headings, fences, list markers.
//!
//! Each function is asked where at most three columns of white space have been stepped over, and steps over nothing.

use super::scan::{More, Scan, is_blank};

/// Three or more `*`, `-` or `_` and nothing else but blanks (CommonMark 4.1).
pub(super) fn is_thematic_break(mut scan: Scan<'_>) -> Result<bool, More> {
    let Some(mark @ (b'*' | b'-' | b'_')) = scan.peek()? else {
        return Ok(false);
    };
    let mut marks = 0;
    loop {
        match scan.peek()? {
            Some(byte) if byte == mark => marks += 1,
            Some(byte) if is_blank(byte) => {}
            Some(_) => return Ok(false),
            None => return Ok(marks >= 3),
        }
        scan.bump();
    }
}

/// The level of an ATX heading, 1 to 6 (CommonMark 4.2).
pub(super) fn heading(mut scan: Scan<'_>) -> Result<Option<u8>, More> {
    // A seventh `#` is asked for, so that it is not taken for the text.
    let level = scan.eat_while(7, |byte| byte == b'#')?;
    if !(1..=6).contains(&level) {
        return Ok(None);
    }
    let apart = scan.peek()?.is_none_or(is_blank);
    Ok(apart.then_some(level as u8))
}

/// The text of an ATX heading, given what follows its opening marks: without the closing ones.
pub(super) fn heading_text(line: &str) -> &str {
    let line = line.trim_matches([' ', '\t']);
    let text = line.trim_end_matches('#');
    if text.is_empty() || text.ends_with([' ', '\t']) {
        text.trim_end_matches([' ', '\t'])
    } else {
        line
    }
}

/// The level of a setext heading that this line underlines (CommonMark 4.3).
pub(super) fn setext(mut scan: Scan<'_>) -> Result<Option<u8>, More> {
    let (mark, level) = match scan.peek()? {
        Some(b'=') => (b'=', 1),
        Some(b'-') => (b'-', 2),
        _ => return Ok(None),
    };
    scan.eat_while(usize::MAX, |byte| byte == mark)?;
    Ok(scan.only_blanks()?.then_some(level))
}

/// A fence of code: what closes it, and what is taken from the lines within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    mark: u8,
    length: usize,
    /// How far the opening fence is indented: as much is taken from each line, if it is there.
    pub(super) indent: usize,
}

impl Fence {
    /// An opening fence and its info string (CommonMark 4.5).
    pub(super) fn open(mut scan: Scan<'_>, indent: usize) -> Result<Option<(Self, &str)>, More> {
        let Some(mark @ (b'`' | b'~')) = scan.peek()? else {
            return Ok(None);
        };
        let length = scan.eat_while(usize::MAX, |byte| byte == mark)?;
        if length < 3 {
            return Ok(None);
        }
        let from = scan.at();
        scan.eat_while(usize::MAX, |byte| mark != b'`' || byte != b'`')?;
        if scan.peek()?.is_some() {
            return Ok(None);
        }
        let info = scan.between(from, scan.at()).trim_matches([' ', '\t']);
        Ok(Some((Self { mark, length, indent }, info)))
    }

    /// Whether this line closes it.
    pub(super) fn is_closed_by(&self, mut scan: Scan<'_>) -> Result<bool, More> {
        let length = scan.eat_while(usize::MAX, |byte| byte == self.mark)?;
        Ok(length >= self.length && scan.only_blanks()?)
    }
}

/// What a list's items begin with; another kind begins another list (CommonMark 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// `-`, `+` or `*`.
    Bullet(u8),
    /// A number and `.` or `)`.
    Ordered(u8),
}

/// The marker of a list item, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListMarker {
    pub(super) kind: ListKind,
    pub(super) number: u64,
    pub(super) length: usize,
}

/// A list marker, followed by white space or the end of the line (CommonMark 5.2).
pub(super) fn list_marker(mut scan: Scan<'_>) -> Result<Option<ListMarker>, More> {
    let from = scan.at();
    let mut number = 0;
    let kind = match scan.peek()? {
        Some(mark @ (b'-' | b'+' | b'*')) => {
            scan.bump();
            ListKind::Bullet(mark)
        }
        Some(b'0'..=b'9') => {
            let digits = scan.eat_while(10, |byte| byte.is_ascii_digit())?;
            let Some(mark @ (b'.' | b')')) = scan.peek()? else {
                return Ok(None);
            };
            if digits > 9 {
                return Ok(None);
            }
            number = scan
                .between(from, scan.at())
                .bytes()
                .fold(0, |n, byte| n * 10 + u64::from(byte - b'0'));
            scan.bump();
            ListKind::Ordered(mark)
        }
        _ => return Ok(None),
    };
    let apart = scan.peek()?.is_none_or(is_blank);
    Ok(apart.then_some(ListMarker {
        kind,
        number,
        length: scan.at() - from,
    }))
}

/// The box of a task: whether it is ticked (GFM, "Task list items"). Three bytes, and a blank behind
/// them or the end of the line.
pub(super) fn task(mut scan: Scan<'_>) -> Result<Option<bool>, More> {
    if !scan.eat(b'[')? {
        return Ok(None);
    }
    let ticked = match scan.peek()? {
        Some(b' ') => false,
        Some(b'x' | b'X') => true,
        _ => return Ok(None),
    };
    scan.bump();
    if !scan.eat(b']')? || !scan.peek()?.is_none_or(is_blank) {
        return Ok(None);
    }
    Ok(Some(ticked))
}

#[cfg(test)]
mod tests {
    use super::super::scan::Edge;
    use super::*;

    fn whole(text: &str) -> Scan<'_> {
        Scan::new(text, Edge::End)
    }

    fn begun(text: &str) -> Scan<'_> {
        Scan::new(text, Edge::Open)
    }

    #[test]
    fn a_closing_sequence_stands_apart() {
        for (line, text) in [
            (" a ##", "a"),
            (" a#", "a#"),
            (" ##", ""),
            (" a # b", "a # b"),
            (" a \\#", "a \\#"),
            ("", ""),
        ] {
            assert_eq!(heading_text(line), text, "{line:?}");
        }
    }

    #[test]
    fn a_beginning_decides_as_soon_as_it_can() {
        assert_eq!(is_thematic_break(begun("* * *")), Err(More));
        assert_eq!(is_thematic_break(begun("* * a")), Ok(false));
        assert_eq!(heading(begun("##")), Err(More));
        assert_eq!(heading(begun("## ")), Ok(Some(2)));
        assert_eq!(heading(begun("#######")), Ok(None));
        assert_eq!(list_marker(begun("12")), Err(More));
        assert_eq!(list_marker(begun("12x")), Ok(None));
        assert_eq!(list_marker(whole("12.")).unwrap().unwrap().number, 12);
        assert_eq!(task(begun("[x]")), Err(More));
        assert_eq!(task(begun("[x] ")), Ok(Some(true)));
        assert_eq!(task(begun("[x](")), Ok(None));
        assert_eq!(setext(whole("---  ")), Ok(Some(2)));
        assert!(Fence::open(whole("``` a`b"), 0).unwrap().is_none());
        let (fence, info) = Fence::open(whole("~~~~ a`b"), 0).unwrap().unwrap();
        assert_eq!(info, "a`b");
        assert_eq!(fence.is_closed_by(begun("~~~a")), Ok(false));
        assert_eq!(fence.is_closed_by(begun("~~~~ ")), Err(More));
        assert_eq!(fence.is_closed_by(whole("~~~~~ ")), Ok(true));
    }
}
