//! What code cannot reach: the machine, the network around it, other apps, other calls.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::limits::second_app;
use super::{logged, put, text, user};
use crate::{class, open};

#[test]
fn s45_apps_know_nothing_of_each_others_code() {
    let (server, admin, anybody) = open();
    let other = second_app(&server, "other");
    let stranger = server.app("other");
    class(&admin, "Todo", &[("n", "Integer")]);
    class(&other, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "mine/module",
        "globalThis.left = 'left by main'; exports.state = 'main'; exports.call = () => { console.log('main talks'); globalThis.more = 1; return 'main'; }",
    );
    put(
        &admin,
        "Todo/insert",
        "exports.onInsert = (db, todo) => { todo.n = 7; }",
    );
    put(&admin, "Todo/validate", "n.isInt();");
    put(
        &other,
        "theirs/module",
        "exports.call = (db) => { try { return require('./mine').state; } catch (e) { return [e.code, globalThis.left ?? null, globalThis.more ?? null]; } }",
    );
    put(
        &other,
        "calls/module",
        "exports.call = (db, data) => db.modules.get(data.name).then(() => 'reached', (e) => e.status)",
    );
    for _ in 0..5 {
        assert_eq!(text(&anybody.get("/code/mine").expect(200)), "main");
        assert_eq!(
            stranger.get("/code/theirs").expect(200).json(),
            json!(["MODULE_NOT_FOUND", null, null])
        );
    }
    stranger.get("/code/mine").expect_error(404, "CodeNotFound");
    other.get("/code/mine/module").expect_error(404, "CodeNotFound");
    assert_eq!(
        other.get("/code").expect(200).json(),
        json!(["/code/calls/module", "/code/theirs/module"])
    );
    for name in [
        "mine",
        "..%2F..%2F..%2Fapps%2Fmain%2Fv1%2Fcode%2Fmine",
        "../../../apps/main/v1/code/mine",
        "//main/mine",
    ] {
        let answer = stranger
            .get(&format!("/code/calls?name={}", fb_testkit::encode(name)))
            .expect(200);
        assert_ne!(text(&answer), "reached", "{name}");
    }
    assert_eq!(stranger.post("/db/Todo", &json!({ "n": 1 })).expect(201).json()["n"], 1);
    let schema = other.get("/schema/Todo").expect(200).json();
    assert!(schema.get("validationCode").is_none());
    logged(&admin, "main talks");
    assert!(
        !other
            .query("logs.AppLog", &json!({}))
            .iter()
            .any(|line| line.to_string().contains("main talks"))
    );
    // Administrators of one app are nobody in the other.
    let foreign = server.client().with_token(other.token().unwrap());
    for answer in [
        foreign.get("/code"),
        foreign.get("/code-content"),
        foreign.get("/code/mine"),
        foreign.delete("/code/mine/module"),
    ] {
        answer.expect_error(460, "BadCredentials");
    }
    assert_eq!(super::try_put(&foreign, "mine/module", "1").status, 460);
    assert_eq!(text(&anybody.get("/code/mine").expect(200)), "main");
}

