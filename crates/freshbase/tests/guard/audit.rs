//! The audit log: complete, readable for administrators, and changed by nobody.

use std::collections::BTreeSet;

use fb_testkit::{Client, Response, root};
use serde_json::{Value, json};

use crate::kit::{Device, ann};
use crate::{PROFILES, Profile, class, no_panics, server};

const LOG: &str = "/db/logs.AuditLog";

/// What the log knows, the oldest first.
fn entries(admin: &Client) -> Vec<Value> {
    let path = format!("{LOG}/query?sort={}", fb_testkit::encode(r#"{"id":1}"#));
    let all = admin.get(&path).expect(200).json();
    all.as_array().unwrap().clone()
}

/// The entries that `request` makes.
fn made(admin: &Client, request: impl FnOnce() -> Response) -> (Response, Vec<Value>) {
    let before: BTreeSet<String> = entries(admin).iter().map(|e| e["id"].to_string()).collect();
    let answer = request();
    let new = entries(admin)
        .into_iter()
        .filter(|e| !before.contains(&e["id"].to_string()));
    (answer, new.collect())
}

/// The names of all actions, from where they are written down.
fn actions() -> BTreeSet<&'static str> {
    let source = include_str!("../../../fb-app/src/audit.rs");
    let names = source.lines().filter_map(|line| {
        let (variant, name) = line.trim().split_once(" => \"")?;
        variant.starts_with("Self::").then(|| name.trim_end_matches("\","))
    });
    let names: BTreeSet<_> = names.collect();
    assert!(names.len() >= 18, "{names:?}");
    names
}

/// Written by the command line, not by a request.
const BY_COMMAND: [&str; 1] = ["admin.reset"];

/// Dead letters take a receiver that fails; `tests/triggers/webhooks.rs` looks at their entries.
const BY_TRIGGERS: [&str; 2] = ["deadLetters.replayed", "deadLetters.deleted"];

/// One action: its name, the request that does it, and the target in its entry.
struct Row {
    action: &'static str,
    method: &'static str,
    path: &'static str,
    body: Value,
    target: &'static str,
}

fn row(action: &'static str, method: &'static str, path: &'static str, body: Value, target: &'static str) -> Row {
    Row {
        action,
        method,
        path,
        body,
        target,
    }
}

/// In this order. User 2 is `ann`; role 4 is the first one that is made.
fn rows() -> Vec<Row> {
    let none = || Value::Null;
    let (ann, team) = ("/db/User/2", "/db/Role/4");
    let password = json!({ "username": "ann", "password": "", "newPassword": "another secret" });
    vec![
        row(
            "schema.changed",
            "PUT",
            "/schema/Thing",
            json!({ "fields": {} }),
            "schema",
        ),
        row(
            "class.imported",
            "PUT",
            "/db/Thing",
            json!([{ "id": "/db/Thing/1" }, { "id": "/db/Thing/2" }]),
            "/db/Thing",
        ),
        row("class.exported", "GET", "/db/Thing", none(), "/db/Thing"),
        row("class.emptied", "DELETE", "/db/Thing", none(), "/db/Thing"),
        row(
            "config.changed",
            "PUT",
            "/config",
            json!({ "sessionSeconds": 3600 }),
            "config",
        ),
        row(
            "tokenKey.rotated",
            "POST",
            "/config/tokenKeys",
            json!({ "overlapSeconds": 600 }),
            "tokens",
        ),
        row("bans.lifted", "DELETE", "/banned", none(), "*"),
        row("bans.lifted", "DELETE", "/banned/192.0.2.1", none(), "192.0.2.1"),
        row("pushKey.changed", "POST", "/config/VAPIDKeys", none(), "VAPIDKeys"),
        row(
            "pushKey.changed",
            "POST",
            "/config/GCMKey",
            json!("AAAA:APA91b"),
            "GCMKey",
        ),
        row(
            "bucket.changed",
            "PUT",
            "/file/pictures",
            json!({ "load": { "*": "allow" } }),
            "/file/pictures",
        ),
        row("bucket.deleted", "DELETE", "/file/pictures", none(), "/file/pictures"),
        row(
            "code.written",
            "PUT",
            "/code/hello/module",
            json!("use strict"),
            "/code/hello/module",
        ),
        row(
            "code.deleted",
            "DELETE",
            "/code/hello/module",
            none(),
            "/code/hello/module",
        ),
        row(
            "role.written",
            "POST",
            "/db/Role",
            json!({ "name": "team", "users": [ann] }),
            team,
        ),
        row(
            "role.written",
            "POST",
            "/db/Role/4",
            json!({ "$add": { "users": "/db/User/1" } }),
            team,
        ),
        row(
            "role.written",
            "PUT",
            "/db/Role/4",
            json!({ "name": "team", "users": [ann] }),
            team,
        ),
        row("role.assumed", "POST", "/db/Role/4/assume", none(), team),
        row("role.deleted", "DELETE", "/db/Role/4", none(), team),
        row("token.created", "POST", "/db/User/2/token", none(), ann),
        row("password.set", "POST", "/db/User/password", password, ann),
        row("factor.removed", "DELETE", "/db/User/2/mfa", none(), ann),
        row("tokens.revoked", "DELETE", "/db/User/2/token", none(), ann),
        row("user.deactivated", "PUT", "/db/User/2/inactive", json!(true), ann),
        row("user.activated", "PUT", "/db/User/2/inactive", json!(false), ann),
        row("user.deleted", "DELETE", "/db/User/2", none(), ann),
    ]
}

fn send(client: &Client, row: &Row) -> Response {
    let body = if row.body.is_null() {
        String::new()
    } else {
        row.body.to_string()
    };
    client.request(row.method, row.path, &[], body.as_bytes())
}

#[test]
fn s58_every_action_leaves_one_entry_and_a_refused_one_leaves_none() {
    let mut known: BTreeSet<&str> = rows().iter().map(|row| row.action).collect();
    known.extend(BY_COMMAND);
    known.extend(BY_TRIGGERS);
    known.insert("admin.created");
    assert_eq!(
        actions(),
        known,
        "say in `rows` which request leaves the entry of each action"
    );

    let server = server().secure().start();
    let (admin, stranger, ann, _) = ann(&server);
    let (other, _) = crate::user(&admin, &stranger, "other");
    let first = entries(&admin);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(
        (&first[0]["action"], &first[0]["target"], &first[0]["user"]),
        (&json!("admin.created"), &json!("/db/User/1"), &Value::Null)
    );
    Device::add(&ann);
    for row in rows() {
        // A member of the role may assume it, and a user may export nothing.
        for client in [&stranger, &other] {
            let (answer, new) = made(&admin, || send(client, &row));
            assert!(answer.status >= 400, "{} {}", row.action, answer.status);
            assert!(
                new.is_empty(),
                "{}: refused with {} but logged {new:?}",
                row.action,
                answer.status
            );
        }
        let (answer, new) = made(&admin, || send(&admin, &row));
        assert!(
            answer.status < 300,
            "{} {}",
            row.action,
            String::from_utf8_lossy(&answer.body)
        );
        let [entry] = &new[..] else {
            panic!("{}: {new:?}", row.action)
        };
        assert_eq!(
            (&entry["action"], &entry["target"], &entry["user"]),
            (&json!(row.action), &json!(row.target), &json!("/db/User/1"))
        );
        let date = entry["date"].as_str().unwrap();
        assert!(
            date >= first[0]["date"].as_str().unwrap() && date.ends_with('Z'),
            "{date}"
        );
    }
    no_panics(&server);
}

#[test]
fn s58_what_administrators_fail_to_do_leaves_no_entry() {
    let server = server().secure().start();
    let admin = root(&server);
    class(&admin, "Thing", &json!({}), &json!({}));
    let role = admin
        .post("/db/Role", &json!({ "name": "team", "users": [] }))
        .expect(201)
        .json();
    let role = role["id"].as_str().unwrap();
    let old = [("if-match", "\"77\"")];
    let cases: Vec<(&str, &str, Value)> = vec![
        ("PUT", "/config", json!({ "sessionSeconds": 1 })),
        ("PUT", "/config", json!({ "nonsense": 1 })),
        ("POST", "/config/tokenKeys", json!({ "overlapSeconds": -1 })),
        ("POST", "/config/GCMKey", json!({ "type": "service_account" })),
        ("POST", "/config/APNSCert", Value::Null),
        (
            "PUT",
            "/schema/Thing",
            json!({ "fields": { "x": { "type": "/db/Nothing" } } }),
        ),
        ("DELETE", "/schema/Nothing", Value::Null),
        ("DELETE", "/banned/nonsense", Value::Null),
        ("PUT", "/file/pictures", json!({ "nonsense": {} })),
        ("PUT", "/file/pictures", json!({ "schemaAdd": { "*": "allow" } })),
        ("PUT", "/file/buckets", json!({})),
        ("DELETE", "/file/pictures", Value::Null),
        ("PUT", "/code/Nothing/insert", json!("x")),
        ("PUT", "/code/Thing/nothing", json!("x")),
        ("PUT", "/code/a..b/module", json!("x")),
        ("GET", "/code/none/module", Value::Null),
        ("DELETE", "/code/none/module", Value::Null),
        ("GET", "/db/Nothing", Value::Null),
        ("PUT", "/db/Nothing", json!([])),
        ("DELETE", "/db/Nothing", Value::Null),
        ("DELETE", "/db/User", Value::Null),
        ("DELETE", "/db/Role", Value::Null),
        ("DELETE", "/db/Role/1", Value::Null),
        ("DELETE", "/db/User/none", Value::Null),
        ("DELETE", "/db/Role/none", Value::Null),
        ("PUT", role, json!({ "name": "team", "users": [] })),
        ("DELETE", role, Value::Null),
        ("POST", role, json!({ "$nonsense": { "users": 1 } })),
        ("POST", "/db/Role", json!({ "name": "x", "users": ["/db/Thing/1"] })),
        ("POST", "/db/Role/none/assume", Value::Null),
        ("POST", "/db/User/none/token", Value::Null),
        ("DELETE", "/db/User/none/token", Value::Null),
        ("DELETE", "/db/User/none/mfa", Value::Null),
        ("PUT", "/db/User/none/inactive", json!(true)),
        ("PUT", "/db/User/1/inactive", json!(true)),
        (
            "POST",
            "/db/User/password",
            json!({ "username": "none", "password": "", "newPassword": "a new secret" }),
        ),
        (
            "POST",
            "/db/User/password",
            json!({ "username": "root", "password": "", "newPassword": "short" }),
        ),
    ];
    let mut wrong = Vec::new();
    for (method, path, body) in cases {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = if path == role { &old[..] } else { &[] };
        let (answer, new) = made(&admin, || admin.request(method, path, headers, body.as_bytes()));
        let did_nothing = answer.status >= 400 || path.contains("/none");
        if !did_nothing || !new.is_empty() {
            wrong.push(format!("{method} {path} {body}: {} and {new:?}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn s58_nobody_changes_the_log_and_administrators_alone_read_it() {
    for profile in PROFILES {
        let dir = tempfile::tempdir().unwrap();
        let builder = match profile {
            Profile::Secure => server().secure(),
            Profile::Baqend => server().baqend(),
        };
        let builder = builder.data_dir(dir.path());
        let mut running = builder.start();
        let (admin, stranger, ann, _) = ann(&running);
        admin.put("/config", &json!({ "sessionSeconds": 7200 })).expect(200);
        let before = entries(&admin);
        assert_eq!(before.len(), 2, "{before:?}");
        let first = before[0]["id"].as_str().unwrap();
        for client in [&stranger, &ann] {
            for path in [
                first,
                &format!("{LOG}/query"),
                &format!("{LOG}/count"),
                &format!("{LOG}/ids"),
                LOG,
            ] {
                client.get(path).expect_error(466, "PermissionDenied");
            }
            client
                .post(&format!("{LOG}/query"), &json!({}))
                .expect_error(466, "PermissionDenied");
        }
        let mut forged = before[0].clone();
        forged["action"] = json!("forged");
        let new = json!({ "id": format!("{LOG}/forged"), "action": "forged" });
        let mut anew = forged.clone();
        anew.as_object_mut().unwrap().remove("id");
        let attempts: Vec<(&str, &str, Value)> = vec![
            ("POST", LOG, new.clone()),
            ("POST", LOG, forged.clone()),
            ("POST", LOG, anew),
            ("PUT", first, forged.clone()),
            ("POST", first, json!({ "$set": { "action": "forged" } })),
            ("DELETE", first, Value::Null),
            ("PUT", "/db/logs.AuditLog/forged", new.clone()),
            ("DELETE", LOG, Value::Null),
            ("PUT", LOG, json!([forged, new])),
            ("DELETE", "/schema/logs.AuditLog", Value::Null),
        ];
        let any = [("if-match", "*")];
        for client in [&stranger, &ann, &admin] {
            for (method, path, body) in &attempts {
                let body = if body.is_null() {
                    String::new()
                } else {
                    body.to_string()
                };
                for headers in [&[][..], &any] {
                    let answer = client.request(method, path, headers, body.as_bytes());
                    let refused = matches!(answer.status, 400 | 404 | 412 | 466 | 469);
                    assert!(refused, "{method} {path}: {}", answer.status);
                }
            }
        }
        assert_eq!(entries(&admin), before);

        // Not through the schema either: by other rules, by other fields, by another name, or by its absence.
        let everybody = json!({ "*": "allow" });
        let open = json!({ "insert": everybody, "update": everybody, "delete": everybody });
        let schema = admin.get("/schema").expect(200).json();
        let without: Vec<&Value> = schema
            .as_array()
            .unwrap()
            .iter()
            .filter(|class| class["class"] != LOG)
            .collect();
        for (method, path, body) in [
            ("POST", "/schema/logs.AuditLog", json!({ "acl": open, "fields": {} })),
            ("PUT", "/schema/logs.AuditLog", json!({ "acl": open, "fields": {} })),
            (
                "POST",
                "/schema",
                json!([{ "operation": "updateClassAcl", "class": LOG, "acl": open }]),
            ),
            ("POST", "/schema", json!([{ "operation": "deleteClass", "class": LOG }])),
            (
                "POST",
                "/schema",
                json!([{ "operation": "renameClass", "class": LOG, "newName": "/db/logs.Other" }]),
            ),
            (
                "POST",
                "/schema",
                json!([{ "operation": "deleteField", "bucket": LOG, "field": "action" }]),
            ),
            ("PUT", "/schema", json!(without)),
        ] {
            admin.request(method, path, &[], body.to_string().as_bytes());
            for client in [&admin, &ann] {
                for (method, path, body) in &attempts {
                    let body = if body.is_null() {
                        String::new()
                    } else {
                        body.to_string()
                    };
                    client.request(method, path, &any, body.as_bytes());
                }
            }
            let now = entries(&admin);
            let kept = now.iter().filter(|entry| before.contains(entry)).count();
            assert_eq!(kept, before.len(), "{method} {path} {body}");
            assert!(now.iter().all(|entry| entry["action"] != "forged"), "{method} {path}");
        }
        let before = entries(&admin);
        assert!(running.stop().success());
        let running = builder.start();
        assert_eq!(entries(&root(&running)), before, "entries survive a restart");
        no_panics(&running);
    }
}

#[test]
fn s58_a_change_of_rules_is_logged_with_the_rules_before_and_after() {
    let server = server().secure().start();
    let admin = root(&server);
    let everybody = json!({ "*": "allow" });
    let (_, new) = made(&admin, || {
        let body = json!({ "fields": {}, "acl": { "load": { "/db/Role/1": "allow" } } });
        admin.put("/schema/Thing", &body)
    });
    assert_eq!(
        new[0]["data"]["/db/Thing"]["acl"]["load"],
        json!({ "/db/Role/1": "allow" })
    );
    let (_, new) = made(&admin, || {
        let edit = json!([{ "operation": "updateClassAcl", "class": "/db/Thing", "acl": { "load": everybody } }]);
        admin.post("/schema", &edit).expect(200)
    });
    let change = &new[0]["data"]["/db/Thing"];
    assert_eq!(change["aclBefore"]["load"], json!({ "/db/Role/1": "allow" }));
    assert_eq!(change["acl"]["load"], everybody);
    let (_, new) = made(&admin, || admin.delete("/schema/Thing").expect(204));
    assert_eq!(new[0]["data"], json!({ "/db/Thing": "deleted" }));
    // Who became a member of what is in the entry of a role.
    let (_, new) = made(&admin, || {
        admin
            .post("/db/Role", &json!({ "name": "team", "users": ["/db/User/1"] }))
            .expect(201)
    });
    assert_eq!(new[0]["data"]["request"]["users"], json!(["/db/User/1"]));
}
