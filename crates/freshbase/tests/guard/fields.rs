//! Rules of single fields: who may not read one never learns its value, who may not write one never changes it.

use fb_testkit::{Client, Response, Server, encode, root};
use serde_json::{Value, json};

use crate::{PROFILES, Profile, class, no_panics, user};

/// The value that must not show up.
const CANARY: &str = "canary-5c1f";

/// Somebody who asks.
struct Caller {
    name: &'static str,
    client: Client,
    id: String,
}

/// `member` is in the role that rules of these tests name; `plain` is in none.
struct People {
    stranger: Caller,
    plain: Caller,
    member: Caller,
    admin: Caller,
    role: String,
}

impl People {
    fn new(server: &Server) -> Self {
        let (admin, stranger) = (root(server), server.client());
        let somebody = |name| {
            let (client, id) = user(&admin, &stranger, name);
            Caller { name, client, id }
        };
        let (plain, member) = (somebody("plain"), somebody("member"));
        let role = admin.post("/db/Role", &json!({ "name": "team", "users": [member.id] }));
        let role = role.expect(201).json()["id"].as_str().unwrap().to_owned();
        Self {
            stranger: Caller {
                name: "stranger",
                client: stranger,
                id: String::new(),
            },
            plain,
            member,
            admin: Caller {
                name: "admin",
                client: admin,
                id: "/db/User/1".into(),
            },
            role,
        }
    }

    fn all(&self) -> [&Caller; 4] {
        [&self.stranger, &self.plain, &self.member, &self.admin]
    }

    /// Rules that let the role.
    fn team(&self) -> Value {
        json!({ &self.role: "allow" })
    }
}

/// Class rules that let everybody do everything with objects.
fn open() -> Value {
    let everybody = json!({ "*": "allow" });
    json!({ "load": everybody, "query": everybody, "insert": everybody, "update": everybody, "delete": everybody })
}

fn field_acl(admin: &Client, class: &str, field: &str, acl: &Value) -> Response {
    let edit = json!({ "operation": "updateFieldAcl", "bucket": format!("/db/{class}"), "field": field, "acl": acl });
    admin.post("/schema", &edit)
}

/// A class `Doc` that everybody may use, with a title and a `secret` with these rules; one object `1` with the canary.
fn doc(admin: &Client, acl: &Value) {
    let fields = json!({
        "title": { "type": "/db/String" },
        "secret": { "type": "/db/String", "acl": acl },
    });
    class(admin, "Doc", &fields, &open());
    let object = json!({ "id": "/db/Doc/1", "title": "one", "secret": CANARY });
    admin.post("/db/Doc", &object).expect(201);
}

fn text(answer: &Response) -> String {
    let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
    headers.collect::<String>() + &String::from_utf8_lossy(&answer.body)
}

/// What an answer of a path may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// The whole object, as far as the caller may read it.
    Object,
    /// Nothing of its fields, or nothing at all for some callers.
    Nothing,
}

/// The object by every path that leads to it.
fn by_every_path(client: &Client, bucket: &str, id: &str) -> Vec<(&'static str, Gives, Response)> {
    let all = format!("/db/{bucket}");
    let filter = json!({ "id": id });
    let q = format!("q={}", encode(&filter.to_string()));
    // Saved as it was seen.
    let mut body = client.get(id).json();
    body["title"] = json!("one");
    body.as_object_mut().unwrap().shift_remove("version");
    let put = |headers: &[(&str, &str)]| client.request("PUT", id, headers, body.to_string().as_bytes());
    use Gives::{Nothing, Object};
    vec![
        ("load", Object, client.get(id)),
        (
            "load of what is known",
            Object,
            client.request("GET", id, &[("if-none-match", "*")], b""),
        ),
        ("head", Nothing, client.request("HEAD", id, &[], b"")),
        ("query", Object, client.get(&format!("{all}/query?{q}"))),
        (
            "sorted",
            Object,
            client.get(&format!("{all}/query?{q}&sort=%7B%22title%22:1%7D")),
        ),
        ("query_post", Object, client.post(&format!("{all}/query"), &filter)),
        ("all", Object, client.get(&format!("{all}/query"))),
        (
            "query of ids",
            Nothing,
            client.get(&format!("{all}/query?{q}&eager=false")),
        ),
        ("count", Nothing, client.get(&format!("{all}/count?{q}"))),
        ("count_post", Nothing, client.post(&format!("{all}/count"), &filter)),
        ("ids", Nothing, client.get(&format!("{all}/ids"))),
        ("export", Nothing, client.get(&all)),
        ("update", Object, put(&[("if-match", "*")])),
        ("save", Object, put(&[])),
        (
            "partial",
            Object,
            client.post(id, &json!({ "$set": { "title": "one" } })),
        ),
        ("empty partial", Object, client.post(id, &json!({}))),
        ("duplicate", Nothing, client.post(&all, &json!({ "id": id }))),
        ("out of date", Nothing, put(&[("if-match", "\"999\"")])),
        ("bad value", Nothing, client.put(id, &json!({ "title": 7 }))),
        ("schema", Nothing, client.get("/schema")),
        ("connect", Nothing, client.get("/connect")),
    ]
}

