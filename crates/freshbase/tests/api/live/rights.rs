//! Nobody is told what it may not see, and what one is refused is no concern of others.

use fb_testkit::{Client, Server, class, root, with_callers};
use serde_json::{Value, json};

use super::{Socket, docs, keys, no_panics, put};
use crate::server;

/// A user and its token.
fn user(server: &Server, name: &str) -> (Client, String, Value) {
    let (client, id) = server.client().register(name);
    let token = json!(client.token().unwrap());
    (client, id, token)
}

fn only(id: &str) -> Value {
    json!({ "read": { id: "allow" } })
}

#[test]
fn s05_deny_beats_allow_and_only_administrators_see_everything() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    let (_, bob, bob_token) = user(&server, "bob");
    let mut socket = Socket::open(&server);
    socket.results("nobody", json!({}));
    socket.results("ann", json!({ "token": ann_token }));
    socket.results("bob", json!({ "token": bob_token }));
    socket.results("root", json!({ "token": admin.token() }));
    let mut who = |acl: Value| -> Vec<String> {
        put(&admin, "1", json!({ "acl": acl }));
        let told = socket.told(&admin);
        let mut ids: Vec<String> = told
            .iter()
            .filter(|m| m["matchType"] != "remove")
            .map(|m| m["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(who(json!(null)), ["ann", "bob", "nobody", "root"]);
    assert_eq!(who(only(&ann)), ["ann", "root"]);
    assert_eq!(
        who(json!({ "read": { "*": "allow", &ann: "deny" } })),
        ["bob", "nobody", "root"]
    );
    assert_eq!(
        who(json!({ "read": { &ann: "allow", &bob: "allow", "/db/Role/3": "deny" } })),
        ["root"; 1]
    );
    assert_eq!(who(json!({ "read": { "*": "deny" } })), ["root"]);
}

#[test]
fn s05_who_may_not_query_the_class_may_not_subscribe() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    let (_, _, bob_token) = user(&server, "bob");
    let acl = json!({ "fields": {}, "acl": { "query": { &ann: "allow" }, "load": { "*": "allow" } } });
    admin.post("/schema/Secret", &acl).expect(200);
    let mut socket = Socket::open(&server);
    let bucket = |token: &Value| json!({ "bucket": "Secret", "token": token });
    assert_eq!(socket.refusal("nobody", bucket(&json!(null)))["status"], 466);
    assert_eq!(socket.refusal("bob", bucket(&bob_token))["status"], 466);
    socket.results("ann", bucket(&ann_token));
    socket.results("root", bucket(&json!(admin.token())));
    // In the secure profile nobody may who is not logged in.
    let (server, admin, _) = with_callers(server_secure());
    class(&admin, "Doc", &[]);
    let mut socket = Socket::open(&server);
    assert_eq!(socket.refusal("nobody", json!({}))["status"], 466);
    socket.results("root", json!({ "token": admin.token() }));
}

fn server_secure() -> Server {
    server().secure().start()
}

#[test]
fn s06_an_object_that_becomes_unreadable_is_a_removal_with_its_id_and_nothing_else() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    put(&admin, "1", json!({ "n": 1, "s": "public" }));
    let mut socket = Socket::open(&server);
    socket.results("all", json!({}));
    socket.results("sorted", json!({ "sort": "{\"n\":1}", "limit": 5 }));
    let mut hers = Socket::open(&server);
    hers.results("ann", json!({ "token": ann_token }));
    put(&admin, "1", json!({ "n": 2, "s": "secret", "acl": only(&ann) }));
    put(&admin, "1", json!({ "n": 3, "s": "secret", "acl": only(&ann) }));
    put(&admin, "2", json!({ "n": 4, "s": "secret", "acl": only(&ann) }));
    let told = socket.told(&admin);
    assert_eq!(told.len(), 2, "{told:?}");
    for message in &told {
        assert_eq!(message["matchType"], "remove");
        assert_eq!(message["data"], json!({ "id": "/db/Doc/1" }));
        let members: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["id", "type", "date", "matchType", "operation", "data"]);
    }
    assert_eq!(hers.told(&admin).len(), 3);
    put(&admin, "1", json!({ "n": 5, "acl": null }));
    let mut events = socket.events(&admin);
    events.sort();
    assert_eq!(events, ["add/update /1", "add/update 0 /1"]);
}

