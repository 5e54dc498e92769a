//! Single objects and whole buckets: protocol 02.

use std::collections::BTreeSet;

use fb_testkit::{Client, Response, Server, encode};
use serde_json::{Value, json};

use crate::{class, open, server};

fn todo() -> (Server, Client, Client) {
    let (server, admin, anybody) = open();
    class(&admin, "Todo", &[("name", "String"), ("prio", "Integer")]);
    (server, admin, anybody)
}

fn conditional(client: &Client, method: &str, path: &str, if_match: Option<&str>, body: &Value) -> Response {
    let headers: Vec<(&str, &str)> = if_match.map(|tag| ("if-match", tag)).into_iter().collect();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    client.request(method, path, &headers, body.as_bytes())
}

/// What the object of a row of the status table is before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Missing,
    /// Version 2.
    There,
}
use Before::{Missing, There};

/// Method, If-Match, body, what there was before, status, and the version afterwards: 0 is missing.
type Row<'a> = (&'a str, Option<&'a str>, &'a Value, Before, u16, u64);

#[test]
fn the_status_table() {
    let (_server, _, client) = todo();
    let put = json!({ "name": "new" });
    let partial = json!({ "$set": { "name": "new" } });
    let none = Value::Null;
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("GET", None, &none, Missing, 404, 0),
        ("GET", None, &none, There, 200, 2),
        ("INSERT", None, &put, Missing, 201, 1),
        ("INSERT", None, &put, There, 409, 2),
        ("PUT", Some("\"2\""), &put, Missing, 412, 0),
        ("PUT", Some("\"2\""), &put, There, 200, 3),
        ("PUT", Some("\"1\""), &put, There, 412, 2),
        ("PUT", Some("\"3\""), &put, There, 412, 2),
        ("PUT", Some("*"), &put, Missing, 412, 0),
        ("PUT", Some("*"), &put, There, 200, 3),
        ("PUT", None, &put, Missing, 200, 1),
        ("PUT", None, &put, There, 200, 3),
        ("DELETE", Some("\"2\""), &none, Missing, 412, 0),
        ("DELETE", Some("\"2\""), &none, There, 204, 0),
        ("DELETE", Some("\"1\""), &none, There, 412, 2),
        ("DELETE", Some("*"), &none, Missing, 412, 0),
        ("DELETE", Some("*"), &none, There, 204, 0),
        ("DELETE", None, &none, Missing, 204, 0),
        ("DELETE", None, &none, There, 204, 0),
        ("POST", None, &partial, Missing, 404, 0),
        ("POST", None, &partial, There, 200, 3),
        ("POST", Some("\"2\""), &partial, Missing, 412, 0),
        ("POST", Some("\"2\""), &partial, There, 200, 3),
        ("POST", Some("\"1\""), &partial, There, 412, 2),
        ("POST", Some("*"), &partial, Missing, 412, 0),
        ("POST", Some("*"), &partial, There, 200, 3),
    ];
    for (i, (method, if_match, body, before, status, version)) in rows.iter().enumerate() {
        let row = format!("row {i}: {method} {if_match:?} {before:?}");
        let path = format!("/db/Todo/row{i}");
        if *before == There {
            client.put(&path, &json!({ "name": "old" })).expect(200);
            client.put(&path, &json!({ "name": "old", "prio": 1 })).expect(200);
        }
        let answer = if *method == "INSERT" {
            let mut body = (*body).clone();
            body["id"] = json!(path);
            client.post("/db/Todo", &body)
        } else {
            conditional(&client, method, &path, *if_match, body)
        };
        assert_eq!(answer.status, *status, "{row}");
        let class_name = match *status {
            404 => Some("ObjectNotFound"),
            409 => Some("ObjectExists"),
            412 => Some("ObjectOutOfDate"),
            _ => None,
        };
        if let Some(class_name) = class_name {
            answer.expect_error(*status, class_name);
        }
        let after = client.get(&path);
        if *version == 0 {
            assert_eq!(after.status, 404, "{row}");
            continue;
        }
        let after = after.expect(200);
        assert_eq!(after.header("etag"), Some(&*format!("\"{version}\"")), "{row}");
        let object = after.json();
        assert_eq!(object["version"], *version, "{row}");
        assert_eq!(object["name"], if *version == 2 { "old" } else { "new" }, "{row}");
        if *status < 300 {
            assert_eq!(answer.header("etag"), after.header("etag"), "{row}");
            assert_eq!(answer.body, after.body, "{row}: the answer is the stored object");
        }
        if *version == 3 && *method == "PUT" {
            assert_eq!(object["prio"], Value::Null, "{row}: a missing field is null");
        }
        if *version == 3 && *method == "POST" {
            assert_eq!(object["prio"], 1, "{row}: other fields stay");
        }
    }
}

#[test]
fn if_match_is_understood_in_all_spellings() {
    let (_server, _, client) = todo();
    let put = json!({ "name": "x" });
    client.put("/db/Todo/a", &put).expect(200);
    let mut version = 1;
    for spelling in ["\"v\"", "v", "W/\"v\"", "\"v--gzip\"", "*", "\"\"", ""] {
        let tag = spelling.replace('v', &version.to_string());
        let answer = conditional(&client, "PUT", "/db/Todo/a", Some(&tag), &put).expect(200);
        version += 1;
        assert_eq!(answer.json()["version"], version, "{tag}");
    }
    for garbage in [
        "x",
        "\"x\"",
        "-1",
        "1.5",
        "\"1",
        "1\"2",
        "99999999999999999999",
        "\"1\", \"2\"",
    ] {
        for (method, body) in [("PUT", &put), ("DELETE", &Value::Null), ("POST", &json!({}))] {
            let answer = conditional(&client, method, "/db/Todo/a", Some(garbage), body);
            answer.expect_error(400, "BadRequest");
        }
    }
    assert_eq!(client.get("/db/Todo/a").json()["version"], version);
    // An empty condition is none: it inserts.
    conditional(&client, "PUT", "/db/Todo/new", Some("\"\""), &put).expect(200);
}

