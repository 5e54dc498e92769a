//! Code that takes more than it may: it ends in a clean error, and nobody else notices.

use std::sync::atomic::{AtomicBool, Ordering};

use fb_testkit::{Client, Server, root};
use serde_json::{Value, json};

use super::{put, text};
use crate::{class, open, server};

/// A second app with the same administrator.
pub(super) fn second_app(server: &Server, name: &str) -> Client {
    let login = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
    let node = Client::new(server.address(), "/admin/v1");
    let token = node.post("/login", &login).expect(200).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let bearer = format!("Bearer {token}");
    let body = json!({ "name": name, "compat": "baqend", "admin": login }).to_string();
    node.request("POST", "/apps", &[("authorization", &bearer)], body.as_bytes())
        .expect(201);
    server.app(name).login("root", fb_testkit::ROOT_PASSWORD)
}

/// Requests of another app while `work` is under way: all of them succeed.
fn beside(neighbour: &Client, work: impl FnOnce() + Send) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Also if it fails, or this would go on for ever.
            let _done = Done(&done);
            work();
        });
        let mut n = 0;
        while !done.load(Ordering::SeqCst) || n < 3 {
            n += 1;
            assert_eq!(neighbour.get("/code/fine").expect(200).json(), 3);
            let object = neighbour.post("/db/Todo", &json!({ "n": 1 })).expect(201).json();
            assert_eq!(object["n"], 2);
        }
    });
}

/// Says so when it is dropped.
pub(super) struct Done<'a>(pub(super) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn neighbour(server: &Server) -> Client {
    let neighbour = second_app(server, "neighbour");
    class(&neighbour, "Todo", &[("n", "Integer")]);
    put(&neighbour, "fine/module", "exports.call = () => 3");
    put(
        &neighbour,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.n += 1; }",
    );
    neighbour
}

#[test]
fn s43_code_without_end_or_measure_ends_in_an_error_and_disturbs_no_neighbour() {
    let server = server()
        .baqend()
        .arg("--function-cpu-time=300ms")
        .arg("--function-time=3s")
        .arg("--function-memory=32MiB")
        .start();
    let (admin, anybody) = (root(&server), server.client());
    let neighbour = neighbour(&server);
    class(&admin, "Todo", &[("n", "Integer")]);
    let bombs = [
        "for (;;);",
        "while (true) { try { for (;;); } catch {} finally { for (;;); } }",
        "const f = () => Promise.resolve().then(f); return f();",
        "const f = async () => { for (;;) await 1; }; return f();",
        "const all = []; for (;;) all.push(new Array(1000).fill('x' + all.length));",
        "let s = 'x'; for (;;) s += s;",
        "const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1));",
        "const all = new Map(); for (let i = 0; ; i++) all.set(i, { i });",
        "const f = () => f(); f();",
        "const f = () => [1].map(f); f();",
        "const o = {}; o.toString = () => `${o}`; `${o}`;",
        "JSON.parse('['.repeat(1e6));",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a);",
        "/(a+)+$/.test('a'.repeat(40) + 'b'); for (;;);",
        "new Array(2 ** 32 - 1).fill(0);",
        "'x'.repeat(2 ** 30 - 1);",
        "[1, 2, 3].sort(() => { for (;;); });",
        "return new Promise(() => {});",
        "return { get then() { for (;;); } };",
        "const spin = () => setTimeout(spin, 0); spin(); return new Promise(() => {});",
        "function* g() { for (;;) yield 1; } for (const x of g());",
        "new Proxy({}, { ownKeys() { for (;;); } }); Object.keys(new Proxy({}, { ownKeys() { for (;;); } }));",
        "let n = 3n; for (;;) n *= n;",
        "require('crypto').pbkdf2Sync('a', 'b', 1e9, 64, 'sha512');",
        "const z = require('zlib'); let b = z.gzipSync(Buffer.alloc(16 << 20)); return z.gunzipSync(b).length + z.gunzipSync(b, { maxOutputLength: 1 << 30 }).length + new Array(1e9).join('x');",
    ];
    beside(&neighbour, || {
        for bomb in bombs {
            put(&admin, "bomb/module", &format!("exports.call = () => {{ {bomb} }}"));
            let answer = anybody.get("/code/bomb");
            let is_clean = answer.status == 500 && text(&answer).contains("CodeFailed");
            assert!(is_clean, "{bomb}: {}", text(&answer));
        }
        // At once, while a module loads, and in handlers.
        put(&admin, "bomb/module", "for (;;);");
        put(&admin, "Todo/insert", "exports.onInsert = () => { for (;;); }");
        put(&admin, "Todo/validate", "n.is('x', () => { for (;;); });");
        std::thread::scope(|scope| {
            for n in 0..6 {
                let anybody = &anybody;
                scope.spawn(move || match n % 2 {
                    0 => anybody.get("/code/bomb").expect_error(500, "CodeFailed"),
                    _ => anybody
                        .post("/db/Todo", &json!({ "n": 1 }))
                        .expect_error(500, "CodeFailed"),
                });
            }
        });
    });
    put(&admin, "bomb/module", "exports.call = () => 'over'");
    assert_eq!(text(&anybody.get("/code/bomb").expect(200)), "over");
    let metrics = text(&Client::new(server.address(), "").get("/metrics").expect(200));
    assert!(metrics.contains("freshbase_panics_total 0"), "{metrics}");
    assert_eq!(admin.get("/db/Todo/count").expect(200).json()["count"], 0);
}

