//! What handlers get, and what becomes of what they do.

use serde_json::{Value, json};

use super::{logged, put, text, user};
use crate::{class, open};

#[test]
fn checks_come_first_then_the_handler_then_the_store() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("name", "String"), ("note", "String")]);
    put(&admin, "Todo/validate", "name.isLength('short', { min: 2 });");
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.note = `${this === undefined} handled ${todo.name}`; todo.name = ''; }",
    );
    anybody
        .post("/db/Todo", &json!({ "name": "x" }))
        .expect_error(475, "ScriptAborted");
    // What the handler makes of it is not checked again, as it is the app's own word.
    let created = anybody.post("/db/Todo", &json!({ "name": "long" })).expect(201).json();
    assert_eq!(created["name"], "");
    assert!(created["note"].as_str().unwrap().ends_with("handled long"), "{created}");
}

#[test]
fn handlers_get_the_object_in_its_normal_form_with_everything_that_belongs_to_it() {
    let (_server, admin, anybody) = open();
    let fields = json!({ "fields": {
        "date": { "type": "/db/DateTime" }, "list": { "type": "/db/collection.List[/db/String]" },
        "seen": { "type": "/db/JsonObject" }, "other": { "type": "/db/Todo" }, "s": { "type": "/db/String" } } });
    admin.post("/schema/Todo", &fields).expect(200);
    let code = "exports.onInsert = exports.onUpdate = function (db, todo, req) {
        todo.seen = { same: this === todo, type: todo._metadata.type.name, id: todo.id, version: todo.version,
            date: todo.date instanceof Date && todo.date.toISOString(), list: Array.isArray(todo.list) && todo.list.length,
            other: todo.other && todo.other.id, s: todo.s, me: db.User.me, acl: todo.acl.toJSON(),
            request: req && { method: req.method, agent: req.get('x-note'), token: req.get('authorization') } };
    };";
    put(&admin, "Todo/insert", code);
    put(&admin, "Todo/update", code);
    let object = json!({ "id": "/db/Todo/a", "date": "2024-01-02T03:04:05+01:00", "list": ["x"], "other": "/db/Todo/b",
        "acl": { "read": { "*": "allow" } } });
    let body = object.to_string();
    let created = admin
        .request("POST", "/db/Todo", &[("x-note", "mine")], body.as_bytes())
        .expect(201)
        .json();
    let mut expected = json!({ "same": true, "type": "Todo", "id": "/db/Todo/a", "version": null,
        "date": "2024-01-02T02:04:05.000Z", "list": 1, "other": "/db/Todo/b", "s": null, "me": created["seen"]["me"],
        "acl": { "read": { "*": "allow" }, "write": {} },
        "request": { "method": "POST", "agent": "mine" } });
    assert_eq!(created["seen"], expected);
    assert!(created["seen"]["me"].to_string().contains("/db/User/1"), "{created}");
    let updated = anybody
        .put("/db/Todo/a", &json!({ "s": "x", "list": null, "acl": null }))
        .expect(200)
        .json();
    expected["version"] = json!(1);
    expected["s"] = json!("x");
    for (name, value) in [
        ("date", json!(false)),
        ("list", json!(false)),
        ("other", Value::Null),
        ("me", Value::Null),
    ] {
        expected[name] = value;
    }
    expected["acl"] = json!({ "read": {}, "write": {} });
    expected["request"] = json!({ "method": "PUT" });
    assert_eq!(updated["seen"], expected);
}

#[test]
fn loading_the_object_in_its_handler_gives_what_is_stored() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("before", "JsonObject")]);
    let code = "const look = async (db, todo) => {
            const before = await db.Todo.load(todo.id);
            todo.before = { found: before !== null, other: before !== todo, n: before && before.n, now: todo.n };
        };
        exports.onInsert = exports.onUpdate = look;
        exports.onDelete = async (db, todo) => {
            const before = await db.Todo.load(todo.id);
            throw new Abort('kept', { n: before.n, other: before !== todo });
        };";
    for kind in ["insert", "update", "delete"] {
        put(&admin, &format!("Todo/{kind}"), code);
    }
    let created = anybody
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 }))
        .expect(201)
        .json();
    assert_eq!(
        created["before"],
        json!({ "found": false, "other": true, "n": null, "now": 1 })
    );
    for update in [
        anybody.put("/db/Todo/a", &json!({ "n": 2 })),
        anybody.post("/db/Todo/a", &json!({ "$inc": { "n": 1 } })),
    ] {
        let updated = update.expect(200).json();
        let n = updated["n"].as_i64().unwrap();
        assert_eq!(
            updated["before"],
            json!({ "found": true, "other": true, "n": n - 1, "now": n })
        );
    }
    let answer = anybody.delete("/db/Todo/a");
    assert_eq!(answer.expect_error(475, "ScriptAborted"), "kept");
    assert_eq!(answer.json()["data"], json!({ "n": 3, "other": true }));
    anybody.get("/db/Todo/a").expect(200);
}

