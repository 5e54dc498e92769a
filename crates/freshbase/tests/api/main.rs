//! Scenarios of the API against the real server process, one file per resource.

#![expect(clippy::unwrap_used, reason = "what is unexpected fails the test")]

mod indexes;
mod objects;
mod queries;
mod schema;
mod users;

use fb_testkit::{Client, Server, ServerBuilder, root};
use serde_json::{Value, json};

/// A server of the binary under test.
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
