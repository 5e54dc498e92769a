//! Passwords that a service knows from leaks.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use fb_testkit::{Client, root};
use serde_json::json;

use crate::server;

/// A service that knows one password, and what it is asked. It answers until the test ends.
fn service() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            // SHA-1 of `correct horse`, and another one with the count that means nothing.
            let body = match &*path {
                "/range/2F9E5" => "0000000000000000000000000000000000A:3\r\n3523B62ABC141A2B4D6019D23CBA835DBD0:7\r\n",
                _ => "0000000000000000000000000000000000A:3\r\n",
            };
            asked.send(path).unwrap();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, questions)
}

fn register(client: &Client, name: &str, password: &str) -> fb_testkit::Response {
    let body = json!({ "user": { "username": name }, "password": password });
    client.post("/db/User/register", &body)
}

#[test]
fn s52_leaked_passwords_are_refused_where_the_app_asks_for_it() {
    let (service, questions) = service();
    let url = format!("http://{service}/range/");
    let builder = server().baqend().arg("--leaked-passwords-url").arg(url);
    let running = builder.arg("--outbound-allow").arg(&service).start();
    let (admin, anybody) = (root(&running), running.client());
    register(&anybody, "before", "correct horse").expect(200);
    let policy = json!({ "minLength": 1, "rejectCommon": false, "rejectBreached": true });
    admin.put("/config", &json!({ "passwordPolicy": policy })).expect(200);
    assert!(questions.try_recv().is_err(), "nobody is asked unless the app says so");
    let (sent, _) = fb_auth::leak_query("correct horse");
    let refused = register(&anybody, "ann", "correct horse");
    assert_eq!(questions.recv().unwrap(), format!("/range/{sent}"));
    assert!(refused.expect_error(400, "BadRequest").contains("easy to guess"));
    register(&anybody, "ann", "incorrect horse").expect(200);
    let change = json!({ "username": "ann", "password": "incorrect horse", "newPassword": "correct horse" });
    anybody
        .post("/db/User/password", &change)
        .expect_error(400, "BadRequest");
}

#[test]
fn a_service_that_is_away_refuses_nothing() {
    let builder = server()
        .baqend()
        .arg("--leaked-passwords-url")
        .arg("http://127.0.0.1:9/");
    let running = builder.arg("--outbound-allow").arg("127.0.0.1:9").start();
    let policy = json!({ "minLength": 1, "rejectCommon": false, "rejectBreached": true });
    root(&running)
        .put("/config", &json!({ "passwordPolicy": policy }))
        .expect(200);
    register(&running.client(), "ann", "correct horse").expect(200);
    assert!(running.log().contains("could not be looked up"));
}
