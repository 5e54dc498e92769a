//! Handlers of users and roles.

use fb_testkit::{Client, root};
use serde_json::{Value, json};

use super::{put, try_put};
use crate::{class, open, server};

fn fields(admin: &Client) {
    class(admin, "User", &[("plan", "String"), ("email", "String")]);
}

fn register(client: &Client, user: Value) -> fb_testkit::Response {
    client.post(
        "/db/User/register",
        &json!({ "user": user, "password": "a secret", "login": true }),
    )
}

#[test]
fn a_registration_calls_the_insert_handler_of_user() {
    let (_server, admin, anybody) = open();
    fields(&admin);
    put(&admin, "User/validate", "username.isLength('too short', { min: 3 });");
    put(
        &admin,
        "User/insert",
        "exports.onInsert = (db, user) => {
            if (user.username === 'banned') throw new Abort('not you', { name: user.username });
            user.plan = 'free';
            user.acl = new db.Acl();
            for (const [name, value] of [['username', 'other'], ['inactive', true]]) try { user[name] = value; } catch {}
        }",
    );
    register(&anybody, json!({ "username": "ab" })).expect_error(475, "ScriptAborted");
    let answer = register(&anybody, json!({ "username": "banned" }));
    assert_eq!(answer.expect_error(475, "ScriptAborted"), "not you");
    assert_eq!(answer.json()["data"]["name"], "banned");
    assert_eq!(answer.header("baqend-authorization-token"), None);
    // Whoever was refused left no name behind.
    put(
        &admin,
        "User/update",
        "exports.onUpdate = (db, user) => { user.plan = 'by update'; }",
    );
    let created = register(&anybody, json!({ "username": "ann", "plan": "gold" })).expect(200);
    let user = created.json();
    assert_eq!((&user["plan"], &user["username"]), (&json!("free"), &json!("ann")));
    let ann = anybody
        .clone()
        .with_token(created.header("baqend-authorization-token").unwrap());
    let me = ann.get("/db/User/me").expect(200).json();
    assert_eq!(me["plan"], "free");
    let id = me["id"].as_str().unwrap();
    assert_eq!(me["acl"]["write"][id], "allow", "users keep the rights on themselves");
    let login = anybody.post("/db/User/login", &json!({ "username": "ann", "password": "a secret" }));
    login.expect(200);
    assert_eq!(
        ann.post(id, &json!({ "$set": { "email": "x" } })).expect(200).json()["plan"],
        "by update"
    );
    assert_eq!(admin.get("/db/User/count").expect(200).json()["count"], 2);
}

#[test]
fn users_that_code_registers_call_no_code() {
    let (_server, admin, anybody) = open();
    fields(&admin);
    put(
        &admin,
        "User/insert",
        "exports.onInsert = () => { throw new Abort('closed'); }",
    );
    put(
        &admin,
        "sign.up/module",
        "exports.call = async (db, data) => { const user = await db.User.register(data.name, 'a secret'); return { id: user.id, me: db.User.me.id }; }",
    );
    register(&anybody, json!({ "username": "ann" })).expect_error(475, "ScriptAborted");
    let answer = anybody.post("/code/sign.up", &json!({ "name": "ann" })).expect(200);
    assert_eq!(answer.json()["id"], answer.json()["me"]);
    assert_eq!(
        answer.header("baqend-authorization-token"),
        None,
        "what code got is code's"
    );
    // A login in code is code's alone, too, and ends with the call.
    put(
        &admin,
        "log.in/module",
        "exports.call = async (db) => { const before = db.User.me; await db.User.login('ann', 'a secret'); return { before, after: db.User.me.id }; }",
    );
    for _ in 0..3 {
        let answer = anybody.get("/code/log.in").expect(200);
        assert_eq!(answer.json()["before"], Value::Null);
        assert!(answer.json()["after"].is_string());
        assert_eq!(answer.header("baqend-authorization-token"), None);
    }
}

#[test]
fn whoever_registers_twice_is_still_made_what_code_makes_of_it() {
    let server = server().baqend().start();
    let (admin, anybody) = (root(&server), server.client());
    fields(&admin);
    admin
        .put(
            "/config",
            &json!({ "emailVerification": true, "publicUrl": "https://shop.example/v1" }),
        )
        .expect(200);
    put(
        &admin,
        "User/insert",
        "exports.onInsert = (db, user) => { user.plan = 'free'; user.acl.allowReadAccess('/db/Role/1'); }",
    );
    for n in 0..3 {
        let plan = if n == 0 { "free" } else { "gold" };
        let user = json!({ "username": "ann@example.com", "plan": plan, "email": format!("{n}") });
        register(&anybody, user).expect(204);
        let found = fb_testkit::wait_for("the registration to count", || {
            let name = json!({ "username": "ann@example.com" });
            let found = admin.query("User", &name);
            (found[0]["email"] == format!("{n}")).then_some(found)
        });
        let user = &found[0];
        assert_eq!(
            (&user["plan"], &user["email"]),
            (&json!("free"), &json!(format!("{n}"))),
            "{user}"
        );
        let id = user["id"].as_str().unwrap();
        let allowed = json!({ id: "allow", "/db/Role/1": "allow" });
        assert_eq!(user["acl"]["read"], allowed, "rights of nobody else: {user}");
        assert_eq!(user["inactive"], true);
    }
}

