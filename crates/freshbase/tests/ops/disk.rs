//! No room left on the disk.

use std::process::Command;

use fb_testkit::{Client, encode, root};
use serde_json::json;

use crate::server;

/// Largest file of the limited server, in blocks of 512 bytes.
const BLOCKS: &str = "3000";

/// Runs a command with a limit on the size of files, whose excess is an error of the write and not a signal.
const LIMIT: &str = "trap '' XFSZ; ulimit -f $0; exec \"$@\"";

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    let shell = Command::new("sh").args(["-c", "trap '' XFSZ; ulimit -f 3000"]).status();
    assert!(shell.unwrap().success(), "the shell can limit the size of files");
    let dir = tempfile::tempdir().unwrap();
    let unlimited = server().baqend().data_dir(dir.path());
    let limited = unlimited.clone().through(&["sh", "-c", LIMIT, BLOCKS]);
    let mut running = limited.start();
    let admin = root(&running);
    let string = json!({ "fields": { "pad": { "type": "/db/String" }, "name": { "type": "/db/String" } } });
    admin.post("/schema/Item", &string).expect(200);
    admin
        .post("/index/Item", &json!({ "keys": [{ "name": "asc" }] }))
        .expect(202);

    let write = |n: usize| {
        let body = json!({ "id": format!("/db/Item/{n}"), "name": format!("n{n}"), "pad": "x".repeat(20_000) });
        admin.post("/db/Item", &body)
    };
    let mut written = Vec::new();
    let refused = (0..1000).find(|n| {
        let answer = write(*n);
        if answer.status == 201 {
            written.push(*n);
            return false;
        }
        let message = answer.expect_error(503, "Unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert!(!message.to_lowercase().contains("sql"), "{message}");
        true
    });
    let refused = refused.expect("the disk gets full");
    assert!(written.len() > 10, "{written:?}");

    // Every kind of write is refused the same way, or small enough to find room; none breaks anything.
    for n in 0..20 {
        let answer = write(refused + n);
        match answer.status {
            201 => written.push(refused + n),
            _ => drop(answer.expect_error(503, "Unavailable")),
        }
    }
    let path = format!("/db/Item/{}", written[0]);
    let big = json!({ "id": path, "name": "n0", "pad": "y".repeat(900_000) });
    let was_updated = admin.put(&path, &big).status == 200;
    let user = json!({ "user": { "username": "ann" }, "password": "a secret" });
    let was_registered = match admin.post("/db/User/register", &user) {
        answer if answer.status == 200 => true,
        answer => {
            answer.expect_error(503, "Unavailable");
            false
        }
    };

    // Reading goes on.
    let check = |client: &Client| {
        assert_eq!(client.get("/db/Item/count").expect(200).json()["count"], written.len());
        for n in &written {
            let object = client.get(&format!("/db/Item/{n}")).expect(200).json();
            assert_eq!(object["name"], format!("n{n}"));
            assert_eq!(client.query("Item", &json!({ "name": format!("n{n}") })), [object]);
        }
        let first = client.get(&path).expect(200).json();
        let expected = if was_updated { 900_000 } else { 20_000 };
        assert_eq!(first["pad"].as_str().unwrap().len(), expected);
        let by_name = encode(&json!({ "username": "ann" }).to_string());
        let users = client.get(&format!("/db/User/count?q={by_name}")).expect(200).json();
        assert_eq!(users["count"], usize::from(was_registered));
    };
    check(&admin);
    Client::new(running.address(), "").get("/healthz").expect(200);
    Client::new(running.address(), "").get("/metrics").expect(200);

    // It stops as it should, and with room again all is well.
    assert_eq!(running.stop().code(), Some(0));
    let again = unlimited.start();
    let admin = root(&again);
    check(&admin);
    admin.post("/db/Item", &json!({ "name": "room" })).expect(201);
    if !was_registered {
        admin.post("/db/User/register", &user).expect(200);
    }
}
