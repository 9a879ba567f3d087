//! The forward pass: rows of tokens in, logits out. Nothing here knows of text, requests or threads of its own; the
//! work is spread over the pool that a step runs in.

mod attention;
mod blocks;
mod cache;
mod config;
mod gemm;
mod linear;
mod llama;
mod ops;
mod parallel;
mod rope;

pub(crate) use cache::KvCache;
pub(crate) use config::Config;
pub(crate) use linear::DENSE_ROWS;
pub(crate) use llama::{Llama, Logits, Outcome, Slot, Workspace};
pub(crate) use parallel::Pool;
