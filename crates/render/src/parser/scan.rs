//! Reading ahead in text that is still coming.
//!
//! Every rule of the parser reads through a [`Scan`]. Where the text ends, the scan says which end it is: more may come
//! ([`Edge::Open`], and the rule answers [`More`]), the line or the paragraph ends here ([`Edge::End`]), or there is more
//! than a rule may look at ([`Edge::Cut`]). So a rule is written once, as for whole text, and what it decides on
//! a beginning is what it decides on everything that begins so.

/// The rule cannot be decided until more text has come, or the text has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More;

/// What stands behind the last byte of a scanned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nobody knows yet.
    Open,
    /// Nothing.
    End,
    /// Something, which is out of reach: it matches no rule.
    Cut,
}

/// What [`Scan::peek`] shows of text that is out of reach: no byte of UTF-8, so no rule matches it.
pub(super) const UNKNOWN: u8 = 0xff;

/// A place in a text, with the text before and behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    edge: Edge,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, edge: Edge) -> Self {
        Self { text, at: 0, edge }
    }

    /// Scans at most `window` bytes of `text`, whose end is `edge`.
    pub(super) fn within(text: &'a str, edge: Edge, window: usize) -> Self {
        if text.len() > window {
            Self::new(&text[..text.floor_char_boundary(window)], Edge::Cut)
        } else {
            Self::new(text, edge)
        }
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text between two offsets.
    pub(super) fn between(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    /// The text that has come from here on.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next byte; `None` at the end.
    pub(super) fn peek(&self) -> Result<Option<u8>, More> {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) => Ok(Some(byte)),
            None => self.behind(),
        }
    }

    /// Steps over the byte that was peeked at.
    pub(super) fn bump(&mut self) {
        self.at = (self.at + 1).min(self.text.len());
    }

    /// Steps over so many bytes, which have come.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Steps over the next byte if it is this one.
    pub(super) fn eat(&mut self, byte: u8) -> Result<bool, More> {
        let found = self.peek()? == Some(byte);
        if found {
            self.bump();
        }
        Ok(found)
    }

    /// Steps over this text (ASCII) if it comes next.
    pub(super) fn eat_str(&mut self, text: &str) -> Result<bool, More> {
        let mut ahead = *self;
        for byte in text.bytes() {
            if !ahead.eat(byte)? {
                return Ok(false);
            }
        }
        *self = ahead;
        Ok(true)
    }

    /// Steps over bytes as long as they are such, at most `limit`, and says how many they were.
    pub(super) fn eat_while(
        &mut self,
        limit: usize,
        mut such: impl FnMut(u8) -> bool,
    ) -> Result<usize, More> {
        let from = self.at;
        while self.at - from < limit {
            match self.peek()? {
                Some(byte) if byte != UNKNOWN && such(byte) => self.bump(),
                _ => break,
            }
        }
        Ok(self.at - from)
    }

    /// Steps over spaces and tabs, and says how many there were.
    pub(super) fn blanks(&mut self) -> Result<usize, More> {
        self.eat_while(usize::MAX, is_blank)
    }

    /// Whether nothing but spaces and tabs comes until the end.
    pub(super) fn only_blanks(mut self) -> Result<bool, More> {
        self.blanks()?;
        Ok(self.peek()?.is_none())
    }

    /// The offset at which `needle` (not empty) comes next; `None` if it does not.
    pub(super) fn find(&self, needle: &str) -> Result<Option<usize>, More> {
        match memchr::memmem::find(self.rest().as_bytes(), needle.as_bytes()) {
            Some(found) => Ok(Some(self.at + found)),
            None => self.behind().map(|_| None),
        }
    }

    fn behind(&self) -> Result<Option<u8>, More> {
        match self.edge {
            Edge::Open => Err(More),
            Edge::End => Ok(None),
            Edge::Cut => Ok(Some(UNKNOWN)),
        }
    }
}

/// A space or a tab.
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
