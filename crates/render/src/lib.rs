//! Streaming markdown for terminals.
//!
//! Text goes in as it comes, in pieces of any size; bytes for a terminal come out. What is final is written once and
//! never touched again, so scrollback stays true and copying works; only a short tail is drawn anew.
//!
//! Feature `highlight`, which is on by default: colours for code. Without it code is plain.
//!
//! No terminal, no clock, no I/O: sizes and frames are told, bytes are returned.

mod breaks;
mod canvas;
pub mod event;
mod flow;
#[cfg_attr(not(feature = "highlight"), path = "highlight/plain.rs")]
mod highlight;
mod layout;
mod measure;
mod painter;
pub mod parser;
mod renderer;
mod row;
mod style;
pub mod visible;

pub use canvas::Options;
pub use event::{Alignment, Attributes, Block, Container, Event, Link};
pub use parser::{Limits, Parser};
pub use renderer::Renderer;
