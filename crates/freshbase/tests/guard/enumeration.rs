//! Nobody learns which accounts exist: same status, same body, same headers, same work.

use std::time::{Duration, Instant};

use fb_testkit::{Client, Response, root};
use serde_json::{Value, json};

use crate::kit::{Mails, set_config, verification};
use crate::{server, user};

const KNOWN: &str = "known@example.com";
const UNKNOWN: &str = "nobody@example.com";

/// All of an answer but what differs with every request.
fn shape(answer: &Response) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .cloned()
        .collect();
    headers.sort();
    let mut body = if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    };
    if let Some(body) = body.as_object_mut() {
        body.remove("requestId");
    }
    // The length of the id, which counts up, is part of the body's.
    headers.retain(|(name, _)| name != "content-length");
    (answer.status, headers, body)
}

fn requests(name: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("/db/User/login", json!({ "username": name, "password": "wrong" })),
        ("/db/User/login", json!({ "username": name, "password": "" })),
        ("/db/User/reset", json!({ "username": name })),
        (
            "/db/User/password",
            json!({ "username": name, "password": "wrong", "newPassword": "a new secret" }),
        ),
        (
            "/db/User/changeUsername",
            json!({ "username": name, "password": "wrong", "newUsername": "x@example.com" }),
        ),
        (
            "/db/User/register",
            json!({ "user": { "username": name }, "password": "some secret" }),
        ),
        (
            "/db/User/register",
            json!({ "user": { "username": name }, "password": "x" }),
        ),
    ]
}

#[test]
fn s21_no_answer_tells_which_accounts_exist() {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    user(&admin, &stranger, KNOWN);
    user(&admin, &stranger, "gone@example.com");
    let gone = admin.query("User", &json!({ "username": "gone@example.com" }))[0]["id"].clone();
    admin
        .put(&format!("{}/inactive", gone.as_str().unwrap()), &json!(true))
        .expect(200);
    verification(&admin);
    set_config(&admin, &json!({ "lockout": { "attempts": 0, "seconds": 600 } }));
    for ((path, known), (_, unknown)) in requests(KNOWN).iter().zip(requests(UNKNOWN)) {
        let expected = shape(&stranger.post(path, known));
        assert_eq!(shape(&stranger.post(path, &unknown)), expected, "{path} {known}");
    }
    for ((path, known), (_, gone)) in requests(KNOWN).iter().zip(requests("gone@example.com")) {
        let expected = shape(&stranger.post(path, known));
        assert_eq!(shape(&stranger.post(path, &gone)), expected, "{path} {gone}");
    }
    // Now the unknown one waits for its verification: no difference either, not even with its password.
    for password in ["some secret", "wrong"] {
        let login = |name: &str| {
            let body = json!({ "username": name, "password": password });
            shape(&stranger.post("/db/User/login", &body))
        };
        assert_eq!(login(UNKNOWN), login(KNOWN));
    }
    // Whoever has the address learns it from a mail, and nobody else.
    let mails = Mails::of(&server, "main");
    mails.next(KNOWN);
    let users = admin.query("User", &json!({ "username": KNOWN }));
    assert_eq!(users.len(), 1);
    // Links say nothing about whom they are for.
    let id = users[0]["id"].as_str().unwrap();
    let key: String = id["/db/User/".len()..].bytes().map(|b| format!("{b:02x}")).collect();
    let secret = "0".repeat(64);
    for route in ["verify", "verifyUsername"] {
        let answers: Vec<_> = [key.as_str(), "6e6f6e65", "zz"]
            .map(|key| shape(&stranger.get(&format!("/db/User/{route}?token={key}.{secret}"))))
            .into();
        assert!(
            answers.iter().all(|answer| *answer == answers[0] && answer.0 == 460),
            "{answers:?}"
        );
    }
    let reset = |key: &str| {
        let body = json!({ "token": format!("{key}.{secret}"), "newPassword": "a new secret" });
        shape(&stranger.post("/db/User/password", &body))
    };
    assert_eq!(reset(&key), reset("6e6f6e65"));
}

/// The fastest of some answers: noise only ever makes them slower.
fn fastest(client: &Client, path: &str, body: &Value) -> Duration {
    let measure = |_| {
        let begun = Instant::now();
        client.post(path, body);
        begun.elapsed()
    };
    (0..3).map(measure).min().unwrap()
}

/// A hash takes many times as long as everything else, so whether one is made shows in the time. A missing
/// one leaves a tenth of the time or less, and the bound is far from both.
#[test]
fn s21_names_that_nobody_has_take_as_long() {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    user(&admin, &stranger, KNOWN);
    verification(&admin);
    set_config(&admin, &json!({ "lockout": { "attempts": 0, "seconds": 600 } }));
    // The comparison value for unknown names is made by the first of them.
    stranger.post("/db/User/login", &json!({ "username": UNKNOWN, "password": "x" }));
    let list = requests(KNOWN).into_iter().zip(requests("other@example.com"));
    for ((path, known), (_, unknown)) in list.filter(|((_, body), _)| body["password"] != "x") {
        let mut best = [Duration::MAX; 2];
        // On a machine that does much else, all of a few answers may be slow ones.
        let is_alike = (0..10).any(|_| {
            for (best, body) in best.iter_mut().zip([&known, &unknown]) {
                *best = fastest(&stranger, path, body).min(*best);
            }
            let (less, more) = (best[0].min(best[1]), best[0].max(best[1]));
            more < less * 3 || more < Duration::from_millis(20)
        });
        assert!(
            is_alike,
            "{path}: {:?} for a name that exists, {:?} for one that does not",
            best[0], best[1]
        );
    }
}
