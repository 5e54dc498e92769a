//! Behaviour of the crate from outside.

mod books;
mod guarantee;
mod restart;
mod sim;
mod wire;
