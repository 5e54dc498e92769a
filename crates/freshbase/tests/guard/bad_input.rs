//! Input that no client of good will sends: refused with a clear error, or stored as plain data; never more.

use fb_testkit::{Client, Connection, Response, Server, encode, raw_request, root};
use serde_json::{Value, json};

use crate::{PROFILES, class, no_panics, server};

/// Texts that mean something to some layer below or above.
const HOSTILE: [&str; 34] = [
    "__proto__",
    "constructor",
    "prototype",
    "hasOwnProperty",
    "toString",
    "$where",
    "$set",
    "$",
    "a.b",
    ".",
    "..",
    "a..b",
    "a'b",
    "a\"b",
    "a`b",
    "'; DROP TABLE objects; --",
    "\") OR 1=1 --",
    "x'; ATTACH DATABASE 'x' AS y; --",
    "a\\b",
    "a/b",
    "../../etc/passwd",
    "a\u{0}b",
    "\u{0}",
    "a\nb\r\nc: d",
    "%",
    "%00",
    "%zz",
    "🦀",
    "\u{202e}abc",
    "\u{feff}",
    " ",
    "[0]",
    "*",
    "<script>",
];

/// A server with a class of every kind of field and one object that must survive.
struct Stage {
    server: Server,
    admin: Client,
    canary: Value,
}

impl Stage {
    fn new(builder: &fb_testkit::ServerBuilder) -> Self {
        let server = builder.start();
        let admin = root(&server);
        let fields = json!({
            "s": { "type": "/db/String" },
            "i": { "type": "/db/Integer" },
            "d": { "type": "/db/Double" },
            "b": { "type": "/db/Boolean" },
            "t": { "type": "/db/DateTime" },
            "g": { "type": "/db/GeoPoint" },
            "o": { "type": "/db/JsonObject" },
            "a": { "type": "/db/JsonArray" },
            "list": { "type": "/db/collection.List[/db/String]" },
            "set": { "type": "/db/collection.Set[/db/Integer]" },
            "map": { "type": "/db/collection.Map[/db/String,/db/Integer]" },
            "ref": { "type": "/db/User" },
        });
        class(&admin, "Doc", &fields, &Value::Null);
        let canary = json!({
            "id": "/db/Doc/canary", "s": "x", "i": 1, "d": 1.5, "b": true, "t": "2020-01-01T00:00:00.000Z",
            "g": { "latitude": 1, "longitude": 2 }, "o": { "x": 1 }, "a": [1], "list": ["a"], "set": [1], "map": { "k": 1 }, "ref": "/db/User/1" });
        let canary = admin.post("/db/Doc", &canary).expect(201).json();
        Self { server, admin, canary }
    }

    fn open() -> Self {
        Self::new(&server().baqend())
    }

    /// Still there, still the same, still at work.
    fn is_well(&self) {
        assert_eq!(self.admin.get("/db/Doc/canary").expect(200).json(), self.canary);
        let made = self.admin.post("/db/Doc", &json!({ "s": "after" })).expect(201).json();
        self.admin.delete(made["id"].as_str().unwrap()).expect(204);
        no_panics(&self.server);
    }
}

/// An error that says what it is.
#[track_caller]
fn refused(answer: &Response, what: &str) {
    let text = String::from_utf8_lossy(&answer.body);
    assert!((400..500).contains(&answer.status), "{what}: {} {text}", answer.status);
    assert!(
        answer
            .header("content-type")
            .unwrap_or("")
            .starts_with("application/json"),
        "{what}"
    );
    let body = answer.json();
    for member in ["className", "message", "requestId"] {
        assert!(
            body[member].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {body}"
        );
    }
    assert!(text.len() < 4096, "{what}: an error need not echo everything");
    for leak in ["sqlite", "SQL", ".rs:", "panicked", "/tmp/", "SELECT", "serde"] {
        assert!(what.contains(leak) || !text.contains(leak), "{what}: {text}");
    }
}

/// Refused, or a success.
#[track_caller]
fn refused_or_fine(answer: &Response, what: &str) {
    if answer.status >= 400 {
        refused(answer, what);
    }
}