#[test]
fn s46_code_has_no_way_to_the_machine() {
    let (_server, admin, anybody) = open();
    let attempts = [
        "require('fs')",
        "require('node:fs')",
        "require('fs/promises')",
        "require('child_process')",
        "require('net')",
        "require('dns')",
        "require('worker_threads')",
        "require('vm')",
        "require('module')",
        "require('/etc/passwd')",
        "require('../../../../etc/passwd')",
        "require('file:///etc/passwd')",
        "require('std')",
        "require('qjs:os')",
        "await import('fs')",
        "await import('/etc/passwd')",
        "process.binding('fs')",
        "process.exit(1)",
        "process.kill(process.pid)",
        "process.abort()",
        "process.dlopen({}, 'x')",
        "process.mainModule.require('fs')",
        "(0, eval)('native').log('error', 'x')",
        "new Function('return native')().log('error', 'x')",
        "(async () => {}).constructor('return native')().then((x) => x.log('error', 'x'))",
        "globalThis.native.log('error', 'x')",
        "Object.getPrototypeOf(globalThis).native.log('error', 'x')",
        "module.constructor._load('fs')",
        "module.parent.require('fs')",
        "require.main.require('fs')",
        "require.cache.x.y",
        "std.exit(1)",
        "os.exec(['true'])",
        "new Worker('x')",
        "WebAssembly.compile(new Uint8Array(8))",
        "Deno.exit()",
        "Bun.file('/etc/passwd')",
    ];
    for attempt in attempts {
        let code = format!(
            "exports.call = async () => {{ const found = await ({attempt}); return 'reached ' + typeof found; }}"
        );
        put(&admin, "tries/module", &code);
        let answer = anybody.get("/code/tries");
        assert!(answer.status == 500, "{attempt}: {} {}", answer.status, text(&answer));
    }
    put(
        &admin,
        "tries/module",
        "exports.call = () => [Object.keys(process.env), process.argv ?? [], process.cwd(), require('os').hostname?.() ?? '']",
    );
    let found = anybody.get("/code/tries").expect(200);
    assert_eq!(found.json()[0], json!([]), "{}", text(&found));
    assert_eq!(found.json()[2], "/");
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    assert!(
        host.trim().is_empty() || !text(&found).contains(host.trim()),
        "{}",
        text(&found)
    );
}

#[test]
fn s46_calls_leave_nothing_for_each_other() {
    let (_server, admin, anybody) = open();
    class(&admin, "Late", &[]);
    class(&admin, "Todo", &[("n", "Integer")]);
    put(
        &admin,
        "leaves/module",
        "exports.call = (db, data) => {
            const found = [globalThis.secret ?? null, Object.prototype.secret ?? null, [].secret ?? null, Function.prototype.secret ?? null,
                Abort.secret ?? null, console.secret ?? null, require('util').secret ?? null, String.prototype.secret ?? null,
                db.secret ?? null, db.User.me && db.User.me.id, Buffer.secret ?? null, JSON.secret ?? null, Math.secret ?? null, process.secret ?? null,
                db.Todo.methods.secret ?? null, typeof fetch, console.log.name, Promise.secret ?? null];
            const leave = data.leave;
            for (const target of [() => globalThis, () => Object.prototype, () => Array.prototype, () => Function.prototype, () => Abort, () => console,
                () => require('util'), () => String.prototype, () => db, () => Buffer, () => JSON, () => Math, () => process, () => Promise])
                try { target().secret = leave; } catch {}
            try { globalThis.fetch = () => leave; } catch {}
            try { console.log = () => leave; } catch {}
            try { globalThis.Promise = null; } catch {}
            try { delete globalThis.JSON; } catch {}
            try { Object.defineProperty(globalThis, 'secret', { value: leave, configurable: false }); } catch {}
            return found;
        };",
    );
    let (ann, ann_id) = user(&admin, &anybody, "ann");
    let (bob, bob_id) = user(&admin, &anybody, "bob");
    for n in 0..10 {
        for (client, id) in [(&ann, json!(ann_id)), (&bob, json!(bob_id)), (&anybody, Value::Null)] {
            let found = client.get(&format!("/code/leaves?leave=secret{n}")).expect(200).json();
            assert!(!found.to_string().contains("secret"), "{found}");
            assert_eq!(found[9], id);
            assert_eq!(found[15], "function");
        }
    }
    // What a call began and did not wait for comes to nothing: no timer of it runs in somebody else's name.
    put(
        &admin,
        "later/module",
        "exports.call = (db) => {
            for (const wait of [0, 1, 5, 10]) setTimeout(() => { new db.Late().insert(); }, wait);
            setInterval(() => { new db.Late().insert(); }, 1);
            queueMicrotask(() => setTimeout(() => new db.Late().insert(), 2));
            return 1;
        };",
    );
    put(
        &admin,
        "waits/module",
        "exports.call = async (db) => { await new Promise((done) => setTimeout(done, 60)); return db.Late.find().count(); }",
    );
    for _ in 0..5 {
        ann.get("/code/later").expect(200);
    }
    for _ in 0..3 {
        assert_eq!(bob.get("/code/waits").expect(200).json(), 0);
    }
    // Objects that one call loaded are not those of the next.
    admin
        .put(
            "/db/Todo/a",
            &json!({ "n": 1, "acl": { "read": { &ann_id: "allow" } } }),
        )
        .expect(200);
    put(
        &admin,
        "loads/module",
        "exports.call = async (db) => { const t = await db.Todo.load('a'); return t && t.n; }",
    );
    assert_eq!(ann.get("/code/loads").expect(200).json(), 1);
    bob.get("/code/loads").expect(204);
    anybody.get("/code/loads").expect(204);
}

