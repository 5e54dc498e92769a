//! Scenarios against a real server process.

mod smoke;

use fb_testkit::ServerBuilder;

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase"))
}
