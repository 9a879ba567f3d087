//! Streaming markdown for terminals.
//!
//! Text goes in as it comes, in pieces of any size; bytes for a terminal come out. What is final is written once and
//! never touched again, so scrollback stays true and copying works; only a short tail is drawn anew.
//!
//! No terminal, no clock, no I/O: sizes and frames are told, bytes are returned.

pub mod event;
pub mod parser;

pub use event::{Alignment, Attributes, Block, Container, Event, Link};
pub use parser::{Limits, Parser};