/// Method and path of everything that takes a body.
const WITH_BODY: [(&str, &str); 19] = [
    ("PUT", "/file/data"),
    ("POST", "/file/data/x"),
    ("POST", "/db/Doc"),
    ("PUT", "/db/Doc/canary"),
    ("POST", "/db/Doc/canary"),
    ("POST", "/db/Doc/query"),
    ("POST", "/db/Doc/count"),
    ("PUT", "/db/Doc"),
    ("POST", "/schema"),
    ("PUT", "/schema"),
    ("POST", "/schema/Doc"),
    ("PUT", "/schema/Doc"),
    ("POST", "/schema/New"),
    ("PUT", "/schema/New"),
    ("POST", "/index/Doc"),
    ("POST", "/db/User/register"),
    ("POST", "/db/User/login"),
    ("PUT", "/config"),
    ("POST", "/db/User"),
];

#[test]
fn what_is_not_json_is_refused_everywhere() {
    let stage = Stage::open();
    for (method, path) in WITH_BODY {
        for body in [
            &b"{"[..],
            b"}",
            b"{\"s\":",
            b"{'s':1}",
            b"{\"s\":1,}",
            b"{\"s\":01}",
            b"{\"s\":NaN}",
            b"{\"s\":\"\\ud800\"}",
            b"{\"s\":\"\xff\"}",
            b"\xff\xfe{\x00",
            b"{\"s\":1} trailing",
            b"undefined",
            b"{\"s\":\"a\nb\"}",
        ] {
            let answer = stage.admin.request(method, path, &[], body);
            let what = format!("{method} {path} {}", String::from_utf8_lossy(body));
            refused(&answer, &what);
        }
        // Nothing at all: no object, but no filter is a filter.
        let answer = stage.admin.request(method, path, &[], b"");
        match path.ends_with("/query") || path.ends_with("/count") || (method, path) == ("PUT", "/db/Doc") {
            true => refused_or_fine(&answer, path),
            false => refused(&answer, path),
        }
    }
    stage.is_well();
}

