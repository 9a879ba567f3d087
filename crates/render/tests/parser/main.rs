//! The parser from outside: what it tells of texts, and that neither the cuts nor the limits change what is true.

mod blocks;
mod exceptions;
mod inlines;
mod oracle;
mod picture;
mod properties;
