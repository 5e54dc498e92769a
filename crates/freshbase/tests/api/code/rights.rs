//! Whose rights code has, and what callers gain by it: nothing but what it does for them.

use fb_testkit::{Client, root};
use serde_json::{Value, json};

use super::{put, text, user};
use crate::{class, open, server};

const NODE: &str = "/db/Role/2";

fn class_with(admin: &Client, name: &str, fields: Value, acl: Value) {
    admin
        .put(&format!("/schema/{name}"), &json!({ "fields": fields, "acl": acl }))
        .expect(200);
}

#[test]
fn s04_code_may_what_its_caller_may_and_what_node_may() {
    let server = server().secure().start();
    let (admin, anybody) = (root(&server), server.client());
    let (ann, ann_id) = user(&admin, &anybody, "ann");
    let (bob, bob_id) = user(&admin, &anybody, "bob");
    let n = json!({ "n": { "type": "/db/Integer" } });
    let to = |id: &str| {
        let rules = json!({ id: "allow" });
        json!({ "load": rules, "query": rules, "insert": rules, "update": rules, "delete": rules })
    };
    class_with(&admin, "OfNode", n.clone(), to(NODE));
    class_with(&admin, "OfAnn", n.clone(), to(&ann_id));
    class_with(&admin, "OfAdmin", n.clone(), to("/db/Role/1"));
    class_with(
        &admin,
        "NotOfNode",
        n.clone(),
        json!({ "load": { "*": "allow", NODE: "deny" } }),
    );
    class_with(&admin, "Open", n, to("*"));
    for name in ["OfNode", "OfAnn", "OfAdmin", "NotOfNode"] {
        admin.put(&format!("/db/{name}/a"), &json!({ "n": 1 })).expect(200);
    }
    for (key, id) in [
        ("ann", ann_id.as_str()),
        ("bob", &bob_id),
        ("node", NODE),
        ("admin", "/db/Role/1"),
    ] {
        let acl = json!({ "read": { id: "allow" }, "write": { id: "allow" } });
        admin
            .put(&format!("/db/Open/{key}"), &json!({ "n": 1, "acl": acl }))
            .expect(200);
    }
    put(
        &admin,
        "sees/module",
        "exports.call = async (db) => {
            const seen = [];
            for (const name of ['OfNode', 'OfAnn', 'OfAdmin', 'NotOfNode'])
                try { seen.push(await db[name].load('a') && name); } catch (e) { if (e.status !== 466) throw e; }
            const open = await db.Open.find().ascending('id').resultList();
            const written = [];
            for (const key of ['ann', 'bob', 'node', 'admin'])
                try { await db.Open.partialUpdate(key).inc('n', 1).execute(); written.push(key); } catch (e) { if (e.status !== 466) throw e; }
            return { seen, open: open.map((o) => o.key), written, me: db.User.me && db.User.me.id };
        }",
    );
    let sees = |client: &Client| client.get("/code/sees").expect(200).json();
    let expected =
        |seen: Value, objects: Value, me: Value| json!({ "seen": seen, "open": objects, "written": objects, "me": me });
    assert_eq!(
        sees(&anybody),
        expected(json!(["OfNode"]), json!(["node"]), Value::Null)
    );
    let mut of_ann = expected(json!(["OfNode", "OfAnn"]), json!(["ann", "node"]), json!(ann_id));
    assert_eq!(sees(&ann), of_ann);
    of_ann = expected(json!(["OfNode"]), json!(["bob", "node"]), json!(bob_id));
    assert_eq!(sees(&bob), of_ann);
    let all = sees(&admin);
    assert_eq!(all["open"], json!(["admin", "ann", "bob", "node"]));
    assert_eq!(all["seen"].as_array().unwrap().len(), 4);
    // The role is code's alone.
    for client in [&anybody, &ann, &bob] {
        client.get("/db/OfNode/a").expect_error(466, "PermissionDenied");
        client.get("/db/Open/node").expect(404);
    }
    // A token in the request is not good for code, nor is one that is none.
    anybody
        .clone()
        .with_token("00")
        .get("/code/sees")
        .expect_error(460, "BadCredentials");
}

#[test]
fn code_cannot_do_what_administrators_do() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "tries/module",
        "exports.call = async (db) => {
            const tries = {
                code: () => db.code.saveCode('tries', 'module', 'exports.call = () => 1'),
                list: () => db.code.loadModules(),
                read: () => db.code.loadCode('tries', 'module'),
                schema: () => { const t = db.metamodel.entity('Todo'); return t.loadPermission ? db.metamodel.save(t) : null; },
                audit: () => db['logs.AuditLog'].find().resultList(),
                role: () => db.Role.fromJSON({ id: '/db/Role/1', name: 'admin', users: [] }).save({ force: true }),
                index: () => db.metamodel.getIndexes('Todo'),
            };
            const done = [];
            for (const [name, attempt] of Object.entries(tries))
                try { await attempt(); done.push(name); } catch (e) { if (e.status !== 466) done.push(`${name}: ${e.status} ${e.message}`); }
            return done;
        }",
    );
    let (ann, _) = user(&admin, &anybody, "ann");
    for client in [&anybody, &ann] {
        assert_eq!(client.get("/code/tries").expect(200).json(), json!([]));
    }
}

