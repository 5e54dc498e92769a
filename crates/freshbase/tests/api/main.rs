//! Scenarios of the API against the real server process, one file per resource.

#![expect(clippy::unwrap_used, reason = "what is unexpected fails the test")]

mod archives;
mod buckets;
mod caching;
mod code;
mod downloads;
mod files;
mod images;
mod indexes;
mod live;
mod objects;
mod queries;
mod schema;
mod users;

use fb_testkit::{Client, Server, ServerBuilder, class};

/// A server of the binary under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase"))
}

/// An open server, its administrator, and somebody who is not logged in.
fn open() -> (Server, Client, Client) {
    fb_testkit::with_callers(server().baqend().start())
}
