//! What the engine promises.

mod kit;

mod calls;