#[test]
fn handlers_set_fields_that_their_callers_may_not_and_show_them_no_more() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    let only = json!({ "/db/Role/1": "allow" });
    class_with(
        &admin,
        "Todo",
        json!({
            "n": { "type": "/db/Integer" },
            "sealed": { "type": "/db/String", "acl": { "write": only } },
            "hidden": { "type": "/db/String", "acl": { "read": only, "write": only } },
            "seen": { "type": "/db/String" },
        }),
        json!({}),
    );
    let code = "exports.onInsert = exports.onUpdate = (db, todo) => {
        todo.seen = todo.sealed;
        todo.sealed = `sealed ${todo.n}`;
        todo.hidden = `hidden ${todo.n}`;
    }";
    put(&admin, "Todo/insert", code);
    put(&admin, "Todo/update", code);
    let hidden = |n: i64| {
        let object = admin.get("/db/Todo/a").expect(200).json();
        assert_eq!(
            (&object["sealed"], &object["hidden"]),
            (&json!(format!("sealed {n}")), &json!(format!("hidden {n}")))
        );
    };
    let check = |answer: fb_testkit::Response, n: i64| {
        let object = answer.json();
        assert_eq!(object["sealed"], format!("sealed {n}"), "{object}");
        assert!(!text(&answer).contains("hidden "), "{object}");
        hidden(n);
        object
    };
    check(
        ann.post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 })).expect(201),
        1,
    );
    check(ann.put("/db/Todo/a", &json!({ "n": 2 })).expect(200), 2);
    check(
        ann.put("/db/Todo/a", &json!({ "n": 3, "sealed": "sealed 2" }))
            .expect(200),
        3,
    );
    check(ann.get("/db/Todo/a").expect(200), 3);
    // What fields refuse is refused before any handler.
    for (method, path, body) in [
        ("POST", "/db/Todo", json!({ "n": 4, "sealed": "mine" })),
        ("POST", "/db/Todo", json!({ "n": 4, "hidden": "mine" })),
        ("PUT", "/db/Todo/a", json!({ "n": 4, "sealed": "mine" })),
        ("PUT", "/db/Todo/a", json!({ "n": 4, "hidden": "mine" })),
        ("POST", "/db/Todo/a", json!({ "$set": { "sealed": "mine" } })),
        ("POST", "/db/Todo/a", json!({ "$set": { "hidden": "mine" } })),
    ] {
        ann.request(method, path, &[], body.to_string().as_bytes())
            .expect_error(466, "PermissionDenied");
    }
    hidden(3);
}

#[test]
fn who_may_not_write_an_object_gets_nothing_done_by_its_handlers() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&admin, "Ran", &[]);
    let code = "exports.onUpdate = async (db, todo) => { todo.acl = new db.Acl(); await new db.Ran().insert(); }";
    put(&admin, "Todo/update", code);
    put(
        &admin,
        "Todo/delete",
        "exports.onDelete = (db) => new db.Ran().insert()",
    );
    let acl = json!({ "read": { "/db/Role/1": "allow" }, "write": { "/db/Role/1": "allow" } });
    admin.put("/db/Todo/a", &json!({ "n": 1, "acl": acl })).expect(200);
    let ran = || admin.get("/db/Ran/count").expect(200).json()["count"].as_i64().unwrap();
    ann.post("/db/Todo/a", &json!({ "$set": { "n": 2 } }))
        .expect_error(466, "PermissionDenied");
    assert_eq!(ran(), 0, "a handler would be shown an object that is not its caller's");
    ann.put("/db/Todo/a", &json!({ "n": 2 }))
        .expect_error(466, "PermissionDenied");
    ann.delete("/db/Todo/a").expect_error(466, "PermissionDenied");
    assert_eq!(ran(), 0);
    let object = admin.get("/db/Todo/a").expect(200).json();
    assert_eq!(
        (&object["n"], &object["version"], &object["acl"]),
        (&json!(1), &json!(1), &acl)
    );
    // Without the class's permission nothing runs.
    let closed = json!({ "insert": { "/db/Role/1": "allow" }, "update": { "/db/Role/1": "allow" }, "delete": { "/db/Role/1": "allow" } });
    class_with(&admin, "Todo", json!({ "n": { "type": "/db/Integer" } }), closed);
    ann.put("/db/Todo/a", &json!({ "n": 2 }))
        .expect_error(466, "PermissionDenied");
    ann.post("/db/Todo/a", &json!({})).expect_error(466, "PermissionDenied");
    ann.delete("/db/Todo/a").expect_error(466, "PermissionDenied");
    assert_eq!(ran(), 0);
}

