//! The settings of a server, resolved: every value is meant as it stands.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::guard::host_name;
use crate::{Error, Key};

/// How a server behaves. Build one with `Options { …, ..Options::default() }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; without [`keys`](Self::keys), a loopback address. Port 0 picks a free one. Default
    /// `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// The largest request body in bytes, at least 1; a larger one is answered with 413. Default 16 MiB.
    pub max_body: usize,
    /// How many connections may be open at once, at least 1; the next is answered with 503. Default 16,384.
    pub max_connections: usize,
    /// Threads that serve connections, at least 1. Default one for each core that this process may use.
    pub threads: usize,
    /// How long an event stream may be silent before a comment is sent, above zero. Default 15 s.
    pub keepalive: Duration,
    /// How long the first event of an answer is waited for before a streamed request is committed to status 200.
    /// Default 10 s.
    pub commit_after: Duration,
    /// How long a stream goes on when nobody reads it any more, unless its request said otherwise. Default 15 s.
    pub grace: Duration,
    /// How many streams may be produced at once, at least 1, whether anybody reads them or not; the next request is
    /// answered with 503. Default 8192.
    pub max_streams: usize,
    /// How long requests under way may go on once the server is told to stop. Default 30 s.
    pub drain: Duration,
    /// How long a client may take for the headers of a request; also how long a connection may lie idle between two.
    /// Above zero. Default 20 s.
    pub header_timeout: Duration,
    /// How long a client may take for the body of a request, and one second more for every 64 KiB of it. Above zero.
    /// Default 30 s.
    pub body_timeout: Duration,
    /// How long a client may leave its socket full before the connection is cut. Above zero. Default 60 s.
    pub write_timeout: Duration,
    /// Names or addresses, without port, that a `Host` or `Origin` header may name besides `localhost`, loopback
    /// addresses and the listen address.
    pub allowed_hosts: Vec<String>,
    /// The keys of which a caller has to present one, except for `/health`; none asks for no key.
    pub keys: Vec<Key>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            max_body: 16 * 1024 * 1024,
            max_connections: 16_384,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            keepalive: Duration::from_secs(15),
            commit_after: Duration::from_secs(10),
            grace: Duration::from_secs(15),
            max_streams: 8192,
            drain: Duration::from_secs(30),
            header_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            allowed_hosts: Vec::new(),
            keys: Vec::new(),
        }
    }
}

impl Options {
    /// Refuses what a server cannot or must not run with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.keys.is_empty() && !self.listen.ip().to_canonical().is_loopback() {
            return Err(Error::NotLoopback(self.listen));
        }
        for (option, count) in [
            ("max_body", self.max_body),
            ("max_connections", self.max_connections),
            ("threads", self.threads),
            ("max_streams", self.max_streams),
        ] {
            if count == 0 {
                return Err(Error::Option {
                    option,
                    problem: "must be at least 1".to_owned(),
                });
            }
        }
        let durations = [
            ("keepalive", self.keepalive),
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
        ];
        for (option, duration) in durations {
            if duration.is_zero() {
                return Err(Error::Option {
                    option,
                    problem: "must be above zero".to_owned(),
                });
            }
        }
        for host in &self.allowed_hosts {
            // A name that no header can ever match would be a setting that silently does nothing.
            if host_name(host).is_none_or(|name| name.len() != host.trim_end_matches('.').len()) {
                let problem = format!("has {host:?}, which is not a host name or address without port");
                return Err(Error::Option {
                    option: "allowed_hosts",
                    problem,
                });
            }
        }
        Ok(())
    }
}