fn check_paths(caller: &Caller, bucket: &str, id: &str, field: &str, may_read: bool) {
    for (path, gives, answer) in by_every_path(&caller.client, bucket, id) {
        let at = format!("{} {path} {bucket}", caller.name);
        let text = text(&answer);
        if gives == Gives::Object {
            assert_eq!(answer.status, 200, "{at}: {text}");
            assert_eq!(text.contains(CANARY), may_read, "{at}: {text}");
            assert_eq!(text.contains(&format!("\"{field}\"")), may_read, "{at}: {text}");
            let cache = answer.header("cache-control").unwrap_or_default();
            assert!(cache.starts_with("private"), "{at}: {cache}");
        } else if path == "export" {
            assert_eq!(
                text.contains(CANARY),
                may_read && caller.name == "admin",
                "{at}: {text}"
            );
        } else if path != "connect" || !may_read {
            assert!(!text.contains(CANARY), "{at}: {text}");
        }
    }
}

/// S04 for fields: every path, every caller.
#[test]
fn s04_who_may_not_read_a_field_never_sees_its_value_on_any_path() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let admin = &people.admin.client;
        doc(admin, &json!({ "read": people.team() }));
        // A class that inherits the field, and an object that is older than the class's last field.
        admin
            .post(
                "/schema",
                &json!({ "class": "/db/Sub", "superClass": "/db/Doc", "acl": open() }),
            )
            .expect(200);
        admin
            .post("/db/Sub", &json!({ "id": "/db/Sub/1", "secret": CANARY }))
            .expect(201);
        admin
            .post(
                "/schema/Doc",
                &json!({ "fields": { "later": { "type": "/db/Integer" } } }),
            )
            .expect(200);
        for bucket in ["Doc", "Sub"] {
            let id = format!("/db/{bucket}/1");
            for caller in people.all() {
                let may_read = matches!(caller.name, "member" | "admin");
                check_paths(caller, bucket, &id, "secret", may_read);
            }
            // None of that changed what the callers could not see.
            assert_eq!(admin.get(&id).json()["secret"], CANARY);
        }
        // Who writes without reading does not get it back.
        for (i, caller) in people.all().into_iter().enumerate() {
            let may_read = matches!(caller.name, "member" | "admin");
            let id = format!("/db/Doc/new-{i}");
            let object = json!({ "id": id, "title": "new", "secret": CANARY });
            let inserted = caller.client.post("/db/Doc", &object).expect(201);
            let saved = caller.client.put(&id, &object).expect(200);
            let saved_new = caller
                .client
                .put(&format!("{id}-saved"), &json!({ "secret": CANARY }))
                .expect(200);
            for answer in [inserted, saved, saved_new] {
                assert_eq!(text(&answer).contains(CANARY), may_read, "{}", caller.name);
            }
            assert_eq!(admin.get(&id).json()["secret"], CANARY);
        }
        no_panics(&server);
    }
}

/// The same for users, who may see their own.
#[test]
fn s04_users_see_their_own_fields_where_self_is_allowed() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let admin = &people.admin.client;
        let (me, me_id) = user(admin, &people.stranger.client, "me");
        let me = Caller {
            name: "me",
            client: me,
            id: me_id.clone(),
        };
        let acl = json!({ "operation": "updateClassAcl", "bucket": "/db/User", "acl": open() });
        let mut rules = people.team();
        rules["self"] = json!("allow");
        let email = json!({ "name": "email", "type": "/db/String", "acl": { "read": rules } });
        let title = json!({ "name": "title", "type": "/db/String" });
        let own = json!({ "name": "hidden", "type": "/db/String", "acl": { "read": people.team() } });
        let add = |field| json!({ "operation": "addField", "bucket": "/db/User", "field": field });
        admin
            .post("/schema", &json!([acl, add(email), add(title), add(own)]))
            .expect(200);
        let visible = json!({ "acl": null, "email": CANARY });
        admin.put(&me_id, &visible).expect(200);
        for caller in people.all().into_iter().chain([&me]) {
            let may_read = !matches!(caller.name, "stranger" | "plain");
            for (path, gives, answer) in by_every_path(&caller.client, "User", &me_id) {
                let at = format!("{} {path}", caller.name);
                match (path, gives) {
                    (_, Gives::Object) => {
                        assert_eq!(answer.status, 200, "{at}");
                        assert_eq!(text(&answer).contains(CANARY), may_read, "{at}: {}", text(&answer));
                    }
                    ("connect", _) => assert_eq!(text(&answer).contains(CANARY), caller.name == "me", "{at}"),
                    ("export", _) => assert_eq!(text(&answer).contains(CANARY), caller.name == "admin", "{at}"),
                    (_, Gives::Nothing) => assert!(!text(&answer).contains(CANARY), "{at}: {}", text(&answer)),
                }
            }
        }

        // What comes with a session: `email` is for the user itself, `hidden` is not.
        admin
            .put(&me_id, &json!({ "email": CANARY, "hidden": "other-canary" }))
            .expect(200);
        let credentials = json!({ "username": "me", "password": "a secret" });
        let form = format!("BAT={}", me.client.token().unwrap());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let sessions = [
            ("me", me.client.get("/db/User/me")),
            ("validate", me.client.get("/db/User/validate")),
            ("connect", me.client.get("/connect")),
            (
                "page",
                me.client.request("GET", "/connect", &[("accept", "text/html")], b""),
            ),
            (
                "form",
                people
                    .stranger
                    .client
                    .request("POST", "/connect", &headers, form.as_bytes()),
            ),
            ("login", people.stranger.client.post("/db/User/login", &credentials)),
        ];
        for (path, answer) in sessions {
            let text = text(&answer.expect(200));
            assert!(text.contains(CANARY), "{path}: {text}");
            assert!(!text.contains("other-canary"), "{path}: {text}");
        }
        // Without the rule for itself, not even that.
        field_acl(admin, "User", "email", &json!({ "read": people.team() })).expect(200);
        for path in ["/db/User/me", "/db/User/validate", "/connect", &me_id] {
            assert!(!text(&me.client.get(path).expect(200)).contains(CANARY), "{path}");
        }
        let answer = people.stranger.client.post("/db/User/login", &credentials).expect(200);
        assert!(!text(&answer).contains(CANARY));
        no_panics(&server);
    }
}

