//! Code that fails: what clients are told, what authors find in the log.

use fb_testkit::{Client, root};
use serde_json::json;

use super::{logged, put, text, user};
use crate::{class, open, server};

#[test]
fn s48_what_code_throws_is_in_the_log_and_told_to_administrators_only() {
    let server = server().secure().start();
    let (admin, anybody) = (root(&server), server.client());
    let (ann, id) = user(&admin, &anybody, "ann");
    class(&admin, "Todo", &[("n", "Integer")]);
    let code = "\n\nfunction fails() {\n  throw new RangeError('secret detail');\n}\nexports.call = exports.onInsert = exports.onDelete = () => fails();";
    put(&admin, "fails/module", code);
    put(&admin, "Todo/insert", code);
    put(&admin, "Todo/delete", code);
    admin.put("/db/Todo/a", &json!({})).expect_error(500, "CodeFailed");
    admin.put("/db/Todo", &json!([{ "id": "/db/Todo/a" }])).expect(200);
    for client in [&anybody, &ann] {
        let answers = [client.get("/code/fails"), client.post("/code/fails", &json!({}))];
        for answer in answers {
            answer.expect_error(500, "CodeFailed");
            let told = text(&answer);
            assert!(
                !told.contains("secret detail") && !told.contains("RangeError") && !told.contains("module:"),
                "{told}"
            );
        }
    }
    for answer in [ann.post("/db/Todo", &json!({})), ann.delete("/db/Todo/a")] {
        answer.expect_error(500, "CodeFailed");
        assert!(!text(&answer).contains("secret detail"), "{}", text(&answer));
    }
    ann.get("/db/Todo/a").expect(200);
    for answer in [
        admin.get("/code/fails"),
        admin.post("/db/Todo", &json!({})),
        admin.delete("/db/Todo/a"),
    ] {
        let message = answer.expect_error(500, "CodeFailed");
        assert!(message.contains("RangeError: secret detail"), "{message}");
    }
    let lines = logged(&admin, "/code/fails/module");
    let line = &lines[0];
    assert_eq!(line["level"], "error");
    assert!(
        line.to_string().contains("secret detail") && line.to_string().contains("/code/fails/module:4:"),
        "{line}"
    );
    // Lines come in their order, but not all at once.
    let lines = logged(&admin, &format!("\"user\":\"{id}\""));
    assert!(lines[0].to_string().contains("/code/fails/module"), "{lines:?}");
    logged(&admin, "/code/Todo/insert:4:");
    logged(&admin, "/code/Todo/delete:4:");
    ann.post("/db/logs.AppLog/query", &json!({}))
        .expect_error(466, "PermissionDenied");
}

#[test]
fn the_open_profile_tells_everybody() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "fails/module",
        "exports.call = () => { throw new Error('told') }",
    );
    assert!(
        anybody
            .get("/code/fails")
            .expect_error(500, "CodeFailed")
            .contains("told")
    );
}

#[test]
fn whatever_is_thrown_ends_in_one_clean_answer() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let thrown = [
        "throw null",
        "throw undefined",
        "throw 'text'",
        "throw 42",
        "throw { a: 1 }",
        "throw Symbol('x')",
        "throw Object.create(null)",
        "throw new Proxy({}, { get() { throw 1 } })",
        "throw { get message() { throw 1 }, get name() { return {} }, get stack() { return 5 } }",
        "throw { toString() { for (;;); } }",
        "throw new (class extends Error { get stack() { throw 1 } })('x')",
        "throw Object.assign(new Error('x'), { status: 200 })",
        "throw Object.assign(new Error('\\u0000\\ud800<script>'), { name: '\\n' })",
        "return Promise.reject()",
        "return Promise.reject(null)",
        "return { then() { throw new Error('thenable') } }",
        "return { then: (yes, no) => no('no') }",
        "null.x",
        "x",
        "eval('(')",
        "return (function f() { f() })()",
    ];
    for code in thrown {
        for (path, code) in [
            ("fails/module", format!("exports.call = () => {{ {code} }}")),
            (
                "fails/module",
                format!("exports.get = exports.post = () => {{ {code} }}"),
            ),
            (
                "fails/module",
                format!("exports.get = exports.post = async () => {{ await 1; {code} }}"),
            ),
            ("Todo/insert", format!("exports.onInsert = async () => {{ {code} }}")),
        ] {
            put(&admin, path, &code);
            let answer = match path {
                "Todo/insert" => anybody.post("/db/Todo", &json!({})),
                _ => anybody.get("/code/fails"),
            };
            assert_eq!(answer.status, 500, "{code}: {}", text(&answer));
            answer.expect_error(500, "CodeFailed");
        }
    }
    put(&admin, "fails/module", "exports.call = () => 'works'");
    assert_eq!(text(&anybody.get("/code/fails").expect(200)), "works");
}

