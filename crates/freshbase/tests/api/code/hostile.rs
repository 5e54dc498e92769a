//! What else could go wrong, and does not.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{put, text};
use crate::{class, open};

#[test]
fn handlers_that_answer_with_something_else_than_an_object_store_nothing() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("o", "JsonObject")]);
    for code in [
        "todo.toJSON = () => null",
        "todo.toJSON = () => 5",
        "todo.toJSON = () => []",
        "todo.toJSON = () => ({ id: '/db/Todo/other', n: 'x' })",
        "todo.toJSON = () => { throw new Error('x') }",
        "Object.defineProperty(todo, '_metadata', { value: null })",
        "Object.setPrototypeOf(todo, null)",
        "const o = {}; o.o = o; todo.o = o",
        "todo.o = { toJSON() { for (;;); } }",
        "todo.o = new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 } })",
        "Object.freeze(todo)",
        "delete todo.id; delete todo.n",
        "todo.n = NaN",
        "todo.n = Infinity",
        "todo.n = 2 ** 60",
        "todo.o = { a: undefined, b: () => 1, c: Symbol('x') }",
        "todo.o = '\\ud800'",
        "todo.o = { '\\ud800': 1 }",
    ] {
        put(
            &admin,
            "Todo/insert",
            &format!("exports.onInsert = (db, todo) => {{ {code} }}"),
        );
        let answer = anybody.post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 }));
        match answer.status {
            201 => {
                let stored = anybody.get("/db/Todo/a").expect(200).json();
                assert_eq!(stored, answer.json(), "{code}");
                anybody.get("/db/Todo/other").expect(404);
                admin.delete("/db/Todo/a").expect(204);
            }
            _ => {
                answer.expect_error(500, "CodeFailed");
                anybody.get("/db/Todo/a").expect(404);
            }
        }
    }
}

#[test]
fn exports_of_every_kind_are_survived() {
    let (_server, admin, anybody) = open();
    for code in [
        "module.exports = null",
        "module.exports = undefined",
        "module.exports = 5",
        "module.exports = new Proxy({}, { get() { throw new Error('x') } })",
        "module.exports = new Proxy(() => {}, { apply() { for (;;); } })",
        "Object.defineProperty(exports, 'call', { get() { throw new Error('x') } })",
        "exports.call = class {}",
        "exports.call = 'text'",
        "exports.default = exports; exports.default.default = 1",
        "module = null",
        "exports.call = function* () { yield 1 }",
        "exports.call = (db, data, req) => req",
        "exports.call = (db) => db",
        "exports.call = () => globalThis",
        "exports.call = () => process",
        "exports.call = () => require",
        "exports.get = (db, req, res) => res.send(res)",
        "exports.get = (db, req, res) => res.json(db)",
        "exports.get = (db, req, res) => { Object.assign(res, { send: null, end: null, statusCode: 200 }); }",
        "exports.get = (db, req, res) => res.send(Symbol('x'))",
        "exports.get = (db, req, res) => { res.headers = null; res.set(null, null); res.send('x') }",
    ] {
        put(&admin, "odd/module", code);
        let answer = anybody.get("/code/odd");
        assert!(
            matches!(answer.status, 200 | 204 | 404 | 500),
            "{code}: {}",
            answer.status
        );
        if answer.status >= 400 {
            assert!(answer.json()["requestId"].is_string(), "{code}: {}", text(&answer));
        }
        assert!(!text(&answer).contains("BAT "), "{}", text(&answer));
    }
}

#[test]
fn handlers_that_touch_the_object_themselves_come_to_an_end() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    // Inserts it first, deletes it, deletes it twice.
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => new db.Todo({ id: todo.key, n: 5 }).insert()",
    );
    anybody
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 }))
        .expect_error(409, "ObjectExists");
    assert_eq!(anybody.get("/db/Todo/a").expect(200).json()["n"], 5);
    admin.delete("/code/Todo/insert").expect(204);
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => db.Todo.ref(todo.id).delete({ force: true })",
    );
    let answer = anybody.put("/db/Todo/a", &json!({ "n": 2 })).expect(200).json();
    assert_eq!(
        (&answer["n"], &answer["version"]),
        (&json!(2), &json!(1)),
        "inserted, as it was gone"
    );
    let any = [("if-match", "*")];
    anybody
        .request("PUT", "/db/Todo/a", &any, b"{\"n\":3}")
        .expect_error(412, "ObjectOutOfDate");
    anybody.put("/db/Todo/a", &json!({ "n": 2 })).expect(200);
    anybody
        .post("/db/Todo/a", &json!({ "$inc": { "n": 1 } }))
        .expect_error(404, "ObjectNotFound");
    put(
        &admin,
        "Todo/delete",
        "exports.onDelete = (db, todo) => db.Todo.ref(todo.id).delete({ force: true })",
    );
    anybody.put("/db/Todo/b", &json!({ "n": 2 })).expect(200);
    anybody.delete("/db/Todo/b").expect(204);
    anybody.get("/db/Todo/b").expect(404);
}

#[test]
fn handlers_that_come_and_go_under_load_are_run_or_not_run() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = super::limits::Done(&done);
            for n in 0..40 {
                put(
                    &admin,
                    "Todo/insert",
                    &format!("exports.onInsert = (db, todo) => {{ todo.n = {} }}", n + 100),
                );
                put(&admin, "Todo/update", "exports.onUpdate = (db, todo) => { todo.n = 7 }");
                admin.delete("/code/Todo/insert").expect(204);
                admin.delete("/code/Todo/update").expect(204);
            }
        });
        for thread in 0..3 {
            let (anybody, done) = (&anybody, &done);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    let n = anybody.post("/db/Todo", &json!({ "n": 1 })).expect(201).json()["n"]
                        .as_i64()
                        .unwrap();
                    assert!(n == 1 || (100..140).contains(&n), "{n}");
                    let path = format!("/db/Todo/{thread}");
                    anybody.put(&path, &json!({ "n": 2 })).expect(200);
                    anybody.post(&path, &json!({ "$inc": { "n": 1 } })).expect(200);
                    anybody.delete(&path).expect(204);
                }
            });
        }
    });
}

#[test]
fn a_class_that_its_handler_deletes_is_gone() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = () => new Promise((done) => setTimeout(done, 30))",
    );
    let mut statuses = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| anybody.post("/db/Todo", &json!({ "n": 1 })).status))
            .collect();
        admin.delete("/schema/Todo").expect(204);
        statuses = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    });
    assert!(
        statuses.iter().all(|status| matches!(status, 201 | 461 | 404)),
        "{statuses:?}"
    );
    anybody.get("/db/Todo/count").expect_error(461, "BucketNotFound");
    assert_eq!(admin.get("/code-content").expect(200).json(), json!([]));
}

#[test]
fn paths_that_only_look_like_modules_are_none() {
    let (_server, admin, anybody) = open();
    put(&admin, "hello/module", "exports.call = () => 'hello'");
    for path in [
        "/code/hello%2Fmodule",
        "/code/hello%00",
        "/code/%68ello%2e",
        "/code/HELLO",
        "/code/hello%20",
        "/code/..%2fhello",
        "/code/%ff",
        "/code/hello.js",
    ] {
        let status = anybody.get(path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    assert_eq!(text(&anybody.get("/code/%68ello").expect(200)), "hello");
    assert_eq!(anybody.get(&format!("/code/{}", "a".repeat(10_000))).status, 404);
    anybody
        .get(&format!("/code/hello?a={}", "x".repeat(20_000)))
        .expect_error(414, "UriTooLong");
}
