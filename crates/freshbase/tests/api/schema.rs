//! Classes and their permissions: protocol 01.

use fb_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{class, open};

fn field_names(class: &Value) -> Vec<&str> {
    class["fields"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn of<'s>(schema: &'s Value, class: &str) -> Option<&'s Value> {
    schema.as_array().unwrap().iter().find(|c| c["class"] == class)
}

fn read(client: &Client) -> Value {
    client.get("/schema").expect(200).json()
}

fn todo() -> (Server, Client, Client) {
    let (server, admin, anybody) = open();
    let def = json!({ "fields": {
        "name": { "name": "name", "type": "/db/String", "order": 0 },
        "owner": { "name": "owner", "type": "/db/User", "order": 1, "metadata": { "label": "Owner" } },
    }, "metadata": { "color": "red" } });
    admin.post("/schema/Todo", &def).expect(200);
    (server, admin, anybody)
}

#[test]
fn a_post_merges_and_can_be_repeated() {
    let (_server, admin, anybody) = todo();
    let first = admin.get("/schema/Todo").expect(200).json();
    assert_eq!(first["class"], "/db/Todo");
    assert_eq!(first["superClass"], "/db/Object");
    assert_eq!(first["metadata"], json!({ "color": "red" }));
    assert_eq!(first["fields"]["owner"]["metadata"], json!({ "label": "Owner" }));
    assert_eq!(first.get("embedded"), None);
    assert_eq!(
        anybody.get("/schema/Todo").expect(200).json(),
        first,
        "everybody may read it"
    );

    // The answer, and the whole schema, may be posted again.
    assert_eq!(admin.post("/schema/Todo", &first).expect(200).json(), first);
    let whole = read(&admin);
    assert_eq!(admin.post("/schema", &whole).expect(200).json(), whole);
    assert_eq!(anybody.get("/connect").expect(200).json()["schema"], whole);

    // Nothing that is left out goes, and rules and existing fields stay.
    let more = json!({ "class": "/db/Todo", "acl": { "load": { "/db/Role/1": "allow" } }, "fields": {
        "done": { "type": "/db/Boolean" },
    }});
    let answer = admin.post("/schema", &more).expect(200).json();
    let merged = of(&answer, "/db/Todo").unwrap();
    assert_eq!(field_names(merged), ["name", "owner", "done"]);
    assert_eq!(
        (&merged["acl"], &merged["metadata"]),
        (&first["acl"], &first["metadata"])
    );
    let mut orders: Vec<u64> = merged["fields"]
        .as_object()
        .unwrap()
        .values()
        .map(|f| f["order"].as_u64().unwrap())
        .collect();
    orders.dedup();
    assert_eq!(orders.len(), 3, "{merged}");

    for (def, class_name) in [
        (
            json!({ "fields": { "name": { "type": "/db/Integer" } } }),
            "SchemaNotCompatible",
        ),
        (json!({ "embedded": true, "fields": {} }), "SchemaNotCompatible"),
        (json!({ "superClass": "/db/User", "fields": {} }), "SchemaNotCompatible"),
        (
            json!({ "fields": { "x": { "type": "/db/Nothing" } } }),
            "SchemaNotCompatible",
        ),
    ] {
        admin.post("/schema/Todo", &def).expect_error(469, class_name);
    }
    admin.get("/schema/None").expect_error(461, "BucketNotFound");
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    let (_server, admin, _) = todo();
    let before = read(&admin);
    let field = |name: &str, ty: &str| json!({ "class": "/db/Bad", "fields": { name: { "type": ty } } });
    for bad in [
        json!(5),
        json!("x"),
        json!([[]]),
        json!({}),
        json!({ "class": "Bad", "fields": {} }),
        json!({ "class": "/db/", "fields": {} }),
        json!({ "class": "/db/a b", "fields": {} }),
        json!({ "class": "/db/../x", "fields": {} }),
        json!({ "class": "/db/Bad", "fields": [] }),
        json!({ "class": "/db/Bad", "fields": { "a": 5 } }),
        json!({ "class": "/db/Bad", "acl": { "fly": {} }, "fields": {} }),
        json!({ "class": "/db/Bad", "acl": { "load": { "/db/User/1": "perhaps" } }, "fields": {} }),
        json!({ "class": "/db/Bad", "superClass": "/db/Bad", "fields": {} }),
        json!({ "class": "/db/Bad", "superClass": "/db/Missing", "fields": {} }),
        json!([{ "class": "/db/Bad", "superClass": "/db/Bad2", "fields": {} },
               { "class": "/db/Bad2", "superClass": "/db/Bad", "fields": {} }]),
        field("a", "String"),
        field("a", "/db/Missing"),
        field("a", "/db/collection.List[/db/Missing]"),
        field("a", "/db/collection.List[/db/collection.List[/db/String]]"),
        field("a", "/db/collection.Map[/db/String]"),
        field("a", "/db/collection.Bag[/db/String]"),
        field("a", "/db/collection.List[/db/String"),
        field("id", "/db/String"),
        field("version", "/db/Integer"),
        field("a.b", "/db/String"),
        field("$a", "/db/String"),
        field("", "/db/String"),
        json!({ "operation": "explode", "bucket": "/db/Todo" }),
        json!({ "operation": "addField", "bucket": "/db/Todo" }),
        json!({ "operation": "addField", "bucket": "/db/Missing", "field": { "name": "a", "type": "/db/String" } }),
        json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "nothing", "to": "x" }),
        json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "name", "to": "owner" }),
        json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "name", "to": "id" }),
        json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "id", "to": "key" }),
        json!({ "operation": "removeField", "bucket": "/db/Todo", "field": "nothing" }),
        json!({ "operation": "deleteClass", "bucket": "/db/Missing" }),
    ] {
        let answer = admin.post("/schema", &bad);
        assert!((400..500).contains(&answer.status), "{bad}: {}", answer.status);
        assert!(
            answer.json()["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{bad}"
        );
        assert_eq!(read(&admin), before, "{bad}");
    }
    admin
        .post("/schema/Other", &json!({ "class": "/db/Todo", "fields": {} }))
        .expect_error(400, "BadRequest");
    admin.put("/schema", &json!({})).expect_error(400, "BadRequest");
}

