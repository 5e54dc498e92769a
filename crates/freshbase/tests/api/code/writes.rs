//! Which handler runs for what, and what happens when several write at the same time.

use serde_json::{Value, json};

use super::{put, user};
use crate::{class, open};

/// Handlers that say in `by` that they ran, and how often.
fn saying(admin: &fb_testkit::Client) {
    class(admin, "Todo", &[("n", "Integer"), ("by", "String"), ("ran", "Integer")]);
    put(
        admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.by = 'insert'; todo.ran = 1; }",
    );
    put(
        admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => { todo.by = 'update'; todo.ran = (todo.ran ?? 0) + 1; }",
    );
}

#[test]
fn saving_calls_the_handler_for_what_it_comes_to() {
    let (_server, admin, anybody) = open();
    saying(&admin);
    let by = |answer: fb_testkit::Response| answer.expect(200).json()["by"].clone();
    assert_eq!(by(anybody.put("/db/Todo/a", &json!({ "n": 1 }))), "insert");
    assert_eq!(by(anybody.put("/db/Todo/a", &json!({ "n": 1 }))), "update");
    let any = [("if-match", "*")];
    assert_eq!(by(anybody.request("PUT", "/db/Todo/a", &any, b"{}")), "update");
    assert_eq!(by(anybody.post("/db/Todo/a", &json!({}))), "update");
    assert_eq!(
        anybody
            .post("/db/Todo", &json!({ "id": "/db/Todo/b" }))
            .expect(201)
            .json()["by"],
        "insert"
    );
    // With one handler alone, the other kind of write goes its own way.
    admin.delete("/code/Todo/update").expect(204);
    assert_eq!(by(anybody.put("/db/Todo/a", &json!({ "by": "me" }))), "me");
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = (db, todo) => { todo.by = 'update'; }",
    );
    admin.delete("/code/Todo/insert").expect(204);
    assert_eq!(by(anybody.put("/db/Todo/c", &json!({ "by": "me" }))), "me");
    assert_eq!(by(anybody.put("/db/Todo/c", &json!({ "by": "me" }))), "update");
}

#[test]
fn a_condition_that_does_not_hold_runs_no_handler() {
    let (_server, admin, anybody) = open();
    saying(&admin);
    class(&admin, "Ran", &[]);
    let code =
        "exports.onUpdate = exports.onDelete = exports.onInsert = async (db, todo) => { await new db.Ran().insert(); }";
    for kind in ["insert", "update", "delete"] {
        put(&admin, &format!("Todo/{kind}"), code);
    }
    let ran = || admin.get("/db/Ran/count").expect(200).json()["count"].as_i64().unwrap();
    let old = [("if-match", "\"7\"")];
    for (method, path) in [("PUT", "/db/Todo/a"), ("POST", "/db/Todo/a"), ("DELETE", "/db/Todo/a")] {
        let answer = anybody.request(method, path, &old, if method == "DELETE" { b"" } else { b"{}" });
        answer.expect_error(412, "ObjectOutOfDate");
    }
    anybody
        .post("/db/Todo/a", &json!({ "$set": { "n": 1 } }))
        .expect_error(404, "ObjectNotFound");
    anybody.delete("/db/Todo/a").expect(204);
    assert_eq!(ran(), 0, "nothing was there");
    anybody.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    assert_eq!(ran(), 1);
    for (method, body) in [("PUT", &b"{}"[..]), ("POST", b"{}"), ("DELETE", b"")] {
        anybody
            .request(method, "/db/Todo/a", &old, body)
            .expect_error(412, "ObjectOutOfDate");
    }
    // What makes no sense does not get to the handler either.
    anybody
        .put("/db/Todo/a", &json!({ "n": "x" }))
        .expect_error(463, "InvalidTypeValue");
    anybody
        .post("/db/Todo/a", &json!({ "$set": { "nothing": 1 } }))
        .expect_error(400, "UnknownField");
    anybody
        .post("/db/Todo", &json!({ "n": [] }))
        .expect_error(463, "InvalidTypeValue");
    assert_eq!(ran(), 1);
    anybody
        .request("DELETE", "/db/Todo/a", &[("if-match", "\"1\"")], b"")
        .expect(204);
    assert_eq!(ran(), 2);
}

#[test]
fn a_version_that_changes_while_the_handler_runs_is_a_conflict() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("s", "String")]);
    anybody.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    // The handler writes the object itself, by another road.
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = async (db, todo) => { await db.Todo.partialUpdate('a').inc('n', 10).execute(); todo.s = 'handled'; }",
    );
    let first = [("if-match", "\"1\"")];
    anybody
        .request("PUT", "/db/Todo/a", &first, b"{\"n\":2}")
        .expect_error(412, "ObjectOutOfDate");
    let now = anybody.get("/db/Todo/a").expect(200).json();
    assert_eq!(
        (&now["n"], &now["s"], &now["version"]),
        (&json!(11), &Value::Null, &json!(2))
    );
    // Without a condition, the handler is asked again about what is there now, which this one never lets be.
    let before = now["version"].as_i64().unwrap();
    anybody
        .put("/db/Todo/a", &json!({ "n": 2 }))
        .expect_error(503, "Unavailable");
    let now = anybody.get("/db/Todo/a").expect(200).json();
    let asked = now["version"].as_i64().unwrap() - before;
    assert!((2..20).contains(&asked), "asked {asked} times");
    assert_eq!((&now["n"], &now["s"]), (&json!(11 + 10 * asked), &Value::Null));
    anybody
        .post("/db/Todo/a", &json!({ "$inc": { "n": 1 } }))
        .expect_error(503, "Unavailable");
}