/// A class with protected fields of many types, and one readable list.
fn typed(admin: &Client, acl: &Value) {
    let part = json!({ "n": { "type": "/db/Integer" }, "s": { "type": "/db/String" } });
    admin
        .post(
            "/schema",
            &json!({ "class": "/db/Part", "embedded": true, "fields": part }),
        )
        .expect(200);
    let mut fields = json!({ "title": { "type": "/db/String" } });
    for (name, ty) in [
        ("text", "String"),
        ("number", "Integer"),
        ("double", "Double"),
        ("at", "DateTime"),
        ("place", "GeoPoint"),
        ("json", "JsonObject"),
        ("part", "Part"),
        ("tags", "collection.Set[/db/String]"),
        ("list", "collection.List[/db/String]"),
        ("parts", "collection.List[/db/Part]"),
        ("map", "collection.Map[/db/String,/db/Integer]"),
    ] {
        fields[name] = json!({ "type": format!("/db/{ty}"), "acl": acl });
    }
    class(admin, "Typed", &fields, &open());
    let object = json!({
        "id": "/db/Typed/1", "title": "one", "text": "t", "number": 1, "double": 1.5, "at": "2026-01-01T00:00:00Z",
        "place": { "latitude": 1, "longitude": 2 }, "json": { "a": { "b": 1 } }, "part": { "n": 1, "s": "x" },
        "tags": ["a"], "list": ["a", "b"], "parts": [{ "n": 1, "s": "x" }], "map": { "k": 1 },
    });
    admin.post("/db/Typed", &object).expect(201);
}

