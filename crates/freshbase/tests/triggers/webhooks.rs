//! Webhooks: what is sent, how it is signed, where it is not sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use data_encoding::BASE64;
use fb_testkit::{class, root};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{server, state};

const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

fn secret() -> String {
    format!("whsec_{}", BASE64.encode(&KEY))
}

/// What a receiver was sent.
pub(crate) struct Sent {
    head: String,
    pub(crate) body: String,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        let line = self
            .head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.unwrap().split_once(':').unwrap().1.trim()
    }
}

/// A receiver that answers with these statuses, then 200.
pub(crate) fn receiver(statuses: &'static [u16]) -> (String, Receiver<Sent>) {
    receiver_with(statuses, "content-length: 0\r\n", "")
}

/// The same, with these headers and this body in its answers.
fn receiver_with(statuses: &'static [u16], headers: &'static str, answer: &'static str) -> (String, Receiver<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, sent) = channel();
    std::thread::spawn(move || {
        for (i, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            let (head, body) = loop {
                let n = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..n]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")
                        .map(|n| n.trim().parse().unwrap())
                });
                if n == 0 || body.len() >= length.unwrap_or(0) {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let status = statuses.get(i).copied().unwrap_or(200);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\n{headers}connection: close\r\n\r\n{answer}"
            );
            if sender.send(Sent { head, body }).is_err() {
                return;
            }
        }
    });
    (address, sent)
}

/// HMAC as in RFC 2104, with nothing but the hash.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::digest([&pad(0x36), text].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hooks(url: &str) -> Value {
    let events = json!([{ "bucket": "Todo", "operations": ["insert", "delete"] }, { "bucket": "docs", "operations": ["upload"] }]);
    json!({ "webhooks": { "shop": { "url": url, "secret": secret(), "events": events } } })
}

/// Settings with a webhook for one kind of event.
pub(crate) fn hook(url: &str, bucket: &str, operation: &str) -> Value {
    let events = json!([{ "bucket": bucket, "operations": [operation] }]);
    json!({ "webhooks": { "told": { "url": url, "secret": secret(), "events": events } } })
}

#[test]
fn s34_events_are_signed_and_their_secret_is_shown_nowhere() {
    let (address, sent) = receiver(&[]);
    let server = server().arg("--outbound-allow").arg(&address).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    let shown = admin
        .put("/config", &hooks(&format!("http://{address}/events")))
        .expect(200)
        .json();
    assert_eq!(shown["webhooks"]["shop"]["secret"], "***");
    // What was shown may be sent back.
    admin
        .put("/config", &json!({ "webhooks": shown["webhooks"] }))
        .expect(200);
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "title": "hällo" }))
        .expect(201);
    admin.put("/db/Todo/a", &json!({ "title": "x" })).expect(200);
    let first = sent.recv().unwrap();
    assert!(first.head.starts_with("POST /events HTTP/1.1"), "{}", first.head);
    let signed = format!(
        "{}.{}.{}",
        first.header("webhook-id"),
        first.header("webhook-timestamp"),
        first.body
    );
    let signature = format!("v1,{}", BASE64.encode(&hmac(&KEY, signed.as_bytes())));
    assert_eq!(first.header("webhook-signature"), signature);
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["id"]),
        (&json!("object.insert"), &json!("/db/Todo/a"))
    );
    assert_eq!(body["data"]["object"]["title"], "hällo");
    admin.upload("/docs/a.txt", "text/plain", b"hello").expect(200);
    let second: Value = serde_json::from_str(&sent.recv().unwrap().body).unwrap();
    assert_eq!(
        (&second["type"], &second["data"]["file"]["size"]),
        (&json!("file.upload"), &json!(5))
    );
    assert!(!server.log().contains(&secret()) && !server.log().contains(&BASE64.encode(&KEY)));
    let encoded = BASE64.encode(&KEY);
    for entry in walk(server.data_dir()) {
        let bytes = std::fs::read(&entry).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!has(encoded.as_bytes()) && !has(&KEY), "{}", entry.display());
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_webhook_that_fails_is_sent_again_under_the_same_id() {
    let (address, sent) = receiver(&[500]);
    let server = server().arg("--outbound-allow").arg(&address).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    admin.put("/config", &hooks(&format!("http://{address}/"))).expect(200);
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    let (first, second) = (sent.recv().unwrap(), sent.recv().unwrap());
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    state(&admin, |state| {
        state["delivered"] == 1 && state["pending"] == 0 && state["failed"] == 1
    });
}

