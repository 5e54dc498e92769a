//! What the engine promises.

mod kit;

mod calls;
mod errors;
mod escapes;
mod isolation;
mod kinds;
mod limits;
mod modules;
