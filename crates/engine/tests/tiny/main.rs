//! The engine on a model of 40 KB that the tests write themselves: random weights, a byte vocabulary, a chat template.
//! What it says is nonsense, but it is the same nonsense every time, and everything around the weights is real.

mod answers;
#[path = "../checker/mod.rs"]
mod checker;
mod families;
mod files;
mod fixture;
mod forward;
mod likely;
mod structured;
mod templates;
mod thoughts;
mod tools;
