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

use fb_testkit::{Client, Server, ServerBuilder, root};
use serde_json::{Value, json};

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase"))
}

/// An open server, its administrator, and somebody who is not logged in.
fn open() -> (Server, Client, Client) {
    let server = server().baqend().start();
    let admin = root(&server);
    let anybody = server.client();
    (server, admin, anybody)
}

/// Creates a class, or adds to it: pairs of field name and type.
fn class(admin: &Client, name: &str, fields: &[(&str, &str)]) {
    let fields: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), json!({ "type": format!("/db/{ty}") })))
        .collect();
    admin
        .post(&format!("/schema/{name}"), &json!({ "fields": fields }))
        .expect(200);
}

/// Renames a field.
fn rename(admin: &Client, class: &str, from: &str, to: &str) {
    let operation = json!({ "operation": "renameField", "bucket": format!("/db/{class}"), "from": from, "to": to });
    admin.post("/schema", &operation).expect(200);
}