/// S13
#[test]
fn s13_values_of_the_wrong_type_are_refused_everywhere() {
    let stage = Stage::open();
    let admin = &stage.admin;
    let values = [
        json!(null),
        json!(true),
        json!(1),
        json!(-1.5),
        json!("x"),
        json!([]),
        json!([1]),
        json!({}),
        json!({ "$ne": 1 }),
        json!({ "$gt": "" }),
        json!([[]]),
    ];
    for (method, path) in WITH_BODY {
        for value in values.iter().filter(|value| !value.is_object() && !value.is_array()) {
            let answer = admin.request(method, path, &[], value.to_string().as_bytes());
            if (method, path) == ("PUT", "/db/Doc") {
                // Each line is an object by itself, and these are none.
                assert_eq!(answer.expect(200).json()["failed"].as_array().unwrap().len(), 1);
            } else {
                refused(&answer, &format!("{method} {path} {value}"));
            }
        }
    }
    // Every field with every type: what fits is stored, everything else is 463.
    let fitting = |field: &str, value: &Value| match field {
        "s" => value.is_string(),
        "i" => value == &json!(1),
        "d" => value.is_number(),
        "b" => value.is_boolean(),
        "o" => value.is_object(),
        "a" => value.is_array(),
        _ => false,
    } || value.is_null() || (matches!(field, "list" | "set") && value == &json!([])) || (field == "set" && value == &json!([1])) || (field == "map" && value == &json!({}));
    for field in ["s", "i", "d", "b", "t", "g", "o", "a", "list", "set", "map", "ref"] {
        for value in &values {
            let answer = admin.post("/db/Doc", &json!({ field: value }));
            let what = format!("{field}: {value}");
            if fitting(field, value) {
                assert_eq!(answer.status, 201, "{what}");
            } else if answer.status != 201 {
                answer.expect_error(463, "InvalidTypeValue");
            } else {
                // Kinder readings are documented for some types, never for operators.
                assert!(field == "map" || !value.to_string().contains('$'), "{what} was taken");
            }
            for operator in [
                "$set",
                "$inc",
                "$push",
                "$add",
                "$remove",
                "$rename",
                "$currentDate",
                "$nope",
                "$pop",
            ] {
                let mut partial = admin.post("/db/Doc", &json!({})).expect(201).json();
                let id = partial["id"].take();
                let id = id.as_str().unwrap();
                refused_or_fine(&admin.post(id, &json!({ operator: { field: value } })), &what);
                refused_or_fine(&admin.post(id, &json!({ operator: value })), &what);
            }
            refused_or_fine(&admin.post("/db/Doc/query", &json!({ field: { "$in": value } })), &what);
            refused_or_fine(&admin.post("/db/Doc/query", &json!({ field: value })), &what);
        }
    }
    for value in &values {
        if !value.is_null() {
            refused(&admin.post("/db/Doc", &json!({ "id": value })), &format!("id {value}"));
        }
        let is_rules = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        for rules in [
            json!({ "acl": { "read": value } }),
            json!({ "acl": { "write": value } }),
        ] {
            let answer = admin.post("/db/Doc", &rules);
            assert_eq!(answer.status < 400, is_rules, "{rules}: {}", answer.status);
        }
        for rules in [
            json!({ "*": value }),
            json!({ "/db/User/1": value }),
            json!({ "/db/User/1": "ALLOW" }),
        ] {
            refused(
                &admin.post("/db/Doc", &json!({ "acl": { "read": rules } })),
                &rules.to_string(),
            );
            refused(
                &admin.put("/schema/Bad", &json!({ "fields": {}, "acl": { "load": rules } })),
                &rules.to_string(),
            );
        }
        if !value.is_string() {
            for body in [
                json!({ "username": value, "password": "x" }),
                json!({ "username": "root", "password": value }),
            ] {
                let answer = admin.post("/db/User/login", &body);
                assert!(matches!(answer.status, 400 | 460), "{body}");
            }
            refused(
                &admin.post(
                    "/db/User/register",
                    &json!({ "user": { "username": value }, "password": "x" }),
                ),
                "register",
            );
            refused(
                &admin.post(
                    "/db/User/register",
                    &json!({ "user": { "username": "x" }, "password": value }),
                ),
                "register",
            );
        }
        refused_or_fine(&admin.put("/config", &json!({ "registration": value })), "config");
        for (path, body) in [
            ("/index/Doc", json!({ "keys": value })),
            ("/index/Doc", json!({ "keys": [value] })),
            ("/index/Doc", json!({ "keys": [{ "s": value }] })),
            (
                "/index/Doc",
                json!({ "keys": [{ "s": "asc" }], "unique": value, "drop": true }),
            ),
            ("/schema", json!([value])),
            ("/schema/New", json!({ "fields": value })),
            ("/schema/New", json!({ "fields": { "x": value } })),
            ("/schema/New", json!({ "fields": { "x": { "type": value } } })),
            ("/schema/New", json!({ "class": value, "fields": {} })),
            ("/schema/New", json!({ "superClass": value, "fields": {} })),
            ("/schema/New", json!({ "embedded": value, "fields": {} })),
            ("/schema/New", json!({ "acl": value, "fields": {} })),
            ("/schema/New", json!({ "metadata": value, "fields": {} })),
            ("/schema", json!({ "operation": value })),
            (
                "/schema",
                json!({ "operation": "addField", "class": value, "field": value }),
            ),
            (
                "/schema",
                json!({ "operation": "renameField", "class": "/db/Doc", "from": value, "to": value }),
            ),
            (
                "/schema",
                json!({ "operation": "updateClassAcl", "class": "/db/New2", "acl": value }),
            ),
        ] {
            refused_or_fine(&admin.post(path, &body), &format!("{path} {body}"));
        }
    }
    root(&stage.server);
    stage.is_well();
}

/// JSON text of arrays or objects, so deep.
fn nested(depth: usize, arrays: bool) -> String {
    match arrays {
        true => "[".repeat(depth) + &"]".repeat(depth),
        false => "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth),
    }
}

