//! A Server-Sent Events decoder and encoder.