#[test]
fn all_operations_work_together() {
    let (_server, admin, client) = todo();
    client.put("/db/Todo/a", &json!({ "name": "milk" })).expect(200);
    let acl = json!({ "load": { "*": "deny" }, "query": { "/db/Role/1": "allow" } });
    let restrict = json!({ "operation": "updateClassAcl", "bucket": "/db/Todo", "acl": acl });
    admin.post("/schema", &restrict).expect(200);
    client.get("/db/Todo/a").expect_error(466, "PermissionDenied");
    let operations = json!([
        { "operation": "addField", "bucket": "/db/Todo", "field": { "name": "prio", "type": "/db/Integer" } },
        { "operation": "renameField", "bucket": "/db/Todo", "from": "name", "to": "title" },
        { "operation": "removeField", "bucket": "/db/Todo", "field": "owner" },
        { "operation": "updateClassAcl", "bucket": "/db/Todo", "acl": { "insert": { "/db/Role/1": "allow" } } },
        { "operation": "replaceClass", "class": "/db/New", "superClass": "/db/Object", "acl": {}, "fields": {}, "metadata": {} },
        // Uses a class that comes later.
        { "class": "/db/Sub", "superClass": "/db/Base", "fields": { "place": { "type": "/db/Place" } } },
        { "class": "/db/Base", "fields": { "sub": { "type": "/db/Sub" } } },
        { "class": "/db/Place", "embedded": true, "fields": { "city": { "type": "/db/String" } } },
    ]);
    let schema = admin.post("/schema", &operations).expect(200).json();
    let todo = of(&schema, "/db/Todo").unwrap();
    let mut names = field_names(todo);
    names.sort_unstable();
    assert_eq!(names, ["prio", "title"]);
    assert_eq!(todo["acl"]["insert"], json!({ "/db/Role/1": "allow" }));
    assert_eq!(todo["acl"].get("load"), None, "all other rules are gone");
    assert_eq!(of(&schema, "/db/Place").unwrap()["embedded"], true);
    assert_eq!(of(&schema, "/db/Place").unwrap().get("superClass"), None);
    assert_eq!(client.get("/db/Todo/a").json()["title"], "milk");
    client
        .post("/db/Todo", &json!({}))
        .expect_error(466, "PermissionDenied");
    client.get("/db/New").expect_error(466, "PermissionDenied");
    client.post("/db/Place", &json!({})).expect_error(400, "BadRequest");
    // Inherited fields.
    let sub = client.post("/db/Sub", &json!({ "sub": "/db/Sub/x", "place": { "city": "Ulm" } }));
    let sub = sub.expect(201).json();
    assert_eq!(
        (&sub["sub"], &sub["place"]["city"]),
        (&json!("/db/Sub/x"), &json!("Ulm"))
    );
    // A field of the super class shows up in objects of the subclass; a bucket is one collection.
    class(&admin, "Base", &[("late", "String")]);
    assert_eq!(
        client.get(sub["id"].as_str().unwrap()).json().get("late"),
        Some(&Value::Null)
    );
    assert!(client.query("Base", &json!({})).is_empty());
    assert_eq!(client.query("Sub", &json!({ "late": null })).len(), 1);
    client
        .post("/db/Base", &json!({ "sub": "/db/Base/1" }))
        .expect_error(463, "InvalidTypeValue");

    admin.delete("/schema/Place").expect_error(474, "TypeStillReferenced");
    admin.delete("/schema/Base").expect_error(474, "TypeStillReferenced");
    let clean = json!([
        { "operation": "removeField", "bucket": "/db/Base", "field": "sub" },
        { "operation": "deleteClass", "bucket": "/db/Sub" },
        { "operation": "deleteClass", "bucket": "/db/Base" },
    ]);
    let schema = admin.post("/schema", &clean).expect(200).json();
    assert!(of(&schema, "/db/Sub").is_none() && of(&schema, "/db/Base").is_none());
    admin.delete("/schema/Place").expect(204);
}

