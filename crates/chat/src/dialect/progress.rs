//! Whether the arguments of a call that come piece by piece may be whole. Each byte is looked at once.
//!
//! It does not know whether they are valid JSON.

/// How far the JSON object of a call's arguments has come. It follows brackets and strings, no more: the model may write
/// what it likes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    depth: u32,
    in_string: bool,
    escaped: bool,
    opened: bool,
}

impl Progress {
    /// Reads the next piece.
    pub(super) fn advance(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.opened = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether an object was opened and closed again.
    pub(super) fn is_complete(self) -> bool {
        self.opened && self.depth == 0 && !self.in_string
    }
}
