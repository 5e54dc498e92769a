//! Mutated requests, many: whatever comes, the server answers, and nothing that was not asked for changes.

use fb_testkit::{Client, Response, encode, raw_request, root};
use serde_json::{Value, json};

use crate::{Profile, class, no_panics};

const THREADS: u64 = 4;
const REQUESTS: u64 = 500;

/// Numbers that depend on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const STRINGS: [&str; 24] = [
    "__proto__",
    "constructor",
    "$where",
    "$gt",
    "$or",
    "a.b",
    "'",
    "\"",
    "';--",
    "\u{0}",
    "\\",
    "..",
    "/db/User/1",
    "/db/Role/1",
    "*",
    "%00",
    "🦀",
    "",
    "null",
    "-1",
    "1e999",
    "/db/Doc/x",
    "2020-13-45T99:99:99Z",
    "((((a+)+)+)+)$",
];
const BYTES: [&[u8]; 12] = [
    b"%00", b"%ff", b"%2f", b"..", b"//", b"?", b"&", b"%", b"#", b"\"", b"{", b"'",
];

/// Valid requests of every route. Only what cannot touch the canary as long as it is what it says.
fn seeds() -> Vec<(&'static str, String, Value)> {
    let query = |q: Value| {
        format!(
            "/db/Doc/query?q={}&sort=%7B%22i%22%3A1%7D&start=0&count=5",
            encode(&q.to_string())
        )
    };
    let filter = json!({ "$and": [{ "i": { "$gte": 1, "$lt": 9 } }, { "$or": [{ "s": { "$regex": "^a" } }, { "list": { "$all": ["a"] } }, { "o": { "$exists": true } }] }] });
    let near = json!({ "g": { "$nearSphere": { "$geometry": { "type": "Point", "coordinates": [1, 2] }, "$maxDistance": 1000 } } });
    let whole = json!({ "s": "a", "i": 1, "d": 1.5, "b": true, "t": "2020-01-01T00:00:00.000Z", "g": { "latitude": 1, "longitude": 2 }, "o": { "x": [1, { "y": null }] }, "list": ["a", "b"], "map": { "k": 1 }, "acl": { "read": { "/db/User/1": "allow" }, "write": { "*": "deny" } } });
    let field = json!({ "fields": { "x": { "name": "x", "type": "/db/collection.List[/db/String]", "order": 0, "metadata": { "k": "v" } } }, "acl": { "load": { "*": "allow" } }, "superClass": "/db/Object" });
    vec![
        ("GET", "/".into(), Value::Null),
        ("GET", "/version".into(), Value::Null),
        ("GET", "/spec".into(), Value::Null),
        ("GET", "/status".into(), Value::Null),
        ("GET", "/-/ready".into(), Value::Null),
        ("GET", "/-/live".into(), Value::Null),
        ("GET", "/-/startup".into(), Value::Null),
        ("GET", "/bloomfilter".into(), Value::Null),
        ("DELETE", "/bloomfilter?flush=true".into(), Value::Null),
        ("GET", "/bloomfilter/expirations".into(), Value::Null),
        ("GET", "/caching".into(), Value::Null),
        ("GET", "/connect".into(), Value::Null),
        ("POST", "/connect".into(), json!({})),
        ("GET", "/connect.js".into(), Value::Null),
        ("GET", "/config".into(), Value::Null),
        (
            "PUT",
            "/config".into(),
            json!({ "registration": "open", "sessionSeconds": 3600 }),
        ),
        ("GET", "/schema".into(), Value::Null),
        (
            "POST",
            "/schema".into(),
            json!([{ "class": "/db/Play", "fields": { "x": { "type": "/db/String" } } }, { "operation": "addField", "class": "/db/Play", "field": { "name": "y", "type": "/db/Integer" } }]),
        ),
        (
            "POST",
            "/schema".into(),
            json!([{ "operation": "renameField", "class": "/db/Play", "from": "y", "to": "z" }, { "operation": "updateClassAcl", "class": "/db/Play", "acl": { "load": {} } }]),
        ),
        ("PUT", "/schema".into(), json!({ "never": "an array" })),
        ("GET", "/schema/Doc".into(), Value::Null),
        ("POST", "/schema/Play".into(), field.clone()),
        ("PUT", "/schema/Play".into(), field),
        ("DELETE", "/schema/Play".into(), Value::Null),
        (
            "POST",
            "/db/User/register".into(),
            json!({ "user": { "username": "x", "acl": null }, "password": "y", "login": true }),
        ),
        (
            "POST",
            "/db/User/login".into(),
            json!({ "username": "x", "password": "y" }),
        ),
        (
            "POST",
            "/config/tokenKeys".into(),
            json!({ "overlapSeconds": "never now" }),
        ),
        (
            "POST",
            "/config/mail/preview".into(),
            json!({ "purpose": "resetPassword", "template": { "subject": "{{app}}", "text": "{{link}}" } }),
        ),
        (
            "POST",
            "/db/User/password".into(),
            json!({ "username": "x", "password": "y", "newPassword": "z" }),
        ),
        (
            "POST",
            "/db/User/password".into(),
            json!({ "token": "32.0011", "newPassword": "z" }),
        ),
        ("DELETE", "/db/User/password".into(), Value::Null),
        ("POST", "/db/User/reset".into(), json!({ "username": "x" })),
        ("GET", "/db/User/reset".into(), Value::Null),
        ("GET", "/db/User/reset.js".into(), Value::Null),
        ("GET", "/db/User/reset.css".into(), Value::Null),
        (
            "POST",
            "/db/User/changeUsername".into(),
            json!({ "username": "x", "newUsername": "y@example.com", "password": "z" }),
        ),
        ("GET", "/db/User/verify?token=32.0011".into(), Value::Null),
        ("GET", "/db/User/verifyUsername?token=32.0011".into(), Value::Null),
        ("GET", "/db/User/OAuth/{provider}?code=x&state=y".into(), Value::Null),
        ("GET", "/db/User/OAuth1/{provider}".into(), Value::Null),
        ("GET", "/db/User/oauth.js".into(), Value::Null),
        ("GET", "/db/User/mfa/init".into(), Value::Null),
        ("POST", "/db/User/mfa/init".into(), json!({ "code": "123456" })),
        (
            "POST",
            "/db/User/mfa/token".into(),
            json!({ "authToken": "00", "code": 123_456, "global": false }),
        ),
        ("DELETE", "/db/User/mfa".into(), Value::Null),
        ("GET", "/db/User/mfa/status".into(), Value::Null),
        ("DELETE", "/db/User/seed/mfa".into(), Value::Null),
        ("POST", "/db/User/seed/token".into(), Value::Null),
        ("DELETE", "/db/User/seed/token".into(), Value::Null),
        ("PUT", "/db/User/seed/inactive".into(), json!(true)),
        ("POST", "/db/Role/seed/assume".into(), Value::Null),
        ("POST", "/config/VAPIDKeys".into(), Value::Null),
        ("GET", "/triggers".into(), Value::Null),
        ("GET", "/triggers/dead?after=0&count=3".into(), Value::Null),
        ("POST", "/triggers/dead/replay".into(), Value::Null),
        ("DELETE", "/triggers/dead/{id}".into(), Value::Null),
        ("POST", "/triggers/dead/{id}/replay".into(), Value::Null),
        ("GET", "/config/VAPIDPublicKey".into(), Value::Null),
        ("POST", "/config/GCMKey".into(), json!("AAAA:APA91b")),
        (
            "POST",
            "/config/APNSCert".into(),
            json!({ "keyId": "KEY1234567", "teamId": "TEAM123456", "topic": "org.example.shop" }),
        ),
        (
            "POST",
            "/db/Device/register".into(),
            json!({ "devicetype": "WebPush", "device": { "acl": null }, "subscription": { "endpoint": "https://push.example/x",
                "keys": { "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                    "auth": "BTBZMqHH6r4Tts7J_aSIgg" } } }),
        ),
        ("GET", "/db/Device/registered".into(), Value::Null),
        (
            "POST",
            "/db/Device/push".into(),
            json!({ "devices": ["/db/Device/none"], "message": "x", "badge": 1, "vibrate": [1], "data": { "a": [1] } }),
        ),
        ("GET", "/db/User/me".into(), Value::Null),
        ("GET", "/db/User/validate".into(), Value::Null),
        ("GET", "/db/User/logout".into(), Value::Null),
        ("GET", query(filter.clone()), Value::Null),
        ("GET", query(near.clone()), Value::Null),
        (
            "POST",
            "/db/Doc/query?sort=%7B%22s%22%3A-1%7D&count=3".into(),
            filter.clone(),
        ),
        ("POST", "/db/Doc/query".into(), near),
        (
            "GET",
            format!("/db/Doc/count?q={}", encode(&filter.to_string())),
            Value::Null,
        ),
        (
            "GET",
            format!(
                "/events/Doc?q={}&sort=%7B%22i%22%3A1%7D&start=0&count=5&initial=true&matchTypes=add,match&operations=any",
                encode(&filter.to_string())
            ),
            Value::Null,
        ),
        ("GET", "/events".into(), Value::Null),
        ("GET", "/events-url".into(), Value::Null),
        ("POST", "/db/Doc/count".into(), filter),
        ("GET", "/db".into(), Value::Null),
        ("GET", "/db/Doc/ids?start=1&count=2".into(), Value::Null),
        ("GET", "/db/Doc".into(), Value::Null),
        (
            "PUT",
            "/db/Doc".into(),
            json!([whole.clone(), { "id": "/db/Doc/imported", "i": 2 }]),
        ),
        ("DELETE", "/db/Play".into(), Value::Null),
        ("POST", "/db/Doc".into(), whole.clone()),
        ("GET", "/db/Doc/seed".into(), Value::Null),
        ("PUT", "/db/Doc/seed".into(), whole),
        ("DELETE", "/db/Doc/seed".into(), Value::Null),
        (
            "POST",
            "/db/Doc/seed".into(),
            json!({ "$set": { "s": "b", "o.x": 1 }, "$inc": { "i": 1 }, "$push": { "list": "c" }, "$currentDate": { "t": true }, "$unset": { "b": "" } }),
        ),
        ("GET", "/file/buckets".into(), Value::Null),
        ("GET", "/file/Doc".into(), Value::Null),
        (
            "PUT",
            "/file/Doc".into(),
            json!({ "load": { "*": "allow" }, "insert": { "/db/Role/3": "allow" }, "query": {} }),
        ),
        ("DELETE", "/file/Play".into(), Value::Null),
        ("POST", "/file/Doc".into(), json!({ "content": [1, "a"] })),
        (
            "GET",
            "/file/Doc/ids?path=a/&start=a/b&count=3&deep=true".into(),
            Value::Null,
        ),
        ("GET", "/file/Doc/seed".into(), Value::Null),
        ("GET", "/file/Doc/seed?bqoptimize=1;variant=thumb".into(), Value::Null),
        (
            "GET",
            "/file/Doc/seed?bqoptimize=1;width=10;crop=16:9;signature=-IAHe1Z45FGO2rjnEO-NI5OFyLz8WS-G5ZYmFDSjbz8"
                .into(),
            Value::Null,
        ),
        ("PUT", "/file/Doc/seed".into(), json!("content")),
        (
            "POST",
            "/file/Doc/seed".into(),
            json!({ "mimeType": "text/plain", "acl": { "read": { "*": "allow" }, "write": {} }, "headers": { "x-note": "hi", "cache-control": "public" } }),
        ),
        ("DELETE", "/file/Doc/other/".into(), Value::Null),
        ("DELETE", "/file/Play/seed".into(), Value::Null),
        ("GET", "/file?archive=Doc.zip&path=a/".into(), Value::Null),
        ("POST", "/file?archive=Doc.zip&path=a/".into(), json!("PK")),
        ("GET", "/code".into(), Value::Null),
        ("GET", "/code-content".into(), Value::Null),
        ("GET", "/code/Doc?a=1&b=%7B%22x%22%3A2%7D".into(), Value::Null),
        (
            "POST",
            "/code/Doc".into(),
            json!({ "a": [1, { "b": "c" }], "s": "text" }),
        ),
        ("GET", "/code/Play/module".into(), Value::Null),
        (
            "PUT",
            "/code/Play/module".into(),
            json!("exports.call = (db, data) => data"),
        ),
        ("DELETE", "/code/Play/module".into(), Value::Null),
        ("GET", "/index/Doc".into(), Value::Null),
        (
            "POST",
            "/index/Doc".into(),
            json!({ "keys": [{ "i": "asc" }, { "s": "desc" }], "unique": false }),
        ),
        (
            "POST",
            "/index/Doc".into(),
            json!({ "keys": [{ "g": "geo" }], "drop": true }),
        ),
        ("DELETE", "/index/Doc".into(), Value::Null),
        (
            "POST",
            "/mail".into(),
            json!({ "to": ["a@example.com"], "subject": "s", "text": "t", "html": "<b>", "fromName": "n", "replyTo": "b@example.com" }),
        ),
        ("GET", "/banned".into(), Value::Null),
        ("GET", "/banned/2001:db8::1".into(), Value::Null),
        ("DELETE", "/banned".into(), Value::Null),
        ("DELETE", "/banned/192.0.2.1".into(), Value::Null),
    ]
}

/// Something else in the place of a value, somewhere inside.
fn mutate_json(random: &mut Random, value: &mut Value) {
    let go_deeper = random.below(4) > 0;
    match value {
        Value::Object(members) if !members.is_empty() && go_deeper => {
            let key = members.keys().nth(random.below(members.len())).unwrap().clone();
            match random.below(6) {
                0 => drop(members.remove(&key)),
                1 => {
                    let value = members.remove(&key).unwrap_or_default();
                    members.insert((*random.pick(&STRINGS)).to_owned(), value);
                }
                2 => {
                    let value = members[&key].clone();
                    members.insert((*random.pick(&STRINGS)).to_owned(), value);
                }
                _ => mutate_json(random, &mut members[&key]),
            }
        }
        Value::Array(items) if !items.is_empty() && go_deeper => {
            let at = random.below(items.len());
            match random.below(4) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => mutate_json(random, &mut items[at]),
            }
        }
        _ => {
            *value = match random.below(12) {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(-1),
                3 => json!(i64::MAX),
                4 => json!(1.5e300),
                5 => json!([]),
                6 => json!({}),
                7 => json!({ *random.pick(&STRINGS): *random.pick(&STRINGS) }),
                8 => json!([[value.clone()], value.clone()]),
                9 => json!({ "$in": [value.clone()] }),
                10 => json!("x".repeat(random.below(3000))),
                _ => json!(*random.pick(&STRINGS)),
            }
        }
    }
}

/// A few bytes changed, inserted, removed or doubled.
fn mutate_bytes(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let piece: Vec<u8> = bytes[at..bytes.len().min(at + 20)].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let piece = encode(random.pick::<&str>(&STRINGS));
                bytes.splice(at..at, piece.into_bytes());
            }
            _ => {
                let piece = *random.pick(&BYTES);
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// One request as bytes.
fn request(random: &mut Random, seeds: &[(&'static str, String, Value)], client: &Client) -> Vec<u8> {
    let (method, path, body) = random.pick(seeds);
    let mut path = path.clone().into_bytes();
    let mut body = body.clone();
    for _ in 0..random.below(4) {
        mutate_json(random, &mut body);
    }
    let mut body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    if random.below(3) == 0 {
        mutate_bytes(random, &mut path);
    }
    if random.below(6) == 0 {
        mutate_bytes(random, &mut body);
    }
    let methods = ["GET", "POST", "PUT", "HEAD", "OPTIONS"];
    let method = if random.below(12) == 0 {
        random.pick(&methods)
    } else {
        method
    };
    // What would end the line would be another request.
    path.retain(|b| !matches!(b, b' ' | b'\r' | b'\n'));
    let mut bytes = [
        method.as_bytes(),
        b" /v1",
        &path,
        b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n",
    ]
    .concat();
    // Replacing the whole schema by an empty one is a mutation away, and would be done.
    let replaces_all = *method == "PUT" && path.starts_with(b"/schema") && !path.starts_with(b"/schema/Play");
    if let Some(token) = client.token().filter(|_| !replaces_all) {
        bytes.extend_from_slice(format!("authorization: BAT {token}\r\n").as_bytes());
    }
    let names = [
        "if-match",
        "if-none-match",
        "accept",
        "origin",
        "range",
        "if-range",
        "if-unmodified-since",
        "accept-encoding",
        "content-type",
        "baqend-acl",
        "baqend-custom-headers",
    ];
    for name in names {
        if random.below(12) == 0 {
            let value = random.pick(&[
                "*",
                "\"1\"",
                "1",
                "W/\"x\"",
                "text/html",
                "\"99999999999999999999\"",
                "bytes=0-",
                "bytes=-1",
                "bytes=5-2,99999999999999999999-",
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "br;q=0.5, zstd, *;q=0",
                "{\"read\":{\"*\":\"allow\"},\"write\":{}}",
                "{\"x-note\":\"hi\"}",
                "{\"x\\r\\ny\":\"hi\"}",
                "[[[[[[",
            ]);
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// What is wrong with an answer, if anything is.
fn fault(answer: &[u8], is_head: bool) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Some("no answer".into());
    };
    let status: u16 = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    if status == 503 {
        return (!body.contains("\"requestId\"")).then(|| "an empty 503".into());
    }
    if !(200..500).contains(&status) {
        return Some(format!("status {status}"));
    }
    // What is no HTTP the HTTP library refuses by itself, without a body.
    let by_library = status == 400 && body.is_empty();
    // People who follow a link of a mail in a browser get a page.
    let page = head.to_ascii_lowercase().contains("content-type: text/html") && body.starts_with("<!doctype html>");
    if status >= 400 && !is_head && !by_library && !page {
        let error: Value = match serde_json::from_str(body) {
            Ok(error) => error,
            Err(e) => return Some(format!("{e}")),
        };
        if !(error["className"].is_string() && error["message"].is_string() && error["requestId"].is_string()) {
            return Some("not an error body".into());
        }
    }
    // Files are sent as they are, whatever their type says.
    let is_file = head.to_ascii_lowercase().contains("baqend-size:");
    if head.to_ascii_lowercase().contains("content-type: application/json")
        && !is_file
        && !head.to_ascii_lowercase().contains("transfer-encoding")
        && !is_head
        && !body.is_empty()
        && serde_json::from_str::<Value>(body).is_err()
    {
        return Some("the body is no JSON".into());
    }
    None
}

#[test]
fn mutated_requests_are_answered_and_change_nothing_else() {
    for (profile, seed) in [(Profile::Baqend, 0x5eed_0001), (Profile::Secure, 0x5eed_1001)] {
        fuzz(profile, seed);
    }
}

fn fuzz(profile: Profile, seed: u64) {
    let server = profile.start();
    let admin = root(&server);
    let fields = json!({
        "s": { "type": "/db/String" }, "i": { "type": "/db/Integer" }, "d": { "type": "/db/Double" },
        "b": { "type": "/db/Boolean" }, "t": { "type": "/db/DateTime" }, "g": { "type": "/db/GeoPoint" },
        "o": { "type": "/db/JsonObject" }, "list": { "type": "/db/collection.List[/db/String]" },
        "map": { "type": "/db/collection.Map[/db/String,/db/Integer]" } });
    class(&admin, "Doc", &fields, &Value::Null);
    // The canary is in a class that no seed names, behind a path that no mutation of one spells.
    class(&admin, "Canary", &fields, &Value::Null);
    admin
        .put("/db/Doc/seed", &json!({ "s": "a", "i": 1, "list": ["a"] }))
        .expect(200);
    // Handlers and a module that take what comes.
    for (path, code) in [
        (
            "/code/Doc/insert",
            "exports.onInsert = (db, doc) => { doc.s = `${doc.s}!`; };",
        ),
        (
            "/code/Doc/update",
            "exports.onUpdate = (db, doc) => { doc.s = `${doc.s}?`; };",
        ),
        (
            "/code/Doc/delete",
            "exports.onDelete = (db, doc) => { String(doc.id); };",
        ),
        (
            "/code/Doc/module",
            "exports.call = (db, data, req) => ({ data, body: req.body, query: req.query });",
        ),
    ] {
        admin.request("PUT", path, &[], code.as_bytes()).expect(200);
    }
    let canary = admin
        .post("/db/Canary", &json!({ "id": "/db/Canary/1", "s": "sings", "i": 1 }))
        .expect(201);
    let schema: Response = admin.get("/schema/Canary").expect(200);
    admin.put("/file/Doc/seed", &json!("content")).expect(200);
    let file = admin.put("/file/Canary/1", &json!("sings")).expect(200);
    let seeds = seeds();
    let routes: std::collections::BTreeSet<&str> = fb_server::route_table().iter().map(|r| r.path).collect();
    let heads: Vec<&str> = seeds
        .iter()
        .map(|(_, path, _)| path.split('?').next().unwrap())
        .collect();
    for route in routes {
        let path = route.replace("{bucket}", "Doc").replace("{oid}", "seed");
        let path = path
            .replace("{*oid}", "seed")
            .replace("{type}", "module")
            .replace("{ip}", "192.0.2.1");
        assert!(
            heads.contains(&path.as_str()) || heads.contains(&path.replace("Doc", "Play").as_str()),
            "no seed for {route}"
        );
    }
    let faults: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (seeds, server) = (&seeds, &server);
                let client = if thread == 0 { server.client() } else { admin.clone() };
                scope.spawn(move || {
                    let mut faults = Vec::new();
                    for n in 0..REQUESTS {
                        let seed = seed + (thread << 32) + n;
                        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                        let bytes = request(&mut random, seeds, &client);
                        let answer = raw_request(server.address(), &bytes);
                        if let Some(fault) = fault(&answer, bytes.starts_with(b"HEAD") || bytes.starts_with(b"OPTIONS"))
                        {
                            let sent: String = String::from_utf8_lossy(&bytes).chars().take(1500).collect();
                            let got: String = String::from_utf8_lossy(&answer).chars().take(600).collect();
                            faults.push(format!("seed {seed:#x}: {fault}\n>>> {sent}\n<<< {got}"));
                        }
                    }
                    faults
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults[..faults.len().min(5)].join("\n\n")
    );
    assert_eq!(admin.get("/db/Canary/1").expect(200).body, canary.body);
    assert_eq!(admin.get("/schema/Canary").expect(200).body, schema.body);
    let kept = admin.get("/file/Canary/1").expect(200);
    assert_eq!(kept.body, b"\"sings\"");
    assert_eq!(kept.header("etag").unwrap().trim_matches('"'), file.json()["eTag"]);
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    no_panics(&server);
}
