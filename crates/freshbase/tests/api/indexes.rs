//! Declared indexes: protocol 09 §2.

use fb_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{class, open};

fn todo() -> (Server, Client, Client) {
    let (server, admin, anybody) = open();
    class(
        &admin,
        "Todo",
        &[
            ("name", "String"),
            ("age", "Integer"),
            ("point", "GeoPoint"),
            ("tags", "collection.List[/db/String]"),
        ],
    );
    (server, admin, anybody)
}

fn list(admin: &Client) -> Vec<Value> {
    match admin.get("/index/Todo").expect(200).json() {
        Value::Array(indexes) => indexes,
        other => panic!("no array: {other}"),
    }
}

fn create(admin: &Client, index: &Value) {
    let answer = admin.post("/index/Todo", index).expect(202);
    assert!(answer.body.is_empty() || answer.json().is_object() || answer.json().is_null());
}

#[test]
fn indexes_are_reported_as_they_take_effect() {
    let (_server, admin, _) = todo();
    let id = json!({ "unique": true, "keys": [{ "id": "asc" }] });
    assert_eq!(json!(list(&admin)), json!([id]));
    let by_name = json!({ "unique": false, "keys": [{ "name": "asc" }] });
    create(&admin, &by_name);
    create(&admin, &by_name);
    create(
        &admin,
        &json!({ "keys": [{ "name": "asc" }, { "age": "desc" }], "drop": false }),
    );
    create(&admin, &json!({ "unique": true, "keys": [{ "age": "desc" }] }));
    create(&admin, &json!({ "unique": false, "keys": [{ "address": "asc" }] }));
    create(&admin, &json!({ "unique": false, "keys": [{ "point": "geo" }] }));
    let all = list(&admin);
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(all[0], id);
    for expected in [
        json!({ "unique": false, "keys": [{ "name": "asc" }, { "id": "asc" }] }),
        json!({ "unique": false, "keys": [{ "name": "asc" }, { "age": "desc" }, { "id": "desc" }] }),
        json!({ "unique": true, "keys": [{ "age": "desc" }] }),
        json!({ "unique": false, "keys": [{ "address": "asc" }, { "id": "asc" }] }),
        json!({ "unique": false, "keys": [{ "point": "geo" }] }),
    ] {
        assert!(all.contains(&expected), "{expected} in {all:?}");
    }
    let mut drop = by_name;
    drop["drop"] = json!(true);
    create(&admin, &drop);
    create(&admin, &drop);
    assert_eq!(list(&admin).len(), 5);
    admin.delete("/index/Todo").expect(202);
    assert_eq!(list(&admin), [id]);
    admin.delete("/index/Todo").expect(202);
}

#[test]
fn a_unique_index_refuses_duplicates() {
    let (_server, admin, client) = todo();
    create(&admin, &json!({ "unique": true, "keys": [{ "name": "asc" }] }));
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    client.put("/db/Todo/b", &json!({ "name": "y" })).expect(200);
    let before = client.get("/db/Todo/b").body;
    for answer in [
        client.post("/db/Todo", &json!({ "id": "/db/Todo/c", "name": "x" })),
        client.put("/db/Todo/c", &json!({ "name": "x" })),
        client.put("/db/Todo/b", &json!({ "name": "x" })),
        client.request("PUT", "/db/Todo/b", &[("if-match", "\"1\"")], b"{\"name\":\"x\"}"),
        client.post("/db/Todo/b", &json!({ "$set": { "name": "x" } })),
    ] {
        let message = answer.expect_error(409, "ObjectExists");
        assert!(message.contains("name"), "{message}");
    }
    assert_eq!(client.get("/db/Todo/b").body, before);
    client.get("/db/Todo/c").expect_error(404, "ObjectNotFound");
    let report = admin.put(
        "/db/Todo",
        &json!([{ "id": "/db/Todo/c", "name": "x" }, { "id": "/db/Todo/d", "name": "z" }]),
    );
    let report = report.expect(200).json();
    assert_eq!(
        (&report["count"], &report["failed"][0]["status"]),
        (&json!(1), &json!(409))
    );
    // What is already so may stay, and a value that was given up is free.
    client.put("/db/Todo/a", &json!({ "name": "x", "age": 1 })).expect(200);
    client.put("/db/Todo/a", &json!({ "name": "w" })).expect(200);
    client.put("/db/Todo/b", &json!({ "name": "x" })).expect(200);
    client.delete("/db/Todo/b").expect(204);
    client.put("/db/Todo/c", &json!({ "name": "x" })).expect(200);
    // Without the index everything goes.
    create(
        &admin,
        &json!({ "unique": true, "keys": [{ "name": "asc" }], "drop": true }),
    );
    client.put("/db/Todo/e", &json!({ "name": "x" })).expect(200);
}

#[test]
fn many_clients_get_a_unique_value_once() {
    let (_server, admin, client) = todo();
    create(&admin, &json!({ "unique": true, "keys": [{ "name": "asc" }] }));
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let client = &client;
        let running: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || client.post("/db/Todo", &json!({ "name": "x" })).status))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(client.query("Todo", &json!({ "name": "x" })).len(), 1);
}

#[test]
fn a_unique_index_of_two_fields_looks_at_both() {
    let (_server, admin, client) = todo();
    create(
        &admin,
        &json!({ "unique": true, "keys": [{ "name": "asc" }, { "age": "desc" }] }),
    );
    client.put("/db/Todo/a", &json!({ "name": "x", "age": 1 })).expect(200);
    client.put("/db/Todo/b", &json!({ "name": "x", "age": 2 })).expect(200);
    client
        .put("/db/Todo/c", &json!({ "name": "x", "age": 1 }))
        .expect_error(409, "ObjectExists");
}