/// Conditions by operator; together they use every operator there is.
fn conditions() -> Vec<(&'static str, Value)> {
    let date = json!({ "$date": "2026-01-01T00:00:00Z" });
    let near = json!({ "$geometry": { "type": "Point", "coordinates": [2, 1] }, "$maxDistance": 1000 });
    let square = json!({ "type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]] });
    vec![
        ("text", json!({ "$eq": "t" })),
        ("text", json!({ "$ne": "u" })),
        ("text", json!({ "$gt": "a" })),
        ("text", json!({ "$gt": null })),
        ("number", json!({ "$gte": 1 })),
        ("number", json!({ "$lt": 2 })),
        ("number", json!({ "$lt": null })),
        ("at", json!({ "$lte": date })),
        ("number", json!({ "$in": [1, 2] })),
        ("number", json!({ "$in": [] })),
        ("number", json!({ "$nin": [2, 3] })),
        ("tags", json!({ "$all": ["a"] })),
        ("tags", json!({ "$all": [] })),
        ("parts", json!({ "$all": [{ "$elemMatch": { "n": 1 } }] })),
        ("text", json!({ "$exists": true })),
        ("json.a.b", json!({ "$exists": true })),
        ("list", json!({ "$size": 2 })),
        ("number", json!({ "$mod": [2, 1] })),
        ("text", json!({ "$type": "string" })),
        ("text", json!({ "$regex": "^t" })),
        ("text", json!({ "$regex": "^t", "$options": "m" })),
        ("text", json!({ "$not": { "$regex": "^u" } })),
        ("list", json!({ "$elemMatch": { "$eq": "a" } })),
        (
            "parts",
            json!({ "$elemMatch": { "n": 1, "$or": [{ "s": "x" }, { "n": 2 }] } }),
        ),
        ("place", json!({ "$near": near })),
        ("place", json!({ "$nearSphere": near })),
        ("place", json!({ "$geoWithin": { "$geometry": square } })),
        ("place", json!({ "$geoWithin": { "$box": [[0, 0], [4, 4]] } })),
        ("place", json!({ "$geoWithin": { "$centerSphere": [[2, 1], 0.1] } })),
        ("part.n", json!({ "$gt": 0 })),
        ("parts.n", json!({ "$gt": 0 })),
        ("parts.0.n", json!({ "$gt": 0 })),
        ("list.0", json!({ "$eq": "a" })),
        ("map.k", json!({ "$gt": 0 })),
        ("place.latitude", json!({ "$gt": 0 })),
        ("double", json!({ "$gt": 1 })),
    ]
}

#[test]
fn s07_no_operator_filters_or_sorts_by_a_field_that_may_not_be_read() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    typed(&people.admin.client, &json!({ "read": people.team() }));
    let conditions = conditions();

    let mut filters = Vec::new();
    for (path, condition) in &conditions {
        let field = path.split('.').next().unwrap();
        let plain = json!({ *path: condition });
        filters.push((field, json!({ *path: { "$not": condition } })));
        filters.push((field, json!({ "$and": [{ "title": "one" }, plain] })));
        filters.push((field, json!({ "$or": [{ "title": "one" }, plain] })));
        filters.push((field, json!({ "$nor": [plain] })));
        filters.push((
            field,
            json!({ "$and": [{ "$or": [{ "$nor": [{ "$and": [plain] }] }] }] }),
        ));
        filters.push((field, json!({ "title": "never", *path: condition })));
        filters.push((field, plain));
    }
    for (field, value) in [
        ("text", json!("t")),
        ("text", Value::Null),
        ("json", json!({})),
        ("part", json!({ "n": 1 })),
    ] {
        filters.push((field, json!({ field: value })));
    }
    // A new operator needs a row: those that the parser has begin its lines.
    let parser = include_str!("../../../fb-query/src/parse/field.rs");
    let written = filters.iter().map(|(_, filter)| filter.to_string()).collect::<String>();
    let operators = parser
        .lines()
        .flat_map(|line| line.split("=>").next().unwrap().trim().split('|'))
        .filter_map(|arm| arm.trim().strip_prefix("\"$")?.split('"').next())
        .filter(|operator| !operator.contains(' '));
    let operators: Vec<&str> = operators.collect();
    assert!(operators.len() >= 20, "{operators:?}");
    for operator in operators {
        assert!(written.contains(&format!("\"${operator}\"")), "no row for ${operator}");
    }

    for (field, filter) in &filters {
        let q = format!("q={}", encode(&filter.to_string()));
        let ask = |client: &Client| {
            [
                client.get(&format!("/db/Typed/query?{q}")),
                client.get(&format!("/db/Typed/query?{q}&eager=false")),
                client.get(&format!("/db/Typed/count?{q}")),
                client.post("/db/Typed/query", filter),
                client.post("/db/Typed/query?count=0", filter),
                client.post("/db/Typed/count", filter),
            ]
        };
        let valid = people.admin.client.post("/db/Typed/query", filter).status;
        for answer in ask(&people.member.client) {
            assert_eq!(answer.status, valid, "{filter}");
        }
        assert_eq!(valid, 200, "{filter}");
        for caller in [&people.stranger, &people.plain] {
            for answer in ask(&caller.client) {
                let message = answer.expect_error(466, "PermissionDenied");
                assert!(message.contains(&format!("Typed.{field}")), "{message} for {filter}");
            }
        }
    }
    for (path, _) in &conditions {
        for sort in [
            json!({ *path: 1 }),
            json!({ *path: -1 }),
            json!({ "title": 1, *path: -1 }),
            json!([{ "title": 1 }, { *path: 1 }]),
        ] {
            let sort = format!("sort={}", encode(&sort.to_string()));
            for url in [
                format!("/db/Typed/query?{sort}"),
                format!("/db/Typed/query?eager=false&count=1&{sort}"),
            ] {
                people.member.client.get(&url).expect(200);
                people.plain.client.get(&url).expect_error(466, "PermissionDenied");
                people
                    .stranger
                    .client
                    .post(&url, &json!({}))
                    .expect_error(466, "PermissionDenied");
            }
        }
    }
    // What may be read may be asked for.
    assert_eq!(people.plain.client.query("Typed", &json!({ "title": "one" })).len(), 1);
    no_panics(&server);
}

/// `self` does not make a field readable on every object.
#[test]
fn s07_self_does_not_let_anybody_filter() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    let acl = json!({ "operation": "updateClassAcl", "bucket": "/db/User", "acl": open() });
    let field = json!({ "name": "email", "type": "/db/String", "acl": { "read": { "self": "allow" } } });
    let add = json!({ "operation": "addField", "bucket": "/db/User", "field": field });
    admin.post("/schema", &json!([acl, add])).expect(200);
    let plain = &people.plain;
    plain
        .client
        .post(&plain.id, &json!({ "$set": { "email": CANARY } }))
        .expect(200);
    assert_eq!(plain.client.get(&plain.id).json()["email"], CANARY);
    for filter in [json!({ "email": CANARY }), json!({ "id": plain.id, "email": CANARY })] {
        plain
            .client
            .post("/db/User/query", &filter)
            .expect_error(466, "PermissionDenied");
        plain
            .client
            .post("/db/User/count", &filter)
            .expect_error(466, "PermissionDenied");
    }
    let sorted = "/db/User/query?sort=%7B%22email%22:1%7D";
    plain.client.get(sorted).expect_error(466, "PermissionDenied");
    admin.get(sorted).expect(200);
    // A rule against oneself hides only the own field, and so the field cannot be asked for either.
    field_acl(admin, "User", "email", &json!({ "read": { "self": "deny" } })).expect(200);
    assert_eq!(plain.client.get(&plain.id).json().get("email"), None);
    plain.client.get(sorted).expect_error(466, "PermissionDenied");
    no_panics(&server);
}

/// Partial updates with every operator, by the field it works on.
fn updates() -> Vec<(&'static str, Value)> {
    vec![
        ("text", json!({ "$set": { "text": "t" } })),
        ("text", json!({ "$set": { "text": null } })),
        ("number", json!({ "$inc": { "number": 1 } })),
        ("number", json!({ "$inc": { "number": 0 } })),
        ("number", json!({ "$dec": { "number": 1 } })),
        ("double", json!({ "$mul": { "double": 2 } })),
        ("number", json!({ "$min": { "number": 0 } })),
        ("number", json!({ "$max": { "number": 9 } })),
        ("number", json!({ "$and": { "number": 0 } })),
        ("number", json!({ "$or": { "number": 2 } })),
        ("number", json!({ "$xor": { "number": 2 } })),
        ("list", json!({ "$push": { "list": "c" } })),
        ("list", json!({ "$unshift": { "list": "c" } })),
        ("list", json!({ "$pop": { "list": null } })),
        ("list", json!({ "$shift": { "list": null } })),
        ("list", json!({ "$replace": { "list.0": "c" } })),
        ("tags", json!({ "$add": { "tags": "c" } })),
        ("tags", json!({ "$remove": { "tags": "a" } })),
        ("map", json!({ "$remove": { "map": "k" } })),
        ("map", json!({ "$put": { "map": { "l": 2 } } })),
        ("map", json!({ "$put": { "map": {} } })),
        ("at", json!({ "$currentDate": { "at": true } })),
        ("part", json!({ "$inc": { "part.n": 1 } })),
        ("json", json!({ "$set": { "json.a.b": 2 } })),
        ("text", json!({ "$set": { "title": "two", "text": "u" } })),
    ]
}