#[test]
fn s11_server_set_fields_are_not_the_callers_with_handlers_either() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let code = "exports.onInsert = exports.onUpdate = (db, todo) => { todo.n = 1; }";
    put(&admin, "Todo/insert", code);
    put(&admin, "Todo/update", code);
    let body = json!({ "id": "/db/Todo/a", "version": 77, "createdAt": "2001-01-01T00:00:00.000Z", "updatedAt": "2001-01-01T00:00:00.000Z", "n": 5 });
    for object in [
        anybody.post("/db/Todo", &body).expect(201).json(),
        anybody.put("/db/Todo/a", &body).expect(200).json(),
    ] {
        assert!(object["version"].as_i64().unwrap() < 3, "{object}");
        for name in ["createdAt", "updatedAt"] {
            assert!(!object[name].as_str().unwrap().starts_with("2001"), "{object}");
        }
    }
}

/// A class with a field that only administrators write, one that they alone see, and an object of it.
fn with_rules(admin: &Client) {
    let only = json!({ "/db/Role/1": "allow" });
    class_with(
        admin,
        "Todo",
        json!({
            "n": { "type": "/db/Integer" },
            "sealed": { "type": "/db/String", "acl": { "write": only } },
            "hidden": { "type": "/db/String", "acl": { "read": only, "write": only } },
            "seen": { "type": "/db/JsonObject" },
        }),
        json!({}),
    );
    let object = json!({ "n": 1, "sealed": "by us", "hidden": "ours" });
    admin.put("/db/Todo/a", &object).expect(200);
}

#[test]
fn a_handler_of_an_update_gets_the_object_that_would_be_stored_whatever_its_caller_sees_of_it() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    with_rules(&admin);
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => {
            todo.seen = { n: todo.n, sealed: todo.sealed, hidden: todo.hidden };
            todo.sealed ??= 'default';
            todo.hidden ??= 'default';
        }",
    );
    let any = [("if-match", "*")];
    let mut n = 1;
    let bodies = [
        json!({}),
        json!({ "hidden": null }),
        json!({ "sealed": "by us" }),
        json!({ "hidden": null, "sealed": "by us", "seen": null }),
    ];
    for body in bodies {
        for headers in [&[][..], &any] {
            n += 1;
            let mut body = body.clone();
            body["n"] = json!(n);
            let answer = ann.request("PUT", "/db/Todo/a", headers, body.to_string().as_bytes());
            assert!(answer.expect(200).json().get("hidden").is_none());
            let object = admin.get("/db/Todo/a").expect(200).json();
            assert_eq!(
                object["seen"],
                json!({ "n": n, "sealed": "by us", "hidden": "ours" }),
                "{body}"
            );
            assert_eq!(
                (&object["sealed"], &object["hidden"]),
                (&json!("by us"), &json!("ours")),
                "{body}"
            );
        }
    }
    // Who may write them sends what is stored, null included.
    let object = admin
        .put("/db/Todo/a", &json!({ "n": 1, "sealed": null }))
        .expect(200)
        .json();
    assert_eq!(object["seen"], json!({ "n": 1, "sealed": null, "hidden": null }));
    assert_eq!(
        (&object["sealed"], &object["hidden"]),
        (&json!("default"), &json!("default"))
    );
}

#[test]
fn validation_of_an_update_is_of_the_object_that_would_be_stored() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    with_rules(&admin);
    let code = "sealed.is('sealed', (v) => v === 'by us'); hidden.is('hidden', (v) => v === 'ours');";
    put(&admin, "Todo/validate", code);
    ann.put("/db/Todo/a", &json!({ "n": 2 })).expect(200);
    ann.put("/db/Todo/a", &json!({ "n": 3, "hidden": null, "sealed": "by us" }))
        .expect(200);
    // The administrator's null is a value.
    let answer = admin.put("/db/Todo/a", &json!({ "n": 4, "sealed": "by us" }));
    answer.expect_error(475, "ScriptAborted");
    assert_eq!(answer.json()["data"]["hidden"]["isValid"], false);
    let object = admin.get("/db/Todo/a").expect(200).json();
    assert_eq!((&object["n"], &object["hidden"]), (&json!(3), &json!("ours")));
}

#[test]
fn what_fields_refuse_is_refused_before_code_is_asked() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    with_rules(&admin);
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => { throw new Abort('asked', todo.hidden); }",
    );
    for body in [json!({ "sealed": "mine" }), json!({ "hidden": "mine" })] {
        ann.put("/db/Todo/a", &body).expect_error(466, "PermissionDenied");
    }
    ann.put("/db/Todo/a", &json!({ "n": 2 }))
        .expect_error(475, "ScriptAborted");
}