#[test]
fn nesting_has_a_limit_and_never_breaks_the_server() {
    let stage = Stage::open();
    for arrays in [true, false] {
        let field = if arrays { "a" } else { "o" };
        for (depth, taken) in [(20, true), (126, true), (129, false), (1000, false), (100_000, false)] {
            let body = format!("{{\"{field}\":{}}}", nested(depth, arrays));
            let answer = stage.admin.request("POST", "/db/Doc", &[], body.as_bytes());
            assert_eq!(answer.status == 201, taken, "{depth}: {}", answer.status);
            if taken {
                let object = answer.json();
                let path = object["id"].as_str().unwrap();
                // What was taken can be read, found and changed again.
                stage.admin.get(path).expect(200);
                let q = encode(&json!({ "id": path }).to_string());
                for more in ["", "&eager=false"] {
                    let found = stage.admin.get(&format!("/db/Doc/query?q={q}{more}")).expect(200);
                    assert!(String::from_utf8_lossy(&found.body).contains(path), "{more}");
                }
                stage.admin.post(path, &json!({ "$set": { "s": "y" } })).expect(200);
                let again = stage.admin.get(path).expect(200).body;
                stage
                    .admin
                    .request("PUT", path, &[("if-match", "*")], &again)
                    .expect(200);
                stage.admin.get("/db/Doc").expect(200);
                // No update makes of it what could not be read again.
                for _ in 0..3 {
                    let value = nested(75, arrays);
                    let update = format!("{{\"$set\":{{\"o.b.b.b.b.b.b.b.b\":{value}}}}}");
                    let answer = stage.admin.request("POST", path, &[], update.as_bytes());
                    refused_or_fine(&answer, "a deep update");
                    stage.admin.post(path, &json!({ "$set": { "s": "z" } })).expect(200);
                    stage.admin.get(path).expect(200).json();
                }
                stage.admin.delete(path).expect(204);
            } else {
                refused(&answer, "deep");
            }
            // An object without fields is a class without fields: that would be taken at its word.
            for (method, path) in WITH_BODY.into_iter().filter(|(_, path)| !path.starts_with("/schema")) {
                let text = nested(depth, arrays);
                refused_or_fine(
                    &stage.admin.request(method, path, &[], text.as_bytes()),
                    &format!("{method} {path} {depth}"),
                );
            }
        }
        for operator in ["$and", "$or", "$nor", "$not", "$elemMatch"] {
            for depth in [10, 60, 120] {
                let (open, close) = match operator {
                    "$and" | "$or" | "$nor" => (format!("{{\"{operator}\":["), "]}"),
                    _ => (format!("{{\"o\":{{\"{operator}\":"), "}}"),
                };
                let filter = open.repeat(depth) + "{\"s\":\"x\"}" + &close.repeat(depth);
                refused_or_fine(
                    &stage.admin.request("POST", "/db/Doc/query", &[], filter.as_bytes()),
                    operator,
                );
                refused_or_fine(
                    &stage.admin.get(&format!("/db/Doc/count?q={}", encode(&filter))),
                    operator,
                );
            }
        }
    }
    stage.is_well();
}

