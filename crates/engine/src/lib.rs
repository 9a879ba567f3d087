//! A local language model: requests in, deltas out, no server and no network.
//!
//! [`Engine::load`] reads a GGUF file; [`Engine::generate`] answers a request as a [`Generation`], a stream of
//! [`aurora_chat::Update`]s like any other source's. Arithmetic is candle's, merging of tokens the `tokenizers` crate's;
//! the forward pass, the scheduler, and everything that makes an answer out of logits is here. With the feature
//! `llama-cpp` the same scheduler can drive llama.cpp instead ([`Backend`]). This crate opens no socket by itself: [`models`] runs `pip` or asks a hub when a model is to be fetched.

mod backend;
mod checks;
mod constraint;
mod engine;
mod error;
pub mod evaluate;
mod generation;
mod gguf;
#[cfg(feature = "llama-cpp")]
mod llama_cpp;
pub mod measure;
mod model;
pub mod models;
mod nn;
mod pace;
mod plan;
mod scheduler;
mod text;
mod tools;
mod worker;

pub use backend::{Backend, UnknownBackend};
pub use engine::{Engine, ModelInfo, Options, Refusal};
pub use error::{Error, ErrorKind, Result};
pub use generation::Generation;
