//! Tests of the crate from outside.

mod hostile;
mod images;
mod language;
mod rendering;
mod signatures;
