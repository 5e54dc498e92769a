//! What all answers have in common, and what they may be kept for.

use fb_testkit::{Client, root};
use serde_json::{Value, json};

use crate::{class, open, server};

/// Whoever reports an error can name it, whatever kind of error it is.
#[test]
fn every_error_has_the_id_it_is_logged_under() {
    let (server, admin, client) = open();
    class(&admin, "Todo", &[("name", "String")]);
    let node = Client::new(server.address(), "");
    let nobody = client.clone().with_token("0");
    let mut ids = Vec::new();
    for answer in [
        client.get("/db/Todo/none"),
        client.get("/db/None/none"),
        client.get("/nothing"),
        client.request("PATCH", "/db/Todo/a", &[], b""),
        client.post("/db/Todo", &json!([])),
        client.get("/config"),
        nobody.get("/config"),
        client.get("/db/Todo/query?q=%7B"),
        client.get(&format!("/{}", "x".repeat(20_000))),
        node.get("/nothing"),
        node.get("/admin/v1/apps"),
        node.get("/apps/none/v1/status"),
        node.request("PUT", "/admin/v1/apps", &[], b""),
        node.request("POST", "/setup", &[], b"{}"),
    ] {
        let body = answer.json();
        assert!(answer.status >= 400, "{body}");
        let id = body["requestId"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-request-id"), Some(&*id), "{body}");
        assert_eq!(body["stackTrace"], json!([]), "{body}");
        for member in ["className", "message", "reason"] {
            assert!(body[member].as_str().is_some_and(|text| text.len() > 2), "{body}");
        }
        ids.push(id);
    }
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_wrong_method_is_answered_with_all_right_ones() {
    let (_server, _, client) = open();
    for (path, allowed) in [
        ("/db/Todo/a", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("/db/User/login", "OPTIONS, POST"),
        ("/config", "GET, HEAD, OPTIONS, PUT"),
        ("/db/Todo/query", "GET, HEAD, OPTIONS, POST"),
    ] {
        let answer = client.request("PATCH", path, &[], b"");
        answer.expect_error(405, "MethodNotAllowed");
        let mut methods: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allowed, "{path}");
        // All that are listed are known, and no other.
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
            let status = client.request(method, path, &[], b"").status;
            assert_eq!(status == 405, !methods.contains(&method), "{method} {path}: {status}");
        }
    }
}

/// What not everybody may read is not for shared caches, and is not used without asking the server again.
#[test]
fn caches_keep_what_its_readers_may_keep() {
    for builder in [server().baqend(), server().secure()] {
        let server = builder.start();
        let admin = root(&server);
        let public = json!({ "load": { "*": "allow" }, "query": { "*": "allow" } });
        let closed = json!({ "load": { "/db/Role/1": "allow" } });
        for (name, acl) in [("Open", &public), ("Closed", &closed)] {
            let fields = json!({ "n": { "type": "/db/Integer" } });
            let def = json!({ "fields": fields, "acl": acl });
            admin.put(&format!("/schema/{name}"), &def).expect(200);
        }
        let only_admin = json!({ "/db/Role/1": "allow" });
        for (class, acl, everybody) in [
            ("Open", Value::Null, true),
            ("Open", json!({ "write": only_admin }), true),
            ("Open", json!({ "read": only_admin }), false),
            ("Open", json!({ "read": { "*": "deny" } }), false),
            ("Closed", Value::Null, false),
            ("Closed", json!({ "read": { "*": "allow" } }), false),
        ] {
            let path = format!("/db/{class}/a");
            let asked = if everybody { "no-cache" } else { "private, no-cache" };
            let written = admin.put(&path, &json!({ "n": 1, "acl": acl })).expect(200);
            let tag = written.header("etag").unwrap().to_owned();
            for answer in [written, admin.post(&path, &json!({ "$inc": { "n": 0 } }))] {
                assert_eq!(answer.expect(200).header("cache-control"), Some(asked), "{class} {acl}");
            }
            for answer in [
                admin.get(&path),
                admin.get(&path.replace('O', "%4f").replace('C', "%43")),
                admin.request("HEAD", &path, &[], b""),
                admin.request("GET", &path, &[("if-none-match", &tag)], b""),
            ] {
                assert!(matches!(answer.status, 200 | 304), "{class} {acl}");
                let said = answer.header("cache-control").unwrap();
                match everybody {
                    true => assert!(said.starts_with("public, max-age="), "{class} {acl}: {said}"),
                    false => assert_eq!(said, asked, "{class} {acl}"),
                }
            }
            let found = admin.get(&format!("/db/{class}/query")).expect(200);
            assert_eq!(found.header("cache-control"), Some("private, no-cache"));
        }
        for path in ["/db/User/me", "/db/User/validate", "/connect"] {
            let answer = admin.get(path).expect(200);
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{path}");
        }
        assert_eq!(
            server.client().get("/connect").header("cache-control"),
            Some("public, max-age=0, s-maxage=1")
        );
        // What was refused is no copy of anything.
        let refused = server.client().get("/db/Closed/a");
        refused.expect_error(466, "PermissionDenied");
        assert_eq!(refused.header("etag"), None);
    }
}

#[test]
fn all_types_are_listed_by_name() {
    let (_server, admin, client) = open();
    class(&admin, "my.app.Todo", &[]);
    let names = client.get("/db").expect(200).json();
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    for name in [
        "Object",
        "User",
        "Role",
        "Device",
        "logs.AppLog",
        "my.app.Todo",
        "String",
        "Boolean",
        "Double",
        "Integer",
        "DateTime",
        "Date",
        "Time",
        "File",
        "GeoPoint",
        "JsonArray",
        "JsonObject",
    ] {
        assert!(names.contains(&&*format!("/db/{name}")), "{name} in {names:?}");
    }
    let before = names.len();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), before);
}

/// A key that is spelled like an endpoint can be had in another spelling.
#[test]
fn keys_that_look_like_endpoints_are_keys() {
    let (_server, admin, client) = open();
    class(&admin, "Todo", &[("name", "String")]);
    for (key, spelled) in [
        ("query", "%71uery"),
        ("count", "%63ount"),
        ("ids", "%69ds"),
        ("me", "me"),
    ] {
        let id = format!("/db/Todo/{key}");
        let path = format!("/db/Todo/{spelled}");
        let created = client.post("/db/Todo", &json!({ "id": id, "name": "x" })).expect(201);
        assert_eq!(client.get(&path).expect(200).body, created.body);
        assert_eq!(client.query("Todo", &json!({ "id": id })).len(), 1);
        client.put(&path, &json!({ "id": id, "name": "y" })).expect(200);
        assert_eq!(client.post(&path, &json!({})).expect(200).json()["name"], "y");
        client.delete(&path).expect(204);
        client.get(&path).expect_error(404, "ObjectNotFound");
    }
    // Those of users mean the same in every class but that one.
    for key in ["login", "register", "logout", "validate"] {
        let path = format!("/db/Todo/{key}");
        client.put(&path, &json!({ "name": key })).expect(200);
        assert_eq!(client.get(&path).expect(200).json()["name"], key);
    }
}
