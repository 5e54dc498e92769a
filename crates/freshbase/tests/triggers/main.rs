//! What apps do by themselves: code and webhooks after changes, jobs at their times, hooks. All of it against the real binary.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod after;

use fb_testkit::{Client, ServerBuilder, wait_for};
use serde_json::Value;

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(env!("CARGO_BIN_EXE_freshbase")).baqend()
}

/// Writes a piece of code.
#[track_caller]
fn deploy(admin: &Client, bucket: &str, kind: &str, text: &str) {
    let path = format!("/code/{bucket}/{kind}");
    let headers = [("content-type", "text/plain;charset=utf-8")];
    admin.request("PUT", &path, &headers, text.as_bytes()).expect(200);
}

/// The object, once it is there and as it should be.
fn object(client: &Client, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    wait_for(id, || {
        let answer = client.get(id);
        (answer.status == 200).then(|| answer.json()).filter(&is_right)
    })
}

/// The state of triggers, once it is as it should be.
fn state(admin: &Client, is_right: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("the state of triggers", || {
            last = admin.get("/triggers").expect(200).json();
            Some(last.clone()).filter(&is_right)
        })
    }));
    found.unwrap_or_else(|_| {
        let log = admin.query("logs.AppLog", &serde_json::json!({}));
        panic!("waited in vain; the last state was {last}, the log is {log:?}")
    })
}