#[test]
fn s11_no_operator_updates_a_field_that_may_not_be_written_or_read() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    typed(admin, &json!({}));
    let parser = include_str!("../../../fb-query/src/update/parse.rs");
    let written = updates().iter().map(|(_, u)| u.to_string()).collect::<String>();
    let operators = parser
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"$")?.split_once("\" =>"));
    let operators: Vec<&str> = operators.map(|(operator, _)| operator).collect();
    assert!(operators.len() >= 18, "{operators:?}");
    for operator in operators {
        assert!(written.contains(&format!("\"${operator}\"")), "no row for ${operator}");
    }

    let fields = ["text", "number", "double", "at", "json", "part", "tags", "list", "map"];
    for acl in [json!({ "write": people.team() }), json!({ "read": people.team() })] {
        for field in fields {
            field_acl(admin, "Typed", field, &acl).expect(200);
        }
        let before = admin.get("/db/Typed/1").json();
        for (field, update) in updates() {
            for caller in [&people.stranger, &people.plain] {
                for id in ["/db/Typed/1", "/db/Typed/missing"] {
                    let message = caller.client.post(id, &update).expect_error(466, "PermissionDenied");
                    assert!(message.contains(&format!("Typed.{field}")), "{message}");
                }
            }
        }
        assert_eq!(admin.get("/db/Typed/1").json(), before);
        for (_, update) in updates() {
            people.member.client.post("/db/Typed/1", &update).expect(200);
        }
    }
    no_panics(&server);
}

#[test]
fn s11_no_write_changes_a_field_that_may_not_be_written() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    for hidden in [false, true] {
        let mut acl = json!({ "write": people.team() });
        if hidden {
            acl["read"] = people.team();
        }
        if hidden {
            field_acl(admin, "Doc", "secret", &acl).expect(200);
        } else {
            doc(admin, &acl);
        }
        let before = admin.get("/db/Doc/1").json();
        for caller in [&people.stranger, &people.plain] {
            let client = &caller.client;
            let put =
                |body: Value| client.request("PUT", "/db/Doc/1", &[("if-match", "*")], body.to_string().as_bytes());
            let mut refused = vec![
                client.post("/db/Doc", &json!({ "id": "/db/Doc/2", "secret": "x" })),
                client.put("/db/Doc/2", &json!({ "secret": "x" })),
                client.put("/db/Doc/1", &json!({ "title": "two", "secret": "x" })),
                put(json!({ "title": "two", "secret": "x" })),
                put(json!({ "title": "two", "secret": "" })),
                client.post("/db/Doc/1", &json!({ "$set": { "title": "two", "secret": "x" } })),
                client.post("/db/Doc/1", &json!({ "$set": { "secret": CANARY } })),
            ];
            if hidden {
                // That it is the right value is for others to know.
                refused.push(put(json!({ "title": "two", "secret": CANARY })));
            } else {
                refused.push(put(json!({ "title": "two", "secret": null })));
            }
            for answer in refused {
                let message = answer.expect_error(466, "PermissionDenied");

                assert!(message.contains("on the field Doc.secret"), "{message}");
            }
            client
                .put("/db/Doc", &json!([{ "id": "/db/Doc/2", "secret": "x" }]))
                .expect_error(466, "PermissionDenied");
        }
        assert_eq!(admin.get("/db/Doc/1").json(), before);
        admin.get("/db/Doc/2").expect(404);

        // What leaves the field alone is fine, and leaves it alone.
        let mut harmless = vec![json!({ "title": "two" }), json!({})];
        if hidden {
            harmless.push(json!({ "title": "two", "secret": null }));
        } else {
            harmless.push(json!({ "title": "two", "secret": CANARY }));
        }
        for (i, body) in harmless.iter().enumerate() {
            for caller in [&people.stranger, &people.plain] {
                let saved = caller.client.put("/db/Doc/1", body).expect(200).json();
                assert_eq!(saved["title"], body.get("title").cloned().unwrap_or_default());
                let object = admin.get("/db/Doc/1").json();
                assert_eq!(object["secret"], CANARY, "{body}");
                assert_eq!(object["version"], saved["version"]);
                let id = format!("/db/Doc/{}-{hidden}-{i}", caller.name);
                if body.get("secret").is_none_or(Value::is_null) {
                    caller.client.put(&id, body).expect(200);
                    assert_eq!(admin.get(&id).json()["secret"], Value::Null);
                }
            }
        }
        // And who may, may.
        let object = json!({ "title": "three", "secret": "changed" });
        people.member.client.put("/db/Doc/1", &object).expect(200);
        assert_eq!(admin.get("/db/Doc/1").json()["secret"], "changed");
        people
            .member
            .client
            .put("/db/Doc/1", &json!({ "title": "three" }))
            .expect(200);
        assert_eq!(admin.get("/db/Doc/1").json()["secret"], Value::Null);
        admin
            .put("/db/Doc/1", &json!({ "title": "one", "secret": CANARY }))
            .expect(200);
    }
    no_panics(&server);
}