#[test]
fn a_client_that_knows_the_version_gets_no_body() {
    let (_server, _, client) = todo();
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    let get = |tag: &str| client.request("GET", "/db/Todo/a", &[("if-none-match", tag)], b"");
    for tag in ["\"1\"", "W/\"1\"", "1", "\"1--gzip\"", "\"7\", \"1\"", "*"] {
        let answer = get(tag).expect(304);
        assert_eq!((answer.header("etag"), answer.body.len()), (Some("\"1\""), 0), "{tag}");
    }
    for tag in ["\"2\"", "\"\"", "-", "\"-\"", "x"] {
        get(tag).expect(200);
    }
    // What browsers are made to send in order to get a fresh copy.
    let fresh = [("if-match", "\"\""), ("if-none-match", "\"-\"")];
    client.request("GET", "/db/Todo/a", &fresh, b"").expect(200);
    client.put("/db/Todo/a", &json!({ "name": "y" })).expect(200);
    get("\"1\"").expect(200);
    get("\"2\"").expect(304);

    let head = client.request("HEAD", "/db/Todo/a", &[], b"").expect(200);
    let whole = client.get("/db/Todo/a");
    assert_eq!(head.header("etag"), whole.header("etag"));
    assert_eq!(head.header("content-length"), Some(&*whole.body.len().to_string()));
    assert_eq!(client.request("HEAD", "/db/Todo/none", &[], b"").status, 404);
}

#[test]
fn ids_keep_their_characters_whatever_the_spelling() {
    let (_server, _, client) = todo();
    let all = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    for (i, key) in [
        all,
        "a/b?c=1",
        "ä ö/ü",
        "😀",
        "%2F",
        "..a",
        "...",
        "a\u{0}b",
        "query%",
        "é\u{301}",
    ]
    .into_iter()
    .enumerate()
    {
        // `encode` spells more characters than needed; the canonical spelling comes back.
        let canonical: String = key
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '!' | '~' | '*' | '\'' | '(' | ')' => {
                    c.to_string()
                }
                c => encode(&c.to_string()),
            })
            .collect();
        let id = format!("/db/Todo/{canonical}");
        let spelled = format!("/db/Todo/{}", encode(key));
        let created = client
            .post("/db/Todo", &json!({ "id": spelled, "prio": i }))
            .expect(201);
        assert_eq!(created.json()["id"], id.as_str());
        assert!(created.header("location").is_some_and(|l| l.ends_with(&canonical)));
        for path in [&id, &spelled, &spelled.replace("%2F", "%2f")] {
            assert_eq!(client.get(path).expect(200).json()["prio"], i, "{path}");
        }
        assert_eq!(client.query("Todo", &json!({ "id": id })).len(), 1, "{id}");
        client.put(&spelled, &json!({ "id": spelled, "name": "x" })).expect(200);
        client
            .post("/db/Todo", &json!({ "id": id }))
            .expect_error(409, "ObjectExists");
        client.delete(&spelled).expect(204);
        client.get(&id).expect_error(404, "ObjectNotFound");
    }
}

