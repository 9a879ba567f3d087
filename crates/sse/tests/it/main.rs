//! The decoder and the encoder, from the outside.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod chunking;
#[cfg(test)]
mod encoding;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod support;
