//! Values on their way through handlers.

use serde_json::json;

use super::{logged, put};
use crate::{class, open};

#[test]
fn numbers_that_a_handler_leaves_alone_stay_though_javascript_cannot_hold_them() {
    let (_server, admin, anybody) = open();
    let fields = [
        ("n", "Integer"),
        ("big", "Integer"),
        ("all", "collection.List[/db/Integer]"),
    ];
    class(&admin, "Todo", &fields);
    let big = 9_007_199_254_740_993_i64;
    let code = "exports.onInsert = exports.onUpdate = (db, todo) => { todo.n += 1; }";
    put(&admin, "Todo/insert", code);
    put(&admin, "Todo/update", code);
    let object = json!({ "id": "/db/Todo/a", "n": 1, "big": big, "all": [1, big] });
    for answer in [
        anybody.post("/db/Todo", &object),
        anybody.put("/db/Todo/a", &object),
        anybody.post("/db/Todo/a", &json!({ "$inc": { "n": 0 } })),
    ] {
        let object = answer.json();
        assert_eq!(
            (&object["big"], &object["all"]),
            (&json!(big), &json!([1, big])),
            "{object}"
        );
        assert!(object["n"].as_i64() > Some(1), "{object}");
    }
}

#[test]
fn a_handler_that_sets_an_integer_to_a_fraction_is_told_where() {
    let (_server, admin, anybody) = open();
    let fields = [
        ("n", "Integer"),
        ("d", "Double"),
        ("all", "collection.List[/db/Integer]"),
        ("o", "JsonObject"),
    ];
    class(&admin, "Todo", &fields);
    let attempt = |code: &str| {
        let code = format!("exports.onInsert = (db, todo) => {{ {code} }}");
        put(&admin, "Todo/insert", &code);
        admin.post("/db/Todo", &json!({ "n": 4 }))
    };
    for (code, about) in [
        ("todo.n = 1.5;", "n: an integer is expected, found 1.5"),
        ("todo.all = [1, 2, 2.25];", "all.2: an integer is expected, found 2.25"),
    ] {
        let message = attempt(code).expect_error(500, "CodeFailed");
        assert!(message.contains(about), "{message}");
        assert!(!logged(&admin, about).is_empty());
    }
    for code in [
        "todo.n = 1e3; todo.d = 1.5; todo.o = { x: 1.5 };",
        "todo.n = 2.0; todo.d = 3;",
        "todo.n = '7';",
    ] {
        attempt(code).expect(201);
    }
    // What clients send is cut off, as it always was.
    admin.delete("/code/Todo/insert").expect(204);
    let object = anybody.post("/db/Todo", &json!({ "n": 1.5 })).expect(201).json();
    assert_eq!(object["n"], 1);
}