#[test]
fn ids_that_are_none_are_refused() {
    let (_server, admin, client) = todo();
    class(&admin, "Other", &[]);
    let longest = "k".repeat(1024);
    client
        .post("/db/Todo", &json!({ "id": format!("/db/Todo/{longest}") }))
        .expect(201);
    client.get(&format!("/db/Todo/{longest}")).expect(200);
    let too_long = format!("/db/Todo/{longest}k");
    let also_too_long = format!("/db/Todo/{}", "%20".repeat(342));
    let before = admin.get("/db/Todo/ids").json();
    let bad = [
        json!("/db/Other/a"),
        json!("/db/Todo/.."),
        json!("/db/Todo/."),
        json!("/db/Todo/%2E%2e"),
        json!("/db/Todo/"),
        json!("/db/Todo"),
        json!("a"),
        json!(""),
        json!("/db/Todo/%FF"),
        json!(7),
        json!(["/db/Todo/a"]),
        json!(too_long),
        json!(also_too_long),
    ];
    for id in &bad {
        client
            .post("/db/Todo", &json!({ "id": id }))
            .expect_error(400, "BadRequest");
    }
    client.get(&too_long).expect_error(400, "BadRequest");
    for path in ["/db/Todo/..", "/db/Todo/%2e%2E", "/db/Todo/%FF"] {
        for method in ["GET", "PUT", "DELETE", "POST"] {
            let status = client.request(method, path, &[], b"{}").status;
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    // The id in the body is that of the URL, in any spelling.
    for id in ["/db/Todo/b", "/db/Other/a", "nonsense"] {
        client
            .put("/db/Todo/a", &json!({ "id": id }))
            .expect_error(400, "BadRequest");
    }
    client
        .put("/db/Todo/a", &json!({ "id": 5 }))
        .expect_error(400, "BadRequest");
    assert_eq!(admin.get("/db/Todo/ids").json(), before);
    for (method, path) in [
        ("GET", "/db/No/a"),
        ("PUT", "/db/No/a"),
        ("DELETE", "/db/No/a"),
        ("POST", "/db/No"),
    ] {
        client
            .request(method, path, &[], b"{}")
            .expect_error(461, "BucketNotFound");
    }
    for path in ["/db/Object", "/db/Object/a"] {
        client.post(path, &json!({})).expect_error(400, "BadRequest");
    }
}

#[test]
fn the_server_makes_the_ids_it_is_responsible_for() {
    let (_server, admin, client) = todo();
    let mut ids = BTreeSet::new();
    for body in [json!({}), json!({ "id": null }), json!({})] {
        let id = client.post("/db/Todo", &body).expect(201).json()["id"].clone();
        let key = id.as_str().unwrap().strip_prefix("/db/Todo/").unwrap().to_owned();
        let groups: Vec<usize> = key.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{key}");
        assert_eq!(&key[14..15], "4", "{key}");
        assert!(ids.insert(key));
    }
    for (bucket, body) in [
        ("User", json!({ "id": "/db/User/mine" })),
        ("Role", json!({ "id": "/db/Role/mine", "name": "team" })),
        ("logs.AppLog", json!({ "id": "/db/logs.AppLog/mine", "message": "hi" })),
    ] {
        let path = format!("/db/{bucket}");
        let id = admin.post(&path, &body).expect(201).json()["id"].clone();
        let id = id.as_str().unwrap();
        assert!(id.starts_with(&format!("{path}/")) && !id.ends_with("mine"), "{id}");
        admin.get(&format!("{path}/mine")).expect_error(404, "ObjectNotFound");
        // The log is not even an administrator's to change.
        let status = admin.put(&format!("{path}/mine"), &json!({})).status;
        assert_eq!(status, if bucket == "logs.AppLog" { 466 } else { 400 }, "{bucket}");
    }
    let role = admin.post("/db/Role", &json!({ "name": "x" })).expect(201).json();
    let number: u64 = role["id"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(number > 3, "{role}");
}

#[test]
fn times_and_versions_are_the_servers_business() {
    let (_server, _, client) = todo();
    let forged = json!({
        "id": "/db/Todo/a", "version": 77, "createdAt": "2001-01-01T00:00:00Z", "updatedAt": "2001-01-01T00:00:00Z",
        "name": "x", "unknown": { "deep": [1] }, "_id": "b", "__proto__": 1,
    });
    let created = client.post("/db/Todo", &forged).expect(201).json();
    assert_eq!(created["version"], 1);
    assert_eq!(created["createdAt"], created["updatedAt"]);
    assert!(!created["createdAt"].as_str().unwrap().starts_with("2001"));
    let names: Vec<&String> = created.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["id", "version", "acl", "createdAt", "updatedAt", "name", "prio"]
    );
    assert_eq!((&created["acl"], &created["prio"]), (&Value::Null, &Value::Null));

    let moment = |object: &Value| {
        let text = object["updatedAt"].as_str().unwrap().trim_end_matches('Z').to_owned();
        let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
        format!("{seconds}.{fraction:0<3}")
    };
    let mut last = created.clone();
    for i in 0..10 {
        let written = match i % 3 {
            0 => client.put("/db/Todo/a", &forged),
            1 => client.post("/db/Todo/a", &json!({})),
            _ => conditional(&client, "PUT", "/db/Todo/a", Some("*"), &forged),
        };
        let written = written.expect(200).json();
        assert_eq!(written["version"], i + 2);
        assert_eq!(written["createdAt"], created["createdAt"]);
        assert!(moment(&written) > moment(&last), "{written} {last}");
        last = written;
    }
    for path in ["id", "version", "acl", "createdAt", "updatedAt", "acl.read"] {
        client
            .post("/db/Todo/a", &json!({ "$set": { path: "x" } }))
            .expect_error(400, "UnsupportedUpdate");
    }
    assert_eq!(client.get("/db/Todo/a").json(), last);
    // A new life begins anew.
    client.delete("/db/Todo/a").expect(204);
    let again = client.post("/db/Todo", &forged).expect(201).json();
    assert_eq!(again["version"], 1);
    assert_eq!(again["createdAt"], again["updatedAt"]);
}

#[test]
fn read_only_fields_stay_as_they_are() {
    let (server, admin, anybody) = todo();
    class(&admin, "User", &[("email", "String")]);
    let (ann, id) = anybody.register("ann");
    let forged = json!({ "username": "root", "inactive": true, "email": "a@b" });
    for client in [&ann, &admin] {
        let written = conditional(client, "PUT", &id, Some("*"), &forged).expect(200).json();
        assert_eq!(
            (&written["username"], &written["email"]),
            (&json!("ann"), &json!("a@b"))
        );
        assert_ne!(written["inactive"], true);
        for field in ["username", "inactive"] {
            let set = json!({ "$set": { field: "x" } });
            let answer = client.post(&id, &set);
            assert!((400..500).contains(&answer.status), "{}", answer.status);
        }
    }
    let report = admin
        .put("/db/User", &json!([{ "id": id, "username": "eve" }]))
        .expect(200);
    assert_eq!(report.json()["count"], 1);
    assert_eq!(admin.get(&id).json()["username"], "ann");
    let registered = server.client().post(
        "/db/User/register",
        &json!({ "user": { "username": "bob", "inactive": true, "version": 9 }, "password": "a secret" }),
    );
    let registered = registered.expect(200).json();
    assert_ne!(registered["inactive"], true, "{registered}");
    assert_eq!(registered["version"], 1);
    server.client().login("bob", "a secret");
    // Users that an administrator inserts have no name: names come with credentials.
    let inserted = admin.post("/db/User", &forged).expect(201).json();
    assert_eq!(inserted["username"], Value::Null, "{inserted}");
    assert_ne!(inserted["inactive"], true, "{inserted}");
}

const TYPES: &[(&str, &str)] = &[
    ("boolean", "Boolean"),
    ("integer", "Integer"),
    ("double", "Double"),
    ("string", "String"),
    ("dateTime", "DateTime"),
    ("date", "Date"),
    ("time", "Time"),
    ("file", "File"),
    ("geo", "GeoPoint"),
    ("json", "JsonObject"),
    ("array", "JsonArray"),
    ("reference", "Todo"),
    ("place", "Place"),
    ("list", "collection.List[/db/String]"),
    ("set", "collection.Set[/db/Integer]"),
    ("map", "collection.Map[/db/String,/db/Double]"),
    ("references", "collection.List[/db/Todo]"),
    ("places", "collection.Map[/db/String,/db/Place]"),
    ("byDate", "collection.Map[/db/DateTime, /db/String]"),
    ("byTodo", "collection.Map[/db/Todo, /db/Boolean]"),
];

fn all_types() -> (Server, Client, Client) {
    let (server, admin, anybody) = todo();
    let place = json!({ "class": "/db/Place", "embedded": true, "fields": {
        "city": { "type": "/db/String" }, "point": { "type": "/db/GeoPoint" },
        "tags": { "type": "/db/collection.Set[/db/String]" },
    }});
    admin.post("/schema", &place).expect(200);
    class(&admin, "All", TYPES);
    (server, admin, anybody)
}

#[test]
fn every_type_comes_back_in_its_normal_form() {
    let (_server, admin, client) = all_types();
    let place = json!({ "city": "Köln", "point": { "latitude": 50.9, "longitude": -6.9 }, "tags": ["a", null] });
    // Field, what is sent, what comes back.
    let same = |value: Value| (value.clone(), value);
    #[rustfmt::skip]
    let rows: Vec<(&str, (Value, Value))> = vec![
        ("boolean", same(json!(true))),
        ("boolean", same(json!(false))),
        ("boolean", (json!("true"), json!(true))),
        ("integer", same(json!(i64::MAX))),
        ("integer", same(json!(i64::MIN))),
        ("integer", same(json!(0))),
        ("integer", (json!(-7.9), json!(-7))),
        ("integer", (json!("42"), json!(42))),
        ("double", same(json!(13.37))),
        ("double", same(json!(1e300))),
        ("double", same(json!(-0.5))),
        ("double", same(json!(3))),
        ("string", same(json!(""))),
        ("string", same(json!("\u{0} \" \\ \n </script> ä 😀 \u{2028}"))),
        ("dateTime", same(json!("2024-11-20T22:16:00.12Z"))),
        ("dateTime", (json!("2024-11-20T22:16:00.120Z"), json!("2024-11-20T22:16:00.12Z"))),
        ("dateTime", (json!("2024-11-20T22:16:00.000Z"), json!("2024-11-20T22:16:00Z"))),
        ("dateTime", (json!("2024-11-20T23:16:00+01:00"), json!("2024-11-20T22:16:00Z"))),
        ("dateTime", same(json!("1969-12-31T23:59:59.999Z"))),
        ("date", same(json!("2013-11-22"))),
        ("date", same(json!("0001-01-01"))),
        ("time", same(json!("17:33:14Z"))),
        ("time", same(json!("17:33:14.5Z"))),
        ("file", same(json!("/file/www/a b.png"))),
        ("geo", same(json!({ "latitude": -90, "longitude": 180 }))),
        ("geo", same(json!({ "latitude": 34.5, "longitude": 110.4 }))),
        ("json", same(json!({ "a": null, "b": [], "c": {}, "$d": { "e.f": 1.5 }, "": 12345678901234567890_u64 }))),
        ("json", same(json!({}))),
        ("array", same(json!([1, null, [], {}, "x", 1.0]))),
        ("array", same(json!([]))),
        ("reference", same(json!("/db/Todo/nowhere"))),
        ("reference", (json!("/db/Todo/a b"), json!("/db/Todo/a%20b"))),
        ("place", same(place.clone())),
        ("place", (json!({ "city": "Ulm", "more": 1 }), json!({ "city": "Ulm", "point": null, "tags": null }))),
        ("list", same(json!(["b", "a", null, "a", ""]))),
        ("list", same(json!([]))),
        ("set", (json!([3, 1, 3, null, 1, null, "1"]), json!([3, 1, null]))),
        ("set", same(json!([]))),
        ("map", (json!({ "x.y": 1.5, "$z": 2, "ä ": 0.25, "": 1, "gone": null }), json!({ "x.y": 1.5, "$z": 2, "ä ": 0.25, "": 1 }))),
        ("map", same(json!({}))),
        ("references", same(json!(["/db/Todo/2", "/db/Todo/1", null]))),
        ("places", (json!({ "home": place }), json!({ "home": place }))),
        ("byDate", same(json!({ "1970-01-01T17:33:14.000Z": "x" }))),
        ("byTodo", same(json!({ "/db/Todo/1": true }))),
    ];
    for (i, (field, (sent, expected))) in rows.iter().enumerate() {
        let path = format!("/db/All/{i}");
        let answer = client.put(&path, &json!({ (*field): sent })).expect(200).json();
        assert_eq!(answer[*field], *expected, "{field} {sent}");
        assert_eq!(client.get(&path).json(), answer);
        for (other, _) in TYPES.iter().filter(|(other, _)| other != field) {
            assert_eq!(answer[*other], Value::Null, "{other}");
        }
        // What was answered is accepted again and stays.
        let again = client.put(&path, &answer).expect(200).json();
        assert_eq!(again[*field], *expected, "{field} {expected}");
        let found = client.query("All", &json!({ "id": path }));
        assert_eq!(found, [again]);
    }
    let exported = admin.get("/db/All").expect(200).json();
    assert_eq!(exported.as_array().unwrap().len(), rows.len());
    // All at once, and back to nothing.
    let mut everything = json!({});
    for (field, (sent, _)) in &rows {
        everything[*field] = sent.clone();
    }
    client.put("/db/All/x", &everything).expect(200);
    let empty = client.put("/db/All/x", &json!({})).expect(200).json();
    assert!(TYPES.iter().all(|(field, _)| empty[*field].is_null()), "{empty}");
}

#[test]
fn a_wrong_value_is_refused_with_class_field_expected_and_found() {
    let (_server, _, client) = all_types();
    client.put("/db/All/a", &json!({ "string": "kept" })).expect(200);
    let before = client.get("/db/All/a").body;
    // Field, value, path in the message, expected, found.
    #[rustfmt::skip]
    let rows: &[(&str, Value, &str, &str, &str)] = &[
        ("boolean", json!("yes"), "boolean", "boolean", "\"yes\""),
        ("boolean", json!(1), "boolean", "boolean", "number 1"),
        ("integer", json!("x"), "integer", "integer", "\"x\""),
        ("integer", json!(true), "integer", "integer", "a boolean"),
        ("integer", json!(1e30), "integer", "integer", "number"),
        ("double", json!("NaN"), "double", "number", "NaN"),
        ("double", json!([]), "double", "number", "an array"),
        ("string", json!(5), "string", "string", "number 5"),
        ("string", json!({}), "string", "string", "an object"),
        ("dateTime", json!("yesterday"), "dateTime", "", "yesterday"),
        ("dateTime", json!(0), "dateTime", "", "number 0"),
        ("dateTime", json!("2024-02-30T00:00:00Z"), "dateTime", "", "2024-02-30"),
        ("date", json!("2013-13-01"), "date", "date", "2013-13-01"),
        ("time", json!("25:00:00Z"), "time", "time", "25:00:00Z"),
        ("file", json!("www/a"), "file", "file", "www/a"),
        ("geo", json!({ "latitude": 91, "longitude": 0 }), "geo", "", "an object"),
        ("geo", json!({ "latitude": 1 }), "geo", "", "an object"),
        ("geo", json!([1, 2]), "geo", "", "an array"),
        ("json", json!([]), "json", "object", "an array"),
        ("array", json!({}), "array", "array", "an object"),
        ("reference", json!("/db/Other/1"), "reference", "Todo", "/db/Other/1"),
        ("reference", json!("1"), "reference", "Todo", "\"1\""),
        ("reference", json!({ "id": "/db/Todo/1" }), "reference", "Todo", "an object"),
        ("place", json!("Köln"), "place", "Place", "Köln"),
        ("place", json!({ "city": 5 }), "place.city", "string", "number 5"),
        ("place", json!({ "tags": [1] }), "place.tags.0", "string", "number 1"),
        ("list", json!("a"), "list", "array", "\"a\""),
        ("list", json!(["a", 5]), "list.1", "string", "number 5"),
        ("set", json!([1, "x"]), "set.1", "integer", "\"x\""),
        ("set", json!({}), "set", "array", "an object"),
        ("map", json!([]), "map", "object", "an array"),
        ("map", json!({ "k": "x" }), "map.k", "number", "\"x\""),
        ("references", json!(["/db/All/1"]), "references.0", "Todo", "/db/All/1"),
        ("places", json!({ "home": { "city": [] } }), "places.home.city", "string", "an array"),
        ("byDate", json!({ "noon": "x" }), "byDate", "key", "noon"),
        ("byTodo", json!({ "1": true }), "byTodo", "key", "\"1\""),
    ];
    for (field, value, path, expected, found) in rows {
        let body = json!({ (*field): value });
        let set = json!({ "$set": { (*field): value } });
        let answers = [
            client.post("/db/All", &body),
            client.put("/db/All/a", &body),
            client.put("/db/All/missing", &body),
        ];
        let message = answers.map(|answer| answer.expect_error(463, "InvalidTypeValue"))[0].clone();
        assert!(message.starts_with(&format!("All.{path} must be ")), "{message}");
        let (_, rest) = message.split_once(" must be ").unwrap();
        let (want, have) = rest.split_once(", found ").unwrap();
        assert!(want.to_lowercase().contains(&expected.to_lowercase()), "{message}");
        assert!(have.contains(found), "{message}");
        // Embedded objects cannot be set as a whole.
        if *field != "place" {
            client.post("/db/All/a", &set).expect_error(463, "InvalidTypeValue");
        }
    }
    assert_eq!(client.get("/db/All/a").body, before);
    client.get("/db/All/missing").expect_error(404, "ObjectNotFound");
    assert_eq!(client.query("All", &json!({})).len(), 1);
}

#[test]
fn bodies_that_are_no_objects_are_refused() {
    let (_server, _, client) = todo();
    for (method, path) in [("POST", "/db/Todo"), ("PUT", "/db/Todo/a"), ("POST", "/db/Todo/a")] {
        for body in ["", "{", "{\"name\":}", "nul", "{} {}", "\u{feff}{}", "{\"a\":1,}"] {
            client
                .request(method, path, &[], body.as_bytes())
                .expect_error(400, "MalformedJson");
        }
        for body in ["[]", "null", "\"x\"", "1"] {
            let answer = client.request(method, path, &[], body.as_bytes());
            assert_eq!(answer.status, 400, "{method} {path} {body}");
        }
        client
            .request(method, path, &[], b"{\"name\":\"\xff\"}")
            .expect_error(400, "MalformedJson");
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
        client
            .request(method, path, &[], deep.as_bytes())
            .expect_error(400, "MalformedJson");
    }
    let large = json!({ "id": "/db/Todo/large", "name": "x".repeat(1_100_000) });
    let status = client.post("/db/Todo", &large).status;
    assert_eq!(status, 413);
    client.get("/db/Todo/large").expect_error(404, "ObjectNotFound");
    for acl in [
        json!(5),
        json!([]),
        json!({ "read": [] }),
        json!({ "read": { "/db/User/1": "maybe" } }),
    ] {
        client
            .post("/db/Todo", &json!({ "acl": acl }))
            .expect_error(400, "BadRequest");
    }
}

#[test]
fn objects_follow_their_class() {
    let (_server, admin, client) = todo();
    let created = client.post("/db/Todo", &json!({ "id": "/db/Todo/old", "name": "x", "prio": 3 }));
    let created = created.expect(201).json();
    class(
        &admin,
        "Todo",
        &[("tags", "collection.Set[/db/String]"), ("done", "Boolean")],
    );
    let seen = |name: &str| {
        let loaded = client.get("/db/Todo/old").expect(200).json();
        let found = client.query("Todo", &json!({ "id": "/db/Todo/old" }));
        let exported = admin.get("/db/Todo").expect(200).json();
        assert_eq!(json!(found), json!([loaded]), "{name}");
        assert_eq!(exported, json!([loaded]), "{name}");
        loaded
    };
    let added = seen("fields added");
    assert_eq!(
        (added.get("tags"), added.get("done")),
        (Some(&Value::Null), Some(&Value::Null))
    );
    for member in ["id", "version", "createdAt", "updatedAt", "name", "prio"] {
        assert_eq!(added[member], created[member], "{member}");
    }
    assert_eq!(client.query("Todo", &json!({ "done": null })).len(), 1);
    assert_eq!(client.query("Todo", &json!({ "done": { "$ne": true } })).len(), 1);

    let edit = |operation: Value| admin.post("/schema", &operation).expect(200);
    edit(json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "name", "to": "title" }));
    let renamed = seen("renamed");
    assert_eq!((&renamed["title"], renamed.get("name")), (&json!("x"), None));
    assert_eq!(client.query("Todo", &json!({ "title": "x" })).len(), 1);

    edit(json!({ "operation": "removeField", "bucket": "/db/Todo", "field": "prio" }));
    assert_eq!(seen("removed").get("prio"), None);
    class(&admin, "Todo", &[("prio", "Integer")]);
    assert_eq!(
        seen("removed and added")["prio"],
        Value::Null,
        "old values do not come back"
    );

    client
        .put("/db/Todo/old", &json!({ "title": "12", "prio": 7 }))
        .expect(200);
    let fields = json!({ "title": { "type": "/db/Integer" }, "prio": { "type": "/db/String" } });
    admin.put("/schema/Todo", &json!({ "fields": fields })).expect(200);
    let retyped = seen("retyped");
    let names: Vec<&String> = retyped.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["id", "version", "acl", "createdAt", "updatedAt", "title", "prio"]
    );
    assert_eq!(retyped["prio"], Value::Null, "a number is no string: {retyped}");
    assert!(retyped["title"].is_null() || retyped["title"] == 12, "{retyped}");
}