#[test]
fn s58_members_that_a_handler_adds_to_a_role_are_in_the_audit_log() {
    let (_server, admin, anybody) = open();
    let (ann, id) = super::user(&admin, &anybody, "ann");
    put(
        &admin,
        "Role/insert",
        &format!("exports.onInsert = (db, role) => {{ role.users.add(db.User.ref('{id}')); }}"),
    );
    put(
        &admin,
        "Role/update",
        "exports.onUpdate = (db, role) => { role.users.clear(); }",
    );
    let role = admin
        .post("/db/Role", &json!({ "name": "team", "users": [] }))
        .expect(201)
        .json();
    assert_eq!(role["users"], json!([id]));
    let path = role["id"].as_str().unwrap();
    ann.post(&format!("{path}/assume"), &Value::Null).expect(200);
    let entries = admin.query("logs.AuditLog", &json!({ "action": "role.written" }));
    assert_eq!(entries[0]["data"]["request"]["users"], json!([]));
    assert_eq!(entries[0]["data"]["code"]["users"], json!([id]));
    admin
        .put(path, &json!({ "name": "team", "users": [id, "/db/User/1"] }))
        .expect(200);
    ann.post(&format!("{path}/assume"), &Value::Null)
        .expect_error(466, "PermissionDenied");
    let entries = admin.query(
        "logs.AuditLog",
        &json!({ "action": "role.written", "data.code.users": [] }),
    );
    assert_eq!(entries.len(), 1, "{entries:?}");
}

#[test]
fn s10_handlers_write_neither_names_nor_passwords_nor_deactivate() {
    let (_server, admin, anybody) = open();
    fields(&admin);
    let (ann, id) = super::user(&admin, &anybody, "ann");
    put(
        &admin,
        "User/update",
        "exports.onUpdate = (db, user) => {
            for (const [name, value] of [['username', 'root'], ['inactive', true]]) try { user[name] = value; } catch {}
            user.plan = 'x';
        }",
    );
    let any = [("if-match", "*")];
    for answer in [
        ann.request("PUT", &id, &any, b"{\"username\":\"ann\"}"),
        ann.post(&id, &json!({ "$set": { "email": "e" } })),
    ] {
        let user = answer.expect(200).json();
        assert_eq!((&user["username"], &user["plan"]), (&json!("ann"), &json!("x")));
        assert!(user["inactive"].is_null(), "{user}");
    }
    // No user comes into being by saving one, so no handler is asked.
    put(
        &admin,
        "User/insert",
        "exports.onInsert = () => { throw new Abort('asked'); }",
    );
    let status = anybody.put("/db/User/none", &json!({ "username": "x" })).status;
    assert!(matches!(status, 400 | 466), "{status}");
    let message = admin
        .put("/db/User/none", &json!({ "username": "x" }))
        .expect_error(400, "BadRequest");
    assert!(message.contains("given by the server"), "{message}");
    assert_eq!(try_put(&ann, "User/insert", "x").status, 466);
}

#[test]
fn code_that_is_asked_about_updates_of_users_sees_what_the_server_alone_writes() {
    let (_server, admin, anybody) = open();
    fields(&admin);
    let (ann, id) = super::user(&admin, &anybody, "ann");
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    put(
        &admin,
        "User/update",
        "exports.onUpdate = (db, user) => { user.plan = `${user.username} ${user.inactive}`; }",
    );
    put(&admin, "User/validate", "username.isLength('no name', { min: 3 });");
    let any = [("if-match", "*")];
    let bodies = [
        json!({ "email": "e" }),
        json!({ "email": "e", "username": null, "inactive": null }),
    ];
    for body in bodies {
        let user = admin.request("PUT", &id, &any, body.to_string().as_bytes());
        let user = user.expect(200).json();
        assert_eq!(user["plan"], "ann true", "{user}");
        assert_eq!((&user["username"], &user["inactive"]), (&json!("ann"), &json!(true)));
    }
    drop(ann);
}
