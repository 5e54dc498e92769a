//! Behaviour of the crate from outside.

mod books;
mod estimates;
mod guarantee;
mod hits;
mod restart;
mod sim;
mod threads;
mod wire;
mod workload;