#[test]
fn a_request_does_everything_or_nothing() {
    let (_server, admin, anybody) = todo();
    let (ann, ann_id) = anybody.clone().register("ann");
    admin
        .post(
            "/schema/Mine",
            &json!({ "acl": { "schemaAdd": { &ann_id: "allow" } }, "fields": {} }),
        )
        .expect(200);
    anybody.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    let before = read(&admin);
    let good = json!({ "class": "/db/Mine", "fields": { "a": { "type": "/db/String" } } });
    let rename = json!({ "operation": "renameField", "bucket": "/db/Todo", "from": "name", "to": "title" });
    let bad = json!({ "class": "/db/Todo", "fields": { "b": { "type": "/db/Missing" } } });
    for (client, status, edits) in [
        (&admin, 469, json!([good, rename, bad])),
        (&admin, 469, json!([bad, good])),
        (&ann, 466, json!([good, { "class": "/db/New", "fields": {} }])),
        (&ann, 466, json!([good, { "class": "/db/Todo", "fields": {} }])),
        (&ann, 466, json!([rename, good])),
    ] {
        assert_eq!(client.post("/schema", &edits).status, status, "{edits}");
        assert_eq!(read(&admin), before, "{edits}");
        assert_eq!(anybody.get("/db/Todo/a").json()["name"], "x");
    }
    ann.post("/schema", &json!([good])).expect(200);
}

