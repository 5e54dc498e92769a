//! Modules: which export is called, with what, and what becomes of its result.

use fb_testkit::Response;
use serde_json::{Value, json};

use super::{put, text};
use crate::open;

#[test]
fn the_result_of_call_is_the_answer() {
    let (_server, admin, anybody) = open();
    for (code, status, kind, body) in [
        ("'text ä'", 200, Some("text/plain;charset=utf-8"), "text ä"),
        ("''", 200, Some("text/plain;charset=utf-8"), ""),
        (
            "({ a: [1, null, 'x'] })",
            200,
            Some("application/json;charset=utf-8"),
            "{\"a\":[1,null,\"x\"]}",
        ),
        ("[]", 200, Some("application/json;charset=utf-8"), "[]"),
        ("0", 200, Some("application/json;charset=utf-8"), "0"),
        ("false", 200, Some("application/json;charset=utf-8"), "false"),
        ("undefined", 204, None, ""),
        ("null", 204, None, ""),
        ("Promise.resolve(7)", 200, Some("application/json;charset=utf-8"), "7"),
        ("Buffer.from([104, 105])", 200, Some("application/octet-stream"), "hi"),
    ] {
        put(&admin, "answers/module", &format!("exports.call = () => {code}"));
        for answer in [anybody.get("/code/answers"), anybody.post("/code/answers", &json!({}))] {
            assert_eq!(
                (answer.status, answer.header("content-type"), text(&answer).as_str()),
                (status, kind, body),
                "{code}"
            );
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
    for code in [
        "() => {}",
        "Symbol('x')",
        "5n",
        "{ toJSON() { throw 1 } }",
        "(() => { const a = {}; a.a = a; return a })()",
    ] {
        put(&admin, "answers/module", &format!("exports.call = () => ({code})"));
        anybody.get("/code/answers").expect_error(500, "CodeFailed");
    }
}

#[test]
fn the_export_of_the_method_is_called_or_else_call() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "all/module",
        "exports.call = () => 'call'; exports.get = (db, req, res) => res.send('get'); exports.post = (db, req, res) => res.send('post');",
    );
    assert_eq!(text(&anybody.get("/code/all").expect(200)), "get");
    assert_eq!(text(&anybody.post("/code/all", &json!({})).expect(200)), "post");
    put(
        &admin,
        "one/module",
        "exports.get = (db, req, res) => res.send('get'); exports.call = () => 'call';",
    );
    assert_eq!(text(&anybody.post("/code/one", &json!({})).expect(200)), "call");
    put(&admin, "self/module", "module.exports = (db, data) => data.a;");
    assert_eq!(text(&anybody.get("/code/self?a=x").expect(200)), "x");
    let head = anybody.head_of("/code/all").expect(200);
    assert!(head.body.is_empty());
    put(
        &admin,
        "asks/module",
        "exports.get = (db, req, res) => { res.set('x-method', req.method); res.send('some text'); }",
    );
    let head = anybody.head_of("/code/asks").expect(200);
    assert_eq!(head.header("x-method"), Some("HEAD"));
}

#[test]
fn modules_see_their_own_path_and_the_url_that_was_sent() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "where/module",
        "exports.call = (db, data, req) => [req.url, req.originalUrl, req.path]",
    );
    let seen = anybody.get("/code/where?a=1&b=x").json();
    assert_eq!(seen, json!(["/?a=1&b=x", "/v1/code/where?a=1&b=x", "/"]));
    assert_eq!(anybody.get("/code/where").json(), json!(["/", "/v1/code/where", "/"]));
}

#[test]
fn queries_arrive_as_strings() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "echo/module",
        "exports.call = (db, data, req) => ({ data, query: req.query, keys: Object.keys(data) })",
    );
    for (query, expected) in [
        ("", json!({})),
        ("?a=1&b=x", json!({ "a": "1", "b": "x" })),
        (
            "?a=%7B%22x%22%3A1%7D&b=a+b%20c",
            json!({ "a": "{\"x\":1}", "b": "a b c" }),
        ),
        ("?a&b=&=c", json!({ "a": "", "b": "", "": "c" })),
        ("?a=1&a=2", json!({ "a": ["1", "2"] })),
        ("?a=%", json!({ "a": "%" })),
    ] {
        let found = anybody.get(&format!("/code/echo{query}")).expect(200).json();
        assert_eq!(found["data"], expected, "{query}");
    }
    let data = |query: &str| anybody.get(&format!("/code/echo?{query}")).expect(200);
    assert_eq!(data("a=%ff%fe").json()["keys"], json!(["a"]));
}

