//! The forward pass on candle's arithmetic: the [`Model`](crate::model::Model) this engine runs. Nothing here knows of
//! text, requests or threads of its own; the work is spread over the pool that a step runs in.

mod attention;
mod block;
mod blocks;
mod cache;
mod candle;
mod config;
mod gemm;
mod linear;
mod llama;
mod ops;
mod parallel;
mod rope;

pub(crate) use candle::Candle;
pub(crate) use config::Config;
pub(crate) use llama::Llama;
pub(crate) use parallel::Pool;
