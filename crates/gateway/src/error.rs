//! What keeps a server from starting. Errors of single requests are [`Refusal`](crate::Refusal)s.

use std::io;
use std::net::SocketAddr;

/// Why a server did not start. Each message is a sentence for the person who started it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listen address can be reached from other machines, and nothing would tell friend from stranger.
    #[error(
        "refusing to listen on {0}: other machines could reach it, and no API key is asked for; configure a key, or \
         listen on a loopback address such as 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// Another socket listens there.
    #[error(
        "{0} is already in use; stop the program that listens there or choose another address (port 0 picks a free one)"
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on, for another reason.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The system gives no thread to serve connections with.
    #[error("cannot start the threads that serve connections")]
    Threads(#[source] io::Error),
    /// An option is out of its bounds.
    #[error("{option} {problem}")]
    Option {
        /// The option's name in [`Options`](crate::Options).
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An alias, or the default model, leads nowhere.
    #[error("the model name {name:?} leads to {target:?}, {problem}")]
    Alias {
        /// The alias, or the default's target.
        name: String,
        /// What it points to.
        target: String,
        /// Why that does not work.
        problem: &'static str,
    },
}
