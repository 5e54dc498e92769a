//! Code of apps, as clients meet it.

mod accounts;
mod answers;
mod before_writes;
mod decisions;
mod devices;
mod failures;
mod hostile;
mod isolation;
mod limits;
mod modules;
mod rights;
mod storing;
mod validation;
mod values;
mod writes;

use fb_testkit::{Client, Response};
use serde_json::Value;

/// Writes a piece of code: `path` is below `/code`.
#[track_caller]
pub(crate) fn put(admin: &Client, path: &str, text: &str) {
    let answer = try_put(admin, path, text).expect(200);
    assert_eq!(String::from_utf8(answer.body).unwrap(), text);
}

fn try_put(client: &Client, path: &str, text: &str) -> Response {
    let headers = [("content-type", "text/plain;charset=utf-8")];
    client.request("PUT", &format!("/code/{path}"), &headers, text.as_bytes())
}

/// A new user, logged in, and its id. Works where registration is closed as well.
fn user(admin: &Client, anybody: &Client, name: &str) -> (Client, String) {
    let body = serde_json::json!({ "user": { "username": name }, "password": "a secret", "login": true });
    let answer = admin.post("/db/User/register", &body).expect(200);
    let token = answer.header("baqend-authorization-token").unwrap();
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    (anybody.clone().with_token(token), id)
}

/// The entries of the app's log, once there are some that match.
fn logged(admin: &Client, part: &str) -> Vec<Value> {
    fb_testkit::wait_for("a line of the log", || {
        let all = admin.query("logs.AppLog", &serde_json::json!({}));
        let found: Vec<Value> = all.into_iter().filter(|line| line.to_string().contains(part)).collect();
        (!found.is_empty()).then_some(found)
    })
}

fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