#[test]
fn who_saves_an_object_without_the_field_it_cannot_see_keeps_it() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    // May write it, but not read it.
    doc(admin, &json!({ "read": people.team() }));
    let plain = &people.plain.client;
    for _ in 0..2 {
        let mut object = plain.get("/db/Doc/1").json();
        assert_eq!(object.get("secret"), None);
        object["title"] = json!("mine");
        plain.put("/db/Doc/1", &object).expect(200);
        // Published clients send null for what they did not get.
        object["secret"] = Value::Null;
        plain.put("/db/Doc/1", &object).expect(200);
        let stored = admin.get("/db/Doc/1").json();
        assert_eq!((&stored["title"], &stored["secret"]), (&json!("mine"), &json!(CANARY)));
        // The second time the object is older than its class.
        admin
            .post(
                "/schema/Doc",
                &json!({ "fields": { "later": { "type": "/db/Integer" } } }),
            )
            .expect(200);
    }
    plain.put("/db/Doc/1", &json!({ "secret": "blind" })).expect(200);
    assert_eq!(admin.get("/db/Doc/1").json()["secret"], "blind");
    // Everybody else's absent fields become null, as ever.
    people
        .member
        .client
        .put("/db/Doc/1", &json!({ "title": "x" }))
        .expect(200);
    assert_eq!(admin.get("/db/Doc/1").json()["secret"], Value::Null);
    // What is kept has by now a member more.
    let part = |fields: Value| json!({ "class": "/db/Part", "embedded": true, "fields": fields });
    let number = json!({ "type": "/db/Integer" });
    let secret_part = json!({ "name": "part", "type": "/db/Part", "acl": { "read": people.team() } });
    let add = json!({ "operation": "addField", "bucket": "/db/Doc", "field": secret_part });
    admin
        .post("/schema", &json!([part(json!({ "n": number })), add]))
        .expect(200);
    admin.put("/db/Doc/1", &json!({ "part": { "n": 1 } })).expect(200);
    admin
        .post("/schema", &part(json!({ "n": number, "m": number })))
        .expect(200);
    plain.put("/db/Doc/1", &json!({ "title": "mine" })).expect(200);
    assert_eq!(admin.get("/db/Doc/1").json()["part"], json!({ "n": 1, "m": null }));
    // What is kept counts.
    let large = "x".repeat(700_000);
    admin.put("/db/Doc/1", &json!({ "secret": large })).expect(200);
    let answer = plain.put("/db/Doc/1", &json!({ "title": large }));
    assert!(matches!(answer.status, 200 | 413), "{}", answer.status);
    no_panics(&server);
}

#[test]
fn nobody_registers_with_a_field_it_may_not_write() {
    let server = Profile::Baqend.start();
    let people = People::new(&server);
    let (admin, stranger) = (&people.admin.client, &people.stranger.client);
    let add = |name: &str, acl: Value| {
        let field = json!({ "name": name, "type": "/db/String", "acl": acl });
        let edit = json!({ "operation": "addField", "bucket": "/db/User", "field": field });
        admin.post("/schema", &edit).expect(200);
    };
    add("rank", json!({ "write": people.team() }));
    add(
        "email",
        json!({ "write": { "self": "allow" }, "read": { "self": "allow" } }),
    );
    add("note", json!({ "read": people.team() }));
    let register = |client: &Client, name: &str, field: &str, value: Value| {
        let body = json!({ "user": { "username": name, field: value }, "password": "secret" });
        client.post("/db/User/register", &body)
    };
    for client in [stranger, &people.plain.client] {
        register(client, "climber", "rank", json!("boss")).expect_error(466, "PermissionDenied");
    }
    register(stranger, "climber", "rank", Value::Null).expect(200);
    register(admin, "boss", "rank", json!("boss")).expect(200);
    // One's own address is one's own from the start, and comes back.
    let mine = register(stranger, "mine", "email", json!("m@example.org"))
        .expect(200)
        .json();
    assert_eq!(mine["email"], "m@example.org");
    let noted = register(stranger, "noted", "note", json!(CANARY)).expect(200);
    assert!(!text(&noted).contains(CANARY));
    // Afterwards it is the user's to change, and nobody else's.
    let me = server.client().login("mine", "secret");
    let id = mine["id"].as_str().unwrap();
    me.post(id, &json!({ "$set": { "email": "n@example.org" } }))
        .expect(200);
    admin
        .put(id, &json!({ "acl": null, "email": "n@example.org" }))
        .expect(200);
    let other = &people.plain.client;
    other
        .post(id, &json!({ "$set": { "email": "x" } }))
        .expect_error(466, "PermissionDenied");
    let put = |body: &[u8]| other.request("PUT", id, &[("if-match", "*")], body);
    let message = put(b"{\"email\":\"n@example.org\"}").expect_error(466, "PermissionDenied");
    assert!(message.contains("User.email"), "{message}");
    me.post(id, &json!({ "$set": { "rank": "boss" } }))
        .expect_error(466, "PermissionDenied");
    put(b"{}").expect(200);
    assert_eq!(me.get("/db/User/me").json()["email"], "n@example.org");
    no_panics(&server);
}

fn is_shared(answer: &Response) -> bool {
    let said = answer.header("cache-control").unwrap_or_default();
    said.starts_with("public, max-age=")
}

