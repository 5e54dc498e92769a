//! Code as a resource: what is stored, listed, refused and deleted.

use serde_json::{Value, json};

use super::{put, text, try_put};
use crate::{class, open, server};

#[test]
fn code_is_answered_as_it_was_sent() {
    let (_server, admin, _) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for source in [
        "exports.call = () => 'ä\u{1F980}\r\n\t';",
        "",
        "syntax error (",
        "\u{feff}x",
        "a\u{0}b",
    ] {
        for path in [
            "hello/module",
            "code.Test_1/module",
            "Todo/insert",
            "Todo/update",
            "Todo/delete",
            "Todo/validate",
        ] {
            let answer = try_put(&admin, path, source).expect(200);
            assert_eq!(answer.header("content-type"), Some("text/plain;charset=utf-8"));
            assert_eq!(text(&answer), source);
            let read = admin
                .request("GET", &format!("/code/{path}"), &[("accept", "text/*")], b"")
                .expect(200);
            assert_eq!(
                (text(&read).as_str(), read.header("cache-control")),
                (source, Some("private, no-store"))
            );
        }
    }
    assert_eq!(
        admin.get("/code").expect(200).json(),
        json!(["/code/code.Test_1/module", "/code/hello/module"])
    );
    let all = admin.get("/code-content").expect(200).json();
    let ids: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "/code/Todo/delete",
            "/code/Todo/insert",
            "/code/Todo/update",
            "/code/Todo/validate",
            "/code/code.Test_1/module",
            "/code/hello/module"
        ]
    );
    for path in ["hello/module", "Todo/insert", "Todo/delete", "never/module"] {
        admin.delete(&format!("/code/{path}")).expect(204);
        admin.delete(&format!("/code/{path}")).expect(204);
        admin.get(&format!("/code/{path}")).expect_error(404, "CodeNotFound");
    }
}

#[test]
fn s13_names_and_types_that_make_no_sense_are_refused() {
    let (_server, admin, _) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for (path, status) in [
        ("Nothing/insert", 461),
        ("nothing/validate", 461),
        ("__proto__/update", 461),
        ("%00/insert", 461),
        ("Todo/Insert", 400),
        ("Todo/onInsert", 400),
        ("Todo/__proto__", 400),
        ("Todo/constructor", 400),
        ("Todo/%00", 400),
        ("Todo/%ff", 400),
        ("a..b/module", 400),
        (".a/module", 400),
        ("a./module", 400),
        ("a%20b/module", 400),
        ("..%2fx/module", 400),
        ("..%2f..%2fTodo%2finsert/module", 400),
        ("%2e%2e/module", 400),
        ("%00/module", 400),
        ("a%00/module", 400),
        ("%ff/module", 400),
        ("%C3%A4/module", 400),
        ("%3Cscript%3E/module", 400),
        ("a%0D%0Ax/module", 400),
    ] {
        let answer = try_put(&admin, path, "1");
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
        assert!(answer.json()["className"].is_string());
    }
    for length in [129, 5000] {
        try_put(&admin, &format!("{}/module", "a".repeat(length)), "1").expect_error(400, "BadRequest");
    }
    assert_eq!(admin.get("/code-content").expect(200).json(), json!([]));
    // Names that mean something to JavaScript are names like others.
    for name in ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"] {
        admin.get(&format!("/code/{name}")).expect_error(404, "CodeNotFound");
        admin
            .get(&format!("/code/{name}/module"))
            .expect_error(404, "CodeNotFound");
        put(
            &admin,
            &format!("{name}/module"),
            "exports.call = () => 'I am one'; exports.name = 'x'",
        );
        assert_eq!(text(&admin.get(&format!("/code/{name}")).expect(200)), "I am one");
    }
    put(
        &admin,
        "reads/module",
        "exports.call = () => require('./__proto__').name + typeof require('./constructor').call",
    );
    assert_eq!(text(&admin.get("/code/reads").expect(200)), "xfunction");
}

#[test]
fn too_large_code_and_text_that_is_none_are_refused() {
    let (_server, admin, _) = open();
    put(&admin, "big/module", &" ".repeat(4 << 20));
    try_put(&admin, "big/module", &" ".repeat((4 << 20) + 1)).expect_error(413, "TooLarge");
    let answer = admin.request("PUT", "/code/latin/module", &[], b"// \xe4\xff");
    answer.expect_error(400, "BadRequest");
    // Eight of them are all that an app may have; one of them can be replaced all the same.
    for n in 0..7 {
        put(&admin, &format!("big{n}/module"), &" ".repeat(4 << 20));
    }
    try_put(&admin, "one.more/module", "1").expect_error(413, "TooLarge");
    let other = format!("{}x", " ".repeat((4 << 20) - 1));
    put(&admin, "big/module", &other);
    admin.delete("/code/big0/module").expect(204);
    put(&admin, "one.more/module", "1");
}

