//! One upstream call.