#[test]
fn every_update_operator_works() {
    let (_server, _, client) = all_types();
    let start = json!({
        "integer": 12, "double": 13.37, "string": "s", "list": ["a", "b", "a"], "set": [1, 2],
        "map": { "x": 1, "y": 2 }, "place": { "city": "Ulm" },
    });
    #[rustfmt::skip]
    let rows: &[(Value, &str, Value)] = &[
        (json!({ "$set": { "string": "t" } }), "/string", json!("t")),
        (json!({ "$set": { "string": null } }), "/string", Value::Null),
        (json!({ "$set": { "place.city": "Köln" } }), "/place/city", json!("Köln")),
        (json!({ "$set": { "set": [3, 3, 1] } }), "/set", json!([3, 1])),
        (json!({ "$set": { "dateTime": "2024-11-20T22:16:00.120Z" } }), "/dateTime", json!("2024-11-20T22:16:00.12Z")),
        (json!({ "$inc": { "integer": -2 } }), "/integer", json!(10)),
        (json!({ "$dec": { "integer": 2 } }), "/integer", json!(10)),
        (json!({ "$mul": { "double": 2 } }), "/double", json!(26.74)),
        (json!({ "$mul": { "integer": 0.3 } }), "/integer", json!(3)),
        (json!({ "$min": { "integer": 5 } }), "/integer", json!(5)),
        (json!({ "$max": { "integer": 5 } }), "/integer", json!(12)),
        (json!({ "$and": { "integer": 10 } }), "/integer", json!(8)),
        (json!({ "$or": { "integer": 3 } }), "/integer", json!(15)),
        (json!({ "$xor": { "integer": 5 } }), "/integer", json!(9)),
        (json!({ "$push": { "list": "c" } }), "/list", json!(["a", "b", "a", "c"])),
        (json!({ "$unshift": { "list": "c" } }), "/list", json!(["c", "a", "b", "a"])),
        (json!({ "$pop": { "list": null } }), "/list", json!(["a", "b"])),
        (json!({ "$shift": { "list": null } }), "/list", json!(["b", "a"])),
        (json!({ "$replace": { "list.1": "B" } }), "/list", json!(["a", "B", "a"])),
        (json!({ "$replace": { "list.4": "e" } }), "/list", json!(["a", "b", "a", null, "e"])),
        (json!({ "$add": { "set": 2 } }), "/set", json!([1, 2])),
        (json!({ "$add": { "set": 3 } }), "/set", json!([1, 2, 3])),
        (json!({ "$remove": { "set": 1 } }), "/set", json!([2])),
        (json!({ "$remove": { "list": "a" } }), "/list", json!(["b"])),
        (json!({ "$remove": { "map": "x" } }), "/map", json!({ "y": 2 })),
        (json!({ "$put": { "map": { "z": 3, "x": 9 } } }), "/map", json!({ "x": 9, "y": 2, "z": 3 })),
        (json!({}), "/integer", json!(12)),
    ];
    for (update, pointer, expected) in rows {
        let before = client.put("/db/All/a", &start).expect(200).json();
        let after = client.post("/db/All/a", update).expect(200).json();
        assert_eq!(after.pointer(pointer), Some(expected), "{update}");
        assert_eq!(after["version"], before["version"].as_u64().unwrap() + 1, "{update}");
        assert_ne!(after["updatedAt"], before["updatedAt"], "{update}");
        let field = pointer[1..].split('/').next().unwrap();
        for (other, _) in TYPES.iter().filter(|(other, _)| *other != field) {
            assert_eq!(after[*other], before[*other], "{update}");
        }
        assert_eq!(client.get("/db/All/a").json(), after);
    }
    let now = json!({ "$currentDate": { "dateTime": null, "date": null, "time": null }, "$inc": { "integer": 1 } });
    let after = client.post("/db/All/a", &now).expect(200).json();
    let (day, time) = after["dateTime"].as_str().unwrap().split_once('T').unwrap();
    assert_eq!((&after["date"], &after["time"]), (&json!(day), &json!(time)));
    assert_eq!(after["integer"], 13);
}

