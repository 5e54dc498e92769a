//! S13: what is no rule, no header, no metadata and no setting; S44: bodies that are too large, too slow or cut off;
//! S47: secrets of sites and images.

use std::path::Path;
use std::process::Command;

use fb_testkit::{Client, Connection, Response, Server, png, root, wait_for};
use serde_json::{Value, json};

use crate::secrets::Canaries;
use crate::{no_panics, server};

/// An error that says what it is, and nothing of what is behind it.
#[track_caller]
fn refused(answer: &Response, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", String::from_utf8_lossy(&answer.body));
    let body = answer.json();
    for member in ["className", "message", "requestId"] {
        assert!(
            body[member].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {body}"
        );
    }
    let text = body.to_string();
    assert!(text.len() < 2000, "{what}: an error need not echo everything");
    for leak in ["sqlite", "SELECT", ".rs:", "/tmp/"] {
        assert!(!text.contains(leak), "{what}: {text}");
    }
}

/// Rules as they may not be.
fn no_rules() -> Vec<Value> {
    vec![
        json!(1),
        json!("*"),
        json!(true),
        json!([]),
        json!([["read", {}]]),
        json!({ "read": [] }),
        json!({ "read": "*" }),
        json!({ "read": { "*": true } }),
        json!({ "read": { "*": "maybe" } }),
        json!({ "read": { "*": ["allow"] } }),
        json!({ "read": { "*": { "$ne": "deny" } } }),
        json!({ "read": { "everybody": "allow" } }),
        json!({ "read": { "/db/User": "allow" } }),
        json!({ "write": { "/db/Thing/1": "allow" } }),
    ]
}

#[test]
fn s13_rules_headers_and_metadata_of_files_are_what_they_should_be() {
    let server = server().secure().start();
    let admin = root(&server);
    let closed = json!({ "read": { "/db/Role/1": "allow" }, "write": {} });
    let rules = [("baqend-acl", closed.to_string())];
    let rules = rules.each_ref().map(|(name, value)| (*name, value.as_str()));
    let made = admin.request("PUT", "/file/www/x", &rules, b"1").expect(200).json();
    let upload = |name: &str, value: &str| {
        let answer = admin.request("PUT", "/file/www/x", &[(name, value)], b"2");
        refused(&answer, &format!("{name}: {value}"));
        let answer = admin.request("POST", "/file/www", &[(name, value)], b"2");
        refused(&answer, &format!("{name}: {value}"));
    };
    for bad in no_rules() {
        upload("baqend-acl", &bad.to_string());
        refused(&admin.post("/file/www/x", &json!({ "acl": bad })), &bad.to_string());
    }
    for bad in [
        "",
        "{",
        "{}}",
        "{'read':{}}",
        "undefined",
        "NaN",
        "{\"read\":{}",
        "[[[[[[[[",
    ] {
        upload("baqend-acl", bad);
        upload("baqend-custom-headers", bad);
    }
    upload("baqend-acl", &"[".repeat(5000));
    upload(
        "baqend-custom-headers",
        &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
    );
    for bad in [
        json!(1),
        json!("x-note: a"),
        json!(["x-note"]),
        json!({ "x-note": {} }),
        json!({ "x-note": null }),
    ] {
        upload("baqend-custom-headers", &bad.to_string());
        refused(&admin.post("/file/www/x", &json!({ "headers": bad })), &bad.to_string());
    }
    for body in [
        json!([]),
        json!("x"),
        json!(null),
        json!({ "mimeType": 1 }),
        json!({ "mimeType": ["text/html"] }),
        json!({ "mimeType": { "$ne": null } }),
        json!({ "mimeType": "" }),
        json!({ "mimeType": "html" }),
        json!({ "mimeType": "text/html\r\nx: y" }),
        json!({ "mimeType": "text/*" }),
        json!({ "mimeType": "x".repeat(5000) + "/y" }),
    ] {
        refused(
            &admin.request("POST", "/file/www/x", &[], body.to_string().as_bytes()),
            &body.to_string(),
        );
    }
    for bad in ["", "{", "not json"] {
        refused(
            &admin.request(
                "POST",
                "/file/www/x",
                &[("content-length", "0")][..usize::from(bad.is_empty())],
                bad.as_bytes(),
            ),
            bad,
        );
    }
    // Two values of one header: the first says nothing of the second.
    let head = admin.head_of("/file/www/x").expect(200);
    assert_eq!(head.header("etag").unwrap().trim_matches('"'), made["eTag"]);
    assert_eq!(
        head.header("baqend-acl")
            .map(|acl| serde_json::from_str::<Value>(acl).unwrap()),
        Some(closed)
    );
    assert_eq!(admin.get("/file/www/ids").expect(200).json(), json!(["/file/www/x"]));
    no_panics(&server);
}

