//! The local model.
