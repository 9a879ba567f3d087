//! The next token of a text: what begins at a place, if that can be said of what has come.

use crate::parser::Sink;
use crate::parser::entity;
use crate::parser::html::eat_html;
use crate::parser::scan::{Edge, More, Scan, UNKNOWN, is_blank};

use super::bare;
use super::flanking::{Flanking, is_space};
use super::node::Kind;
use super::{Inline, Outside};

/// The bytes at which something other than plain text may begin.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = b"\n\\`*_~[]!<&$hw";
    let mut index = 0;
    while index < bytes.len() {
        special[bytes[index] as usize] = true;
        index += 1;
    }
    special
};

/// What a token turns out to be.
enum Token {
    /// Plain text of so many bytes, whatever stands in it.
    Plain(usize),
    /// A node whose text lies between two offsets, and the length of the token.
    Node(usize, usize, Kind, usize),
    /// A link, whose text lies between two offsets, and the length of the token.
    Link(usize, usize, String, usize),
    /// A run of delimiters of this length.
    Run(usize, Flanking),
    OpenBracket {
        image: bool,
    },
    CloseBracket,
}

impl Inline {
    /// Reads one token, from `at` on.
    pub(super) fn read_token(
        &mut self,
        edge: Edge,
        outside: Outside<'_>,
        sink: Sink<'_>,
    ) -> Result<(), More> {
        let (at, end) = (self.at, self.end());
        if self.broken && self.pass_space() {
            return Ok(());
        }
        let rest = self.text(at, end);
        let plain = plain_length(rest);
        if plain > 0 {
            return self.read_plain(plain, edge, outside, sink);
        }
        let scan = Scan::within(rest, edge, outside.window);
        let token = match rest.as_bytes()[0] {
            b'\n' => Token::Node(0, 0, Kind::SoftBreak, 1),
            b'\\' => backslash(scan)?,
            b'`' => code(scan)?,
            b'$' => math(scan, self.before(at))?,
            b'&' => {
                let mut ahead = scan;
                match entity::eat(&mut ahead)? {
                    Some(entity) => Token::Node(0, ahead.at(), Kind::Entity(entity), ahead.at()),
                    None => Token::Plain(1),
                }
            }
            b'<' => angle(scan)?,
            mark @ (b'*' | b'_' | b'~') => run(mark, scan, self.before(at))?,
            b'[' => Token::OpenBracket { image: false },
            b']' => Token::CloseBracket,
            b'!' => {
                let mut ahead = scan;
                ahead.bump();
                if ahead.peek()? == Some(b'[') {
                    Token::OpenBracket { image: true }
                } else {
                    Token::Plain(1)
                }
            }
            _ => match bare::url(scan, self.before(at), self.in_link())? {
                Some((length, url)) => Token::Link(0, length, url, length),
                None => return self.read_plain(1 + plain_length(&rest[1..]), edge, outside, sink),
            },
        };
        match token {
            Token::Plain(length) => self.plain(at, at + length, sink),
            Token::Node(from, to, kind, length) => {
                self.at = at + length;
                let broken = length > 2 && matches!(kind, Kind::HardBreak);
                self.add(at + from, at + to, kind);
                self.broken = broken;
            }
            Token::Link(from, to, url, length) => {
                self.add(at, at, Kind::Open { url, image: false });
                self.add(at + from, at + to, Kind::Text);
                self.add(at, at, Kind::Close);
                self.at = at + length;
            }
            Token::Run(length, flanking) => self.add_run(at, at + length, flanking, outside),
            Token::OpenBracket { image } => self.open_bracket(image),
            Token::CloseBracket => {
                if let Some(end) = self.close_bracket(edge, outside)? {
                    self.plain(at, end, sink);
                }
            }
        }
        Ok(())
    }

