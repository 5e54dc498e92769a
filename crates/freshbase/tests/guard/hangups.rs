//! Clients that hang up while their request is under way: what reached the disk is in force.

use std::io::Write;
use std::net::TcpStream;

use fb_testkit::{Client, Server, root, wait_for};
use serde_json::{Value, json};

use crate::{server, user};

/// How often a client hangs up; where in the work that happens is up to chance.
const ROUNDS: usize = 12;

/// Sends a request and is gone.
fn send_and_hang_up(server: &Server, token: &str, method: &str, path: &str, body: &Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    let head = format!(
        "{method} /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: BAT {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
}

/// How many entries of this kind the audit log has; they are committed together with what they speak of.
fn entries(admin: &Client, action: &str) -> usize {
    admin.query("logs.AuditLog", &json!({ "action": action })).len()
}

#[test]
fn s25_a_revocation_counts_although_nobody_waits_for_its_answer() {
    let server = server().secure().start();
    let admin = root(&server);
    let (_, id) = user(&admin, &server.client(), "ann");
    let path = format!("{id}/token");
    for round in 0..ROUNDS {
        // A request of the round before that was given up, as it seemed, may still end a session or two.
        let client = wait_for("a session", || {
            let login = json!({ "username": "ann", "password": "a secret" });
            let answer = server.client().post("/db/User/login", &login).expect(200);
            let client = server
                .client()
                .with_token(answer.header("baqend-authorization-token").unwrap());
            (client.get("/db/User/me").status == 200).then_some(client)
        });
        let before = entries(&admin, "tokens.revoked");
        send_and_hang_up(&server, admin.token().unwrap(), "DELETE", &path, &Value::Null);
        // It may have been given up before anything was written; then it is asked for again.
        let mut asked = 0;
        wait_for("the revocation", || {
            asked += 1;
            if asked % 3 == 0 {
                send_and_hang_up(&server, admin.token().unwrap(), "DELETE", &path, &Value::Null);
            }
            (entries(&admin, "tokens.revoked") > before).then_some(())
        });
        wait_for("the end of the session", || {
            (client.get("/db/User/me").status == 404).then_some(())
        });
        assert_eq!(client.get("/db/User/me").status, 404, "round {round}");
    }
}

#[test]
fn settings_can_be_changed_after_somebody_hung_up() {
    let server = server().secure().start();
    let admin = root(&server);
    for round in 0..ROUNDS {
        let seconds = 1000 + round;
        let change = json!({ "sessionSeconds": seconds });
        let mut asked = 0;
        // A request of the round before that was given up, as it seemed, may still come in; so it is asked until it is so. If
        // what reached the disk were not in force, all later changes would be refused as out of date.
        wait_for("the settings", || {
            if asked % 3 == 0 {
                send_and_hang_up(&server, admin.token().unwrap(), "PUT", "/config", &change);
            }
            asked += 1;
            (admin.get("/config").expect(200).json()["sessionSeconds"] == json!(seconds)).then_some(())
        });
    }
}
