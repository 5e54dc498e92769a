//! What a handler decides is about what is overwritten or deleted in the end, and nothing else.

use serde_json::json;

use super::put;
use crate::{class, open};

#[test]
fn what_a_handler_decides_holds_for_what_is_overwritten() {
    let (_server, admin, anybody) = open();
    class(&admin, "Order", &[("state", "String"), ("note", "String")]);
    // While the handler decides, the order moves on by another road, once.
    put(
        &admin,
        "Order/update",
        "const steps = ['new', 'paid', 'shipped'];
        exports.onUpdate = async (db, order) => {
            const before = await db.Order.load(order.id);
            if (steps.indexOf(order.state) < steps.indexOf(before.state)) throw new Abort('no way back');
            if (before.state === 'new') await db.Order.partialUpdate(order.key).set('state', 'shipped').execute();
            order.note = `was ${before.state}`;
        }",
    );
    let paid = json!({ "state": "paid" });
    for key in ["a", "b"] {
        anybody
            .post(
                "/db/Order",
                &json!({ "id": format!("/db/Order/{key}"), "state": "new" }),
            )
            .expect(201);
    }
    let refused = anybody.put("/db/Order/a", &paid).expect_error(475, "ScriptAborted");
    assert_eq!(refused, "no way back");
    let order = anybody.get("/db/Order/a").expect(200).json();
    assert_eq!((&order["state"], &order["version"]), (&json!("shipped"), &json!(2)));
    // What is still allowed then is done, with the words of the second time.
    let order = anybody
        .put("/db/Order/b", &json!({ "state": "shipped" }))
        .expect(200)
        .json();
    assert_eq!((&order["note"], &order["version"]), (&json!("was shipped"), &json!(3)));
}

#[test]
fn an_object_that_was_deleted_and_inserted_again_is_another_one_for_handlers() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let code = "const look = async (db, todo) => {
            const before = await db.Todo.load(todo.id);
            if (before.n === 2) throw new Abort('kept');
            await before.delete({ force: true });
            await new db.Todo({ id: todo.key, n: 2 }).insert();
        };
        exports.onUpdate = exports.onDelete = look;";
    put(&admin, "Todo/update", code);
    put(&admin, "Todo/delete", code);
    for (method, body) in [("PUT", "{\"n\":3}"), ("POST", "{\"$set\":{\"n\":3}}"), ("DELETE", "")] {
        let path = format!("/db/Todo/{method}");
        anybody.post("/db/Todo", &json!({ "id": path, "n": 1 })).expect(201);
        let answer = anybody.request(method, &path, &[], body.as_bytes());
        assert_eq!(answer.expect_error(475, "ScriptAborted"), "kept", "{method}");
        let object = anybody.get(&path).expect(200).json();
        assert_eq!((&object["n"], &object["version"]), (&json!(2), &json!(1)), "{method}");
    }
}

#[test]
fn a_delete_is_of_the_object_that_its_handler_let_go() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("done", "Boolean")]);
    // It changes while the handler looks at it.
    put(
        &admin,
        "Todo/delete",
        "exports.onDelete = async (db, todo) => {
            const before = await db.Todo.load(todo.id);
            if (!before) throw new Error('asked about nothing');
            if (before.n === 2) throw new Abort('changed');
            if (before.n === 1) await db.Todo.partialUpdate(todo.key).set('n', 2).execute();
            if (before.n === 3) await before.delete({ force: true });
        }",
    );
    for (key, n) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        anybody.put(&format!("/db/Todo/{key}"), &json!({ "n": n })).expect(200);
    }
    for key in ["a", "b"] {
        let path = format!("/db/Todo/{key}");
        anybody.delete(&path).expect_error(475, "ScriptAborted");
        assert_eq!(anybody.get(&path).expect(200).json()["n"], 2);
    }
    // Gone is gone, whoever did it.
    for key in ["c", "d"] {
        anybody.delete(&format!("/db/Todo/{key}")).expect(204);
        anybody.get(&format!("/db/Todo/{key}")).expect(404);
    }
}

#[test]
fn nothing_is_deleted_that_came_after_its_handler_was_not_asked() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "Todo/delete",
        "exports.onDelete = () => { throw new Abort('kept'); }",
    );
    let done = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let n = done.load(std::sync::atomic::Ordering::SeqCst);
                    if n >= 300 {
                        break;
                    }
                    let status = anybody.delete(&format!("/db/Todo/{n}")).status;
                    assert!(matches!(status, 204 | 475 | 503), "{status}");
                }
            });
        }
        for n in 0..300 {
            let new = json!({ "id": format!("/db/Todo/{n}"), "n": n });
            let status = anybody.post("/db/Todo", &new).status;
            done.store(n + 1, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(status, 201);
        }
    });
    assert_eq!(anybody.get("/db/Todo/count").expect(200).json()["count"], 300);
}

#[test]
fn objects_from_before_a_field_was_added_are_no_others_to_handlers() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for key in ["a", "b", "c"] {
        anybody.put(&format!("/db/Todo/{key}"), &json!({ "n": 1 })).expect(200);
    }
    class(&admin, "Todo", &[("n", "Integer"), ("late", "String")]);
    let code = "exports.onUpdate = (db, todo) => { todo.late ??= 'by code'; }; exports.onDelete = () => {};";
    put(&admin, "Todo/update", code);
    put(&admin, "Todo/delete", code);
    let put = anybody.put("/db/Todo/a", &json!({ "n": 2 })).expect(200).json();
    let changed = anybody.post("/db/Todo/b", &json!({ "$inc": { "n": 1 } }));
    for object in [put, changed.expect(200).json()] {
        assert_eq!((&object["n"], &object["late"]), (&json!(2), &json!("by code")));
    }
    anybody.delete("/db/Todo/c").expect(204);
}
