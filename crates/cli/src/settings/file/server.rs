//! `[server]` and `[streams]`: what `aurora serve` does, and how it keeps answers.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use aurora_gateway::Key;

use super::{At, Value, Walk, units};

/// `[server]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerTable {
    pub(crate) listen: Option<At<SocketAddr>>,
    pub(crate) allowed_hosts: Option<At<Vec<String>>>,
    pub(crate) drain: Option<At<Duration>>,
    pub(crate) max_body: Option<At<usize>>,
    pub(crate) keys: Vec<At<Key>>,
}

/// `[streams]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamsTable {
    pub(crate) store: Option<At<StoreKind>>,
    pub(crate) path: Option<At<PathBuf>>,
    pub(crate) fsync: Option<At<Fsync>>,
    pub(crate) grace: Option<At<Duration>>,
    pub(crate) keep: Option<At<Duration>>,
    pub(crate) max_bytes: Option<At<usize>>,
    pub(crate) keepalive: Option<At<Duration>>,
}

/// Where streams are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// In this process.
    #[default]
    Memory,
    /// In a folder, so that they survive the process.
    Disk,
}

/// When what is kept on disk is safe from a loss of power. It is always safe from the end of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// When the system sees fit.
    None,
    /// Within a second.
    Interval,
    /// Before anybody sees it; all streams share one commit.
    #[default]
    Group,
}

impl StoreKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

impl Fsync {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::Group => "group",
        }
    }
}

impl Walk<'_> {
    pub(super) fn server(&mut self, value: &Value<'_>) -> ServerTable {
        let mut table = ServerTable::default();
        for (key, value) in self.entries("server", value) {
            let at = format!("server.{key}");
            match key.as_str() {
                "listen" => table.listen = self.text(&at, value, listen),
                "allowed_hosts" => table.allowed_hosts = self.strings(&at, value),
                "drain" => table.drain = self.text(&at, value, units::duration),
                "max_body" => table.max_body = self.text(&at, value, units::size),
                "keys" => table.keys = self.keys(&at, value),
                _ => self.unknown_at(
                    &at,
                    value,
                    &["listen", "allowed_hosts", "drain", "max_body", "keys"],
                ),
            }
        }
        table
    }

    fn keys(&mut self, at: &str, value: &Value<'_>) -> Vec<At<Key>> {
        let Some(array) = value.get_ref().as_array() else {
            self.mistake(
                at,
                value,
                "is a list of tables, written [[server.keys]], not a table",
            );
            return Vec::new();
        };
        let keys = array.iter().enumerate();
        keys.filter_map(|(index, value)| self.key(at, index + 1, value))
            .collect()
    }

    /// The key with this number in the list, from 1, which is its name if it has none.
    fn key(&mut self, at: &str, number: usize, value: &Value<'_>) -> Option<At<Key>> {
        let line = self.line(value.span().start);
        let mut name = None;
        let mut hash = None;
        let mut requests_per_minute = None;
        let mut max_streams = None;
        let before = self.mistakes.len();
        for (key, value) in self.entries(at, value) {
            let at = format!("{at}.{key}");
            match key.as_str() {
                "name" => name = self.string(&at, value),
                "sha256" => hash = self.text(&at, value, sha256),
                "requests_per_minute" => requests_per_minute = self.text(&at, value, count),
                "max_streams" => max_streams = self.text(&at, value, count),
                _ => self.unknown_at(
                    &at,
                    value,
                    &["name", "sha256", "requests_per_minute", "max_streams"],
                ),
            }
        }
        if hash.is_none() && self.mistakes.len() == before {
            let hint = "is missing: what `aurora config hash-key` prints for the key";
            self.mistake(&format!("{at}.sha256"), value, hint);
        }
        let key = Key {
            name: name.map_or_else(|| format!("key-{number}"), |name| name.value),
            sha256: hash?.value,
            requests_per_minute: requests_per_minute.map(|limit| limit.value),
            max_streams: max_streams.and_then(|limit| limit.value.try_into().ok()),
        };
        Some(At { value: key, line })
    }

    pub(super) fn streams(&mut self, value: &Value<'_>) -> StreamsTable {
        let mut table = StreamsTable::default();
        for (key, value) in self.entries("streams", value) {
            let at = format!("streams.{key}");
            match key.as_str() {
                "store" => table.store = self.text(&at, value, store),
                "path" => {
                    table.path = self.string(&at, value).map(|At { value, line }| At {
                        value: PathBuf::from(value),
                        line,
                    });
                }
                "fsync" => table.fsync = self.text(&at, value, fsync),
                "grace" => table.grace = self.text(&at, value, units::duration),
                "keep" => table.keep = self.text(&at, value, units::duration),
                "max_bytes" => table.max_bytes = self.text(&at, value, max_bytes),
                "keepalive" => table.keepalive = self.text(&at, value, keepalive),
                _ => self.unknown_at(
                    &at,
                    value,
                    &[
                        "store",
                        "path",
                        "fsync",
                        "grace",
                        "keep",
                        "max_bytes",
                        "keepalive",
                    ],
                ),
            }
        }
        table
    }
}

/// Reads `server.listen`: an address and a port.
///
/// # Errors
/// A message with an example.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let numeric = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| {
        format!("\"{text}\" is not an address with a port; write it like 127.0.0.1:8080 or [::1]:8080")
    })
}

fn store(text: &str) -> Result<StoreKind, String> {
    match text {
        "memory" => Ok(StoreKind::Memory),
        "disk" => Ok(StoreKind::Disk),
        "redis" => Err("\"redis\" is not supported by this version; use memory or disk".to_owned()),
        _ => Err(format!("\"{text}\" is no store; use memory or disk")),
    }
}

fn fsync(text: &str) -> Result<Fsync, String> {
    match text {
        "none" => Ok(Fsync::None),
        "interval" => Ok(Fsync::Interval),
        "group" => Ok(Fsync::Group),
        _ => Err(format!("\"{text}\" is no policy; use none, interval or group")),
    }
}

fn keepalive(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        duration if duration < Duration::from_millis(100) => {
            Err(format!("\"{text}\" is too short; at least 100ms"))
        }
        duration => Ok(duration),
    }
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "is no SHA-256: 64 hexadecimal digits, as `aurora config hash-key` prints them".to_owned();
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

fn count(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| format!("is a whole number from 1 to {}, not \"{text}\"", u32::MAX))
}

/// Less than this could hold no stream of any length.
fn max_bytes(text: &str) -> Result<usize, String> {
    match units::size(text)? {
        bytes if bytes < 1 << 20 => Err(format!("\"{text}\" is too small; at least 1MiB")),
        bytes => Ok(bytes),
    }
}