#[test]
fn an_update_that_cannot_be_done_changes_nothing() {
    let (_server, _, client) = all_types();
    client
        .put(
            "/db/All/a",
            &json!({ "integer": 1, "list": ["a"], "set": [1], "place": { "city": "Ulm" } }),
        )
        .expect(200);
    let before = client.get("/db/All/a").body;
    // Texts that clients compare for equality.
    #[rustfmt::skip]
    let exact = [
        (json!({ "$wrongOperation": { "integer": 42 } }), "Unsupported update operation $wrongOperation on integer"),
        (json!({ "$add": { "integer": 1 } }), "Unsupported update operation $add on integer"),
        (json!({ "$add": { "list": "x" } }), "Unsupported update operation $add on list"),
        (json!({ "$push": { "set": 2 } }), "Unsupported update operation $push on set"),
        (json!({ "$inc": { "string": 2 } }), "Unsupported update operation $inc on string"),
        (json!({ "$set": { "place": { "city": "x" } } }), "The body can't be processed"),
    ];
    for (update, text) in &exact {
        let answer = client.post("/db/All/a", update);
        assert_eq!(answer.expect_error(400, "UnsupportedUpdate"), *text);
        assert_eq!(client.get("/db/All/a").body, before, "{update}");
    }
    for update in [
        json!({ "$inc": { "integer": 1 }, "$push": { "set": 2 } }),
        json!({ "$set": { "nothing": 1 } }),
        json!({ "$set": { "reference.name": "x" } }),
        json!({ "$inc": { "integer": "x" } }),
        json!({ "$rename": { "integer": "number" } }),
        json!({ "$replace": { "list.99999999999": "x" } }),
        json!({ "$set": 5 }),
        json!({ "integer": 5 }),
    ] {
        let answer = client.post("/db/All/a", &update);
        assert!((400..500).contains(&answer.status), "{update}: {}", answer.status);
        assert_eq!(client.get("/db/All/a").body, before, "{update}");
    }
}