#[test]
fn code_that_is_acknowledged_is_there_after_a_crash_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut running = builder.start();
    let admin = fb_testkit::root(&running);
    class(&admin, "Todo", &[("n", "Integer")]);
    put(&admin, "hello/module", "exports.call = () => 'old'");
    put(&admin, "gone/module", "exports.call = () => 'gone'");
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.n = 7; }",
    );
    put(&admin, "hello/module", "exports.call = () => 'new'");
    admin.delete("/code/gone/module").expect(204);
    running.kill();
    let running = builder.start();
    let admin = fb_testkit::root(&running);
    assert_eq!(text(&admin.get("/code/hello").expect(200)), "new");
    admin.get("/code/gone").expect_error(404, "CodeNotFound");
    assert_eq!(admin.post("/db/Todo", &json!({ "n": 1 })).expect(201).json()["n"], 7);
}

#[test]
fn a_change_counts_from_the_next_request_on() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for n in 0..20 {
        put(&admin, "part/module", &format!("exports.n = {n};"));
        put(&admin, "hello/module", "exports.call = () => require('./part').n");
        put(
            &admin,
            "Todo/insert",
            &format!("exports.onInsert = (db, todo) => {{ todo.n = {n}; }}"),
        );
        assert_eq!(anybody.get("/code/hello").expect(200).json(), n);
        assert_eq!(anybody.post("/db/Todo", &json!({})).expect(201).json()["n"], n);
    }
    admin.delete("/code/Todo/insert").expect(204);
    assert_eq!(
        anybody.post("/db/Todo", &json!({ "n": 99 })).expect(201).json()["n"],
        99
    );
    admin.delete("/code/part/module").expect(204);
    anybody.get("/code/hello").expect_error(500, "CodeFailed");
    admin.delete("/code/hello/module").expect(204);
    anybody.get("/code/hello").expect_error(404, "CodeNotFound");
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let (_server, admin, _) = open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let admin = &admin;
            scope.spawn(move || {
                for n in 0..10 {
                    put(
                        admin,
                        &format!("m{thread}.n{n}/module"),
                        &format!("exports.call = () => {n}"),
                    );
                    put(admin, "shared/module", &format!("exports.call = () => '{thread}.{n}'"));
                    if n % 2 == 1 {
                        admin.delete(&format!("/code/m{thread}.n{n}/module")).expect(204);
                    }
                }
            });
        }
    });
    let listed = admin.get("/code").expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 4 * 5 + 1, "{listed}");
    let shared = text(&admin.get("/code/shared/module").expect(200));
    let runs = text(&admin.get("/code/shared").expect(200));
    assert!(shared.contains(&format!("'{runs}'")), "{shared} {runs}");
    for thread in 0..4 {
        assert_eq!(admin.get(&format!("/code/m{thread}.n4")).expect(200).json(), 4);
    }
}

#[test]
fn a_class_takes_its_code_along() {
    let (_server, admin, anybody) = open();
    for name in ["Todo", "Other"] {
        class(&admin, name, &[("n", "Integer")]);
        put(
            &admin,
            &format!("{name}/insert"),
            "exports.onInsert = (db, todo) => { todo.n = 7; }",
        );
        put(&admin, &format!("{name}/validate"), "n.isInt();");
    }
    put(&admin, "Todo/module", "exports.call = () => 1");
    admin.delete("/schema/Todo").expect(204);
    for kind in ["insert", "validate"] {
        admin
            .get(&format!("/code/Todo/{kind}"))
            .expect_error(404, "CodeNotFound");
        admin.get(&format!("/code/Other/{kind}")).expect(200);
    }
    admin.get("/code/Todo/module").expect(200);
    class(&admin, "Todo", &[("n", "Integer")]);
    let created = anybody.post("/db/Todo", &json!({ "n": 1 })).expect(201).json();
    assert_eq!(created["n"], 1, "a class of the same name begins without code");
    // The same when the whole schema is replaced.
    let schema = admin.get("/schema").expect(200).json();
    let rest: Vec<&Value> = schema
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["class"] != "/db/Other")
        .collect();
    admin.put("/schema", &json!(rest)).expect(200);
    admin.get("/code/Other/insert").expect_error(404, "CodeNotFound");
}

#[test]
fn a_class_that_goes_while_its_code_is_written_leaves_none_behind() {
    let (_server, admin, _) = open();
    for _ in 0..15 {
        class(&admin, "Todo", &[("n", "Integer")]);
        std::thread::scope(|scope| {
            let admin = &admin;
            scope.spawn(move || {
                for n in 0..4 {
                    let status = try_put(admin, "Todo/insert", &format!("// {n}")).status;
                    assert!(matches!(status, 200 | 461), "{status}");
                }
            });
            scope.spawn(move || admin.delete("/schema/Todo").expect(204));
        });
        assert_eq!(admin.get("/code-content").expect(200).json(), json!([]));
    }
}