#[test]
fn each_change_takes_its_permission() {
    let (_server, admin, anybody) = todo();
    let (ann, ann_id) = anybody.clone().register("ann");
    let allow = json!({ &ann_id: "allow" });
    for (name, permission) in [
        ("Add", "schemaAdd"),
        ("Replace", "schemaReplace"),
        ("Subclass", "schemaSubclass"),
    ] {
        let def = json!({ "acl": { permission: allow }, "fields": { "a": { "type": "/db/String" } } });
        admin.post(&format!("/schema/{name}"), &def).expect(200);
    }
    let def = |class: &str| json!({ "class": format!("/db/{class}"), "fields": { "a": { "type": "/db/String" } } });
    type Change<'a> = (&'a str, &'a str, Box<dyn Fn(&Client, &str) -> u16>);
    let changes: [Change<'_>; 9] = [
        (
            "additive post",
            "Add",
            Box::new(move |c, class| c.post("/schema", &def(class)).status),
        ),
        (
            "post to the class",
            "Add",
            Box::new(move |c, class| c.post(&format!("/schema/{class}"), &def(class)).status),
        ),
        (
            "addField",
            "Add",
            Box::new(|c, class| {
                let field = json!({ "name": "added", "type": "/db/String" });
                c.post(
                    "/schema",
                    &json!({ "operation": "addField", "bucket": format!("/db/{class}"), "field": field }),
                )
                .status
            }),
        ),
        (
            "create a subclass",
            "Subclass",
            Box::new(|c, class| {
                let def = json!({ "superClass": format!("/db/{class}"), "fields": {} });
                c.post("/schema/SubOfIt", &def).status
            }),
        ),
        (
            "renameField",
            "Replace",
            Box::new(|c, class| {
                let class = format!("/db/{class}");
                c.post(
                    "/schema",
                    &json!({ "operation": "renameField", "bucket": class, "from": "a", "to": "b" }),
                )
                .status
            }),
        ),
        (
            "put",
            "Replace",
            Box::new(move |c, class| {
                let mut body = def(class);
                body["acl"] = c.get(&format!("/schema/{class}")).json()["acl"].clone();
                c.put(&format!("/schema/{class}"), &body).status
            }),
        ),
        (
            "removeField",
            "Replace",
            Box::new(|c, class| {
                c.post(
                    "/schema",
                    &json!({ "operation": "removeField", "bucket": format!("/db/{class}"), "field": "a" }),
                )
                .status
            }),
        ),
        (
            "updateClassAcl",
            "Replace",
            Box::new(|c, class| {
                let acl = c.get(&format!("/schema/{class}")).json()["acl"].clone();
                c.post(
                    "/schema",
                    &json!({ "operation": "updateClassAcl", "bucket": format!("/db/{class}"), "acl": acl }),
                )
                .status
            }),
        ),
        (
            "delete",
            "Replace",
            Box::new(|c, class| c.delete(&format!("/schema/{class}")).status),
        ),
    ];
    for (what, needed, change) in &changes {
        for class in ["Add", "Replace", "Subclass", "Todo"] {
            let before = read(&admin);
            assert_eq!(change(&anybody, class), 466, "{what} of {class} by anybody");
            if class != *needed {
                assert_eq!(change(&ann, class), 466, "{what} of {class}");
            }
            assert_eq!(read(&admin), before, "{what} of {class}");
        }
        let status = change(&ann, needed);
        assert!(status == 200 || status == 204, "{what}: {status}");
    }
    // New root classes and embeddables are the administrators' business.
    ann.post("/schema/Root", &json!({ "fields": {} }))
        .expect_error(466, "PermissionDenied");
    ann.post("/schema/Part", &json!({ "embedded": true, "fields": {} }))
        .expect_error(466, "PermissionDenied");
    ann.put("/schema", &json!([])).expect_error(466, "PermissionDenied");
    // Giving a class another super class is making a subclass of it.
    admin
        .post(
            "/schema/Move",
            &json!({ "acl": { "schemaReplace": allow }, "fields": {} }),
        )
        .expect(200);
    ann.put(
        "/schema/Move",
        &json!({ "superClass": "/db/Todo", "acl": { "schemaReplace": allow }, "fields": {} }),
    )
    .expect_error(466, "PermissionDenied");
}

