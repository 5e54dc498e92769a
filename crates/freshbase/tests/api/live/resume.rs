//! What a client missed while its connection was broken.

use fb_testkit::{Client, Server, wait_for};
use serde_json::{Value, json};

use super::{Socket, docs, docs_of, keys, metric, no_panics, put, short};
use crate::server;

/// Begins what can be resumed, and gives the token of its result.
fn begin(socket: &mut Socket, more: &Value) -> Value {
    socket.subscribe("w", with(more, json!(true)));
    let first = socket.next();
    assert_eq!(first["type"], "result", "{first}");
    assert_eq!(first.get("resumed"), None);
    first["resume"].clone()
}

fn with(more: &Value, resume: Value) -> Value {
    let mut more = more.clone();
    more["resume"] = resume;
    more
}

/// A new socket that resumes, and its first message.
fn come_back(server: &Server, more: &Value, resume: &Value) -> (Socket, Value) {
    let mut socket = Socket::open(server);
    socket.subscribe("w", with(more, resume.clone()));
    let first = socket.next();
    (socket, first)
}

/// The first message of somebody who cannot go on.
fn fresh(server: &Server, more: &Value, resume: &Value) -> Vec<String> {
    let (_, first) = come_back(server, more, resume);
    assert_eq!((&first["type"], &first["resumed"]), (&json!("result"), &json!(false)));
    let objects = first["data"].as_array().unwrap();
    keys(objects).into_iter().map(str::to_owned).collect()
}

fn is_parked(server: &Server, n: f64) {
    wait_for("subscriptions to be parked", || {
        (metric(server, "freshbase_live_parked") == n).then_some(())
    });
}

#[test]
fn what_was_missed_comes_once_and_in_order() {
    let (server, admin, _) = docs();
    let top = json!({ "sort": "{\"n\":-1}", "limit": 2 });
    let mut socket = Socket::open(&server);
    let at_result = begin(&mut socket, &top);
    put(&admin, "1", json!({ "n": 1 }));
    let seen = socket.next();
    assert_eq!(short(&seen), "add/insert 0 /1");
    drop(socket);
    is_parked(&server, 1.0);
    put(&admin, "2", json!({ "n": 2 }));
    put(&admin, "3", json!({ "n": 3 }));
    let missed = ["add/insert 0 /2", "remove/none /1", "add/insert 0 /3"];
    let (mut socket, first) = come_back(&server, &top, &seen["resume"]);
    assert_eq!(
        (&first["type"], &first["resumed"], &first["resume"]),
        (&json!("subscribed"), &json!(true), &seen["resume"])
    );
    for event in missed {
        assert_eq!(short(&socket.next()), event);
    }
    put(&admin, "3", json!({ "n": 4 }));
    assert_eq!(short(&socket.next()), "change/update 0 /3");
    // The same again from the beginning, under another name, while the other connection is there.
    let mut second = Socket::open(&server);
    second.subscribe("again", with(&top, at_result));
    assert_eq!(second.next()["resumed"], true);
    let all: Vec<String> = (0..5).map(|_| short(&second.next())).collect();
    let mut expected = vec!["add/insert 0 /1"];
    expected.extend(missed);
    expected.push("change/update 0 /3");
    assert_eq!(all, expected);
    let error = socket.error("w");
    assert_eq!(error["status"], 409);
    put(&admin, "3", json!({ "n": 5 }));
    let last = second.next();
    assert_eq!(
        (&last["id"], short(&last).as_str()),
        (&json!("again"), "change/update 0 /3")
    );
    assert!(socket.told(&admin).is_empty());
    // What is ended on purpose is over.
    second.send(&json!({ "type": "unsubscribe", "id": "again" }));
    assert!(second.told(&admin).is_empty());
    assert_eq!(fresh(&server, &top, &last["resume"]), ["3", "2"]);
    no_panics(&server);
}

#[test]
fn who_missed_too_much_gets_a_fresh_result() {
    let (server, admin, _) = docs();
    let all = json!({});
    let mut socket = Socket::open(&server);
    let token = begin(&mut socket, &all);
    drop(socket);
    is_parked(&server, 1.0);
    for n in 0..257 {
        put(&admin, "1", json!({ "n": n }));
    }
    assert_eq!(fresh(&server, &all, &token), ["1"]);
}

#[test]
fn a_token_opens_one_subscription_of_one_caller() {
    let (server, admin, anybody) = docs();
    let (ann, id) = server.client().register("ann");
    let (bob, _) = server.client().register("bob");
    let own = json!({ "acl": { "read": { &id: "allow" } } });
    put(&admin, "hers", own.clone());
    put(&admin, "public", json!({}));
    let as_user = |user: &Client| json!({ "token": user.token(), "sort": "{\"id\":1}" });
    let mut socket = Socket::open(&server);
    begin(&mut socket, &as_user(&ann));
    put(&admin, "hers", own);
    let token = socket.next()["resume"].clone();
    drop(socket);
    is_parked(&server, 1.0);
    for other in [&bob, &anybody] {
        assert_eq!(fresh(&server, &as_user(other), &token), ["public"]);
    }
    let mut other_query = as_user(&ann);
    other_query["query"] = json!("{\"n\":null}");
    let mut other_events = as_user(&ann);
    other_events["matchTypes"] = json!(["add"]);
    for other in [other_query, other_events] {
        assert_eq!(fresh(&server, &other, &token), ["hers", "public"]);
    }
    for nonsense in ["", "nonsense", "1.1.1", &"f".repeat(5000)] {
        assert_eq!(fresh(&server, &as_user(&ann), &json!(nonsense)), ["hers", "public"]);
    }
    let mut socket = Socket::open(&server);
    assert_eq!(socket.refusal("w", with(&as_user(&ann), json!(7)))["status"], 400);
    // All that has changed nothing.
    assert_eq!(come_back(&server, &as_user(&ann), &token).1["resumed"], true);
    no_panics(&server);
}

/// What was kept for somebody with more rights is for nobody.
#[test]
fn s42_who_lost_rights_meanwhile_gets_what_it_may_see_now() {
    let (server, admin, _) = docs();
    let (ann, id) = server.client().register("ann");
    let crew = json!({ "name": "crew", "users": [id] });
    let mut role = admin.post("/db/Role", &crew).expect(201).json();
    let path = role["id"].as_str().unwrap().to_owned();
    let crew = json!({ "acl": { "read": { &path: "allow" } } });
    let wish = json!({ "token": ann.token() });
    let mut socket = Socket::open(&server);
    let token = begin(&mut socket, &wish);
    drop(socket);
    is_parked(&server, 1.0);
    put(&admin, "secret", crew);
    role["users"] = json!([]);
    admin.put(&path, &role).expect(200);
    assert!(fresh(&server, &wish, &token).is_empty());
    no_panics(&server);
}

#[test]
fn nothing_is_resumed_after_another_schema_or_another_start() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path());
    let (mut server, admin, _) = docs_of(&builder);
    let all = json!({});
    let mut socket = Socket::open(&server);
    let token = begin(&mut socket, &all);
    put(&admin, "1", json!({}));
    let more = json!({ "fields": { "more": { "type": "/db/String" } } });
    admin.post("/schema/Doc", &more).expect(200);
    assert_eq!(socket.end(), Some(1012));
    assert_eq!(fresh(&server, &all, &token), ["1"]);
    let mut socket = Socket::open(&server);
    let token = begin(&mut socket, &all);
    server.kill();
    server = builder.baqend().start();
    assert_eq!(fresh(&server, &all, &token), ["1"]);
}