/// A class with a field that only `reader` may read.
fn class_with_secret(admin: &Client, reader: &str) {
    let fields = json!({ "n": { "type": "/db/Integer" }, "o": { "type": "/db/JsonObject" },
        "secret": { "type": "/db/Integer", "acl": { "read": { reader: "allow" } } } });
    admin.post("/schema/Guarded", &json!({ "fields": fields })).expect(200);
}

#[test]
fn s07_filters_and_sort_orders_over_unreadable_fields_are_refused() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    class_with_secret(&admin, &ann);
    let mut socket = Socket::open(&server);
    for part in [
        json!({ "query": { "secret": 1 } }),
        json!({ "query": { "secret": { "$exists": true } } }),
        json!({ "query": { "$or": [{ "n": 1 }, { "secret": { "$gt": 0 } }] } }),
        json!({ "query": { "$nor": [{ "$and": [{ "secret": { "$in": [1] } }] }] } }),
        json!({ "query": { "secret": { "$not": { "$lt": 9 } } } }),
        json!({ "sort": { "secret": 1 } }),
        json!({ "sort": { "n": 1, "secret": -1 }, "limit": 1 }),
    ] {
        let mut more = part.clone();
        more["bucket"] = json!("Guarded");
        let error = socket.refusal("nobody", more.clone());
        assert_eq!(error["status"], 466, "{part}: {error}");
        more["token"] = ann_token.clone();
        socket.results("ann", more);
    }
}

#[test]
fn s08_protected_fields_are_in_no_message_and_their_values_decide_nothing() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    class_with_secret(&admin, &ann);
    admin
        .post("/db/Guarded", &json!({ "id": "/db/Guarded/1", "n": 1, "secret": 4711 }))
        .expect(201);
    let mut socket = Socket::open(&server);
    let result = socket.results("nobody", json!({ "bucket": "Guarded" }));
    assert_eq!((&result[0]["n"], result[0].get("secret")), (&json!(1), None));
    let sorted = json!({ "bucket": "Guarded", "sort": { "n": 1 }, "limit": 3 });
    assert_eq!(socket.results("sorted", sorted)[0].get("secret"), None);
    let mut hers = Socket::open(&server);
    let result = hers.results("ann", json!({ "bucket": "Guarded", "token": ann_token }));
    assert_eq!(result[0]["secret"], 4711);
    admin
        .put(
            "/db/Guarded/1",
            &json!({ "id": "/db/Guarded/1", "n": 1, "secret": 4712 }),
        )
        .expect(200);
    admin
        .put(
            "/db/Guarded/1",
            &json!({ "id": "/db/Guarded/1", "n": 2, "secret": 4713 }),
        )
        .expect(200);
    admin.delete("/db/Guarded/1").expect(204);
    let told = socket.told(&admin);
    assert_eq!(told.len(), 6);
    assert!(!json!(told).to_string().contains("471"), "{told:?}");
    assert!(!json!(told).to_string().contains("secret"), "{told:?}");
    let told = hers.told(&admin);
    assert_eq!(
        (&told[0]["data"]["secret"], &told[1]["data"]["secret"]),
        (&json!(4712), &json!(4713))
    );
}

