//! What no single resource owns: the first steps, schemas that change under data, accounts and roles that must not be
//! lost, logs, settings, and what all answers have in common. Against the real server process.

#![expect(clippy::unwrap_used, reason = "what is unexpected fails the test")]

mod answers;
mod evolution;
mod leaks;
mod logs;
mod races;
mod roles;
mod settings;
mod smoke;

use fb_testkit::{Client, Server, ServerBuilder, class};
use serde_json::json;

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase"))
}

/// An open server, its administrator, and somebody who is not logged in.
fn open() -> (Server, Client, Client) {
    fb_testkit::with_callers(server().baqend().start())
}

/// Renames a field.
fn rename(admin: &Client, class: &str, from: &str, to: &str) {
    let operation = json!({ "operation": "renameField", "bucket": format!("/db/{class}"), "from": from, "to": to });
    admin.post("/schema", &operation).expect(200);
}