#[test]
fn s39_what_depends_on_the_caller_is_not_shared_and_not_confirmed_by_version() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    doc(admin, &json!({}));
    let get = |client: &Client, tag: &str| client.request("GET", "/db/Doc/1", &[("if-none-match", tag)], b"");
    let stranger = &people.stranger.client;
    assert!(is_shared(&stranger.get("/db/Doc/1")));
    get(stranger, "\"1\"").expect(304);

    // A cache that keeps the whole object must not have it confirmed for whoever comes next.
    field_acl(admin, "Doc", "secret", &json!({ "read": people.team() })).expect(200);
    for caller in people.all() {
        for tag in ["\"1\"", "*", "\"1--cut\"", "\"1--gzip\""] {
            let answer = get(&caller.client, tag).expect(200);
            assert_eq!(
                answer.header("cache-control"),
                Some("private, no-cache"),
                "{}",
                caller.name
            );
        }
    }
    let cut = get(stranger, "\"1\"");
    assert!(!text(&cut).contains(CANARY));
    assert_eq!(cut.header("etag"), Some("\"1--cut\""));
    // Its tag is good for writing.
    let put = |tag: &str| stranger.request("PUT", "/db/Doc/1", &[("if-match", tag)], b"{\"title\":\"two\"}");
    let written = put("\"1--cut\"").expect(200);
    assert_eq!(written.header("cache-control"), Some("private, no-cache"));
    put("\"1--cut\"").expect(412);

    // Where the rules are gone, what was cut is not taken for the whole.
    field_acl(admin, "Doc", "secret", &Value::Null).expect(200);
    assert!(text(&get(stranger, "\"2--cut\"").expect(200)).contains(CANARY));
    get(stranger, "\"2\"").expect(304);
    // Rules about writing alone show everybody the same.
    field_acl(admin, "Doc", "secret", &json!({ "write": people.team() })).expect(200);
    assert!(is_shared(&stranger.get("/db/Doc/1")));
    no_panics(&server);
}

/// What the published SDK sends of a schema it was given: no rules of fields, no flags.
fn as_the_sdk_sends(schema: &Value) -> Value {
    let mut classes = schema.as_array().unwrap().clone();
    for class in &mut classes {
        let names = [
            "load",
            "insert",
            "update",
            "delete",
            "query",
            "schemaAdd",
            "schemaReplace",
            "schemaSubclass",
        ];
        for name in names {
            if class["embedded"] != true || name.starts_with("schemaA") || name.starts_with("schemaR") {
                class["acl"].as_object_mut().unwrap().entry(name).or_insert(json!({}));
            }
        }
        let fields = class["fields"].as_object_mut().unwrap();
        fields.retain(|_, field| field.get("flags").is_none());
        for field in fields.values_mut() {
            let field = field.as_object_mut().unwrap();
            field.retain(|name, _| matches!(name.as_str(), "name" | "type" | "order" | "metadata"));
        }
    }
    Value::Array(classes)
}

#[test]
fn schemas_of_clients_that_know_no_field_rules_leave_them_alone() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    let acl = json!({ "read": people.team(), "write": people.team() });
    doc(admin, &acl);
    let own = json!({ "name": "email", "type": "/db/String", "acl": { "read": { "self": "allow" } } });
    let add = json!({ "operation": "addField", "bucket": "/db/User", "field": own });
    admin.post("/schema", &add).expect(200);
    field_acl(admin, "User", "username", &json!({ "read": { "self": "allow" } })).expect(200);
    let rules = || {
        let schema = admin.get("/schema").json();
        let of = |class: &str, field: &str| {
            let class = schema
                .as_array()
                .unwrap()
                .iter()
                .find(|c| c["class"] == class)
                .unwrap()
                .clone();
            class["fields"][field].get("acl").cloned()
        };
        [
            of("/db/Doc", "secret"),
            of("/db/User", "email"),
            of("/db/User", "username"),
            of("/db/Doc", "title"),
        ]
    };
    let expected = rules();
    assert_eq!(expected[0], Some(acl.clone()));
    assert_eq!(expected[1], Some(json!({ "read": { "self": "allow" } })));
    assert_eq!(expected[1], expected[2]);
    assert_eq!(expected[3], None);

    let sent = as_the_sdk_sends(&admin.get("/schema").json());
    let one = |class: &str| {
        sent.as_array()
            .unwrap()
            .iter()
            .find(|c| c["class"] == class)
            .unwrap()
            .clone()
    };
    admin.put("/schema", &sent).expect(200);
    assert_eq!(rules(), expected);
    admin.post("/schema", &sent).expect(200);
    assert_eq!(rules(), expected);
    for class in ["Doc", "User"] {
        admin
            .put(&format!("/schema/{class}"), &one(&format!("/db/{class}")))
            .expect(200);
        admin
            .post(&format!("/schema/{class}"), &one(&format!("/db/{class}")))
            .expect(200);
        let mut replace = one(&format!("/db/{class}"));
        replace["operation"] = json!("replaceClass");
        admin.post("/schema", &replace).expect(200);
        assert_eq!(rules(), expected, "{class}");
    }
    // What comes out goes in again.
    admin.put("/schema", &admin.get("/schema").json()).expect(200);
    assert_eq!(rules(), expected);
    // Adding never changes what is there.
    let mut opened = one("/db/Doc");
    opened["fields"]["secret"]["acl"] = Value::Null;
    admin.post("/schema", &opened).expect(200);
    let field = json!({ "name": "secret", "type": "/db/String", "acl": {} });
    admin
        .post(
            "/schema",
            &json!({ "operation": "addField", "bucket": "/db/Doc", "field": field }),
        )
        .expect(200);
    assert_eq!(rules(), expected);
    assert!(!text(&people.plain.client.get("/db/Doc/1")).contains(CANARY));

    // A new name does not open a field, nor does a new place.
    let rename = json!({ "operation": "renameField", "bucket": "/db/Doc", "from": "secret", "to": "renamed" });
    admin.post("/schema", &rename).expect(200);
    assert!(!text(&people.plain.client.get("/db/Doc/1")).contains(CANARY));
    let back = json!({ "operation": "renameField", "bucket": "/db/Doc", "from": "renamed", "to": "secret" });
    admin.post("/schema", &back).expect(200);
    assert_eq!(rules(), expected);

    // To replace the rules takes saying so.
    opened["fields"]["secret"]["acl"] = json!({ "read": { "*": "allow" } });
    admin.put("/schema/Doc", &opened).expect(200);
    assert_eq!(rules()[0], Some(json!({ "read": { "*": "allow" } })));
    field_acl(admin, "Doc", "secret", &acl).expect(200);
    opened["fields"]["secret"]["acl"] = Value::Null;
    admin.put("/schema/Doc", &opened).expect(200);
    assert_eq!(rules()[0], None);
    assert!(text(&people.plain.client.get("/db/Doc/1")).contains(CANARY));
    field_acl(admin, "Doc", "secret", &acl).expect(200);
    field_acl(admin, "Doc", "secret", &json!({})).expect(200);
    assert_eq!(rules()[0], None);
    no_panics(&server);
}