#[test]
fn what_handlers_change_is_stored_and_nothing_else() {
    let (_server, admin, anybody) = open();
    class(
        &admin,
        "Todo",
        &[
            ("name", "String"),
            ("list", "collection.List[/db/String]"),
            ("o", "JsonObject"),
        ],
    );
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = async (db, todo) => {
            await new Promise((done) => setTimeout(done, 1));
            todo.list.push('by code');
            todo.acl.allowWriteAccess('/db/Role/1');
            return { name: 'returned' };
        };",
    );
    let created = anybody.post(
        "/db/Todo",
        &json!({ "id": "/db/Todo/a", "name": "mine", "list": ["a"] }),
    );
    let created = created.expect(201).json();
    assert_eq!(
        (&created["name"], &created["list"]),
        (&json!("mine"), &json!(["a", "by code"]))
    );
    assert_eq!(created["acl"]["write"], json!({ "/db/Role/1": "allow" }));
    assert_eq!(anybody.get("/db/Todo/a").expect(200).json(), created);
    anybody
        .put("/db/Todo/a", &json!({ "name": "x" }))
        .expect_error(466, "PermissionDenied");

    // What is not the handler's to change: id, version, times.
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => {
            for (const name of ['id', 'version', 'createdAt', 'updatedAt', 'unknown', '__proto__'])
                try { todo[name] = name === 'version' ? 99 : '/db/Todo/other'; } catch {}
        };",
    );
    let updated = admin.put("/db/Todo/a", &json!({ "name": "x" })).expect(200).json();
    assert_eq!((&updated["id"], &updated["version"]), (&json!("/db/Todo/a"), &json!(2)));
    assert_eq!(updated["createdAt"], created["createdAt"]);
    assert!(updated.get("unknown").is_none());
    admin.get("/db/Todo/other").expect(404);
}

#[test]
fn what_code_writes_calls_no_code() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&admin, "Copy", &[("n", "Integer")]);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = async (db, todo) => {
            await new db.Copy({ id: 'of-' + todo.key, n: todo.n }).insert();
            await new db.Todo({ id: 'second-' + todo.key, n: -1 }).insert();
        };",
    );
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = () => { throw new Abort('no'); }",
    );
    put(
        &admin,
        "Copy/insert",
        "exports.onInsert = () => { throw new Abort('never'); }",
    );
    put(&admin, "Copy/validate", "n.is('never', () => false);");
    anybody
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 5 }))
        .expect(201);
    assert_eq!(anybody.get("/db/Copy/of-a").expect(200).json()["n"], 5);
    assert_eq!(anybody.get("/db/Todo/second-a").expect(200).json()["n"], -1);
    anybody
        .post("/db/Copy", &json!({ "n": 1 }))
        .expect_error(475, "ScriptAborted");
    put(
        &admin,
        "change/module",
        "exports.call = async (db) => { const t = await db.Todo.load('a'); t.n = 6; await t.save(); return t.n; }",
    );
    assert_eq!(anybody.get("/code/change").expect(200).json(), 6);
}

#[test]
fn imports_and_removals_of_whole_classes_call_no_code() {
    let (_server, admin, _) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for (kind, name) in [("insert", "onInsert"), ("update", "onUpdate"), ("delete", "onDelete")] {
        put(
            &admin,
            &format!("Todo/{kind}"),
            &format!("exports.{name} = () => {{ throw new Abort('no'); }}"),
        );
    }
    put(&admin, "Todo/validate", "n.is('never', () => false);");
    let objects = json!([{ "id": "/db/Todo/a", "n": 1 }, { "id": "/db/Todo/b", "n": 2 }]);
    assert_eq!(admin.put("/db/Todo", &objects).expect(200).json()["count"], 2);
    admin.delete("/db/Todo").expect(200);
    assert_eq!(admin.get("/db/Todo/count").expect(200).json()["count"], 0);
}

