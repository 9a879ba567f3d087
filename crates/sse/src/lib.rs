//! Server-sent events, as the WHATWG HTML standard defines them: bytes to events and events to bytes.
//!
//! [`Decoder`] reads an event stream from whatever pieces the network delivers, [`Frame`] and [`encode_comment`] write
//! one. The source of every rule is the section "Server-sent events" of the HTML standard
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), below called *the standard*.
//!
//! The crate does no I/O, knows no time and no JSON, starts nothing and waits for nothing. It is `no_std` with `alloc`
//! and has one line of `unsafe`, in a module of its own with the figures that call for it.
//!
//! # Reading
//!
//! ```
//! use aurora_sse::Decoder;
//!
//! let mut decoder = Decoder::new();
//! let mut seen = Vec::new();
//! for read in [&b"data: hel"[..], b"lo\n\nevent: end\ndata: x\n\n"] {
//!     let mut input = read;
//!     while let Some(event) = decoder.next_event(&mut input)? {
//!         seen.push((event.event.to_owned(), event.data.to_owned()));
//!     }
//! }
//! assert_eq!(seen, [("message".into(), "hello".into()), ("end".into(), "x".into())]);
//! # Ok::<(), aurora_sse::DecodeError>(())
//! ```
//!
//! An event that lies whole inside one read is borrowed from it: nothing is copied and nothing is allocated. Only what
//! a read cuts in two is kept, in buffers that live as long as the decoder.
//!
//! # Writing
//!
//! ```
//! use aurora_sse::Frame;
//!
//! let mut out = Vec::new();
//! Frame { id: Some("7"), ..Frame::new("hello") }.encode_into(&mut out)?;
//! assert_eq!(out, b"id: 7\ndata: hello\n\n");
//! # Ok::<(), aurora_sse::EncodeError>(())
//! ```
//!
//! # Features
//!
//! - `std` (off): the search for line ends may use the widest instructions the machine has, found out at run time.
//!   Without it only those the compiler was told to expect. The answers are the same.

#![no_std]

extern crate alloc;

mod decoder;
mod encoder;
mod error;
mod event;
mod field;
mod utf8;

pub use decoder::{DEFAULT_LIMIT, Decoder};
pub use encoder::{Frame, encode_comment};
pub use error::{DecodeError, EncodeError};
pub use event::{Event, Item};