#[test]
fn a_field_does_not_lose_its_rules_on_the_way_to_another_class() {
    let server = Profile::Secure.start();
    let admin = root(&server);
    let secret = json!({ "secret": { "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } } });
    let bare = json!({ "secret": { "type": "/db/String" } });
    class(&admin, "Top", &secret, &open());
    let sub = |fields: &Value| json!({ "class": "/db/Sub", "superClass": "/db/Top", "fields": fields, "acl": open() });
    admin.post("/schema", &sub(&json!({}))).expect(200);
    admin
        .post("/db/Sub", &json!({ "id": "/db/Sub/1", "secret": CANARY }))
        .expect(201);
    let replace = |class: &str, fields: &Value| {
        let mut def = sub(fields);
        def["class"] = json!(class);
        def["operation"] = json!("replaceClass");
        if class == "/db/Top" {
            def["superClass"] = json!("/db/Object");
        }
        def
    };
    let down = |fields: &Value| json!([replace("/db/Top", &json!({})), replace("/db/Sub", fields)]);
    let up = |fields: &Value| json!([replace("/db/Sub", &json!({})), replace("/db/Top", fields)]);
    admin
        .post("/schema", &down(&bare))
        .expect_error(469, "SchemaNotCompatible");
    admin.post("/schema", &down(&secret)).expect(200);
    admin
        .post("/schema", &up(&bare))
        .expect_error(469, "SchemaNotCompatible");
    admin.post("/schema", &up(&secret)).expect(200);
    assert!(!text(&server.client().get("/db/Sub/1").expect(200)).contains(CANARY));
    assert!(text(&admin.get("/db/Sub/1").expect(200)).contains(CANARY));
}

#[test]
fn rules_of_fields_are_refused_where_they_mean_nothing() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    doc(admin, &json!({}));
    class(admin, "Sub", &json!({}), &json!({}));
    let part = json!({ "class": "/db/Part", "embedded": true, "fields": { "n": { "type": "/db/Integer" } } });
    admin.post("/schema", &part).expect(200);
    let before = admin.get("/schema").json();
    let allow = json!({ "read": { "/db/Role/1": "allow" } });
    for (class, field, acl, complaint) in [
        ("Part", "n", allow.clone(), "embedded"),
        ("Object", "id", allow.clone(), "metadata"),
        ("Object", "acl", allow.clone(), "metadata"),
        ("Object", "createdAt", allow.clone(), "metadata"),
        ("Doc", "id", allow.clone(), "no field id of its own"),
        ("Doc", "missing", allow.clone(), "no field missing of its own"),
        ("Doc", "secret", json!({ "read": { "self": "allow" } }), "self"),
        ("Doc", "secret", json!({ "reed": { "*": "deny" } }), "reed"),
        ("Doc", "secret", json!({ "read": { "me": "allow" } }), "`me`"),
        ("Doc", "secret", json!({ "read": { "*": "maybe" } }), "allow"),
        ("Doc", "secret", json!({ "read": ["*"] }), "object"),
        ("Doc", "secret", json!("private"), "object"),
    ] {
        let message = field_acl(admin, class, field, &acl).expect_error(400, "BadRequest");
        assert!(message.contains(complaint), "{message}");
        let put = json!({ "fields": { field: { "type": "/db/String", "acl": acl } } });
        if class == "Doc" && field == "secret" {
            admin.put("/schema/Doc", &put).expect(400);
            let field = json!({ "name": "other", "type": "/db/String", "acl": acl });
            let add = json!({ "operation": "addField", "bucket": "/db/Doc", "field": field });
            admin.post("/schema", &add).expect(400);
        }
    }
    let embedded = json!({ "class": "/db/Box", "embedded": true,
        "fields": { "n": { "type": "/db/Integer", "acl": allow } } });
    admin.post("/schema", &embedded).expect(400);
    let no_acl = json!({ "operation": "updateFieldAcl", "bucket": "/db/Doc", "field": "secret" });
    admin.post("/schema", &no_acl).expect(400);
    // `self` is no principal of any other rules.
    let acl = json!({ "operation": "updateClassAcl", "bucket": "/db/User", "acl": { "load": { "self": "allow" } } });
    admin.post("/schema", &acl).expect(400);
    admin
        .post("/db/Doc", &json!({ "acl": { "read": { "self": "allow" } } }))
        .expect(400);
    // Nor may anybody change rules who may not replace the class.
    for caller in [&people.stranger, &people.plain, &people.member] {
        field_acl(&caller.client, "Doc", "secret", &allow).expect_error(466, "PermissionDenied");
    }
    assert_eq!(admin.get("/schema").json(), before);
    no_panics(&server);
}
