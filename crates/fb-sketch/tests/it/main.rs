//! Behaviour of the crate from outside.

mod guarantee;
mod sim;
