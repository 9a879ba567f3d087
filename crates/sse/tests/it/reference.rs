//! The standard's text, turned into code sentence by sentence, with the whole stream in hand. It is slow, it copies
//! everything, and it shares nothing with the crate: the tests compare the two.

use crate::support::{Outcome, Seen};

/// "Parsing an event stream" and "Interpreting an event stream", for a whole stream; stray lines and what is left
/// over are added in the way the crate's documentation says.
pub(crate) fn decode(stream: &[u8], stray_lines: bool) -> Outcome {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one leading byte order mark.
    let text = utf8_decode(stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream));
    let mut parser = Parser {
        stray_lines,
        ..Parser::default()
    };
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['\r', '\n']) {
        parser.line(&rest[..at]);
        let end = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[at + end..];
    }
    parser.end(rest);
    parser.outcome
}

#[derive(Default)]
struct Parser {
    data_buffer: String,
    event_type_buffer: String,
    last_event_id_buffer: String,
    stray_lines: bool,
    outcome: Outcome,
}

impl Parser {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
        } else if line.starts_with(':') {
            // "Ignore the line."
        } else if let Some((field, value)) = line.split_once(':') {
            self.field(field, value.strip_prefix(' ').unwrap_or(value), line);
        } else {
            self.field(line, "", line);
        }
    }

    fn field(&mut self, field: &str, value: &str, line: &str) {
        match field {
            "event" => self.event_type_buffer = value.to_owned(),
            "data" => {
                self.data_buffer.push_str(value);
                self.data_buffer.push('\n');
            }
            "id" => {
                if !value.contains('\0') {
                    self.last_event_id_buffer = value.to_owned();
                }
            }
            "retry" => {
                if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) {
                    self.outcome.retry = Some(value.parse().unwrap_or(u64::MAX));
                }
            }
            _ => {
                if self.stray_lines {
                    self.outcome.items.push(Seen::Stray(line.to_owned()));
                }
            }
        }
    }

    fn dispatch(&mut self) {
        self.outcome.last_id = self.last_event_id_buffer.clone();
        if self.data_buffer.is_empty() {
            self.event_type_buffer.clear();
            return;
        }
        let event = self.take_event();
        self.outcome.items.push(event);
    }

    fn take_event(&mut self) -> Seen {
        self.data_buffer.pop();
        let event_type = core::mem::take(&mut self.event_type_buffer);
        Seen::Event(
            if event_type.is_empty() {
                "message".to_owned()
            } else {
                event_type
            },
            core::mem::take(&mut self.data_buffer),
            self.outcome.last_id.clone(),
            self.outcome.retry,
        )
    }

    /// `rest` is the line the end of input has cut, maybe empty.
    fn end(&mut self, rest: &str) {
        let (field, value) = rest.split_once(':').unwrap_or((rest, ""));
        match field {
            "data" => {
                self.data_buffer
                    .push_str(value.strip_prefix(' ').unwrap_or(value));
                self.data_buffer.push('\n');
            }
            "" | "event" | "id" | "retry" => {}
            _ if self.stray_lines => self.outcome.left_over.push(Seen::Stray(rest.to_owned())),
            _ => {}
        }
        if !self.data_buffer.is_empty() {
            let event = self.take_event();
            self.outcome.left_over.push(event);
        }
    }
}

/// The UTF-8 decoder of the Encoding standard, byte by byte as it is written there.
fn utf8_decode(bytes: &[u8]) -> String {
    let mut out = String::new();
    let (mut code_point, mut seen, mut needed) = (0_u32, 0, 0);
    let (mut lower, mut upper) = (0x80, 0xBF);
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if needed == 0 {
            match byte {
                0x00..=0x7F => out.push(char::from(byte)),
                0xC2..=0xDF => (needed, code_point) = (1, u32::from(byte & 0x1F)),
                0xE0..=0xEF => {
                    match byte {
                        0xE0 => lower = 0xA0,
                        0xED => upper = 0x9F,
                        _ => {}
                    }
                    (needed, code_point) = (2, u32::from(byte & 0xF));
                }
                0xF0..=0xF4 => {
                    match byte {
                        0xF0 => lower = 0x90,
                        0xF4 => upper = 0x8F,
                        _ => {}
                    }
                    (needed, code_point) = (3, u32::from(byte & 0x7));
                }
                _ => out.push('\u{FFFD}'),
            }
            continue;
        }
        let in_range = (lower..=upper).contains(&byte);
        (lower, upper) = (0x80, 0xBF);
        if !in_range {
            (code_point, seen, needed) = (0, 0, 0);
            // "Restore byte to ioQueue."
            at -= 1;
            out.push('\u{FFFD}');
            continue;
        }
        code_point = (code_point << 6) | u32::from(byte & 0x3F);
        seen += 1;
        if seen == needed {
            out.push(char::from_u32(code_point).unwrap());
            (code_point, seen, needed) = (0, 0, 0);
        }
    }
    if needed != 0 {
        out.push('\u{FFFD}');
    }
    out
}
