//! The decoder and the encoder, from the outside.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod support;