#[test]
fn calls_that_wait_for_calls_do_not_wait_for_each_other() {
    let (_server, admin, anybody) = open();
    class(&admin, "Began", &[]);
    // As many as can run at once, and all of them have begun when the first one asks for another.
    put(
        &admin,
        "outer/module",
        "exports.call = async (db) => {
            await new db.Began().insert();
            while (await db.Began.find().count() < 32) await new Promise((done) => setTimeout(done, 5));
            return 1 + await db.modules.get('inner');
        }",
    );
    put(
        &admin,
        "inner/module",
        "exports.call = async (db) => 1 + await db.modules.get('innermost')",
    );
    put(&admin, "innermost/module", "exports.call = () => 1");
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| anybody.get("/code/outer").expect(200).json()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers, vec![json!(3); 32]);
}

#[test]
fn more_calls_than_may_wait_are_told_to_come_back() {
    let (server, admin, anybody) = open();
    put(
        &admin,
        "waits/module",
        "exports.call = () => new Promise((done) => setTimeout(done, 20000))",
    );
    put(&admin, "quick/module", "exports.call = () => 1");
    let mut open: Vec<_> = (0..32 + 256)
        .map(|_| {
            let mut connection = fb_testkit::Connection::open(server.address()).unwrap();
            assert!(connection.send(anybody.head("GET", "/code/waits", &[], 0).as_bytes()));
            connection
        })
        .collect();
    // It takes a moment until all of them have arrived. Refused is who comes then, whatever it wants.
    let refused = fb_testkit::wait_for("a refusal", || {
        let mut connection = fb_testkit::Connection::open(server.address()).unwrap();
        assert!(connection.send(anybody.head("GET", "/code/waits", &[], 0).as_bytes()));
        open.push(connection);
        let mut quick = fb_testkit::Connection::open(server.address()).unwrap();
        assert!(quick.send(anybody.head("GET", "/code/quick", &[], 0).as_bytes()));
        (open.len() > 32 + 256 + 40).then(|| quick.receive()).flatten()
    });
    refused.expect_error(503, "Unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(open);
    // Whoever hung up waits no more.
    let answer = fb_testkit::wait_for("a place", || {
        let answer = anybody.get("/code/quick");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.json(), 1);
}

#[test]
fn bodies_answers_and_logs_have_an_end() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "size/module",
        "exports.post = (db, req, res) => { let n = 0; req.on('data', (part) => { n += part.length; }); req.on('end', () => res.json(n)); }",
    );
    let binary = [("content-type", "application/octet-stream")];
    let send = |bytes: usize| anybody.request("POST", "/code/size", &binary, &vec![7; bytes]);
    assert_eq!(send(5 << 20).expect(200).json(), 5 << 20);
    send((16 << 20) + 1).expect_error(413, "TooLarge");
    put(
        &admin,
        "long/module",
        "exports.call = (db, data) => 'x'.repeat(Number(data.n))",
    );
    assert_eq!(
        anybody.get(&format!("/code/long?n={}", 8 << 20)).expect(200).body.len(),
        8 << 20
    );
    anybody
        .get(&format!("/code/long?n={}", (16 << 20) + 1))
        .expect_error(500, "CodeFailed");
    put(
        &admin,
        "chatty/module",
        "exports.call = () => { for (let i = 0; i < 5000; i++) console.log('line ' + i); console.log('x'.repeat(1 << 20)); return 1; }",
    );
    anybody.get("/code/chatty").expect(200);
    put(
        &admin,
        "last/module",
        "exports.call = () => { console.log('the last word'); return 1; }",
    );
    anybody.get("/code/last").expect(200);
    super::logged(&admin, "the last word");
    let lines = admin.query("logs.AppLog", &json!({}));
    assert!(lines.len() <= 205, "{} lines", lines.len());
}

#[test]
fn many_operations_of_one_call_are_done() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "many/module",
        "exports.call = async (db) => { await Promise.all(Array.from({ length: 300 }, (_, n) => new db.Todo({ n }).insert())); return db.Todo.find().count(); }",
    );
    assert_eq!(anybody.get("/code/many").expect(200).json(), 300);
}
