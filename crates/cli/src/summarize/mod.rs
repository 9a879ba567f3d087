//! Summaries of texts of any length: read, cut into parts, asked for side by side, put together.
//!
//! The core does no I/O and asks nobody: [`decode`], [`html`] and [`pdf`] make text of bytes, [`marks`] and [`split`] cut it,
//! [`digest`] says what is to be asked and puts the notes together, [`budget`] how long things may be, and [`prompts`] in
//! which words. Around it, [`input`] reads files, [`outside`] keeps parsers at a distance, [`cache`] keeps what has come,
//! [`run`] drives the requests, and [`progress`] shows how far they are.

mod budget;
mod cache;
mod decode;
mod digest;
mod html;
pub(crate) mod input;
mod marks;
mod model;
pub(crate) mod outside;
mod pace;
mod pdf;
mod progress;
mod prompts;
mod run;
mod split;
mod tokens;
mod work;

pub(crate) use budget::{Budget, Model, Wanted};
pub(crate) use cache::Cache;
pub(crate) use digest::Text;
pub(crate) use input::Document;
pub(crate) use model::Reader;
pub(crate) use progress::{Progress, Told};
pub(crate) use prompts::{Purpose, Wish};
pub(crate) use run::{Run, start};
pub(crate) use work::{Plan, Work};
