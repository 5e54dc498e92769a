//! Who may do what, and what hostile input does: against the real server process.

#![allow(clippy::unwrap_used)]

mod accounts;
mod attempts;
mod audit;
mod bad_input;
mod bans;
mod connect_page;
mod devices;
mod enumeration;
mod fields;
mod file_input;
mod file_names;
mod file_types;
mod file_walls;
mod files;
mod fuzz;
mod hangups;
mod hosting;
mod http;
mod kit;
mod link_code;
mod links;
mod mail;
mod matrix;
mod mfa;
mod oauth;
mod paths;
mod permissions;
mod push;
mod rules;
mod secrets;
mod site_passwords;
mod tokens;

use fb_testkit::{Client, Server, ServerBuilder, root};
use serde_json::{Value, json};

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase"))
}

/// The defaults an app can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    Secure,
    Baqend,
}

const PROFILES: [Profile; 2] = [Profile::Secure, Profile::Baqend];

impl Profile {
    fn start(self) -> Server {
        match self {
            Self::Secure => server().secure().start(),
            Self::Baqend => server().baqend().start(),
        }
    }
}

/// A new user, logged in, and its id. Works where registration is closed as well.
fn user(admin: &Client, stranger: &Client, name: &str) -> (Client, String) {
    let body = json!({ "user": { "username": name }, "password": "a secret", "login": true });
    let answer = admin.post("/db/User/register", &body).expect(200);
    let token = answer
        .header("baqend-authorization-token")
        .expect("a new user gets a token");
    let id = answer.json()["id"].as_str().expect("a user has an id").to_owned();
    (stranger.clone().with_token(token), id)
}

/// A token of the operator as it is sent.
fn operator(server: &Server) -> String {
    let login = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
    let answer = Client::new(server.address(), "/admin/v1")
        .post("/login", &login)
        .expect(200);
    format!("Bearer {}", answer.json()["token"].as_str().expect("a token"))
}

/// A second app with administrator root/root, logged in.
fn second_app(server: &Server, name: &str, profile: Profile) -> Client {
    let mut body = json!({ "name": name, "admin": { "username": "root", "password": fb_testkit::ROOT_PASSWORD } });
    if profile == Profile::Baqend {
        body["compat"] = json!("baqend");
    }
    let bearer = operator(server);
    let admin_api = Client::new(server.address(), "/admin/v1");
    let headers = [("authorization", bearer.as_str())];
    admin_api
        .request("POST", "/apps", &headers, body.to_string().as_bytes())
        .expect(201);
    server.app(name).login("root", fb_testkit::ROOT_PASSWORD)
}

/// Creates a class.
fn class(admin: &Client, name: &str, fields: &Value, acl: &Value) {
    let body = json!({ "fields": fields, "acl": acl });
    admin.put(&format!("/schema/{name}"), &body).expect(200);
}

/// Fails if a handler panicked since the server started.
fn no_panics(server: &Server) {
    let page = Client::new(server.address(), "").get("/metrics").expect(200);
    let page = String::from_utf8(page.body).expect("metrics are text");
    let line = page.lines().find(|line| line.starts_with("freshbase_panics_total"));
    assert_eq!(line, Some("freshbase_panics_total 0"));
    root(server).get("/schema").expect(200);
}