#[test]
fn partial_updates_at_the_same_time_lose_nothing() {
    let (_server, admin, anybody) = open();
    saying(&admin);
    put(
        &admin,
        "Todo/update",
        "exports.onUpdate = async (db, todo) => {
            await new Promise((done) => setTimeout(done, 2));
            todo.ran = (todo.ran ?? 0) + 1;
            todo.by = `n is ${todo.n}`;
        }",
    );
    anybody.put("/db/Todo/a", &json!({ "n": 0 })).expect(200);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            let anybody = &anybody;
            scope.spawn(move || {
                for _ in 0..10 {
                    let after = anybody
                        .post("/db/Todo/a", &json!({ "$inc": { "n": 1 } }))
                        .expect(200)
                        .json();
                    assert_eq!(after["by"], format!("n is {}", after["n"]));
                }
            });
        }
    });
    let now = anybody.get("/db/Todo/a").expect(200).json();
    assert_eq!(
        (&now["n"], &now["ran"], &now["version"]),
        (&json!(120), &json!(121), &json!(121))
    );
}

#[test]
fn inserts_of_one_id_at_the_same_time_make_one_object() {
    let (_server, admin, anybody) = open();
    saying(&admin);
    let new = json!({ "id": "/db/Todo/a", "n": 1 });
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| anybody.post("/db/Todo", &new).status))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| matches!(status, 201 | 409)),
        "{statuses:?}"
    );
    // Saves of one id: each runs the handler for what it came to.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| anybody.put("/db/Todo/b", &json!({ "n": 1 })).expect(200));
        }
    });
    let now = anybody.get("/db/Todo/b").expect(200).json();
    assert_eq!((&now["by"], &now["version"]), (&json!("update"), &json!(6)));
}

#[test]
fn deletes_run_their_handler_for_what_is_there() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&admin, "Gone", &[("n", "Integer")]);
    put(
        &admin,
        "Todo/delete",
        "exports.onDelete = async (db, todo) => {
            let field = 'readable';
            try { todo.n; } catch { field = 'not loaded'; }
            if (field !== 'not loaded') throw new Error(field);
            if (todo.key === 'kept') throw new Abort('kept', { id: todo.id });
            const before = await db.Todo.load(todo.id);
            await new db.Gone({ id: todo.key, n: before.n }).insert();
        }",
    );
    for key in ["kept", "other"] {
        anybody.put(&format!("/db/Todo/{key}"), &json!({ "n": 4 })).expect(200);
    }
    let answer = anybody.delete("/db/Todo/kept");
    assert_eq!(answer.expect_error(475, "ScriptAborted"), "kept");
    assert_eq!(answer.json()["data"]["id"], "/db/Todo/kept");
    anybody.get("/db/Todo/kept").expect(200);
    anybody.delete("/db/Todo/other").expect(204);
    anybody.get("/db/Todo/other").expect(404);
    assert_eq!(anybody.get("/db/Gone/other").expect(200).json()["n"], 4);
    anybody.delete("/db/Todo/other").expect(204);
    assert_eq!(anybody.get("/db/Gone/count").expect(200).json()["count"], 1);
}

#[test]
fn a_schema_that_changes_while_a_handler_runs_is_respected() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("old", "String")]);
    let alter = |fields: Value| admin.put("/schema/Todo", &json!({ "fields": fields })).expect(200);
    let done = std::sync::atomic::AtomicBool::new(false);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = async (db, todo) => { await new Promise((d) => setTimeout(d, 1)); todo.n = 7; }",
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = super::limits::Done(&done);
            for n in 0..10 {
                alter(json!({ "n": { "type": "/db/Integer" }, format!("f{n}"): { "type": "/db/String" } }));
            }
        });
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let answer = anybody.post("/db/Todo", &json!({ "n": 1 }));
                assert!(matches!(answer.status, 201 | 503), "{}", super::text(&answer));
                if answer.status == 201 {
                    assert_eq!(answer.json()["n"], 7);
                }
            }
        });
    });
    for object in anybody.query("Todo", &json!({})) {
        assert_eq!(object["n"], 7, "{object}");
        assert!(object.get("old").is_none() && object.get("f9").is_some(), "{object}");
    }
}

#[test]
fn a_client_that_hangs_up_leaves_nothing_half_written() {
    let (server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&admin, "Began", &[]);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = async (db, todo) => {
            await new db.Began({ id: todo.key }).insert();
            if (todo.n < 0) await new Promise((done) => setTimeout(done, 20000));
        }",
    );
    for n in 0..5 {
        let body = format!("{{\"id\":\"/db/Todo/slow{n}\",\"n\":-1}}");
        let mut connection = fb_testkit::Connection::open(server.address()).unwrap();
        assert!(connection.send((anybody.head("POST", "/db/Todo", &[], body.len()) + &body).as_bytes()));
        fb_testkit::wait_for("the handler to begin", || {
            (anybody.get(&format!("/db/Began/slow{n}")).status == 200).then_some(())
        });
        drop(connection);
    }
    // Calls that nobody waits for any more hold no places: as many as can run at once, and one more.
    for n in 0..40 {
        anybody
            .post("/db/Todo", &json!({ "id": format!("/db/Todo/{n}"), "n": 1 }))
            .expect(201);
    }
    for n in 0..5 {
        anybody.get(&format!("/db/Todo/slow{n}")).expect(404);
    }
    let (ann, _) = user(&admin, &anybody, "ann");
    ann.post("/db/Todo", &json!({ "n": 1 })).expect(201);
}
