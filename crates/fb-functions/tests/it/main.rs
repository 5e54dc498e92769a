//! What the engine promises.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod kit;
mod leftovers;

mod calls;
mod errors;
mod escapes;
mod isolation;
mod kinds;
mod limits;
mod modules;
mod node;
mod node_http;
mod shares;
