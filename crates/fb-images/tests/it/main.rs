//! Tests of the crate from outside.
#![allow(clippy::unwrap_used, reason = "a failure is a fault")]

mod hostile;
mod images;
mod language;
mod rendering;
mod signatures;
