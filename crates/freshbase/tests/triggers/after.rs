//! Code after changes: at least once, in order, tried again, given up, and never for ever.

use fb_testkit::class;
use fb_testkit::root;
use serde_json::json;

use crate::{deploy, object, server, state};

/// Notes each event under a key of its own, so that a second delivery would not be a second note.
const NOTES: &str = "
exports.afterInsert = exports.afterUpdate = exports.afterDelete = async (db, object, event) => {
  const note = new db.Note({ id: '/db/Note/' + event.seq, text: [event.operation, event.id, event.version, event.attempt].join(' ') });
  note.title = event.object ? event.object.title : null;
  await note.save({ force: true });
};";

#[test]
fn code_is_called_after_inserts_updates_and_deletes() {
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    class(&admin, "Note", &[("text", "String"), ("title", "String")]);
    // What was there before the code is no event.
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/old", "title": "old" }))
        .expect(201);
    for kind in ["afterInsert", "afterUpdate", "afterDelete"] {
        deploy(&admin, "Todo", kind, NOTES);
    }
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "title": "one" }))
        .expect(201);
    admin.put("/db/Todo/a", &json!({ "title": "two" })).expect(200);
    admin.delete("/db/Todo/a").expect(204);
    state(&admin, |state| state["delivered"] == 3 && state["lag"] == 0);
    let mut notes = admin.query("Note", &json!({}));
    notes.sort_by_key(|note| note["text"].as_str().unwrap().to_owned());
    let facts: Vec<_> = notes
        .iter()
        .map(|note| (note["text"].clone(), note["title"].clone()))
        .collect();
    assert_eq!(
        facts,
        [
            (json!("delete /db/Todo/a 3 1"), json!(null)),
            (json!("insert /db/Todo/a 1 1"), json!("one")),
            (json!("update /db/Todo/a 2 1"), json!("two")),
        ]
    );
}

#[test]
fn an_event_survives_a_kill_between_commit_and_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path());
    let mut running = builder.start();
    let admin = root(&running);
    class(&admin, "Todo", &[("title", "String")]);
    class(&admin, "Note", &[("text", "String")]);
    class(&admin, "Gate", &[("open", "Boolean")]);
    // Until the gate is open, the first call does not come back.
    let code = "exports.afterInsert = async (db, todo, event) => {
        while (!(await db.Gate.load('1'))) await new Promise((go) => setTimeout(go, 20));
        await new db.Note({ id: '/db/Note/' + todo.key, text: 'told ' + event.attempt }).save({ force: true });
    };";
    deploy(&admin, "Todo", "afterInsert", code);
    admin.post("/db/Todo", &json!({ "id": "/db/Todo/a" })).expect(201);
    state(&admin, |state| state["running"] == 1);
    running.kill();
    let running = builder.start();
    let admin = root(&running);
    admin
        .post("/db/Gate", &json!({ "id": "/db/Gate/1", "open": true }))
        .expect(201);
    let note = object(&admin, "/db/Note/a", |_| true);
    assert_eq!(note["text"], "told 1");
}

#[test]
fn what_fails_is_tried_again_and_holds_up_nobody_else() {
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Todo", &[("title", "String")]);
    class(&admin, "Note", &[("text", "String")]);
    let code = "exports.afterInsert = async (db, todo, event) => {
        if (todo.title === 'poison' && event.attempt < 2) throw new Error('not yet');
        await new db.Note({ id: '/db/Note/' + todo.key, text: 'told ' + event.attempt }).save();
    };";
    deploy(&admin, "Todo", "afterInsert", code);
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/bad", "title": "poison" }))
        .expect(201);
    for i in 0..20 {
        admin
            .post("/db/Todo", &json!({ "id": format!("/db/Todo/{i}"), "title": "fine" }))
            .expect(201);
    }
    for i in 0..20 {
        object(&admin, &format!("/db/Note/{i}"), |note| note["text"] == "told 1");
    }
    assert_eq!(object(&admin, "/db/Note/bad", |_| true)["text"], "told 2");
    let state = state(&admin, |state| state["pending"] == 0 && state["delivered"] == 21);
    assert_eq!((&state["failed"], &state["dead"]), (&json!(1), &json!(0)));
}

#[test]
fn a_trigger_that_writes_its_own_object_does_not_call_itself_for_ever() {
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&admin, "Other", &[("n", "Integer")]);
    // Each of the two leads to the other.
    deploy(
        &admin,
        "Todo",
        "afterUpdate",
        "exports.afterUpdate = async (db, todo) => {
        const now = await db.Todo.load(todo.id, { refresh: true });
        now.n += 1;
        await now.save({ force: true });
        await new db.Other({ id: '/db/Other/1', n: now.n }).save({ force: true });
    };",
    );
    let other = "exports.afterInsert = exports.afterUpdate = async (db, other) => {
        const todo = await db.Todo.load('a', { refresh: true });
        todo.n += 100;
        await todo.save({ force: true });
    };";
    deploy(&admin, "Other", "afterInsert", other);
    deploy(&admin, "Other", "afterUpdate", other);
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 0 }))
        .expect(201);
    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    object(&admin, "/db/Todo/a", |todo| todo["n"] == 102);
    let rest = state(&admin, |state| state["lag"] == 0 && state["running"] == 0);
    assert_eq!(rest["delivered"], 2);
    // A write of somebody else begins anew.
    admin.put("/db/Todo/a", &json!({ "n": 5 })).expect(200);
    state(&admin, |state| state["delivered"] == 4 && state["running"] == 0);
    assert_eq!(admin.get("/db/Todo/a").json()["n"], 106);
}

#[test]
fn code_is_called_after_uploads_only() {
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Note", &[("text", "String")]);
    let code = "exports.afterUpload = async (db, file, event) => {
        await new db.Note({ id: '/db/Note/' + event.seq, text: [file.id, file.mimeType, file.size].join(' ') }).save();
    };";
    deploy(&admin, "docs", "afterUpload", code);
    admin.upload("/docs/a/b.txt", "text/plain", b"hello").expect(200);
    admin.delete("/file/docs/a/b.txt").expect(204);
    admin.upload("/other/c.txt", "text/plain", b"hello").expect(200);
    admin.upload("/docs/d.txt", "text/plain", b"hi").expect(200);
    state(&admin, |state| state["delivered"] == 2);
    let mut texts: Vec<String> = admin
        .query("Note", &json!({}))
        .iter()
        .map(|n| n["text"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    assert_eq!(
        texts,
        ["/file/docs/a/b.txt text/plain 5", "/file/docs/d.txt text/plain 2"]
    );
}

#[test]
fn logs_have_no_events() {
    let server = server().start();
    let admin = root(&server);
    let put = admin.request(
        "PUT",
        "/code/logs.AppLog/afterInsert",
        &[],
        b"exports.afterInsert = () => {};",
    );
    put.expect_error(400, "BadRequest");
}
