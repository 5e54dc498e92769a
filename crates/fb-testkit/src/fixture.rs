//! What many tests begin with.

use serde_json::{Map, Value, json};

use crate::{Client, Server, root};

/// A server with its administrator, and somebody who is not logged in.
pub fn with_callers(server: Server) -> (Server, Client, Client) {
    let admin = root(&server);
    let anybody = server.client();
    (server, admin, anybody)
}

/// Creates a class, or adds to it: pairs of field name and type.
pub fn class(admin: &Client, name: &str, fields: &[(&str, &str)]) {
    let fields: Map<String, Value> = fields
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), json!({ "type": format!("/db/{ty}") })))
        .collect();
    admin
        .post(&format!("/schema/{name}"), &json!({ "fields": fields }))
        .expect(200);
}