#[test]
fn predefined_classes_are_protected() {
    let (_server, admin, _) = todo();
    let before = read(&admin);
    for name in ["Object", "User", "Role", "Device", "logs.AppLog"] {
        let reference = format!("/db/{name}");
        let answer = admin.delete(&format!("/schema/{name}"));
        assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
        // Clients send them without their flagged fields and rules.
        let bare = json!({ "class": reference, "acl": {}, "fields": {} });
        admin.post("/schema", &json!([bare])).expect(200);
        admin.put(&format!("/schema/{name}"), &bare).expect(200);
        assert_eq!(of(&read(&admin), &reference), of(&before, &reference));
    }
    for (bucket, field) in [
        ("User", "username"),
        ("Role", "users"),
        ("Object", "id"),
        ("User", "inactive"),
    ] {
        let bucket = format!("/db/{bucket}");
        for operation in [
            json!({ "operation": "removeField", "bucket": bucket, "field": field }),
            json!({ "operation": "renameField", "bucket": bucket, "from": field, "to": "x" }),
        ] {
            let answer = admin.post("/schema", &operation);
            assert!((400..500).contains(&answer.status), "{operation}: {}", answer.status);
        }
    }
    assert_eq!(read(&admin), before);
    class(&admin, "User", &[("email", "String")]);
    class(&admin, "User", &[("email", "String")]);
    let user = admin.get("/schema/User").json();
    assert_eq!(field_names(&user), ["username", "inactive", "email"]);
    admin.get("/db/User/me").expect(200);
}

#[test]
fn a_put_makes_the_schema_exactly_this() {
    let (_server, admin, client) = todo();
    class(&admin, "Other", &[("name", "String")]);
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    client.put("/db/Other/a", &json!({ "name": "y" })).expect(200);
    let def =
        json!({ "class": "/db/Todo", "fields": { "name": { "type": "/db/String" }, "n": { "type": "/db/Integer" } } });
    let schema = admin.put("/schema", &json!([def])).expect(200).json();
    assert!(of(&schema, "/db/Other").is_none());
    assert!(of(&schema, "/db/User").is_some());
    assert_eq!(field_names(of(&schema, "/db/Todo").unwrap()), ["name", "n"]);
    client.get("/db/Other/a").expect_error(461, "BucketNotFound");
    let object = client.get("/db/Todo/a").json();
    assert_eq!((&object["name"], object.get("owner")), (&json!("x"), None));
    // A class that comes back is empty and has none of the old indexes.
    class(&admin, "Other", &[("name", "String")]);
    client.get("/db/Other/a").expect_error(404, "ObjectNotFound");
    assert!(client.query("Other", &json!({})).is_empty());
    let def = json!({ "fields": { "n": { "type": "/db/Integer" } } });
    let replaced = admin.put("/schema/Todo", &def).expect(200).json();
    assert_eq!((field_names(&replaced), &replaced["metadata"]), (vec!["n"], &json!({})));
}

#[test]
fn a_deleted_class_takes_its_objects_and_indexes_along() {
    let (_server, admin, client) = todo();
    class(&admin, "Other", &[("todo", "collection.List[/db/Todo]")]);
    let unique = json!({ "unique": true, "keys": [{ "name": "asc" }] });
    admin.post("/index/Todo", &unique).expect(202);
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    admin.delete("/schema/Todo").expect_error(474, "TypeStillReferenced");
    client.get("/db/Todo/a").expect(200);
    client.delete("/schema/Todo").expect_error(466, "PermissionDenied");
    admin.delete("/schema/Other").expect(204);
    admin.delete("/schema/Todo").expect(204);
    admin.delete("/schema/Todo").expect_error(461, "BucketNotFound");
    client.get("/db/Todo/a").expect_error(461, "BucketNotFound");
    class(&admin, "Todo", &[("name", "String")]);
    client.get("/db/Todo/a").expect_error(404, "ObjectNotFound");
    assert_eq!(admin.get("/index/Todo").json().as_array().unwrap().len(), 1);
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    client.put("/db/Todo/b", &json!({ "name": "x" })).expect(200);
}