#[test]
fn s36_markup_in_errors_is_json() {
    let (_server, admin, anybody) = open();
    for code in [
        "throw new Abort('<script>alert(1)</script>')",
        "throw new Error('<script>alert(1)</script>')",
    ] {
        put(&admin, "fails/module", &format!("exports.call = () => {{ {code} }}"));
        let answer = anybody.request("GET", "/code/fails", &[("accept", "text/html")], b"");
        assert!(answer.status >= 475);
        assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
        assert!(answer.json()["message"].as_str().unwrap().contains("<script>"));
    }
}

#[test]
fn code_that_does_not_load_says_so_whenever_it_is_called() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for code in [
        "exports.call = (",
        "throw new Error('loading')",
        "require('./missing')",
        "require('fs')",
        "await 1; import x from 'y'",
    ] {
        put(&admin, "broken/module", code);
        put(&admin, "uses/module", "exports.call = () => require('./broken')");
        put(&admin, "Todo/update", code);
        for _ in 0..2 {
            anybody.get("/code/broken").expect_error(500, "CodeFailed");
            anybody.get("/code/uses").expect_error(500, "CodeFailed");
        }
    }
    anybody.put("/db/Todo/a", &json!({})).expect(200);
    anybody.put("/db/Todo/a", &json!({})).expect_error(500, "CodeFailed");
    // Of the exports that a method needs there are none.
    put(
        &admin,
        "only/module",
        "exports.post = (db, req, res) => res.send('x'); exports.get = 5;",
    );
    anybody.get("/code/only").expect_error(404, "CodeNotFound");
    assert_eq!(text(&anybody.post("/code/only", &json!({})).expect(200)), "x");
    for method in ["PUT", "DELETE", "PATCH"] {
        anybody
            .request(method, "/code/only", &[], b"")
            .expect_error(405, "MethodNotAllowed");
    }
}

#[test]
fn a_body_that_is_no_json_is_the_clients_mistake() {
    let (_server, admin, anybody) = open();
    for code in [
        "exports.call = (db, data) => ({ data })",
        "exports.post = (db, req, res) => res.json({ data: req.body })",
    ] {
        put(&admin, "echo/module", code);
        let send = |kind: &str, body: &[u8]| anybody.request("POST", "/code/echo", &[("content-type", kind)], body);
        let deep = ["[".repeat(5000), "]".repeat(5000)].concat();
        for bad in ["{", "{\"a\":}", "nothing", "[1,]", "\u{1}", "{} {}", &deep] {
            for kind in [
                "application/json",
                "Application/JSON; charset=utf-8",
                "application/problem+json",
            ] {
                send(kind, bad.as_bytes()).expect_error(400, "MalformedJson");
            }
        }
        send("application/json", b"\"\xff\"").expect_error(400, "MalformedJson");
        for good in ["null", "0", "\"x\"", "[]", "{\"a\":{\"b\":[1.5e300,-0]}}", "  {} \n"] {
            let answer = send("application/json", good.as_bytes()).expect(200);
            let sent: serde_json::Value = serde_json::from_str(good).unwrap();
            assert_eq!(answer.json()["data"].as_f64(), sent.as_f64(), "{good}");
        }
        assert_eq!(send("text/plain", b"{").expect(200).json()["data"], "{");
    }
    let lines = admin.query("logs.AppLog", &json!({}));
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn what_code_logs_is_in_the_log() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "talks/module",
        "exports.call = (db) => { console.log('one', { a: 1 }); console.error('two'); db.log.warn('three'); return db.log('four %s', 'x'); }",
    );
    let _: &Client = &anybody;
    anybody.get("/code/talks");
    for part in ["one", "two", "three", "four x"] {
        logged(&admin, part);
    }
}