#[test]
fn parallel_increments_are_all_counted() {
    let (_server, _, client) = todo();
    client.put("/db/Todo/a", &json!({ "prio": 0 })).expect(200);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    client.post("/db/Todo/a", &json!({ "$inc": { "prio": 1 } })).expect(200);
                }
            });
        }
    });
    let object = client.get("/db/Todo/a").json();
    assert_eq!((&object["prio"], &object["version"]), (&json!(80), &json!(81)));
}

#[test]
fn one_of_many_conditional_writers_wins() {
    let (_server, _, client) = todo();
    client.put("/db/Todo/a", &json!({})).expect(200);
    let race = |request: &(dyn Fn(usize) -> u16 + Sync)| {
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..8).map(|i| scope.spawn(move || request(i))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        statuses
    };
    let put = |i: usize| conditional(&client, "PUT", "/db/Todo/a", Some("\"1\""), &json!({ "prio": i })).status;
    assert_eq!(race(&put), [200, 412, 412, 412, 412, 412, 412, 412]);
    let insert = |_| client.post("/db/Todo", &json!({ "id": "/db/Todo/b" })).status;
    assert_eq!(race(&insert), [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[test]
fn a_bucket_is_imported_listed_exported_and_emptied() {
    let (_server, admin, anybody) = todo();
    let objects: Vec<Value> = (0..1500)
        .map(|i| json!({ "id": format!("/db/Todo/{i:04}"), "name": format!("näme {i}"), "prio": i }))
        .collect();
    let report = admin.put("/db/Todo", &json!(objects)).expect(200).json();
    assert_eq!(report, json!({ "count": 1500, "failed": [] }));

    let exported = admin.get("/db/Todo").expect(200).json();
    let exported = exported.as_array().unwrap();
    assert_eq!(exported.len(), 1500);
    let seen: BTreeSet<(&str, i64)> = exported
        .iter()
        .map(|object| (object["id"].as_str().unwrap(), object["prio"].as_i64().unwrap()))
        .collect();
    assert_eq!(seen.len(), 1500);
    assert_eq!(seen.first(), Some(&("/db/Todo/0000", 0)));
    assert_eq!(
        anybody.get("/db/Todo/0777").json(),
        *exported.iter().find(|o| o["prio"] == 777).unwrap()
    );

    let ids = |query: &str| admin.get(&format!("/db/Todo/ids{query}")).expect(200).json();
    let all = ids("");
    assert_eq!(all.as_array().unwrap().len(), 1500);
    assert_eq!(ids("?start=0&count=-1"), all);
    assert_eq!(ids("?start=1498"), json!(["/db/Todo/1498", "/db/Todo/1499"]));
    assert_eq!(ids("?start=2&count=2"), json!(["/db/Todo/0002", "/db/Todo/0003"]));
    assert_eq!(ids("?start=1500"), json!([]));
    assert_eq!(ids("?count=0"), json!([]));

    for (method, path) in [
        ("GET", "/db/Todo"),
        ("PUT", "/db/Todo"),
        ("DELETE", "/db/Todo"),
        ("GET", "/db/Todo/ids"),
    ] {
        anybody
            .request(method, path, &[], b"[]")
            .expect_error(466, "PermissionDenied");
    }
    assert_eq!(admin.delete("/db/Todo").expect(200).json(), json!({ "count": 1500 }));
    assert_eq!(admin.delete("/db/Todo").expect(200).json(), json!({ "count": 0 }));
    assert_eq!(admin.get("/db/Todo").expect(200).json(), json!([]));
    assert_eq!(ids(""), json!([]));
    anybody.get("/db/Todo/0777").expect_error(404, "ObjectNotFound");
    assert!(anybody.query("Todo", &json!({})).is_empty());
    // What was exported can be imported.
    let report = admin.put("/db/Todo", &json!(exported[..50])).expect(200).json();
    assert_eq!(report["count"], 50);
}

#[test]
fn an_import_reports_failures_by_their_place() {
    let (_server, admin, _) = todo();
    let good = json!({ "id": "/db/Todo/a", "prio": 1 });
    let objects = json!([
        good,
        { "id": "/db/Todo/b", "prio": "x" },
        { "name": "no id" },
        5,
        { "id": "/db/Other/c" },
        { "id": "/db/Todo/a", "prio": 2 },
    ]);
    let report = admin.put("/db/Todo", &objects).expect(200).json();
    assert_eq!(report["count"], 3, "{report}");
    let failed = report["failed"].as_array().unwrap();
    let places: Vec<(u64, u64)> = failed
        .iter()
        .map(|f| (f["index"].as_u64().unwrap(), f["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(1, 463), (3, 400), (4, 400)], "{report}");
    assert_eq!(failed[0]["id"], "/db/Todo/b");
    assert_eq!(failed[0]["className"], "InvalidTypeValue");
    assert!(failed[0]["message"].as_str().unwrap().contains("Todo.prio"), "{report}");
    let a = admin.get("/db/Todo/a").json();
    assert_eq!(
        (&a["prio"], &a["version"]),
        (&json!(2), &json!(2)),
        "the later one wins"
    );
    admin.get("/db/Todo/b").expect_error(404, "ObjectNotFound");

    let lines =
        "{\"id\":\"/db/Todo/l1\",\"prio\":1}\r\n\n{\"id\":\"/db/Todo/l2\",\"prio\":[]}\n{\"id\":\"/db/Todo/l3\"}";
    let report = admin
        .request("PUT", "/db/Todo", &[], lines.as_bytes())
        .expect(200)
        .json();
    assert_eq!(report["count"], 2, "{report}");
    assert_eq!(report["failed"][0]["id"], "/db/Todo/l2", "{report}");
    assert_eq!(report["failed"][0]["index"], 1, "{report}");
    // A text that cannot be read imports nothing.
    for body in ["[{\"id\":\"/db/Todo/z\"},", "{\"id\":\"/db/Todo/z\"}\n{", "[] []"] {
        admin
            .request("PUT", "/db/Todo", &[], body.as_bytes())
            .expect_error(400, "MalformedJson");
    }
    admin.get("/db/Todo/z").expect_error(404, "ObjectNotFound");
    admin.put("/db/No", &json!([])).expect_error(461, "BucketNotFound");
}

#[test]
fn objects_survive_a_restart_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut first = builder.start();
    let admin = fb_testkit::root(&first);
    class(&admin, "Todo", &[("name", "String"), ("json", "JsonObject")]);
    for i in 0..20 {
        let body = json!({ "name": format!("ä{i}"), "json": { "b": 1, "a": [null, 1.50] } });
        admin.put(&format!("/db/Todo/{i}"), &body).expect(200);
    }
    admin.delete("/db/Todo/7").expect(204);
    let before = (admin.get("/db/Todo").body, admin.get("/schema").body);
    first.stop();
    let second = builder.start();
    let admin = fb_testkit::root(&second);
    assert_eq!((admin.get("/db/Todo").body, admin.get("/schema").body), before);
}

#[test]
fn an_export_of_the_deepest_object_can_be_imported() {
    let running = server().baqend().start();
    let admin = fb_testkit::root(&running);
    admin
        .post(
            "/schema/Deep",
            &json!({ "fields": { "data": { "type": "/db/JsonObject" } } }),
        )
        .expect(200);
    let nested = format!("{}1{}", r#"{"a":"#.repeat(126), "}".repeat(126));
    let body = format!(r#"{{"id":"/db/Deep/1","data":{nested}}}"#);
    admin.request("POST", "/db/Deep", &[], body.as_bytes()).expect(201);
    let exported = admin.get("/db/Deep").expect(200).body;
    let report = admin.request("PUT", "/db/Deep", &[], &exported).expect(200).json();
    assert_eq!(report, json!({ "count": 1, "failed": [] }));
}