#[test]
fn a_renamed_field_keeps_its_data_and_its_index() {
    let (_server, admin, client) = todo();
    for i in 0..20 {
        client
            .put(&format!("/db/Todo/{i}"), &json!({ "name": format!("n{i}") }))
            .expect(200);
    }
    let index = |field: &str| json!({ "unique": true, "keys": [{ field: "asc" }] });
    admin.post("/index/Todo", &index("name")).expect(202);
    let rename = |from: &str, to: &str| {
        let operation = json!({ "operation": "renameField", "bucket": "/db/Todo", "from": from, "to": to });
        admin.post("/schema", &operation).expect(200)
    };
    rename("name", "title");
    let indexes = admin.get("/index/Todo").json();
    assert_eq!(indexes[1], index("title"), "{indexes}");
    for i in 0..20 {
        let object = client.get(&format!("/db/Todo/{i}")).json();
        assert_eq!((&object["title"], object.get("name")), (&json!(format!("n{i}")), None));
    }
    client
        .post("/db/Todo", &json!({ "title": "n3" }))
        .expect_error(409, "ObjectExists");
    let found = client.query("Todo", &json!({ "title": "n3" }));
    assert_eq!(found.len(), 1);
    // Two names are exchanged by way of a third.
    class(&admin, "Todo", &[("other", "String")]);
    client
        .put("/db/Todo/x", &json!({ "title": "T", "other": "O" }))
        .expect(200);
    let swap = [("title", "tmp"), ("other", "title"), ("tmp", "other")];
    let swap: Vec<Value> = swap
        .iter()
        .map(|(from, to)| json!({ "operation": "renameField", "bucket": "/db/Todo", "from": from, "to": to }))
        .collect();
    admin.post("/schema", &json!(swap)).expect(200);
    let object = client.get("/db/Todo/x").json();
    assert_eq!((&object["title"], &object["other"]), (&json!("O"), &json!("T")));
    assert_eq!(admin.get("/index/Todo").json()[1], index("other"));
    // A unique index of a super class's field lives on in the subclass.
    admin
        .post("/schema/Sub", &json!({ "superClass": "/db/Todo", "fields": {} }))
        .expect(200);
    client.put("/db/Sub/a", &json!({ "other": "x" })).expect(200);
    admin.post("/index/Sub", &index("other")).expect(202);
    rename("other", "last");
    assert_eq!(client.get("/db/Sub/a").json()["last"], "x");
    assert_eq!(admin.get("/index/Sub").json()[1], index("last"));
}

#[test]
fn many_clients_may_post_the_same_schema() {
    let (_server, admin, client) = open();
    let schema = json!([
        { "class": "/db/Part", "embedded": true, "fields": { "x": { "type": "/db/Double" } } },
        { "class": "/db/A", "fields": { "b": { "type": "/db/B" }, "part": { "type": "/db/Part" } } },
        { "class": "/db/B", "superClass": "/db/A", "fields": { "a": { "type": "/db/A" } } },
    ]);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| admin.post("/schema", &schema).expect(200).json()))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let last = read(&client);
    assert!(answers.iter().all(|answer| *answer == last));
    // Different fields from many clients all arrive.
    std::thread::scope(|scope| {
        for i in 0..16 {
            let admin = &admin;
            scope.spawn(move || class(admin, "A", &[(&format!("f{i}"), "String")]));
        }
    });
    let a = client.get("/schema/A").json();
    assert_eq!(field_names(&a).len(), 18);
    let mut orders: Vec<u64> = a["fields"]
        .as_object()
        .unwrap()
        .values()
        .map(|f| f["order"].as_u64().unwrap())
        .collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 18, "{a}");
}

