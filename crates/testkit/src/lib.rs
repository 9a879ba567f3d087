//! Fixtures for the tests of the other crates: an upstream that plays a script ([`Upstream`]), a proxy that spoils a
//! connection ([`FaultProxy`]), the events of a chat answer as bytes ([`fixtures`]), and numbers to try things by ([`Random`]).
//!
//! Both servers speak through real sockets on `127.0.0.1` and run on a thread of their own, so that an async test, a
//! blocking one and one that starts a process use them alike. Dropping one stops it. They are for tests: they trust
//! their peer, and panic where a test is wrong.

pub mod documents;
pub mod fixtures;
mod gate;
mod proxy;
mod random;
mod recording;
mod reply;
mod request;
mod server;
mod upstream;

pub use gate::Gate;
pub use proxy::{FaultProxy, Faults, Spoiled};
pub use random::Random;
pub use reply::{Reply, Script};
pub use request::Request;
pub use upstream::Upstream;
