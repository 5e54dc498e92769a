//! Accounts and roles that an app cannot do without, and rules that cannot be had around.

use fb_testkit::{Client, root};
use serde_json::{Value, json};

use crate::{class, open, server};

fn login(client: &Client, username: &str, password: &str) -> u16 {
    let body = json!({ "username": username, "password": password });
    client.post("/db/User/login", &body).status
}

/// Without the admin role nobody could ever administrate the app again.
#[test]
fn predefined_roles_cannot_be_deleted() {
    for builder in [server().baqend(), server().secure()] {
        let server = builder.start();
        let admin = root(&server);
        let role = admin.post("/db/Role", &json!({ "name": "team" })).expect(201).json();
        for id in ["/db/Role/1", "/db/Role/2", "/db/Role/3", "/db/Role/%31"] {
            let before = admin.get(id).expect(200).body;
            for headers in [&[][..], &[("if-match", "*")]] {
                let answer = admin.request("DELETE", id, headers, b"");
                let message = answer.expect_error(400, "BadRequest");
                assert!(message.contains("predefined"), "{message}");
            }
            assert_eq!(admin.get(id).expect(200).body, before);
        }
        admin.delete("/db/Role").expect_error(400, "BadRequest");
        admin.get("/config").expect(200);
        admin.delete(role["id"].as_str().unwrap()).expect(204);
    }
}

/// One principal in two spellings is one principal, and deny beats allow.
#[test]
fn a_rule_cannot_be_undone_by_another_spelling() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("name", "String")]);
    let (ann, id) = anybody.clone().register("ann");
    let number = id.rsplit('/').next().unwrap();
    let spelled: String = number.bytes().map(|b| format!("%{b:02x}")).collect();
    let spelled = format!("/db/User/{spelled}");
    for (rules, may) in [
        (json!({ &id: "deny", &spelled: "allow" }), false),
        (json!({ &spelled: "deny", &id: "allow" }), false),
        (json!({ &id: "allow", &spelled: "deny" }), false),
        (json!({ &spelled: "allow", &id: "allow" }), true),
        (json!({ &spelled: "allow" }), true),
    ] {
        let acl = json!({ "read": rules, "write": rules });
        let stored = admin.put("/db/Todo/a", &json!({ "acl": acl })).expect(200).json();
        let rule = if may { "allow" } else { "deny" };
        assert_eq!(stored["acl"]["read"], json!({ &id: rule }), "{rules}");
        assert_eq!(ann.get("/db/Todo/a").status, if may { 200 } else { 404 }, "{rules}");
        let written = ann.post("/db/Todo/a", &json!({}));
        assert_eq!(written.status, if may { 200 } else { 466 }, "{rules}");
        let class = json!({ "operation": "updateClassAcl", "bucket": "/db/Todo", "acl": { "query": rules } });
        admin.post("/schema", &class).expect(200);
        let found = ann.get("/db/Todo/query").status;
        assert_eq!(found, if may { 200 } else { 466 }, "{rules}");
    }
}

/// Refused deletions leave the credentials.
#[test]
fn an_account_is_deleted_as_a_whole_or_not_at_all() {
    let (_server, admin, anybody) = open();
    let (ann, id) = anybody.clone().register("ann");
    let (eve, _) = anybody.clone().register("eve");
    ann.request("DELETE", &id, &[("if-match", "\"7\"")], b"")
        .expect_error(412, "ObjectOutOfDate");
    for stranger in [&anybody, &eve] {
        stranger.delete(&id).expect_error(466, "PermissionDenied");
    }
    admin.delete("/db/User").expect_error(400, "BadRequest");
    assert_eq!(login(&anybody, "ann", "a secret"), 200);
    ann.request("DELETE", &id, &[("if-match", "\"1\"")], b"").expect(204);
    assert_eq!(login(&anybody, "ann", "a secret"), 460);
    // Once more is no error, and takes nobody else's credentials.
    admin.delete(&id).expect(204);
    anybody.clone().register("ann");
    admin.delete(&id).expect(204);
    assert_eq!(login(&anybody, "ann", "a secret"), 200);
}

#[test]
fn a_refused_registration_leaves_the_name_free() {
    let (_server, admin, anybody) = open();
    class(&admin, "User", &[("email", "String"), ("age", "Integer")]);
    let unique = json!({ "unique": true, "keys": [{ "email": "asc" }] });
    admin.post("/index/User", &unique).expect(202);
    let register = |name: &str, fields: Value| {
        let mut user = fields;
        user["username"] = json!(name);
        anybody.post("/db/User/register", &json!({ "user": user, "password": "a secret" }))
    };
    register("ann", json!({ "email": "a@b" })).expect(200);
    let message = register("bob", json!({ "email": "a@b" })).expect_error(409, "ObjectExists");
    assert!(message.contains("email"), "{message}");
    register("bob", json!({ "age": "old" })).expect_error(463, "InvalidTypeValue");
    register("bob", json!({ "acl": { "read": { "everybody": "allow" } } })).expect_error(400, "BadRequest");
    assert_eq!(login(&anybody, "bob", "a secret"), 460);
    register("bob", json!({ "email": "b@b", "age": 7 })).expect(200);
    assert_eq!(login(&anybody, "bob", "a secret"), 200);
    assert_eq!(admin.get("/db/User/count").json()["count"], 3);
}

/// Protocol 09 §4
#[test]
fn devices_are_not_inserted_as_objects() {
    let (_server, admin, anybody) = open();
    for client in [&admin, &anybody] {
        let answer = client.post("/db/Device", &json!({ "deviceOs": "Android" }));
        let message = answer.expect_error(400, "BadRequest");
        assert!(message.contains("are not allowed"), "{message}");
        client.put("/db/Device/1", &json!({})).expect_error(400, "BadRequest");
    }
    let report = admin
        .put("/db/Device", &json!([{ "id": "/db/Device/1" }, {}]))
        .expect(200)
        .json();
    assert_eq!(report["count"], 0, "{report}");
    assert!(admin.query("Device", &json!({})).is_empty());
}