#[test]
fn s33_webhooks_reach_nothing_in_the_own_network() {
    let (address, sent) = receiver(&[]);
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    let port = address.rsplit(':').next().unwrap();
    for url in [
        format!("https://{address}/"),
        format!("https://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/".into(),
    ] {
        admin.put("/config", &hooks(&url)).expect(200);
        let before = state(&admin, |_| true)["failed"].as_u64().unwrap();
        admin.post("/db/Todo", &json!({ "title": "x" })).expect(201);
        state(&admin, |state| state["failed"].as_u64().unwrap() > before);
    }
    assert!(sent.try_recv().is_err());
}

#[test]
fn what_is_given_up_is_a_dead_letter_until_it_is_replayed_or_deleted() {
    // 410: the receiver wants no more.
    let (address, sent) = receiver(&[410, 410, 410]);
    let server = server().arg("--outbound-allow").arg(&address).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    admin.put("/config", &hooks(&format!("http://{address}/"))).expect(200);
    for key in ["a", "b", "c"] {
        admin
            .post("/db/Todo", &json!({ "id": format!("/db/Todo/{key}") }))
            .expect(201);
        sent.recv().unwrap();
    }
    state(&admin, |state| state["dead"] == 3);
    let first = admin.get("/triggers/dead?count=2").expect(200).json();
    let rest = admin
        .get(&format!("/triggers/dead?after={}", first["next"].as_str().unwrap()))
        .expect(200)
        .json();
    assert_eq!(
        (
            first["letters"].as_array().unwrap().len(),
            rest["letters"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    let letter = &first["letters"][0];
    assert_eq!(
        (&letter["receiver"], &letter["object"], &letter["attempts"]),
        (&json!("webhook.shop"), &json!("/db/Todo/a"), &json!(1))
    );
    let id = letter["id"].as_str().unwrap();
    let whole = admin.get(&format!("/triggers/dead/{id}")).expect(200).json();
    assert_eq!(whole["event"]["object"]["id"], "/db/Todo/a");
    admin
        .post(&format!("/triggers/dead/{id}/replay"), &Value::Null)
        .expect(204);
    assert!(sent.recv().unwrap().body.contains("/db/Todo/a"));
    admin
        .post(&format!("/triggers/dead/{id}/replay"), &Value::Null)
        .expect_error(404, "ObjectNotFound");
    let other = rest["letters"][0]["id"].as_str().unwrap();
    admin.delete(&format!("/triggers/dead/{other}")).expect(204);
    admin
        .delete(&format!("/triggers/dead/{other}"))
        .expect_error(404, "ObjectNotFound");
    assert_eq!(
        admin.post("/triggers/dead/replay", &Value::Null).expect(200).json(),
        json!({ "count": 1 })
    );
    assert!(sent.recv().unwrap().body.contains("/db/Todo/b"));
    state(&admin, |state| {
        state["dead"] == 0 && state["delivered"] == 2 && state["pending"] == 0
    });
    assert_eq!(admin.delete("/triggers/dead").expect(200).json(), json!({ "count": 0 }));
    // Each of them is in the audit log; what changed nothing is not.
    let sort = fb_testkit::encode(r#"{"id":1}"#);
    let log = admin
        .get(&format!("/db/logs.AuditLog/query?sort={sort}"))
        .expect(200)
        .json();
    let actions: Vec<&str> = log
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    let about_letters: Vec<&str> = actions
        .into_iter()
        .filter(|action| action.starts_with("deadLetters"))
        .collect();
    let (replayed, deleted) = ("deadLetters.replayed", "deadLetters.deleted");
    assert_eq!(about_letters, [replayed, deleted, replayed]);
}

#[test]
fn what_is_no_webhook_is_refused() {
    let server = server().start();
    let admin = root(&server);
    let good = hooks("https://shop.example/events")["webhooks"]["shop"].clone();
    for (member, value) in [
        ("url", json!("ftp://shop.example")),
        ("url", json!("")),
        ("secret", json!("whsec_c2hvcnQ=")),
        ("secret", json!("***")),
        ("events", json!([])),
        ("events", json!([{ "bucket": "Todo", "operations": [] }])),
        ("events", json!([{ "bucket": "Todo", "operations": ["read"] }])),
        ("events", json!([{ "bucket": "logs.AppLog", "operations": ["insert"] }])),
        ("other", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let answer = admin.put("/config", &json!({ "webhooks": { "shop": bad } }));
        answer.expect_error(400, "BadRequest");
    }
    admin
        .put("/config", &json!({ "webhooks": { "a b": good } }))
        .expect_error(400, "BadRequest");
}

#[test]
fn what_counts_of_an_answer_is_its_status_however_long_it_is() {
    let long: &'static str = "x".repeat(17 << 10).leak();
    let (address, sent) = receiver_with(&[200, 410], "", long);
    let server = server().arg("--outbound-allow").arg(&address).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    admin.put("/config", &hooks(&format!("http://{address}/"))).expect(200);
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    sent.recv().unwrap();
    let first = state(&admin, |state| state["running"] == 0 && state["lag"] == 0);
    assert_eq!((&first["delivered"], &first["failed"]), (&json!(1), &json!(0)));
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/b" })).expect(201);
    sent.recv().unwrap();
    let second = state(&admin, |state| state["dead"] == 1);
    assert_eq!(second["pending"], 0);
}

#[test]
fn redirects_are_failures_and_nobody_follows_them() {
    let (trap, trapped) = receiver(&[]);
    let location: &'static str = format!("location: http://{trap}/\r\ncontent-length: 0\r\n").leak();
    let (address, sent) = receiver_with(&[302, 307], location, "");
    let allowed = format!("{address},{trap}");
    let server = server().arg("--outbound-allow").arg(&allowed).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    admin.put("/config", &hooks(&format!("http://{address}/"))).expect(200);
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    sent.recv().unwrap();
    state(&admin, |state| state["failed"] == 1 && state["delivered"] == 0);
    assert!(trapped.try_recv().is_err());
}

#[test]
fn a_receiver_that_hangs_holds_up_no_other() {
    // Takes connections, and answers nothing as long as the test lasts.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, sent) = receiver(&[]);
    let hangs_at = hanging.local_addr().unwrap();
    let allowed = format!("{address},{hangs_at}");
    let server = server().arg("--outbound-allow").arg(&allowed).start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    let mut both = hooks(&format!("http://{hangs_at}/"));
    both["webhooks"]["healthy"] = hooks(&format!("http://{address}/"))["webhooks"]["shop"].clone();
    admin.put("/config", &both).expect(200);
    for n in 0..40 {
        admin
            .post("/db/Todo", &json!({ "id": format!("/db/Todo/{n}") }))
            .expect(201);
    }
    for _ in 0..40 {
        sent.recv().unwrap();
    }
    // The other one has not given a single place back; the last of these may be about to.
    let state = state(&admin, |state| state["delivered"] == 40 && state["running"] == 8);
    assert_eq!(state["failed"], 0);
}

#[test]
fn events_that_wait_behind_one_that_failed_survive_a_kill_and_come_in_order_with_no_request() {
    let (address, sent) = receiver(&[500]);
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path()).arg("--outbound-allow").arg(&address);
    let mut running = builder.start();
    let admin = root(&running);
    class(&admin, "Todo", &[("title", "String")]);
    let mut hooks = hooks(&format!("http://{address}/"));
    hooks["webhooks"]["shop"]["events"] = json!([{ "bucket": "Todo", "operations": ["insert", "update"] }]);
    admin.put("/config", &hooks).expect(200);
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    assert!(sent.recv().unwrap().body.contains("object.insert"));
    for title in ["1", "2", "3"] {
        admin.put("/db/Todo/a", &json!({ "title": title })).expect(200);
    }
    state(&admin, |state| {
        state["failed"].as_u64() >= Some(1) && (state["pending"] == 4 || state["delivered"] == 4)
    });
    running.kill();
    // Nobody asks the new one for anything: it knows that there is something left to do.
    let _running = builder.start();
    let mut versions = Vec::new();
    while versions.last() != Some(&4) {
        let body: Value = serde_json::from_str(&sent.recv().unwrap().body).unwrap();
        versions.push(body["data"]["version"].as_u64().unwrap());
    }
    // At least once.
    versions.dedup();
    assert_eq!(versions, [1, 2, 3, 4]);
}
