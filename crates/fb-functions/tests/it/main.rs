//! What the engine promises.

mod kit;

mod calls;
mod errors;
mod kinds;
mod modules;
mod node;
mod node_http;
