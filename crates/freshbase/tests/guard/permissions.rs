//! Class permissions and object rules on every path to the data, against the documented evaluation written down again
//! here.

use std::collections::BTreeMap;

use fb_testkit::{Client, Response, encode, root};
use serde_json::{Value, json};

use crate::rules::{Caller, Rules, passes};
use crate::{PROFILES, Profile, class, no_panics, user};

/// The people of these tests; `named` and `member` occur in rules.
struct People {
    stranger: Caller,
    named: Caller,
    member: Caller,
    other: Caller,
    admin: Caller,
    role: String,
}

impl People {
    fn new(server: &fb_testkit::Server) -> Self {
        let admin = root(server);
        let stranger = server.client();
        let logged_in = "/db/Role/3".to_owned();
        let somebody = |name: &'static str| {
            let (client, id) = user(&admin, &stranger, name);
            Caller::new(name, &client, &[&id, &logged_in])
        };
        let (named, mut member, other) = (somebody("named"), somebody("member"), somebody("other"));
        let role = json!({ "name": "team", "users": [member.ids[0]], "acl": {
            "read": {}, "write": { "/db/Role/1": "allow" } } });
        let role = admin.post("/db/Role", &role).expect(201).json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        member.ids.push(role.clone());
        Self {
            stranger: Caller::new("stranger", &stranger, &[]),
            named,
            member,
            other,
            admin: Caller::new("admin", &admin, &["/db/User/1", &logged_in, "/db/Role/1"]),
            role,
        }
    }

    fn all(&self) -> [&Caller; 5] {
        [&self.stranger, &self.named, &self.member, &self.other, &self.admin]
    }
}