#[test]
fn what_is_too_large_or_too_long_is_refused_before_it_is_read() {
    let stage = Stage::open();
    let client = &stage.admin;
    // Announced: refused by the number alone.
    for (method, path, size) in [
        ("POST", "/db/Doc", 5 << 20),
        ("PUT", "/db/Doc/canary", usize::MAX >> 2),
        ("POST", "/db/Doc/query", 5 << 20),
        ("PUT", "/db/Doc", 65 << 20),
    ] {
        let mut connection = Connection::open(stage.server.address()).unwrap();
        assert!(connection.send(client.head(method, path, &[], size).as_bytes()));
        let answer = connection.receive().expect("an answer before the body");
        answer.expect_error(413, "TooLarge");
    }
    // In pieces, without a length.
    let mut connection = Connection::open(stage.server.address()).unwrap();
    let headers = [("transfer-encoding", "chunked"), ("content-type", "application/json")];
    connection.send(client.head("POST", "/db/Doc", &headers, 0).as_bytes());
    let piece = [b"100000\r\n", &vec![b' '; 0x10_0000][..], b"\r\n"].concat();
    for _ in 0..5 {
        if !connection.send(&piece) {
            break;
        }
    }
    connection.receive().expect("an answer").expect_error(413, "TooLarge");
    // Small enough in pieces is fine.
    let mut connection = Connection::open(stage.server.address()).unwrap();
    connection.send(client.head("POST", "/db/Doc", &headers, 0).as_bytes());
    connection.send(b"5\r\n{\"s\":\r\n4\r\n\"x\"}\r\n0\r\n\r\n");
    connection.receive().expect("an answer").expect(201);
    // A length that is none.
    for length in ["-1", "abc", "18446744073709551616", "1, 2"] {
        let head = format!("POST /v1/db/Doc HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{{}}");
        let answer = raw_request(stage.server.address(), head.as_bytes());
        assert!(
            answer.starts_with(b"HTTP/1.1 400"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let both = b"POST /v1/db/Doc HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/version HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = raw_request(stage.server.address(), both);
    assert_eq!(
        String::from_utf8_lossy(&answer).matches("HTTP/1.1").count(),
        1,
        "one request, one answer"
    );
    for length in [16_500, 40_000, 60_000] {
        let long = "x".repeat(length);
        for path in [
            format!("/db/Doc/{long}"),
            format!("/db/Doc/query?q={long}"),
            format!("/{long}"),
            format!("/db/{long}/1"),
        ] {
            client.get(&path).expect_error(414, "UriTooLong");
        }
    }
    let answer = raw_request(
        stage.server.address(),
        format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(1 << 20)).as_bytes(),
    );
    assert!(
        answer.starts_with(b"HTTP/1.1 4") || answer.is_empty(),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    for size in [1025, 4000] {
        let key = "k".repeat(size);
        refused(&client.get(&format!("/db/Doc/{key}")), "key");
        refused(
            &client.post("/db/Doc", &json!({ "id": format!("/db/Doc/{key}") })),
            "key",
        );
        refused(
            &client.post(&format!("/schema/{key}"), &json!({ "fields": {} })),
            "class",
        );
        refused(
            &client.post("/schema/Doc", &json!({ "fields": { key: { "type": "/db/String" } } })),
            "field",
        );
    }
    stage.is_well();
}

#[test]
fn invalid_utf8_is_refused_in_paths_and_queries() {
    let stage = Stage::open();
    for path in [
        "/db/Doc/%ff",
        "/db/%ff/1",
        "/db/Doc/%c3%28",
        "/db/Doc/%ed%a0%80",
        "/schema/%ff",
        "/index/%ff",
        "/db/Doc/query?q=%ff",
        "/db/Doc/query?q=%7B%22s%22%3A%22%ff%22%7D",
        "/db/Doc/query?sort=%ff",
        "/db/Doc/count?q=%c0%af",
        "/db/Doc/query?start=%ff",
        "/db/%ff/ids",
    ] {
        refused(&stage.admin.get(path), path);
        refused_or_fine(&stage.admin.delete(path), path);
    }
    for bytes in [&b"\xff"[..], b"\x00", b" ", b"\x7f", b"\xc3\xa9", b"<>", b"{}|\\^`\""] {
        let request = [
            b"GET /v1/db/Doc/",
            bytes,
            b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ]
        .concat();
        let answer = raw_request(stage.server.address(), &request);
        assert!(
            answer.starts_with(b"HTTP/1.1 4"),
            "{bytes:?}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    for header in [
        "authorization: BAT \u{e9}",
        "if-match: \u{e9}",
        "accept: \u{e9}",
        "host: \u{e9}",
        "content-type: \u{e9}",
        "origin: \u{e9}",
    ] {
        let request = format!(
            "PUT /v1/db/Doc/canary HTTP/1.1\r\n{header}\r\nhost: x\r\ncontent-length: 1\r\nconnection: close\r\n\r\n{{"
        );
        let answer = raw_request(stage.server.address(), request.as_bytes());
        assert!(
            answer.starts_with(b"HTTP/1.1 4"),
            "{header}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    stage.is_well();
}

/// S12, S14
#[test]
fn s12_s14_hostile_names_are_plain_data_or_refused() {
    for profile in PROFILES {
        let stage = Stage::new(&match profile {
            crate::Profile::Secure => server().secure(),
            crate::Profile::Baqend => server().baqend(),
        });
        let admin = &stage.admin;
        let schema = admin.get("/schema").expect(200).json();
        for name in HOSTILE {
            // As data they come back as they went in.
            let key = encode(name);
            let id = format!("/db/Doc/{key}");
            let data =
                json!({ "s": name, "o": { name: { name: name } }, "a": [name], "list": [name], "map": { name: 1 } });
            let made = admin.put(&id, &data);
            let is_dots = matches!(name, "." | "..");
            if made.status == 200 {
                let object = made.json();
                for field in ["s", "o", "a", "list", "map"] {
                    assert_eq!(object[field], data[field], "{name:?}");
                }
                assert_eq!(admin.get(&id).expect(200).json(), object);
                assert_eq!(
                    admin.get(object["id"].as_str().unwrap()).expect(200).json(),
                    object,
                    "{name:?}"
                );
                for filter in [
                    json!({ "id": object["id"] }),
                    json!({ "s": name }),
                    json!({ "list": name }),
                    json!({ "a": { "$in": [name] } }),
                ] {
                    let found = admin.query("Doc", &filter);
                    assert!(found.contains(&object), "{filter}");
                    assert!(!found.contains(&stage.canary), "{filter}");
                }
                refused_or_fine(&admin.post(&id, &json!({ "$set": { format!("o.{name}"): 1 } })), name);
                refused_or_fine(&admin.post(&id, &json!({ "$set": { format!("map.{name}"): 1 } })), name);
                admin.delete(&id).expect(204);
                admin.get(&id).expect(404);
            } else {
                refused(&made, name);
                assert!(
                    is_dots || name.contains('\u{0}') || name == "$where" || name.starts_with('$'),
                    "{name:?}: {}",
                    String::from_utf8_lossy(&made.body)
                );
            }
            // As names of fields, paths and operators.
            let path = format!("/db/Doc/query?sort={}", encode(&json!({ name: 1 }).to_string()));
            refused_or_fine(&admin.get(&path), name);
            for filter in [
                json!({ name: 1 }),
                json!({ format!("o.{name}"): 1 }),
                json!({ format!("map.{name}"): 1 }),
                json!({ format!("s.{name}"): 1 }),
                json!({ "s": { name: 1 } }),
                json!({ "s": { "$regex": name } }),
                json!({ "s": { "$regex": "^x", "$options": name } }),
                json!({ "o": { "$eq": { name: name } } }),
                json!({ "ref": name }),
                json!({ "id": name }),
                json!({ "$text": { "$search": name } }),
            ] {
                refused_or_fine(&admin.post("/db/Doc/query", &filter), &format!("{filter}"));
                refused_or_fine(&admin.post("/db/Doc/count", &filter), &format!("{filter}"));
            }
            refused_or_fine(&admin.post("/db/Doc", &json!({ name: 1 })), name);
            for operation in [
                json!({ name: { "s": "x" } }),
                json!({ "$set": { name: 1 } }),
                json!({ "$unset": { name: 1 } }),
                json!({ "$inc": { name: 1 } }),
            ] {
                let copy = admin.put("/db/Doc/copy", &json!({ "s": "c" })).expect(200).json();
                refused_or_fine(&admin.post("/db/Doc/copy", &operation), &operation.to_string());
                assert_eq!(admin.get("/db/Doc/copy").expect(200).json()["id"], copy["id"]);
            }
            // As names of classes, fields and indexes. A name is letters, digits and _.
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            for (answer, what) in [
                (admin.put(&format!("/schema/{key}"), &json!({ "fields": {} })), "class"),
                (
                    admin.post("/schema", &json!({ "class": format!("/db/{name}"), "fields": {} })),
                    "class in a list",
                ),
                (
                    admin.put("/schema/Tmp", &json!({ "fields": { name: { "type": "/db/String" } } })),
                    "field",
                ),
                (admin.post("/index/Doc", &json!({ "keys": [{ name: "asc" }] })), "index"),
            ] {
                let dotted = name == "a.b" && what != "field";
                assert!(
                    answer.status >= 400 || plain || dotted,
                    "{what} {name:?}: {}",
                    answer.status
                );
                refused_or_fine(&answer, name);
            }
            refused_or_fine(
                &admin.post("/index/Doc", &json!({ "keys": [{ format!("o.{name}"): "asc" }] })),
                name,
            );
            refused(
                &admin.put("/schema/Tmp2", &json!({ "fields": { "x": { "type": name } } })),
                name,
            );
            refused(
                &admin.put("/schema/Tmp2", &json!({ "fields": {}, "superClass": name })),
                name,
            );
            if plain {
                // A class or field of that name works like any other; some names are no field names.
                let object = admin.post(&format!("/db/{name}"), &json!({})).expect(201).json();
                admin.get(object["id"].as_str().unwrap()).expect(200);
                if admin.get("/schema/Tmp").status == 200 {
                    let object = admin.post("/db/Tmp", &json!({ name: "v" })).expect(201).json();
                    assert_eq!(object[name], "v");
                    assert_eq!(admin.query("Tmp", &json!({ name: "v" })).len(), 1);
                }
            }
            let mut connect = admin.get("/connect").expect(200).json();
            assert!(connect["schema"].take().is_array());
            admin.delete(&format!("/schema/{key}"));
            admin.delete("/schema/Tmp");
            admin.delete("/schema/a.b");
            let registered = admin.post(
                "/db/User/register",
                &json!({ "user": { "username": name }, "password": name }),
            );
            refused_or_fine(&registered, name);
            if registered.status == 200 {
                server_login(&stage.server, name);
            }
        }
        admin.delete("/index/Doc").expect(202);
        assert_eq!(admin.get("/schema").expect(200).json(), schema);
        stage.is_well();
    }
}

fn server_login(server: &Server, name: &str) {
    server.client().login(name, name).get("/db/User/me").expect(200);
}

#[test]
fn numbers_beyond_all_bounds_are_refused_or_kept_exactly() {
    let stage = Stage::open();
    let admin = &stage.admin;
    for number in [
        "1e400",
        "-1e400",
        "1e308",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1e-400",
        "-0.0",
        "0.1e1",
        "123456789012345678901234567890",
        &"9".repeat(5000),
    ] {
        for field in ["i", "d", "o", "a", "map", "set"] {
            let value = match field {
                "o" => format!("{{\"x\":{number}}}"),
                "map" => format!("{{\"k\":{number}}}"),
                "a" | "set" => format!("[{number}]"),
                _ => number.to_owned(),
            };
            let body = format!("{{\"{field}\":{value}}}");
            let what = format!("{field} {}", &number[..number.len().min(30)]);
            let answer = admin.request("POST", "/db/Doc", &[], body.as_bytes());
            refused_or_fine(&answer, &what);
            if answer.status == 201 {
                let object = answer.json();
                let id = object["id"].as_str().unwrap();
                assert_eq!(admin.get(id).expect(200).json(), object, "{what}");
                for operator in ["$inc", "$mul", "$max", "$min", "$set"] {
                    let update = format!("{{\"{operator}\":{{\"{field}\":{number}}}}}");
                    refused_or_fine(&admin.request("POST", id, &[], update.as_bytes()), &what);
                    let now = admin.get(id).expect(200).json();
                    assert!(
                        field != "i" || now["i"].is_i64() || now["i"].is_null(),
                        "{what} {operator}: {now}"
                    );
                    assert!(
                        field != "d" || now["d"].is_number() || now["d"].is_null(),
                        "{what} {operator}: {now}"
                    );
                }
            }
            for operator in ["$gt", "$lt", "$eq", "$in", "$mod", "$size"] {
                let operand = if matches!(operator, "$in" | "$mod") {
                    format!("[{number},{number}]")
                } else {
                    number.to_owned()
                };
                let filter = format!("{{\"{field}\":{{\"{operator}\":{operand}}}}}");
                refused_or_fine(&admin.request("POST", "/db/Doc/query", &[], filter.as_bytes()), &what);
            }
        }
        for path in [
            format!("/db/Doc/query?start={number}"),
            format!("/db/Doc/query?count={number}"),
            format!("/db/Doc/query?start={number}&count={number}"),
            format!("/db/Doc/ids?start={number}&count={number}"),
        ] {
            refused_or_fine(&admin.get(&path), &path[..path.len().min(60)]);
        }
        for tag in [number.to_owned(), format!("\"{number}\""), format!("W/\"{number}\"")] {
            let answer = admin.request("PUT", "/db/Doc/canary", &[("if-match", &tag)], b"{}");
            assert!(matches!(answer.status, 400 | 412), "{tag}: {}", answer.status);
            let answer = admin.request("DELETE", "/db/Doc/canary", &[("if-match", &tag)], b"");
            assert!(matches!(answer.status, 400 | 412), "{tag}: {}", answer.status);
        }
        for (field, body) in [
            ("sessionSeconds", format!("{{\"sessionSeconds\":{number}}}")),
            (
                "order",
                format!("{{\"fields\":{{\"x\":{{\"type\":\"/db/String\",\"order\":{number}}}}}}}"),
            ),
        ] {
            match field {
                "order" => refused_or_fine(&admin.request("PUT", "/schema/Ordered", &[], body.as_bytes()), field),
                _ => refused(&admin.request("PUT", "/config", &[], body.as_bytes()), field),
            }
        }
    }
    admin.get("/schema").expect(200);
    // Sums that leave the range of integers.
    let top = admin
        .post(
            "/db/Doc",
            &json!({ "i": i64::MAX, "d": 1e308, "map": { "k": i64::MAX } }),
        )
        .expect(201)
        .json();
    let id = top["id"].as_str().unwrap();
    for update in [
        json!({ "$inc": { "i": 1 } }),
        json!({ "$mul": { "i": 2 } }),
        json!({ "$inc": { "i": i64::MAX } }),
        json!({ "$mul": { "d": 1e308 } }),
        json!({ "$inc": { "map.k": 1 } }),
    ] {
        refused(&admin.post(id, &update), &update.to_string());
    }
    assert_eq!(admin.get(id).expect(200).json(), top);
    stage.is_well();
}

#[test]
fn unknown_endpoints_and_methods_say_so() {
    let stage = Stage::open();
    let routes = fb_server::route_table();
    for path in [
        "/nothing",
        "/db/Doc/1/2",
        "/db/Doc/1/2/3",
        "/schema/Doc/x",
        "/db//",
        "//",
        "/index",
        "/connect/",
        "/-/",
        "/db/Doc/canary/",
    ] {
        stage.admin.get(path).expect_error(404, "EndpointNotFound");
    }
    for route in &routes {
        let path = route.path.replace("{bucket}", "Doc").replace("{oid}", "canary");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"] {
            let known: Vec<&str> = routes
                .iter()
                .filter(|r| r.path == route.path)
                .map(|r| r.method.as_str())
                .collect();
            if known.contains(&method) {
                continue;
            }
            let answer = stage.admin.request(method, &path, &[], b"");
            answer.expect_error(405, "MethodNotAllowed");
            let allow = answer.header("allow").expect("a list of methods");
            assert!(known.iter().all(|method| allow.contains(method)), "{allow} at {path}");
        }
    }
    stage.is_well();
}

#[test]
fn bodies_need_no_content_type() {
    let stage = Stage::open();
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json;charset=latin1",
        "x",
    ] {
        for (method, path, body) in [
            ("POST", "/db/Doc", "{\"s\":\"x\"}"),
            ("POST", "/db/Doc/query", "{}"),
            ("PUT", "/db/Doc/typed", "{}"),
            (
                "POST",
                "/db/User/login",
                "{\"username\":\"root\",\"password\":\"root\"}",
            ),
        ] {
            let answer = stage
                .admin
                .request(method, path, &[("content-type", content_type)], body.as_bytes());
            refused_or_fine(&answer, content_type);
        }
    }
    let request = "POST /v1/db/Doc HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    assert!(raw_request(stage.server.address(), request.as_bytes()).starts_with(b"HTTP/1.1 201"));
    stage.is_well();
}