#[test]
fn s33_requests_of_code_do_not_reach_into_the_own_network() {
    let (server, admin, anybody) = open();
    put(
        &admin,
        "gets/module",
        "exports.call = async (db, data) => {
            const outcome = [];
            await fetch(data.url).then((r) => outcome.push(r.status), (e) => outcome.push(`${e.message} ${e.cause && e.cause.message}`));
            await new Promise((done) => {
                try {
                    const request = require('http').get(data.url, (r) => { outcome.push(r.statusCode); done(); });
                    request.on('error', (e) => { outcome.push(e.message); done(); });
                } catch (e) { outcome.push(e.message); done(); }
            });
            return outcome;
        }",
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let own = server.url();
    let urls = [
        format!("{own}/v1/schema"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://LOCALHOST.:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://example.com@127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fd00:ec2::254]/".into(),
        "http://10.0.0.1/".into(),
        "http://192.168.0.1/".into(),
        "http://172.16.0.1/".into(),
        "http://100.64.0.1/".into(),
        "http://[fe80::1]/".into(),
        "file:///etc/passwd".into(),
        "ftp://127.0.0.1/".into(),
        "gopher://127.0.0.1/".into(),
        "unix:/run/x".into(),
        "//127.0.0.1/".into(),
        "http://".into(),
        "nonsense".into(),
    ];
    for url in urls {
        let outcome = anybody
            .get(&format!("/code/gets?url={}", fb_testkit::encode(&url)))
            .expect(200)
            .json();
        for one in outcome.as_array().unwrap() {
            assert!(one.is_string() && one.as_str().unwrap().len() > 5, "{url}: {outcome}");
        }
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn s33_redirects_are_followed_to_public_places_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let targets = [
        "http://169.254.169.254/latest/",
        "http://10.0.0.1/",
        "http://[::1]:1/",
        "file:///etc/passwd",
        "gopher://x/",
    ];
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = [0; 2048];
            let n = connection.read(&mut head).unwrap_or(0);
            let path = String::from_utf8_lossy(&head[..n])
                .split(' ')
                .nth(1)
                .unwrap_or("/")
                .to_owned();
            let n: usize = path.trim_start_matches('/').parse().unwrap_or(0);
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                targets[n]
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    let server = crate::server()
        .baqend()
        .arg("--outbound-allow")
        .arg("127.0.0.1/32")
        .start();
    let (admin, anybody) = (fb_testkit::root(&server), server.client());
    put(
        &admin,
        "gets/module",
        "exports.call = (db, data) => fetch(data.url, { redirect: data.redirect ?? 'follow' }).then((r) => ({ status: r.status }), (e) => ({ error: `${e.message} ${e.cause && e.cause.message}` }))",
    );
    for (n, target) in targets.iter().enumerate() {
        let url = fb_testkit::encode(&format!("http://127.0.0.1:{port}/{n}"));
        let followed = anybody.get(&format!("/code/gets?url={url}")).expect(200).json();
        assert!(followed["error"].is_string(), "{target}: {followed}");
        let manual = anybody
            .get(&format!("/code/gets?url={url}&redirect=manual"))
            .expect(200)
            .json();
        assert_eq!(manual["status"], 302, "{manual}");
        let error = anybody
            .get(&format!("/code/gets?url={url}&redirect=error"))
            .expect(200)
            .json();
        assert!(error["error"].is_string(), "{error}");
    }
}