fn rules_of(entries: &[(&str, &'static str)]) -> Rules {
    entries.iter().map(|(id, rule)| ((*id).to_owned(), *rule)).collect()
}

/// Every kind of rule map, by a name that can be part of a class name.
fn kinds(people: &People) -> Vec<(&'static str, Rules)> {
    let (user, role) = (people.named.ids[0].as_str(), people.role.as_str());
    vec![
        ("AllowUser", rules_of(&[(user, "allow")])),
        ("AllowRole", rules_of(&[(role, "allow")])),
        ("AllowLoggedIn", rules_of(&[("/db/Role/3", "allow")])),
        ("DenyUser", rules_of(&[(user, "deny"), ("*", "allow")])),
        (
            "DenyRoleAllowUser",
            rules_of(&[(role, "deny"), (&people.member.ids[0], "allow"), (user, "allow")]),
        ),
        ("DenyAll", rules_of(&[("*", "deny")])),
        ("DenyAllAllowUser", rules_of(&[("*", "deny"), (user, "allow")])),
        ("AllowAll", rules_of(&[("*", "allow")])),
        ("AllowAllDenyRole", rules_of(&[("*", "allow"), (role, "deny")])),
        ("AllowNobodyKnown", rules_of(&[("/db/User/999", "allow")])),
    ]
}

const PERMISSIONS: [&str; 5] = ["load", "query", "insert", "update", "delete"];

/// Every way to the data, what it needs, and its status when it succeeds.
const OPERATIONS: [(&str, &[&str], u16); 9] = [
    ("load", &["load"], 200),
    ("query", &["query"], 200),
    ("query_post", &["query"], 200),
    ("count", &["query"], 200),
    ("insert", &["insert"], 201),
    ("update", &["update"], 200),
    ("save", &["insert", "update"], 200),
    ("partial", &["update"], 200),
    ("delete", &["delete"], 204),
];

/// Carries out an operation on the object `key` of `bucket`.
fn attempt(client: &Client, operation: &str, bucket: &str, key: &str) -> Response {
    let object = format!("/db/{bucket}/{key}");
    let body = json!({ "n": 7 });
    match operation {
        "load" => client.get(&object),
        "query" => client.get(&format!("/db/{bucket}/query")),
        "query_post" => client.post(&format!("/db/{bucket}/query"), &json!({ "n": { "$gte": 0 } })),
        "count" => client.get(&format!("/db/{bucket}/count")),
        "insert" => client.post(
            &format!("/db/{bucket}"),
            &json!({ "id": format!("{object}-new"), "n": 7 }),
        ),
        "update" => client.request("PUT", &object, &[("if-match", "*")], body.to_string().as_bytes()),
        "save" => client.put(&object, &body),
        "partial" => client.post(&object, &json!({ "$inc": { "n": 1 } })),
        "delete" => client.delete(&object),
        other => panic!("{other}"),
    }
}

fn class_permissions(profile: Profile) {
    let server = profile.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    let kinds = kinds(&people);
    let n = json!({ "n": { "type": "/db/Integer" } });
    let mut classes = Vec::new();
    for (kind, rules) in &kinds {
        for permission in PERMISSIONS {
            let mut acl: BTreeMap<&str, Value> = PERMISSIONS.iter().map(|p| (*p, json!({ "*": "allow" }))).collect();
            acl.insert(permission, json!(rules));
            classes.push(json!({ "class": format!("/db/{kind}_{permission}"), "fields": n, "acl": acl }));
        }
    }
    admin.post("/schema", &json!(classes)).expect(200);
    std::thread::scope(|scope| {
        for (kind, rules) in &kinds {
            let people = &people;
            scope.spawn(move || {
                for permission in PERMISSIONS {
                    class_of_kind(people, &format!("{kind}_{permission}"), permission, rules);
                }
            });
        }
    });
    no_panics(&server);
}

fn class_of_kind(people: &People, bucket: &str, permission: &str, rules: &Rules) {
    let admin = &people.admin.client;
    let mut objects = Vec::new();
    for caller in people.all() {
        for operation in ["update", "save", "partial", "delete"] {
            objects.push(json!({ "id": format!("/db/{bucket}/{operation}-{}", caller.name), "n": 1 }));
        }
    }
    objects.push(json!({ "id": format!("/db/{bucket}/load"), "n": 1 }));
    let report = admin.put(&format!("/db/{bucket}"), &json!(objects)).expect(200).json();
    assert_eq!(report["count"], objects.len(), "{report}");
    for caller in people.all() {
        for (operation, needs, success) in OPERATIONS {
            let key = match operation {
                "load" => "load".to_owned(),
                _ => format!("{operation}-{}", caller.name),
            };
            let may = !needs.contains(&permission) || passes(rules, caller);
            let answer = attempt(&caller.client, operation, bucket, &key);
            if may {
                assert_eq!(answer.status, success, "{} {operation} {bucket}", caller.name);
            } else {
                let message = answer.expect_error(466, "PermissionDenied");
                assert!(message.contains(permission), "{message}");
                if matches!(operation, "update" | "save" | "partial" | "delete") {
                    let object = admin.get(&format!("/db/{bucket}/{key}")).expect(200).json();
                    assert_eq!(
                        (&object["n"], &object["version"]),
                        (&json!(1), &json!(1)),
                        "{operation} {bucket}"
                    );
                }
                if operation == "insert" {
                    admin.get(&format!("/db/{bucket}/{key}-new")).expect(404);
                }
            }
        }
    }
}

#[test]
fn class_permissions_decide_every_operation_of_a_secure_app() {
    class_permissions(Profile::Secure);
}

#[test]
fn class_permissions_decide_every_operation_of_an_open_app() {
    class_permissions(Profile::Baqend);
}

/// In a secure app rules that only deny do not open a class to strangers.
#[test]
fn deny_rules_alone_open_nothing_to_strangers_of_a_secure_app() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let acl: BTreeMap<&str, Value> = PERMISSIONS
        .iter()
        .map(|p| (*p, json!({ &people.named.ids[0]: "deny" })))
        .collect();
    let n = json!({ "n": { "type": "/db/Integer" } });
    class(&people.admin.client, "Half", &n, &json!(acl));
    people
        .admin
        .client
        .post("/db/Half", &json!({ "id": "/db/Half/1", "n": 1 }))
        .expect(201);
    for (operation, _, success) in OPERATIONS {
        for caller in [&people.stranger, &people.named] {
            attempt(&caller.client, operation, "Half", "1").expect_error(466, "PermissionDenied");
        }
        attempt(&people.other.client, operation, "Half", "1").expect(success);
    }
}

/// Object rules on every path, for every kind of them.
fn object_rules(profile: Profile) {
    let server = profile.start();
    let people = People::new(&server);
    let admin = &people.admin.client;
    let open: BTreeMap<&str, Value> = PERMISSIONS.iter().map(|p| (*p, json!({ "*": "allow" }))).collect();
    let n = json!({ "n": { "type": "/db/Integer" }, "kind": { "type": "/db/String" } });
    class(admin, "Doc", &n, &json!(open));
    let mut kinds = kinds(&people);
    kinds.push(("Nothing", Rules::new()));
    kinds.push(("OnlyDenyUser", rules_of(&[(&people.named.ids[0], "deny")])));
    let mut objects = Vec::new();
    let mut n = 0;
    for (kind, rules) in &kinds {
        for caller in people.all() {
            for operation in ["update", "save", "partial", "delete", "acl"] {
                let id = format!("/db/Doc/write-{kind}-{operation}-{}", caller.name);
                objects.push(json!({ "id": id, "n": 1, "kind": "write", "acl": { "read": {}, "write": rules } }));
            }
        }
        for i in 0..3 {
            n += 1;
            let id = format!("/db/Doc/read-{kind}-{i}");
            objects.push(json!({ "id": id, "n": n, "kind": "read", "acl": { "read": rules, "write": {} } }));
        }
    }
    let report = admin.put("/db/Doc", &json!(objects)).expect(200).json();
    assert_eq!(report["count"], objects.len(), "{report}");
    for caller in people.all() {
        reads(caller, &kinds);
        for (kind, rules) in &kinds {
            writes(&people, caller, kind, rules);
        }
    }
    no_panics(&server);
}

fn reads(caller: &Caller, kinds: &[(&'static str, Rules)]) {
    let client = &caller.client;
    let mut visible = Vec::new();
    for (kind, rules) in kinds {
        let may = passes(rules, caller);
        for i in 0..3 {
            let id = format!("/db/Doc/read-{kind}-{i}");
            let answer = client.get(&id);
            if may {
                answer.expect(200);
                visible.push(id);
            } else {
                let refused = answer.expect_error(404, "ObjectNotFound");
                let missing = client.get("/db/Doc/missing").expect_error(404, "ObjectNotFound");
                // Nothing in it says that there is something to hide.
                assert_eq!(refused.replace(&id, "@"), missing.replace("/db/Doc/missing", "@"));
                let head = client.request("HEAD", &id, &[], b"");
                assert_eq!((head.status, head.header("etag")), (404, None));
                let conditional = client.request("GET", &id, &[("if-none-match", "\"1\"")], b"");
                assert_eq!(conditional.status, 404, "a matching tag must not give an object away");
                // The id is taken all the same, and what is there stays.
                client
                    .post("/db/Doc", &json!({ "id": id, "kind": "x" }))
                    .expect_error(409, "ObjectExists");
            }
        }
    }
    let filter = json!({ "kind": "read" });
    let ids = |objects: Vec<Value>| -> Vec<String> {
        objects
            .iter()
            .map(|object| object["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let q = encode(&filter.to_string());
    let sort = encode(r#"{"n":1}"#);
    let page = |parameters: &str| {
        let path = format!("/db/Doc/query?q={q}&sort={sort}{parameters}");
        let found = client.get(&path).expect(200).json();
        ids(found.as_array().unwrap().clone())
    };
    assert_eq!(page(""), visible, "{}", caller.name);
    // Pages are pages of what one may see: full, without gaps.
    for start in 0..=visible.len() {
        let rest = &visible[start..];
        assert_eq!(
            page(&format!("&start={start}&count=4")),
            rest[..rest.len().min(4)],
            "{}",
            caller.name
        );
    }
    let short = client
        .get(&format!("/db/Doc/query?q={q}&eager=false"))
        .expect(200)
        .json();
    assert_eq!(short.as_array().unwrap().len(), visible.len());
    let posted = client.post("/db/Doc/query", &filter).expect(200).json();
    assert_eq!(posted.as_array().unwrap().len(), visible.len());
    let counted = client.get(&format!("/db/Doc/count?q={q}")).expect(200).json();
    assert_eq!(counted["count"], visible.len(), "{}", caller.name);
    let counted = client.post("/db/Doc/count", &filter).expect(200).json();
    assert_eq!(counted["count"], visible.len(), "{}", caller.name);
    // A filter on the id finds no more, and neither does one on the rules themselves.
    for (kind, rules) in kinds {
        let id = format!("/db/Doc/read-{kind}-0");
        let expected = usize::from(passes(rules, caller));
        for filter in [
            json!({ "id": id }),
            json!({ "id": { "$in": [id] } }),
            json!({ "$or": [{ "id": id }, { "n": -1 }] }),
            json!({ "$nor": [{ "id": { "$ne": id } }] }),
        ] {
            assert_eq!(client.query("Doc", &filter).len(), expected, "{} {filter}", caller.name);
        }
    }
    // Only administrators see everything at once.
    for path in ["/db/Doc/ids", "/db/Doc"] {
        let answer = client.get(path);
        if caller.is_admin {
            assert!(answer.expect(200).json().as_array().unwrap().len() > visible.len());
        } else {
            answer.expect_error(466, "PermissionDenied");
        }
    }
}

fn writes(people: &People, caller: &Caller, kind: &str, rules: &Rules) {
    let admin = &people.admin.client;
    let may = passes(rules, caller);
    for (operation, _, success) in OPERATIONS {
        if !matches!(operation, "update" | "save" | "partial" | "delete") {
            continue;
        }
        let key = format!("write-{kind}-{operation}-{}", caller.name);
        let id = format!("/db/Doc/{key}");
        let answer = attempt(&caller.client, operation, "Doc", &key);
        if may {
            assert_eq!(answer.status, success, "{} {operation} {kind}", caller.name);
            if operation != "delete" {
                let acl = &admin.get(&id).expect(200).json()["acl"];
                let expected = if rules.is_empty() { Value::Null } else { json!(rules) };
                assert_eq!(acl["write"], expected, "a body without rules leaves them as they are");
            }
        } else {
            answer.expect_error(466, "PermissionDenied");
            let object = admin.get(&id).expect(200).json();
            assert_eq!(
                (&object["n"], &object["version"]),
                (&json!(1), &json!(1)),
                "{operation} {kind}"
            );
        }
    }
    // Rules are changed by who may write under the old ones, not the new ones; `null` opens the object.
    let id = format!("/db/Doc/write-{kind}-acl-{}", caller.name);
    let own = caller.ids.first().map_or("*", String::as_str);
    for acl in [json!({ "read": {}, "write": { own: "allow" } }), Value::Null] {
        let body = json!({ "n": 2, "acl": acl });
        let answer = caller.client.put(&id, &body);
        if may {
            answer.expect(200);
        } else {
            answer.expect_error(466, "PermissionDenied");
            let object = admin.get(&id).expect(200).json();
            assert_eq!((&object["acl"]["write"], &object["n"]), (&json!(rules), &json!(1)));
        }
    }
}

#[test]
fn object_rules_decide_on_every_path_of_a_secure_app() {
    object_rules(Profile::Secure);
}

#[test]
fn object_rules_decide_on_every_path_of_an_open_app() {
    object_rules(Profile::Baqend);
}

/// S01
#[test]
fn a_stranger_reads_and_writes_nothing_in_a_fresh_secure_app() {
    let server = Profile::Secure.start();
    let (admin, stranger) = (root(&server), server.client());
    class(
        &admin,
        "Fresh",
        &json!({ "n": { "type": "/db/Integer" } }),
        &Value::Null,
    );
    admin.post("/schema/Merged", &json!({ "fields": {} })).expect(200);
    admin.put("/schema/Merged", &json!({ "fields": {} })).expect(200);
    admin
        .post("/db/Fresh", &json!({ "id": "/db/Fresh/1", "n": 1 }))
        .expect(201);
    admin
        .post(
            "/schema",
            &json!([
                { "operation": "updateClassAcl", "class": "/db/Merged", "acl": {} },
                { "class": "/db/Sub", "superClass": "/db/Fresh", "fields": {} },
            ]),
        )
        .expect(200);
    admin.post("/db/Sub", &json!({ "id": "/db/Sub/1", "n": 1 })).expect(201);
    let schema = admin.get("/schema").expect(200).json();
    let buckets: Vec<String> = schema
        .as_array()
        .unwrap()
        .iter()
        .filter(|class| class["embedded"] != true)
        .map(|class| class["class"].as_str().unwrap()["/db/".len()..].to_owned())
        .collect();
    assert!(buckets.len() > 8, "{buckets:?}");
    let dump = || -> Vec<Vec<u8>> {
        let entities = buckets
            .iter()
            .filter(|bucket| !matches!(bucket.as_str(), "Object" | "logs.AuditLog"));
        entities
            .map(|bucket| admin.get(&format!("/db/{bucket}")).expect(200).body)
            .collect()
    };
    let before = dump();
    for bucket in &buckets {
        for key in ["1", "2", "3", "new"] {
            for (operation, _, _) in OPERATIONS {
                let answer = attempt(&stranger, operation, bucket, key);
                assert!(
                    matches!(answer.status, 400 | 401 | 403 | 404 | 466),
                    "{operation} {bucket}/{key}: {}",
                    answer.status
                );
                assert!(answer.status != 400 || bucket == "Object", "{operation} {bucket}");
            }
        }
        for (method, path) in [
            ("GET", format!("/db/{bucket}/ids")),
            ("GET", format!("/db/{bucket}")),
            ("PUT", format!("/db/{bucket}")),
            ("DELETE", format!("/db/{bucket}")),
            ("GET", format!("/index/{bucket}")),
            ("POST", format!("/index/{bucket}")),
            ("DELETE", format!("/index/{bucket}")),
            ("POST", format!("/schema/{bucket}")),
            ("PUT", format!("/schema/{bucket}")),
            ("DELETE", format!("/schema/{bucket}")),
        ] {
            let body: &[u8] = match (method, path.starts_with("/db")) {
                ("GET" | "DELETE", _) => b"",
                (_, true) => b"[]",
                (_, false) => br#"{"fields":{"more":{"type":"/db/String"}},"keys":[{"n":"asc"}]}"#,
            };
            stranger
                .request(method, &path, &[], body)
                .expect_error(466, "PermissionDenied");
        }
    }
    let register = json!({ "user": { "username": "x" }, "password": "a secret" });
    stranger
        .post("/db/User/register", &register)
        .expect_error(466, "PermissionDenied");
    assert_eq!(dump(), before);
    assert_eq!(admin.get("/schema").expect(200).json(), schema);
}

/// Nobody gets into a role, or out of it, who may not write it.
#[test]
fn s10_nobody_makes_himself_a_member_of_a_role() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let admin = &people.admin.client;
        for role in ["/db/Role/1", "/db/Role/2", "/db/Role/3", people.role.as_str()] {
            let before = admin.get(role).expect(200).json();
            for caller in [&people.stranger, &people.named, &people.member] {
                let own = caller.ids.first().map_or("/db/User/1", String::as_str);
                let whole = json!({ "id": role, "name": "mine", "users": [own], "acl": null });
                let whole = whole.to_string();
                for headers in [
                    &[][..],
                    &[("if-match", "*")],
                    &[("if-match", "\"1\"")],
                    &[("if-match", "\"2\"")],
                ] {
                    let status = caller.client.request("PUT", role, headers, whole.as_bytes()).status;
                    assert!(matches!(status, 466 | 412), "{status} {} {role}", caller.name);
                }
                for update in [
                    json!({ "$add": { "users": own } }),
                    json!({ "$push": { "users": own } }),
                    json!({ "$set": { "users": [own] } }),
                    json!({ "$set": { "acl": null } }),
                    json!({ "$set": { "acl.write": {} } }),
                    json!({ "$remove": { "users": "/db/User/1" } }),
                ] {
                    let status = caller.client.post(role, &update).status;
                    assert!(matches!(status, 400 | 466), "{status} {} {role} {update}", caller.name);
                }
                caller.client.delete(role).expect_error(466, "PermissionDenied");
                // Inserting cannot hit an existing role: the server gives the ids.
                let taken = caller
                    .client
                    .post("/db/Role", &json!({ "id": role, "name": "x", "users": [own] }));
                match profile {
                    Profile::Secure => drop(taken.expect_error(466, "PermissionDenied")),
                    Profile::Baqend => assert_ne!(taken.expect(201).json()["id"], role),
                }
                caller
                    .client
                    .request("PUT", "/db/Role", &[], whole.as_bytes())
                    .expect_error(466, "PermissionDenied");
            }
            assert_eq!(admin.get(role).expect(200).json(), before, "{role}");
        }
        for caller in [&people.stranger, &people.named, &people.member, &people.other] {
            caller.client.get("/config").expect_error(466, "PermissionDenied");
        }
    }
}

/// What the server maintains stays what it is, whoever sends something else.
#[test]
fn server_set_members_are_not_written_by_clients() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let admin = &people.admin.client;
        let open: BTreeMap<&str, Value> = PERMISSIONS.iter().map(|p| (*p, json!({ "*": "allow" }))).collect();
        class(admin, "Doc", &json!({ "n": { "type": "/db/Integer" } }), &json!(open));
        let forged = json!({
            "id": "/db/Doc/1", "version": 77, "createdAt": "1999-01-01T00:00:00.000Z",
            "updatedAt": "1999-01-01T00:00:00.000Z", "n": 1 });
        for caller in people.all() {
            let made = caller.client.post("/db/Doc", &forged).expect(201).json();
            assert_eq!(made["version"], 1, "{made}");
            for when in ["createdAt", "updatedAt"] {
                assert!(!made[when].as_str().unwrap().starts_with("1999"), "{made}");
            }
            let saved = caller.client.put("/db/Doc/1", &forged).expect(200).json();
            assert_eq!(
                (&saved["version"], &saved["createdAt"]),
                (&json!(2), &made["createdAt"])
            );
            let mut elsewhere = forged.clone();
            elsewhere["id"] = json!("/db/Doc/2");
            caller
                .client
                .put("/db/Doc/1", &elsewhere)
                .expect_error(400, "BadRequest");
            for member in ["id", "version", "createdAt", "updatedAt"] {
                let set = json!({ "$set": { member: forged[member] } });
                let status = caller.client.post("/db/Doc/1", &set).status;
                assert!(matches!(status, 400 | 463 | 466), "{status} {member}");
            }
            assert_eq!(admin.get("/db/Doc/1").expect(200).json(), saved);
            caller.client.delete("/db/Doc/1").expect(204);
        }
        // A user cannot rename or revive itself, nor take another's place.
        let own = &people.named.ids[0];
        let before = admin.get(own).expect(200).json();
        let body = json!({ "username": "root", "inactive": true, "password": "x" });
        people.named.client.put(own, &body);
        for member in ["username", "inactive"] {
            let status = people
                .named
                .client
                .post(own, &json!({ "$set": { member: body[member] } }))
                .status;
            assert!(matches!(status, 400 | 463 | 466), "{status} {member}");
        }
        let after = admin.get(own).expect(200).json();
        for member in ["username", "inactive", "createdAt", "id"] {
            assert_eq!(after[member], before[member]);
        }
        people
            .named
            .client
            .put("/db/User/1", &body)
            .expect_error(466, "PermissionDenied");
        people
            .named
            .client
            .delete("/db/User/1")
            .expect_error(466, "PermissionDenied");
        root(&server);
    }
}