#[test]
fn s13_rules_of_buckets_are_what_they_should_be() {
    let server = server().secure().start();
    let admin = root(&server);
    admin
        .put("/file/data", &json!({ "load": { "/db/Role/1": "allow" } }))
        .expect(204);
    let before = admin.get("/file/data").expect(200).json();
    for bad in [
        json!(null),
        json!([]),
        json!("open"),
        json!({ "load": null }),
        json!({ "load": [] }),
        json!({ "load": "*" }),
        json!({ "load": { "*": true } }),
        json!({ "load": { "*": ["allow"] } }),
        json!({ "load": { "everybody": "allow" } }),
        json!({ "read": { "*": "allow" } }),
        json!({ "schemaAdd": { "*": "allow" } }),
        json!({ "Load": { "*": "allow" } }),
        json!({ "load": { "*": "allow" }, "nonsense": 1 }),
    ] {
        let answer = admin.put("/file/data", &bad);
        let is_nothing = bad["load"].is_null()
            && bad.is_object()
            && bad.as_object().unwrap().len() == 1
            && bad.get("load").is_some();
        if is_nothing && answer.status == 204 {
            // No rules, as clients write them: for logged-in users, not for everybody.
            assert_eq!(
                admin.get("/file/data").expect(200).json()["load"],
                json!({ "/db/Role/3": "allow" })
            );
            admin
                .put("/file/data", &json!({ "load": { "/db/Role/1": "allow" } }))
                .expect(204);
            continue;
        }
        refused(&answer, &bad.to_string());
        assert_eq!(admin.get("/file/data").expect(200).json(), before, "{bad}");
    }
    for path in ["/file/data", "/file/new"] {
        refused(&admin.request("PUT", path, &[], b"{\"load\""), path);
    }
    assert_eq!(
        admin.get("/file/buckets").expect(200).json(),
        json!(["/file/data", "/file/www"])
    );
    no_panics(&server);
}

#[test]
fn s13_settings_of_sites_are_what_they_should_be() {
    let server = server().secure().start();
    let admin = root(&server);
    let before = admin.get("/config").expect(200).json();
    let site = |site: Value| json!({ "sites": { "shop.example": site } });
    let auth = |auth: Value| json!({ "sites": { "shop.example": { "bucket": "inner", "basicAuth": auth } } });
    for bad in [
        json!(null),
        json!(1),
        json!([]),
        json!("shop"),
        json!({ "sites": [] }),
        json!({ "sites": null }),
        json!({ "unknown": {} }),
        json!({ "sites": { "": {} } }),
        json!({ "sites": { "Shop.example": {} } }),
        json!({ "sites": { "https://shop.example": {} } }),
        json!({ "sites": { "shop.example/x": {} } }),
        json!({ "sites": { "*.example": {} } }),
        json!({ "sites": { "a\"b": {} } }),
        json!({ "sites": { &"x".repeat(300): {} } }),
        site(json!(1)),
        site(json!(null)),
        site(json!({ "bucket": 1 })),
        site(json!({ "bucket": "../other" })),
        site(json!({ "bucket": "a/b" })),
        site(json!({ "bucket": "" })),
        site(json!({ "index": "../index.html" })),
        site(json!({ "index": "a/index.html" })),
        site(json!({ "index": "" })),
        site(json!({ "notFound": "../../404.html" })),
        site(json!({ "notFound": null })),
        site(json!({ "singlePage": "true" })),
        site(json!({ "cleanUrls": 1 })),
        site(json!({ "enabled": "no" })),
        site(json!({ "unknown": true })),
        auth(json!(true)),
        auth(json!({})),
        auth(json!({ "username": "u" })),
        auth(json!({ "username": "u", "password": "short" })),
        auth(json!({ "username": "", "password": "a long password" })),
        auth(json!({ "username": "a:b", "password": "a long password" })),
        auth(json!({ "username": "u", "password": { "$ne": "" } })),
        auth(json!({ "username": "u", "password": ["a long password"] })),
        auth(json!({ "username": "u", "password": "a long\npassword" })),
        auth(json!({ "username": ["u"], "password": "a long password" })),
        // Shown for passwords, and none itself.
        auth(json!({ "username": "u", "password": "***" })),
    ] {
        refused(&admin.put("/config", &json!({ "hosting": bad })), &bad.to_string());
        assert_eq!(admin.get("/config").expect(200).json(), before, "{bad}");
    }
    let many: serde_json::Map<String, Value> = (0..101).map(|n| (format!("s{n}.example"), json!({}))).collect();
    refused(&admin.put("/config", &json!({ "hosting": { "sites": many } })), "many");
    no_panics(&server);
}