#[test]
fn s14_names_that_mean_something_to_javascript_are_plain_data() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "echo/module",
        "exports.call = (db, data, req) => {
            const probe = {};
            return { own: Object.keys(data), proto: Object.getPrototypeOf(data) === Object.prototype || Object.getPrototypeOf(data) === null,
                polluted: probe.polluted ?? probe.isAdmin ?? null, body: typeof req.body };
        }",
    );
    let pollution = r#"{"__proto__":{"polluted":1,"isAdmin":true},"constructor":{"prototype":{"polluted":1}},"prototype":1,"a":{"__proto__":{"polluted":2}}}"#;
    let json_type = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let attempts: Vec<Response> = vec![
        anybody.request("POST", "/code/echo", &json_type, pollution.as_bytes()),
        anybody.request(
            "POST",
            "/code/echo",
            &form,
            b"__proto__=1&__proto__%5Bpolluted%5D=1&constructor=2&a=b",
        ),
        anybody.get("/code/echo?__proto__=1&__proto__[polluted]=1&constructor.prototype.polluted=2&a=b"),
        anybody.request(
            "POST",
            "/code/echo?__proto__[isAdmin]=1",
            &json_type,
            pollution.as_bytes(),
        ),
    ];
    for answer in attempts {
        let found = answer.expect(200).json();
        assert_eq!(
            (&found["polluted"], &found["proto"]),
            (&Value::Null, &json!(true)),
            "{found}"
        );
        assert!(
            found["own"].as_array().unwrap().contains(&json!("__proto__")),
            "{found}"
        );
    }
    // As fields of an object that a handler gets, and within its JSON.
    crate::class(&admin, "Todo", &[("o", "JsonObject"), ("s", "String")]);
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.s = String({}.polluted ?? todo.polluted ?? todo.o.polluted ?? 'clean') + Object.keys(todo.o); }",
    );
    let body = r#"{"o":{"__proto__":{"polluted":1},"a":1},"s":"x"}"#;
    let created = anybody.request("POST", "/db/Todo", &json_type, body.as_bytes());
    if created.status == 201 {
        assert!(
            created.json()["s"].as_str().unwrap().starts_with("clean"),
            "{}",
            text(&created)
        );
    }
    let answer = anybody.request("POST", "/db/Todo", &json_type, br#"{"__proto__":{"polluted":1}}"#);
    assert!(matches!(answer.status, 201 | 400 | 500), "{}", answer.status);
    let headers = [("__proto__", "x"), ("constructor", "y"), ("x-fine", "z")];
    put(
        &admin,
        "heads/module",
        "exports.call = (db, data, req) => [req.get('x-fine'), req.get('constructor') ?? null, req.get('toString') ?? null, {}.x ?? null]",
    );
    let found = anybody.request("GET", "/code/heads", &headers, b"").expect(200).json();
    assert_eq!(found, json!(["z", "y", null, null]));
}

#[test]
fn bodies_are_decoded_by_their_type() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "echo/module",
        "exports.call = (db, data) => ({ kind: Buffer.isBuffer(data) ? 'buffer' : data instanceof Uint8Array ? 'bytes' : typeof data, data: data instanceof Uint8Array ? [...data] : data })",
    );
    let send = |kind: &str, body: &[u8]| {
        anybody
            .request("POST", "/code/echo", &[("content-type", kind)], body)
            .expect(200)
            .json()
    };
    assert_eq!(
        send("application/json", b"[1]"),
        json!({ "kind": "object", "data": [1] })
    );
    assert_eq!(
        send("text/plain", "ä".as_bytes()),
        json!({ "kind": "string", "data": "ä" })
    );
    assert_eq!(
        send("application/x-www-form-urlencoded", b"a=1&b=c+d"),
        json!({ "kind": "object", "data": { "a": "1", "b": "c d" } })
    );
    assert_eq!(send("image/png", b"\x89\x00\xff")["data"], json!([0x89, 0, 0xff]));
    let empty = anybody.request("POST", "/code/echo", &[], b"").expect(200).json();
    assert_eq!(empty["kind"], "undefined");
    put(
        &admin,
        "stream/module",
        "exports.post = (db, req, res) => {
            const parts = [];
            req.on('data', (part) => parts.push(part));
            req.on('end', () => { res.type('application/pdf'); res.send(Buffer.concat(parts)); });
        }",
    );
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let answer = anybody
        .request("POST", "/code/stream", &[("content-type", "application/pdf")], &bytes)
        .expect(200);
    assert!(answer.body == bytes, "the bytes come back as they were sent");
    assert!(answer.header("content-type").unwrap().starts_with("application/pdf"));
}

#[test]
fn modules_call_each_other_with_the_callers_rights_and_not_for_ever() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "inner/module",
        "exports.call = (db, data) => ({ got: data, me: db.User.me && db.User.me.id })",
    );
    put(
        &admin,
        "outer/module",
        "exports.call = (db, data) => db.modules.post('inner', { n: 1, by: data.by })",
    );
    let (ann, id) = super::user(&admin, &anybody, "ann");
    assert_eq!(
        ann.get("/code/outer?by=x").expect(200).json(),
        json!({ "got": { "n": 1, "by": "x" }, "me": id })
    );
    assert_eq!(anybody.get("/code/outer").expect(200).json()["me"], Value::Null);
    // An abort inside is one outside, if nobody catches it.
    put(
        &admin,
        "inner/module",
        "exports.call = () => { throw new Abort('inside', { a: 1 }) }",
    );
    put(
        &admin,
        "catches/module",
        "exports.call = (db) => db.modules.get('inner').catch((e) => ({ status: e.status, message: e.message, data: e.data }))",
    );
    let caught = anybody.get("/code/catches").expect(200).json();
    assert_eq!(
        caught,
        json!({ "status": 475, "message": "inside", "data": { "a": 1 } })
    );
    put(
        &admin,
        "again/module",
        "exports.call = async (db, data) => { try { return 1 + await db.modules.get('again'); } catch (e) { return e.message.includes('call each other') ? 1 : e.message; } }",
    );
    assert_eq!(anybody.get("/code/again").expect(200).json(), 4);
    put(&admin, "loops/module", "exports.call = (db) => db.modules.get('loops')");
    anybody.get("/code/loops").expect_error(500, "CodeFailed");
}