/// What became of a subscription that went wrong is its own affair.
#[test]
fn s42_a_poisoned_subscription_stops_alone() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    let mut socket = Socket::open(&server);
    socket.results("good", json!({}));
    let deep = "[".repeat(127) + &"]".repeat(127);
    for (i, more) in [
        json!({ "token": "0".repeat(1000) }),
        json!({ "token": ann_token.as_str().unwrap().to_uppercase() }),
        json!({ "token": "\u{0}" }),
        json!({ "query": { "s": { "$regex": "((((a+)+)+)+)$(" } } }),
        json!({ "query": format!("{{\"n\":{deep}}}") }),
        json!({ "query": { "__proto__": { "x": 1 } } }),
        json!({ "query": { "acl.read.x": 1 } }),
        json!({ "sort": { "acl": 1 } }),
        json!({ "bucket": "../User" }),
        json!({ "bucket": "__proto__" }),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("bad{i}");
        socket.subscribe(&id, more.clone());
        let message = socket.next();
        assert_eq!(message["id"], json!(id));
        if message["type"] == "error" {
            super::check_error(&message["error"]);
        }
        put(
            &admin,
            "1",
            json!({ "n": i, "acl": { "read": { "/db/User/nobody": "allow", "*": "allow" } } }),
        );
        let told = socket.told(&admin);
        assert!(
            told.iter().any(|m| m["id"] == "good" && m["type"] == "match"),
            "{more}: {told:?}"
        );
    }
    // Revoked while it lasts: an error for that one.
    socket.results("hers", json!({ "token": ann_token }));
    let mut other = Socket::open(&server);
    other.results("hers", json!({ "token": ann_token }));
    let key = ann.rsplit_once('/').unwrap().1;
    admin.delete(&format!("/db/User/{key}/token")).expect(204);
    for socket in [&mut socket, &mut other] {
        assert_eq!(socket.error("hers")["status"], 460);
    }
    put(&admin, "1", json!({ "n": 99 }));
    let told = socket.told(&admin);
    assert!(told.iter().all(|m| m["id"] != "hers") && told.iter().any(|m| m["id"] == "good"));
    assert_eq!(other.told(&admin).len(), 0);
    assert_eq!(socket.refusal("again", json!({ "token": ann_token }))["status"], 460);
    no_panics(&server);
}

#[test]
fn s42_who_leaves_a_role_stops_seeing_and_who_enters_it_begins_to() {
    let (server, admin, _) = docs();
    let (_, ann, ann_token) = user(&server, "ann");
    let role = json!({ "name": "staff", "users": [] });
    let role = admin.post("/db/Role", &role).expect(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    put(&admin, "1", json!({ "acl": only(&role) }));
    put(&admin, "2", json!({}));
    let mut socket = Socket::open(&server);
    assert_eq!(keys(&socket.results("all", json!({ "token": ann_token }))), ["2"]);
    let has = |members: Value| {
        admin.post(&role, &json!({ "$set": { "users": members } })).expect(200);
    };
    has(json!([ann]));
    assert_eq!(super::short(&socket.next()), "add/none /1");
    has(json!([]));
    let message = socket.next();
    assert_eq!(super::short(&message), "remove/none /1");
    assert_eq!(message["data"], json!({ "id": "/db/Doc/1" }));
    put(&admin, "1", json!({ "n": 1, "acl": only(&role) }));
    assert_eq!(socket.events(&admin), [""; 0]);
}

/// Apps share a process, not what is told in it.
#[test]
fn s45_subscribers_of_one_app_hear_nothing_of_another_and_its_tokens_are_worth_nothing() {
    let (server, admin, _) = docs();
    let operator = Client::new(server.address(), "/admin/v1");
    let login = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
    let bearer = operator.post("/login", &login).expect(200).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [("authorization", format!("Bearer {bearer}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let body = json!({ "name": "other", "compat": "baqend",
        "admin": { "username": "root", "password": fb_testkit::ROOT_PASSWORD } });
    let made = operator.request("POST", "/apps", &headers, body.to_string().as_bytes());
    assert!(matches!(made.status, 200 | 201), "{:?}", made.json());
    let other = server.app("other").login("root", fb_testkit::ROOT_PASSWORD);
    class(&other, "Doc", &[("n", "Integer")]);
    let mut socket = Socket::open(&server);
    socket.results("all", json!({}));
    assert_eq!(
        socket.refusal("foreign", json!({ "token": other.token() }))["status"],
        460
    );
    put(&other, "1", json!({ "n": 1 }));
    assert_eq!(socket.events(&admin), [""; 0]);
    let _ = root(&server);
}

/// The review that comes every ten seconds would end it as well, long after the last of these writes.
#[test]
fn s42_who_is_deleted_stops_seeing_at_once() {
    let (server, admin, _) = docs();
    let (_, id, token) = user(&server, "ann");
    let mut socket = Socket::open(&server);
    socket.results("w", json!({ "token": token }));
    admin.delete(&id).expect(204);
    let mut n_events = 0;
    loop {
        put(&admin, "1", json!({ "n": n_events }));
        let message = socket.next();
        if message["type"] == "error" {
            assert_eq!(message["error"]["status"], 460);
            break;
        }
        n_events += 1;
        assert!(n_events < 200);
    }
}