#[test]
fn no_unique_index_over_duplicates() {
    let (_server, admin, client) = todo();
    client.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    client.put("/db/Todo/b", &json!({ "name": "x" })).expect(200);
    let unique = json!({ "unique": true, "keys": [{ "name": "asc" }] });
    admin.post("/index/Todo", &unique).expect_error(409, "ObjectExists");
    assert_eq!(list(&admin).len(), 1);
    client.put("/db/Todo/c", &json!({ "name": "x" })).expect(200);
    // An ordinary index on the same fields stays what it is.
    create(&admin, &json!({ "unique": false, "keys": [{ "name": "asc" }] }));
    let before = list(&admin);
    admin.post("/index/Todo", &unique).expect_error(409, "ObjectExists");
    assert_eq!(list(&admin), before);
    client.delete("/db/Todo/b").expect(204);
    client.delete("/db/Todo/c").expect(204);
    create(&admin, &unique);
    client
        .put("/db/Todo/b", &json!({ "name": "x" }))
        .expect_error(409, "ObjectExists");
}

#[test]
fn answers_are_the_same_with_every_index() {
    let (_server, admin, client) = todo();
    let objects: Vec<Value> = (0..60)
        .map(|i| {
            let mut object = json!({ "id": format!("/db/Todo/{i:02}"), "tags": [format!("t{}", i % 4), "all"] });
            if i % 5 != 0 {
                object["name"] = json!(format!("n{}", i % 7));
                object["age"] = json!(i % 11);
            }
            object
        })
        .collect();
    admin.put("/db/Todo", &json!(objects)).expect(200);
    let filters = [
        json!({ "name": "n3" }),
        json!({ "name": null }),
        json!({ "name": { "$ne": "n3" } }),
        json!({ "name": { "$gt": "n2", "$lte": "n5" } }),
        json!({ "name": { "$in": ["n1", null] } }),
        json!({ "name": "n3", "age": { "$lt": 6 } }),
        json!({ "name": { "$regex": "^n[12]" } }),
        json!({ "age": { "$gte": 4 } }),
        json!({ "$or": [{ "age": 2 }, { "name": "n6" }] }),
        json!({ "tags": "t1" }),
        json!({ "tags": { "$in": ["t1", "t2"] } }),
    ];
    let answers = || -> Vec<Value> {
        let sorts = ["{}", "{\"name\":1}", "{\"age\":-1,\"name\":1}"];
        let each = filters
            .iter()
            .flat_map(|filter| sorts.iter().map(move |sort| (filter, sort)));
        each.map(|(filter, sort)| {
            let q = fb_testkit::encode(&filter.to_string());
            let sort = fb_testkit::encode(if *sort == "{}" { "{\"id\":1}" } else { sort });
            client
                .get(&format!("/db/Todo/query?q={q}&sort={sort}"))
                .expect(200)
                .json()
        })
        .collect()
    };
    let plain = answers();
    assert!(plain.iter().any(|found| found.as_array().unwrap().len() > 10));
    for index in [
        json!({ "keys": [{ "name": "asc" }] }),
        json!({ "keys": [{ "age": "desc" }, { "name": "asc" }] }),
        json!({ "keys": [{ "tags": "asc" }] }),
        json!({ "keys": [{ "name": "desc" }, { "age": "asc" }] }),
    ] {
        create(&admin, &index);
        assert_eq!(answers(), plain, "{index}");
    }
}

#[test]
fn bad_definitions_are_refused() {
    let (_server, admin, client) = todo();
    for bad in [
        json!({ "unique": false, "keys": [] }),
        json!({ "unique": false }),
        json!({ "keys": "name" }),
        json!({ "keys": ["name"] }),
        json!({ "keys": [{}] }),
        json!({ "keys": [{ "name": "asc", "age": "asc" }] }),
        json!({ "keys": [{ "name": "text" }] }),
        json!({ "keys": [{ "name": 1 }] }),
        json!({ "keys": [{ "name": "asc" }, { "name": "desc" }] }),
        json!({ "unique": "yes", "keys": [{ "name": "asc" }] }),
        json!({ "drop": "yes", "keys": [{ "name": "asc" }] }),
        json!({ "unique": true, "keys": [{ "point": "geo" }] }),
        json!({ "keys": [{ "point": "geo" }, { "name": "asc" }] }),
        json!({ "keys": [{ "": "asc" }] }),
        json!({ "keys": [{ "a'; drop table x": "asc" }] }),
        json!({ "keys": [{ "a..b": "asc" }] }),
        json!([]),
        json!(5),
    ] {
        let answer = admin.post("/index/Todo", &bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.json()["message"].as_str().is_some_and(|m| m.len() > 3), "{bad}");
    }
    assert_eq!(list(&admin).len(), 1);
    let good = json!({ "keys": [{ "name": "asc" }] });
    admin.post("/index/No", &good).expect_error(461, "BucketNotFound");
    admin.get("/index/No").expect_error(461, "BucketNotFound");
    let (ann, _) = client.clone().register("ann");
    for client in [&client, &ann] {
        client.get("/index/Todo").expect_error(466, "PermissionDenied");
        client.post("/index/Todo", &good).expect_error(466, "PermissionDenied");
        client.delete("/index/Todo").expect_error(466, "PermissionDenied");
    }
    assert_eq!(list(&admin).len(), 1);
}
