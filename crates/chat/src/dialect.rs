//! Wire formats, one module each, in both directions.
//!
//! Writing is strict: what is written is what the format's reference says. Reading is lenient: what real servers send is
//! read for what it means, and nothing incomplete is ever read as complete. A request is read strictly all the same, for
//! a mistake in it has somebody who can be told.

pub mod anthropic;
pub mod openai;
mod progress;
pub mod responses;