#[test]
fn objects_are_written_while_the_schema_changes() {
    let (_server, admin, client) = todo();
    let known = std::sync::atomic::AtomicUsize::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    let written: Vec<(String, Value)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|w| {
                let (client, known) = (&client, &known);
                scope.spawn(move || {
                    let mut written = Vec::new();
                    for i in 0..25 {
                        let mut body = json!({ "name": format!("{w} {i}") });
                        // Every field that exists when the request begins is kept.
                        for field in 0..known.load(order) {
                            body[format!("f{field}")] = json!(i);
                        }
                        let path = format!("/db/Todo/{w}-{}", i % 5);
                        let answer = client.put(&path, &body);
                        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                        let answer = answer.json();
                        for (name, value) in body.as_object().unwrap() {
                            assert_eq!(answer[name], *value, "{name} of {answer}");
                        }
                        written.retain(|(p, _)| *p != path);
                        written.push((path, body));
                    }
                    written
                })
            })
            .collect();
        for i in 0..12 {
            class(&admin, "Todo", &[(&format!("f{i}"), "Integer")]);
            known.store(i + 1, order);
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    for (path, body) in written {
        let object = client.get(&path).json();
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(object[name], *value, "{name} of {object}");
        }
        assert_eq!(object.as_object().unwrap().len(), 5 + 2 + 12, "{object}");
    }
}

#[test]
fn a_class_that_is_deleted_and_created_does_not_keep_its_objects() {
    let (_server, admin, client) = todo();
    client.put("/db/Todo/a", &json!({ "name": "a secret" })).expect(200);
    let before = read(&admin);
    let edits = json!([
        { "operation": "deleteClass", "bucket": "/db/Todo" },
        { "class": "/db/Todo", "fields": { "name": { "type": "/db/String" } } },
    ]);
    admin.post("/schema", &edits).expect_error(469, "SchemaNotCompatible");
    assert_eq!(read(&admin), before);
    admin.post("/schema", &edits[0]).expect(200);
    admin.post("/schema", &edits[1]).expect(200);
    client.get("/db/Todo/a").expect_error(404, "ObjectNotFound");
}

#[test]
fn values_of_a_removed_field_do_not_come_back() {
    let (_server, admin, client) = todo();
    class(&admin, "Todo", &[("c", "String")]);
    admin
        .post("/index/Todo", &json!({ "keys": [{ "name": "asc" }] }))
        .expect(202);
    client.put("/db/Todo/a", &json!({ "name": "A", "c": "C" })).expect(200);
    let rename =
        |from: &str, to: &str| json!({ "operation": "renameField", "bucket": "/db/Todo", "from": from, "to": to });
    let remove = |field: &str| json!({ "operation": "removeField", "bucket": "/db/Todo", "field": field });
    let add = |field: &str| json!({ "operation": "addField", "bucket": "/db/Todo", "field": { "name": field, "type": "/db/String" } });
    admin.post("/schema", &json!([remove("name"), add("name")])).expect(200);
    let object = client.get("/db/Todo/a").json();
    assert_eq!((&object["name"], &object["c"]), (&Value::Null, &json!("C")));
    client.put("/db/Todo/a", &json!({ "name": "A", "c": "C" })).expect(200);
    // The name of a removed field passes to another one, which is renamed again.
    let edits = json!([rename("name", "b"), remove("b"), rename("c", "b"), rename("b", "d")]);
    admin.post("/schema", &edits).expect(200);
    let object = client.get("/db/Todo/a").json();
    assert_eq!(object["d"], "C", "{object}");
    assert_eq!(
        (object.get("name"), object.get("b"), object.get("c")),
        (None, None, None)
    );
    assert_eq!(client.query("Todo", &json!({ "d": "C" })).len(), 1);
}
