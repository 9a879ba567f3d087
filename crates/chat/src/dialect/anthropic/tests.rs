//! Tests of the Messages dialect: golden streams, endings, properties, requests.

mod request;
mod write;
