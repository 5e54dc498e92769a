//! For tests: a real server process on a free port with its own data directory, and a small client that hides nothing.
//!
//! Knows nothing of the server's code: it starts the binary and speaks HTTP, like any user. Everything panics with what
//! went wrong, because it runs in tests.

mod client;
mod fixture;
mod imitation;
mod pebble;
mod process;
mod tls;
mod varnish;

pub use client::{Client, Connection, Response, encode, raw_request};
pub use fixture::{class, png, with_callers};
pub use imitation::{Answer, Asked, Imitation};
pub use pebble::{Pebble, RunningPebble, free_port};
pub use process::{ROOT_PASSWORD, Server, ServerBuilder, root, wait_for};
pub use tls::{Authority, Handshake, HttpVersion, HttpsClient};
pub use varnish::Varnish;
