//! Pieces of JSON that may not be whole yet: where values end, and what stands at the head of a call.

/// Follows a value that begins with a bracket to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    /// Inside an object that has begun.
    pub(super) fn inside() -> Self {
        Self {
            depth: 1,
            ..Self::default()
        }
    }

    /// The end of the value, behind its last bracket, if it is in this text.
    pub(super) fn end(&mut self, text: &str) -> Option<usize> {
        text.bytes().position(|byte| self.closes(byte)).map(|at| at + 1)
    }

    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// What the beginning of an object says of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It is a call as far as it goes.
    More,
    /// It is none.
    Bad,
    /// The name, and where the value of the arguments begins.
    Open { name: String, arguments: usize },
    /// A whole call, whose arguments came before its name, or not at all; and where it ends.
    Whole {
        name: String,
        arguments: Option<(usize, usize)>,
        end: usize,
    },
}

/// Reads the head of a call: an object with a `name`, and its arguments under one of two names.
pub(super) fn head(text: &str) -> Head {
    let mut cursor = Cursor { text, at: 0 };
    read(&mut cursor).unwrap_or_else(|head| head)
}

fn read(cursor: &mut Cursor<'_>) -> Result<Head, Head> {
    let mut name = None;
    let mut arguments = None;
    cursor.expect(b'{')?;
    loop {
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            let name = name.ok_or(Head::Bad)?;
            return Ok(Head::Whole {
                name,
                arguments,
                end: cursor.at,
            });
        }
        let key = cursor.string()?;
        cursor.expect(b':')?;
        cursor.peek()?;
        match (key.as_str(), &name) {
            ("name", _) => name = Some(cursor.string()?),
            ("arguments" | "parameters", Some(name)) => {
                return Ok(Head::Open {
                    name: name.clone(),
                    arguments: cursor.at,
                });
            }
            ("arguments" | "parameters", None) => arguments = Some(cursor.value()?),
            _ => {
                cursor.value()?;
            }
        }
        if cursor.peek()? == b',' {
            cursor.at += 1;
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<u8, Head> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().position(|byte| !byte.is_ascii_whitespace());
        self.at += space.ok_or(Head::More)?;
        Ok(self.text.as_bytes()[self.at])
    }

    fn expect(&mut self, byte: u8) -> Result<(), Head> {
        if self.peek()? != byte {
            return Err(Head::Bad);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, Head> {
        let (start, end) = self.quoted()?;
        serde_json::from_str(&self.text[start..end]).map_err(|_| Head::Bad)
    }

    /// The place of a string, its quotes included.
    fn quoted(&mut self) -> Result<(usize, usize), Head> {
        self.expect(b'"')?;
        let start = self.at - 1;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at).ok_or(Head::More)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok((start, self.at))
    }

    /// The place of any value.
    fn value(&mut self) -> Result<(usize, usize), Head> {
        match self.peek()? {
            b'"' => self.quoted(),
            b'{' | b'[' => {
                let start = self.at;
                let end = Balance::default().end(&self.text[start..]).ok_or(Head::More)?;
                self.at = start + end;
                Ok((start, self.at))
            }
            b',' | b'}' | b']' | b':' => Err(Head::Bad),
            _ => {
                let start = self.at;
                let rest = &self.text.as_bytes()[start..];
                let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'));
                self.at = start + end.ok_or(Head::More)?;
                Ok((start, self.at))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_in_any_order_of_fields() {
        let open = |name: &str, arguments| Head::Open {
            name: name.to_owned(),
            arguments,
        };
        assert_eq!(head(r#"{"name": "f", "arguments": {"a"#), open("f", 27));
        assert_eq!(
            head(r#" {"type":"function","id":7,"name":"f\n","parameters":"#),
            Head::More
        );
        assert_eq!(
            head(r#"{"x":[{"}":"]"}],"name":"f\n","parameters":1"#),
            open("f\n", 43)
        );
        let whole = |arguments, end| Head::Whole {
            name: "f".to_owned(),
            arguments,
            end,
        };
        assert_eq!(head(r#"{"name":"f"} and"#), whole(None, 12));
        assert_eq!(
            head(r#"{"arguments":{"a":1},"name":"f"}"#),
            whole(Some((13, 20)), 32)
        );
    }

    #[test]
    fn what_is_no_call_is_bad_and_what_may_become_one_is_not() {
        for text in [
            "x",
            "[]",
            "{x",
            r#"{"a" 1"#,
            r#"{"name":1"#,
            r#"{"a":1}"#,
            "{}",
            r#"{"name":,"#,
        ] {
            assert_eq!(head(text), Head::Bad, "{text}");
        }
        let whole = r#"{"id": [1, "\"]"], "name": "é\u00e9", "arguments": {"#;
        for end in (0..whole.len()).filter(|&end| whole.is_char_boundary(end)) {
            assert_eq!(head(&whole[..end]), Head::More, "{}", &whole[..end]);
        }
    }

    #[test]
    fn a_value_ends_with_its_own_bracket() {
        assert_eq!(Balance::default().end(r#"{"a":"}\"}","b":[{}]} x"#), Some(21));
        assert_eq!(Balance::default().end(r#"{"a":"}"#), None);
        let mut balance = Balance::inside();
        assert_eq!((balance.end(", \"x\": {}"), balance.end("}, {")), (None, Some(1)));
    }
}
