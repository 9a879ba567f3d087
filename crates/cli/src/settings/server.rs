//! The settings of `aurora serve`, resolved.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aurora_gateway::Key;

use super::file::{self, Fsync, ServerTable, StoreKind, StreamsTable};
use super::{Env, Sourced, first, flag, in_file};
use crate::problem::Result;

/// `[server]` and `[streams]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) listen: Sourced<SocketAddr>,
    pub(crate) allowed_hosts: Sourced<Vec<String>>,
    pub(crate) drain: Sourced<Duration>,
    pub(crate) max_body: Sourced<usize>,
    pub(crate) keys: Vec<Sourced<Key>>,
    pub(crate) streams: Streams,
}

/// `[streams]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) store: Sourced<StoreKind>,
    /// The folder of the store on disk; `None` is `streams` in the data folder.
    pub(crate) path: Option<Sourced<PathBuf>>,
    pub(crate) fsync: Sourced<Fsync>,
    pub(crate) grace: Sourced<Duration>,
    pub(crate) keep: Sourced<Duration>,
    pub(crate) max_bytes: Sourced<usize>,
    pub(crate) keepalive: Sourced<Duration>,
}

impl Server {
    /// # Errors
    /// A variable with an unusable value (configuration).
    pub(super) fn of(
        listen: Option<SocketAddr>,
        env: &Env,
        server: ServerTable,
        streams: StreamsTable,
    ) -> Result<Self> {
        Ok(Self {
            listen: first(
                [
                    flag("--listen", listen),
                    env.read("AURORA_LISTEN", file::listen)?,
                    in_file(server.listen),
                ],
                SocketAddr::from(([127, 0, 0, 1], 8080)),
            ),
            allowed_hosts: first([in_file(server.allowed_hosts)], Vec::new()),
            drain: first([in_file(server.drain)], Duration::from_secs(30)),
            max_body: first([in_file(server.max_body)], 16 << 20),
            keys: server.keys.into_iter().map(Into::into).collect(),
            streams: Streams::of(streams),
        })
    }
}

impl Streams {
    /// What is kept on disk is kept longer, and there is more of it.
    fn of(table: StreamsTable) -> Self {
        let store = first([in_file(table.store)], StoreKind::default());
        let (keep, max_bytes) = match store.value {
            StoreKind::Memory => (Duration::from_secs(10 * 60), 256 << 20),
            StoreKind::Disk => (Duration::from_secs(24 * 60 * 60), 1 << 30),
        };
        Self {
            store,
            path: table.path.map(Into::into),
            fsync: first([in_file(table.fsync)], Fsync::default()),
            grace: first([in_file(table.grace)], Duration::from_secs(15)),
            keep: first([in_file(table.keep)], keep),
            max_bytes: first([in_file(table.max_bytes)], max_bytes),
            keepalive: first([in_file(table.keepalive)], Duration::from_secs(15)),
        }
    }
}