/// Files below the directory of the app's contents.
fn n_contents(server: &Server) -> usize {
    fn count(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 })
            .sum()
    }
    count(&server.data_dir().join("apps").join("main").join("files"))
}

#[test]
fn s44_what_is_too_large_is_refused_and_leaves_what_was_there() {
    let server = server().secure().arg("--max-file").arg("1MiB").start();
    let admin = root(&server);
    let limit = 1 << 20;
    let old = admin
        .upload("/www/x", "text/plain", &vec![b'o'; limit])
        .expect(200)
        .json();
    let n_before = n_contents(&server);
    // One byte more, said in advance or not.
    let larger = vec![b'n'; limit + 1];
    admin
        .upload("/www/x", "text/plain", &larger)
        .expect_error(413, "TooLarge");
    admin
        .request("POST", "/file/www", &[], &larger)
        .expect_error(413, "TooLarge");
    let token = admin.token().unwrap();
    let head =
        |more: &str| format!("PUT /v1/file/www/x HTTP/1.1\r\nhost: x\r\nauthorization: BAT {token}\r\n{more}\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", larger.len(), "n".repeat(larger.len()));
    let chunked = head("connection: close\r\ntransfer-encoding: chunked\r\n") + &chunk + "0\r\n\r\n";
    let answer = fb_testkit::raw_request(server.address(), chunked.as_bytes());
    assert!(
        answer.starts_with(b"HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer[..200.min(answer.len())])
    );
    // Announced, and not sent at all.
    for length in ["1048577", "99999999999", "9223372036854775807"] {
        let mut connection = Connection::open(server.address()).unwrap();
        assert!(connection.send(head(&format!("expect: 100-continue\r\ncontent-length: {length}\r\n")).as_bytes()));
        assert_eq!(connection.receive().unwrap().status, 413, "{length}");
    }
    for length in ["-1", "1e3", "0x10", "99999999999999999999999", "1,1", " "] {
        let answer = fb_testkit::raw_request(
            server.address(),
            head(&format!("connection: close\r\ncontent-length: {length}\r\n")).as_bytes(),
        );
        assert!(
            answer.starts_with(b"HTTP/1.1 400"),
            "{length}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    // Refused for other reasons, with a body that is still coming.
    for (header, status) in [
        (("if-match", "\"x\""), 412),
        (("if-none-match", "*"), 412),
        (("baqend-acl", "[]"), 400),
    ] {
        let answer = admin.request("PUT", "/file/www/x", &[header], &larger[..limit]);
        assert_eq!(answer.status, status, "{header:?}");
    }
    let kept = admin.get("/file/www/x").expect(200);
    assert_eq!(kept.header("etag").unwrap().trim_matches('"'), old["eTag"]);
    assert!(kept.body == vec![b'o'; limit]);
    admin
        .request("GET", "/file/www/x", &[("range", "bytes=99999999-")], b"")
        .expect(416);
    wait_for("the leftovers to go", || {
        (n_contents(&server) == n_before).then_some(())
    });
    // Metadata are small, whatever files may be.
    let long = json!({ "headers": { "x": "y".repeat(5 << 20) } });
    admin.post("/file/www/x", &long).expect_error(413, "TooLarge");
    no_panics(&server);
}

#[test]
fn s44_uploads_that_do_not_end_hold_up_nobody_and_leave_nothing() {
    let server = server().secure().start();
    let admin = root(&server);
    admin.upload("/www/x", "text/plain", b"old").expect(200);
    let n_before = n_contents(&server);
    let head = admin.head("PUT", "/file/www/x", &[("content-type", "text/plain")], 0);
    let head = head.trim_end().to_owned() + "\r\n";
    let mut stalled: Vec<Connection> = Vec::new();
    for n in 0..200 {
        let more = match n % 2 {
            0 => "content-length: 1000000\r\n\r\nsome of it",
            _ => "transfer-encoding: chunked\r\n\r\na\r\nsome of it\r\n",
        };
        let mut connection = Connection::open(server.address()).unwrap();
        assert!(connection.send((head.clone() + more).as_bytes()));
        stalled.push(connection);
    }
    // All others are served meanwhile, also those that write the same file.
    for n in 0..20 {
        let content = format!("new {n}");
        admin.upload("/www/x", "text/plain", content.as_bytes()).expect(200);
        assert_eq!(admin.get("/file/www/x").expect(200).body, content.as_bytes());
    }
    drop(stalled);
    // Those that were replaced stay for a while, for those who read them; of the others nothing does.
    wait_for("the leftovers to go", || {
        (n_contents(&server) <= n_before + 20).then_some(())
    });
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"new 19");
    assert_eq!(admin.get("/file/www/ids").expect(200).json(), json!(["/file/www/x"]));
    no_panics(&server);
}

#[test]
fn s47_passwords_of_sites_and_the_key_of_images_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().arg("--log-level").arg("trace").data_dir(dir.path());
    let mut running = builder.start();
    let (admin, stranger) = (root(&running), running.client());
    let mut canaries = Canaries::default();
    let password = canaries.add("a site's password", "canary-site-password");
    let key = canaries.add("the key of images", "canary-signing-key-of-images");
    let wrong = canaries.add("a wrong password", "canary-wrong-password");
    admin
        .put("/file/inner", &json!({ "load": { "/db/Role/1": "allow" } }))
        .expect(204);
    admin.upload("/inner/index.html", "text/html", b"inside").expect(200);
    admin
        .upload("/www/x.png", "image/png", &png(4, 4, [1, 2, 3]))
        .expect(200);
    let settings = json!({ "images": { "signingKey": key }, "hosting": { "sites": {
        "inner.example": { "bucket": "inner", "basicAuth": { "username": "guest", "password": password } } } } });
    let shown = admin.put("/config", &settings).expect(200);
    canaries.check_answer("the answer to new settings", &shown);
    assert_eq!(shown.json()["images"]["signingKey"], "***");
    let page = Client::new(running.address(), "");
    let visit = |password: &str| {
        let given = format!("Basic {}", base64(&format!("guest:{password}")));
        page.request("GET", "/", &[("host", "inner.example"), ("authorization", &given)], b"")
    };
    visit(&password).expect(200);
    canaries.check_answer("the page", &visit(&password));
    for accept in ["*/*", "text/html"] {
        let given = format!("Basic {}", base64(&format!("guest:{wrong}")));
        let headers = [
            ("host", "inner.example"),
            ("authorization", given.as_str()),
            ("accept", accept),
        ];
        canaries.check_answer("a wrong password", &page.request("GET", "/", &headers, b"").expect(401));
    }
    let unsigned = format!("/file/www/x.png?bqoptimize=1;width=3;signature={key}");
    canaries.check_answer(
        "an unsigned variant",
        &stranger.get("/file/www/x.png?bqoptimize=1;width=3"),
    );
    stranger.get(&unsigned).expect_error(466, "PermissionDenied");
    // What is shown can be sent back, and stays what it was; what is refused is not repeated.
    let mut whole = shown.json();
    admin.put("/config", &whole).expect(200);
    visit(&password).expect(200);
    whole["hosting"]["sites"]["inner.example"]["basicAuth"]["password"] = json!(format!("{password}\n"));
    canaries.check_answer("refused settings", &admin.put("/config", &whole).expect(400));
    let other = json!({ "images": { "signingKey": key, "unknown": true } });
    canaries.check_answer("refused settings", &admin.put("/config", &other).expect(400));
    for path in ["/config", "/db/logs.AuditLog", "/spec", "/connect", "/schema"] {
        canaries.check_answer(path, &admin.get(path).expect(200));
    }
    canaries.check_answer("metrics", &page.get("/metrics"));
    let copy = dir.path().join("copy.fbdb");
    let backup = Command::new(env!("CARGO_BIN_EXE_freshbase"))
        .args(["backup", "main", "-o"])
        .arg(&copy)
        .arg("--data-dir")
        .arg(dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    canaries.check("the backup's output", &[backup.stdout, backup.stderr].concat());
    let bytes = if copy.is_file() {
        std::fs::read(&copy).unwrap()
    } else {
        Vec::new()
    };
    canaries.check("the backup", &bytes);
    no_panics(&running);
    assert!(running.stop().success());
    canaries.check("the log", running.log().as_bytes());
    canaries.check("the output", running.printed().as_bytes());
    canaries.check_files(dir.path());
    // Nothing was lost by that.
    let again = builder.start();
    let page = Client::new(again.address(), "");
    let given = format!("Basic {}", base64(&format!("guest:{password}")));
    page.request("GET", "/", &[("host", "inner.example"), ("authorization", &given)], b"")
        .expect(200);
}

/// As in the header of basic authentication.
pub(crate) fn base64(text: &str) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for n in 0..4 {
            encoded.push(match n <= three.len() {
                true => char::from(SIGNS[(bits >> (18 - 6 * n) & 63) as usize]),
                false => '=',
            });
        }
    }
    encoded
}