    /// Reads so many bytes of plain text. Blanks at the end of a line are not part of it, but two spaces break the line.
    fn read_plain(
        &mut self,
        length: usize,
        edge: Edge,
        outside: Outside<'_>,
        sink: Sink<'_>,
    ) -> Result<(), More> {
        let (at, end) = (self.at, self.at + length);
        let text = self.text(at, end);
        let ends = end == self.end();
        let breaks = !ends && self.text(end, end + 1) == "\n";
        if !ends && !breaks {
            self.plain(at, end, sink);
            return Ok(());
        }
        // Text is not held back for more than a window of blanks: as many as that are text.
        let blanks = text.bytes().rev().take_while(|&byte| is_blank(byte)).count() % outside.window;
        let hard = breaks && blanks >= 2 && text.ends_with("  ");
        if ends && edge == Edge::Open {
            self.plain(at, end - blanks, sink);
            return if blanks == length { Err(More) } else { Ok(()) };
        }
        self.plain(at, end - blanks, sink);
        self.at = end;
        if hard {
            self.at += 1;
            self.add(end, end, Kind::HardBreak);
        }
        Ok(())
    }

    /// Behind a line break, steps over white space up to the beginning of the next line. Says whether there was some.
    fn pass_space(&mut self) -> bool {
        let rest = self.text(self.at, self.end());
        let blanks = rest.bytes().take_while(|&byte| is_blank(byte)).count();
        let ends = rest.as_bytes().get(blanks) == Some(&b'\n');
        self.at += blanks + usize::from(ends);
        self.broken = !ends;
        blanks > 0 || ends
    }

    /// Whether a link may have begun here.
    fn in_link(&self) -> bool {
        self.brackets
            .iter()
            .any(|bracket| bracket.active && !bracket.image)
    }
}

/// How much of the text is plain for certain.
fn plain_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let special = |&at: &usize| {
        let byte = bytes[at];
        if !SPECIAL[usize::from(byte)] {
            return false;
        }
        // Addresses begin words, and with `ht` or `ww`.
        let next = match byte {
            b'h' => b't',
            b'w' => b'w',
            _ => return true,
        };
        !(at > 0 && bytes[at - 1].is_ascii_alphanumeric())
            && bytes.get(at + 1).is_none_or(|&byte| byte == next)
    };
    (0..bytes.len()).find(special).unwrap_or(bytes.len())
}

/// A run of delimiters, if it can open or close anything.
fn run(mark: u8, mut scan: Scan<'_>, before: Option<char>) -> Result<Token, More> {
    let length = scan.eat_while(usize::MAX, |byte| byte == mark)?;
    let cut = scan.peek()? == Some(UNKNOWN);
    let flanking = Flanking::new(mark, before, scan.rest().chars().next());
    if cut || mark == b'~' && length > 2 || !flanking.opens && !flanking.closes {
        return Ok(Token::Plain(length));
    }
    Ok(Token::Run(length, flanking))
}

/// A link in angle brackets, or HTML.
fn angle(scan: Scan<'_>) -> Result<Token, More> {
    if let Some((length, url)) = bare::angle(scan)? {
        return Ok(Token::Link(1, length - 1, url, length));
    }
    let mut ahead = scan;
    if !eat_html(&mut ahead)? {
        return Ok(Token::Plain(1));
    }
    let length = ahead.at();
    let kind = if is_break(scan.between(0, length)) {
        Kind::HardBreak
    } else {
        Kind::Html
    };
    Ok(Token::Node(0, length, kind, length))
}

/// An escape, a line break, or math in `\( … \)`.
fn backslash(scan: Scan<'_>) -> Result<Token, More> {
    let mut ahead = scan;
    ahead.bump();
    Ok(match ahead.peek()? {
        Some(b'\n') => Token::Node(0, 0, Kind::HardBreak, 2),
        Some(b'(') => {
            ahead.bump();
            match ahead.find("\\)")? {
                Some(end) => Token::Node(2, end, Kind::Math, end + 2),
                None => Token::Node(1, 2, Kind::Text, 2),
            }
        }
        Some(byte) if byte.is_ascii_punctuation() => Token::Node(1, 2, Kind::Text, 2),
        _ => Token::Plain(1),
    })
}