#[test]
fn an_object_that_cannot_be_stored_is_the_handlers_mistake() {
    let (_server, admin, anybody) = open();
    class(
        &admin,
        "Todo",
        &[("n", "Integer"), ("o", "JsonObject"), ("big", "String")],
    );
    for (code, about) in [
        ("Object.defineProperty(todo, '_metadata', { value: null });", ""),
        ("todo.acl.read.rules = { nobody: 'maybe' };", ""),
        ("const o = {}; o.o = o; todo.o = o;", ""),
    ] {
        put(
            &admin,
            "Todo/insert",
            &format!("exports.onInsert = (db, todo) => {{ {code} }}"),
        );
        let answer = anybody.post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 }));
        assert_eq!(answer.status, 500, "{code}: {}", text(&answer));
        let message = answer.expect_error(500, "CodeFailed");
        assert!(message.contains(about), "{code}: {message}");
        let message = admin
            .post("/db/Todo", &json!({ "n": 1 }))
            .expect_error(500, "CodeFailed");
        assert!(message.contains(about), "{code}: {message}");
        anybody.get("/db/Todo/a").expect(404);
    }
    assert!(!logged(&admin, "/code/Todo/insert").is_empty());
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.big = 'x'.repeat(5 << 20); }",
    );
    anybody
        .post("/db/Todo", &json!({ "n": 1 }))
        .expect_error(413, "TooLarge");
    // A handler that exports nothing is a mistake as well, and not something that is not found.
    put(&admin, "Todo/insert", "exports.insert = () => {}");
    let message = anybody
        .post("/db/Todo", &json!({ "n": 1 }))
        .expect_error(500, "CodeFailed");
    assert!(message.contains("onInsert"), "{message}");
    put(&admin, "Todo/delete", "exports.insert = () => {}");
    admin.delete("/code/Todo/insert").expect(204);
    anybody.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    anybody.delete("/db/Todo/a").expect_error(500, "CodeFailed");
}

#[test]
fn an_abort_says_what_code_wants_to_say() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for (code, message, data) in [
        (
            "throw new Abort('This is not allowed.')",
            "This is not allowed.",
            Value::Null,
        ),
        (
            "throw new Abort('äö<b>\"', { a: [1, null], __proto__: { x: 1 } })",
            "äö<b>\"",
            json!({ "a": [1, null] }),
        ),
        (
            "return Promise.reject(new Abort('later', 'text'))",
            "later",
            json!("text"),
        ),
        (
            "throw new Abort('line\\r\\nset-cookie: x=1', [0])",
            "line\r\nset-cookie: x=1",
            json!([0]),
        ),
    ] {
        put(&admin, "Todo/insert", &format!("exports.onInsert = () => {{ {code} }}"));
        let answer = anybody.post("/db/Todo", &json!({ "id": "/db/Todo/a" }));
        assert_eq!(answer.expect_error(475, "ScriptAborted"), message);
        assert_eq!(
            answer.json().get("data").cloned().unwrap_or_default(),
            data,
            "{}",
            text(&answer)
        );
        assert_eq!(answer.header("set-cookie"), None);
        anybody.get("/db/Todo/a").expect(404);
    }
    let lines = admin.query("logs.AppLog", &json!({}));
    assert!(
        lines.is_empty(),
        "what code says on purpose is no error of it: {lines:?}"
    );
}

#[test]
fn code_knows_who_calls_but_not_the_callers_token() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("seen", "String")]);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo, req) => {
            const names = (o) => { const all = []; for (let x = o; x; x = Object.getPrototypeOf(x)) all.push(...Object.getOwnPropertyNames(x)); return all; };
            todo.seen = JSON.stringify([db.token, req.headers, req.url, req.rawHeaders, process.env, names(req), db.User.me && db.User.me.id]);
        };",
    );
    put(
        &admin,
        "look/module",
        "exports.call = (db, data, req) => JSON.stringify([db.token ?? null, data, req.headers, req.url, req.originalUrl, process.env]);",
    );
    let (ann, id) = user(&admin, &anybody, "ann");
    let token = ann.token().unwrap();
    let headers = [("cookie", "session=secret-cookie"), ("x-visible", "yes")];
    let seen = ann.request("POST", "/db/Todo", &headers, b"{}").expect(201).json()["seen"].to_string();
    for secret in [token, "secret-cookie"] {
        assert!(!seen.contains(secret), "{seen}");
    }
    assert!(seen.contains(&id) && seen.contains("x-visible"), "{seen}");
    for (method, body) in [("GET", ""), ("POST", "{}")] {
        let seen = text(
            &ann.request(method, "/code/look?a=1", &headers, body.as_bytes())
                .expect(200),
        );
        assert!(
            !seen.contains(token) && !seen.contains("secret-cookie") && seen.contains("x-visible"),
            "{seen}"
        );
    }
}
