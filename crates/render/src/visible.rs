//! Makes control characters visible, so that text from a model or a server cannot move the cursor, retitle the window,
//! write to the clipboard or turn a line around.
//!
//! Every character that can begin or carry an escape sequence is replaced by its picture (ESC becomes ␛), so the rest
//! of a sequence is shown as the ordinary text it is and nothing is lost. Since that is decided character by
//! character, the only state between two pieces of text is a carriage return whose line feed may still come.

use std::fmt::Write as _;

/// Neutralises a text that arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visible {
    /// The last piece ended with a carriage return.
    pending_return: bool,
}

impl Visible {
    /// Appends the harmless form of the next piece, of any length. Line feeds and tabs stay, CR LF becomes LF.
    pub fn push(&mut self, text: &str, out: &mut String) {
        out.reserve(text.len());
        for c in text.chars() {
            if self.pending_return && c != '\n' {
                show('\r', out);
            }
            self.pending_return = c == '\r';
            match c {
                '\r' => {}
                '\n' | '\t' => out.push(c),
                c if is_control(c) => show(c, out),
                c => out.push(c),
            }
        }
    }

    /// Appends what was held back, at the end of the text.
    pub fn finish(&mut self, out: &mut String) {
        if std::mem::take(&mut self.pending_return) {
            show('\r', out);
        }
    }
}

/// The harmless form of a whole text. Line feeds and tabs stay, CR LF becomes LF.
pub fn text(text: &str) -> String {
    let (mut visible, mut out) = (Visible::default(), String::new());
    visible.push(text, &mut out);
    visible.finish(&mut out);
    out
}

/// The harmless form of a text that is shown within one line: line breaks and tabs become spaces.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    within_line(text.trim(), &mut out);
    out
}

/// Appends the harmless form of text that stands within one line, such as a cell of a table.
pub fn within_line(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_control(c) => show(c, out),
            c => out.push(c),
        }
    }
}

/// Appends the harmless form of a line of code, whose tabs are the caller's to set.
pub(crate) fn within_code(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            c if c != '\t' && is_control(c) => show(c, out),
            c => out.push(c),
        }
    }
}

/// Whether a terminal may do something with this character other than drawing it: the controls of C0 and C1, DEL, and
/// the embeddings, overrides and isolates of the bidirectional algorithm (Unicode Annex 9).
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn show(c: char, out: &mut String) {
    match u32::from(c) {
        // The block Control Pictures has C0 at 2400 and DEL at 2421.
        code @ 0..=0x1f => out.extend(char::from_u32(0x2400 + code)),
        0x7f => out.push('\u{2421}'),
        code => {
            let _ = write!(out, "<U+{code:04X}>");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::text as whole;
    use super::*;

    #[test]
    fn escape_sequences_become_ordinary_text() {
        assert_eq!(whole("a\u{1b}[31mred\u{1b}[0m"), "a␛[31mred␛[0m");
        assert_eq!(whole("\u{1b}]52;c;aGk=\u{7}"), "␛]52;c;aGk=␇");
        assert_eq!(whole("\u{9b}2J\u{7f}\u{0}"), "<U+009B>2J␡␀");
        assert_eq!(whole("\u{202e}cod.exe\u{2066}"), "<U+202E>cod.exe<U+2066>");
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        let text = "日本語\tnaïve\n👩‍👩‍👧 \u{200f}עברית\u{200e} e\u{301}";
        assert_eq!(whole(text), text);
    }

    #[test]
    fn line_ends_of_every_kind() {
        assert_eq!(whole("a\r\nb"), "a\nb");
        assert_eq!(whole("hidden\rshown"), "hidden␍shown");
        assert_eq!(whole("a\r\r\n\r"), "a␍\n␍");
        assert_eq!(line(" a\r\nb\u{1b}[2J "), "a  b␛[2J");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_and_nothing_dangerous(text in "[\\x00-\\xff\u{2020}-\u{2070}a\r\n]{0,40}", cut in 0usize..200) {
            let mut cut = cut.min(text.len());
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            let (mut visible, mut out) = (Visible::default(), String::new());
            visible.push(&text[..cut], &mut out);
            visible.push(&text[cut..], &mut out);
            visible.finish(&mut out);
            prop_assert_eq!(&out, &whole(&text));
            prop_assert!(out.chars().all(|c| !is_control(c) || c == '\n' || c == '\t'));
        }
    }
}