/// Code between two runs of backticks of one length (CommonMark 6.1).
fn code(scan: Scan<'_>) -> Result<Token, More> {
    let mut ahead = scan;
    let length = ahead.eat_while(usize::MAX, |byte| byte == b'`')?;
    loop {
        ahead.eat_while(usize::MAX, |byte| byte != b'`')?;
        let to = ahead.at();
        match ahead.eat_while(usize::MAX, |byte| byte == b'`')? {
            0 => return Ok(Token::Plain(length)),
            // A run that is cut may be longer.
            found if found == length && ahead.peek()? != Some(UNKNOWN) => {
                let (from, to) = unpadded(scan.between(length, to), length);
                return Ok(Token::Node(from, to, Kind::Code, ahead.at()));
            }
            _ => {}
        }
    }
}

/// Where code lies that begins at `from`, without the one space on either side that keeps backticks apart.
fn unpadded(code: &str, from: usize) -> (usize, usize) {
    let padding = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\n'));
    let bytes = code.as_bytes();
    let blank = bytes.iter().all(|byte| padding(Some(byte)));
    let padded = !blank && padding(bytes.first()) && padding(bytes.last());
    (
        from + usize::from(padded),
        from + code.len() - usize::from(padded),
    )
}

/// Math between dollars: pandoc's rule, so that prices stay prices. No white space behind the first dollar or before the
/// last, no digit behind that, no letter or digit before the first; and the next dollar decides. `$$ … $$` may have white space.
/// Of variables of a shell, `($PATH:$HOME)` and `$USER/$NAME`, nothing is math.
fn math(scan: Scan<'_>, before: Option<char>) -> Result<Token, More> {
    let mut ahead = scan;
    let length = ahead.eat_while(3, |byte| byte == b'$')?;
    if length > 2 || before.is_some_and(|before| before.is_ascii_alphanumeric()) {
        return Ok(Token::Plain(length));
    }
    if length == 2 {
        return Ok(match ahead.find("$$")? {
            Some(end) if end > 2 => Token::Node(2, end, Kind::Math, end + 2),
            _ => Token::Plain(2),
        });
    }
    if ahead
        .peek()?
        .is_none_or(|byte| byte == UNKNOWN || char::from(byte).is_ascii_whitespace())
    {
        return Ok(Token::Plain(1));
    }
    loop {
        ahead.eat_while(usize::MAX, |byte| byte != b'$' && byte != b'\\')?;
        let end = ahead.at();
        match ahead.peek()? {
            Some(b'\\') => {
                ahead.bump();
                if ahead.eat_while(1, |_| true)? == 0 {
                    return Ok(Token::Plain(1));
                }
            }
            Some(b'$') => {
                ahead.bump();
                let next = ahead.peek()?;
                let closes = !scan.between(1, end).ends_with(is_space)
                    && !next.is_some_and(|byte| byte.is_ascii_digit() || byte == UNKNOWN)
                    && !are_variables(scan.between(1, end), next);
                return Ok(if closes {
                    Token::Node(1, end, Kind::Math, end + 1)
                } else {
                    Token::Plain(1)
                });
            }
            _ => return Ok(Token::Plain(1)),
        }
    }
}

/// Whether the text between two dollars, of which `next` is behind the second, stands between the names of two variables:
/// it ends with what joins them, or both are one word.
fn are_variables(text: &str, next: Option<u8>) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let goes_on = next.is_some_and(|next| is_name(next) || matches!(next, b'{' | b'('));
    let joins = |c: char| {
        matches!(
            c,
            ':' | '/' | '(' | '[' | '{' | '=' | ',' | ';' | '@' | '"' | '-' | '.'
        )
    };
    let is_variable = text.len() > 1
        && text
            .bytes()
            .all(|byte| is_name(byte) && !byte.is_ascii_lowercase());
    goes_on && (text.ends_with(joins) || is_variable)
}

/// Whether a tag is `<br>`.
fn is_break(tag: &str) -> bool {
    let name = tag.trim_matches(['<', '>', '/', ' ']);
    name.eq_ignore_ascii_case("br") && !tag.starts_with("</")
}
