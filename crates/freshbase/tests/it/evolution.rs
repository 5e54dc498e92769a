//! Objects whose class changes in a part: in an embedded class, or in a super class.

use fb_testkit::{Client, Server, encode};
use serde_json::{Value, json};

use crate::{open, rename};

/// A class that embeds in every way, two levels deep, and a subclass of it; one object of each.
fn houses() -> (Server, Client, Client) {
    let (server, admin, client) = open();
    let ty = |name: &str| json!({ "type": format!("/db/{name}") });
    admin
        .post(
            "/schema",
            &json!([
                { "class": "/db/Lock", "embedded": true, "fields": { "code": ty("Integer") } },
                { "class": "/db/Door", "embedded": true, "fields": { "color": ty("String"), "lock": ty("Lock") } },
                { "class": "/db/House", "fields": {
                    "name": ty("String"),
                    "front": ty("Door"),
                    "list": ty("collection.List[/db/Door]"),
                    "map": ty("collection.Map[/db/String,/db/Door]"),
                    "set": ty("collection.Set[/db/Lock]"),
                } },
                { "class": "/db/Villa", "superClass": "/db/House", "fields": { "pool": ty("Boolean") } },
            ]),
        )
        .expect(200);
    let door = json!({ "color": "red", "lock": { "code": 5 } });
    let house = json!({
        "name": "h", "front": door, "list": [door, null, { "color": "blue", "lock": null }], "map": { "a.b": door },
        "set": [{ "code": 1 }, { "code": 2 }],
    });
    for class in CLASSES {
        client.put(&format!("/db/{class}/1"), &house).expect(200);
    }
    (server, admin, client)
}

const CLASSES: [&str; 2] = ["House", "Villa"];

/// The object, seen in all ways alike.
fn seen(admin: &Client, client: &Client, class: &str) -> Value {
    let id = format!("/db/{class}/1");
    let loaded = client.get(&id).expect(200).json();
    assert_eq!(client.query(class, &json!({ "id": id })), std::slice::from_ref(&loaded));
    assert_eq!(
        admin.get(&format!("/db/{class}")).expect(200).json(),
        json!([loaded.clone()])
    );
    loaded
}

/// Fails unless the doors and locks of both objects are these; a lock that is null stays null.
#[track_caller]
fn assert_parts(admin: &Client, client: &Client, door: impl Fn(&str, Value) -> Value, lock: impl Fn(u64) -> Value) {
    for class in CLASSES {
        let object = seen(admin, client, class);
        let red = door("red", lock(5));
        assert_eq!(object["name"], "h", "{object}");
        assert_eq!(object["front"], red, "{object}");
        assert_eq!(
            object["list"],
            json!([red, null, door("blue", Value::Null)]),
            "{object}"
        );
        assert_eq!(object["map"], json!({ "a.b": red }), "{object}");
        if !lock(1).as_object().unwrap().values().all(Value::is_null) {
            assert_eq!(object["set"], json!([lock(1), lock(2)]), "{object}");
        }
        // It can be written back as it is.
        let again = client.put(&format!("/db/{class}/1"), &object).expect(200).json();
        for field in ["front", "list", "map", "set"] {
            assert_eq!(again[field], object[field]);
        }
    }
}

#[test]
fn a_field_added_to_an_embedded_class_is_null_wherever_it_is_embedded() {
    let (_server, admin, client) = houses();
    let field = json!({ "name": "maker", "type": "/db/String" });
    let add = json!({ "operation": "addField", "bucket": "/db/Lock", "field": field });
    admin.post("/schema", &add).expect(200);
    for class in CLASSES {
        let found = client.query(class, &json!({ "front.lock.maker": null, "front.lock.code": 5 }));
        assert_eq!(found.len(), 1, "{class}");
    }
    assert_parts(
        &admin,
        &client,
        |color, lock| json!({ "color": color, "lock": lock }),
        |code| json!({ "code": code, "maker": null }),
    );
}

#[test]
fn an_update_works_on_embedded_values_that_lack_a_field() {
    let (_server, admin, client) = houses();
    let field = json!({ "name": "maker", "type": "/db/String" });
    let add = json!({ "operation": "addField", "bucket": "/db/Lock", "field": field });
    admin.post("/schema", &add).expect(200);
    let update = json!({ "$add": { "set": { "code": 1 } }, "$set": { "front.lock.maker": "m" } });
    let object = client.post("/db/House/1", &update).expect(200).json();
    let locks = json!([{ "code": 1, "maker": null }, { "code": 2, "maker": null }]);
    assert_eq!(object["set"], locks, "what is in the set already is not added");
    assert_eq!(object["front"]["lock"], json!({ "code": 5, "maker": "m" }));
    let remove = json!({ "$remove": { "set": { "code": 2, "maker": null } } });
    let object = client.post("/db/Villa/1", &remove).expect(200).json();
    assert_eq!(object["set"], json!([{ "code": 1, "maker": null }]));
}

#[test]
fn a_field_renamed_in_an_embedded_class_keeps_its_values() {
    let (_server, admin, client) = houses();
    let before = client.get("/db/House/1").expect(200);
    rename(&admin, "Lock", "code", "pin");
    rename(&admin, "Door", "color", "paint");
    for class in CLASSES {
        assert_eq!(client.query(class, &json!({ "front.lock.pin": 5 })).len(), 1);
        let q = encode(&json!({ "front.lock.code": 5 }).to_string());
        client
            .get(&format!("/db/{class}/query?q={q}"))
            .expect_error(400, "UnknownField");
    }
    // A copy of the old form is not taken for the new one.
    let tag = before.header("etag").unwrap();
    client
        .request("GET", "/db/House/1", &[("if-none-match", tag)], b"")
        .expect(200);
    assert_parts(
        &admin,
        &client,
        |color, lock| json!({ "paint": color, "lock": lock }),
        |code| json!({ "pin": code }),
    );
}

#[test]
fn a_field_removed_from_an_embedded_class_leaves_the_others() {
    let (_server, admin, client) = houses();
    let remove = json!({ "operation": "removeField", "bucket": "/db/Door", "field": "color" });
    admin.post("/schema", &remove).expect(200);
    assert_parts(
        &admin,
        &client,
        |_, lock| json!({ "lock": lock }),
        |code| json!({ "code": code }),
    );
}

/// Only what does not fit goes, not the whole value it is a part of.
#[test]
fn a_field_retyped_in_an_embedded_class_leaves_the_others() {
    let (_server, admin, client) = houses();
    let lock = json!({ "embedded": true, "fields": { "code": { "type": "/db/String" } } });
    admin.put("/schema/Lock", &lock).expect(200);
    assert_parts(
        &admin,
        &client,
        |color, lock| json!({ "color": color, "lock": lock }),
        |_| json!({ "code": null }),
    );
    for class in CLASSES {
        // Both are the same now.
        assert_eq!(seen(&admin, &client, class)["set"], json!([{ "code": null }]));
    }
    // What is no embedded class any more holds no values.
    let lock = json!({ "fields": { "code": { "type": "/db/String" } } });
    admin.put("/schema/Lock", &lock).expect(200);
    for class in CLASSES {
        let object = seen(&admin, &client, class);
        assert_eq!(object["front"], json!({ "color": "red", "lock": null }), "{object}");
        assert_eq!(object["map"], json!({ "a.b": { "color": "red", "lock": null } }));
    }
}

#[test]
fn changes_of_a_super_class_reach_the_objects_of_its_subclass() {
    let (_server, admin, client) = houses();
    client
        .post("/db/Villa/1", &json!({ "$set": { "pool": true } }))
        .expect(200);
    rename(&admin, "House", "name", "title");
    let villa = seen(&admin, &client, "Villa");
    assert_eq!((&villa["title"], &villa["pool"]), (&json!("h"), &json!(true)));
    assert_eq!(villa.get("name"), None);
    // A field of the subclass may not take a name of its super class, nor the other way round.
    for (class, field) in [("Villa", "title"), ("House", "pool")] {
        let fields = json!({ field: { "type": "/db/String" } });
        admin
            .post(&format!("/schema/{class}"), &json!({ "fields": fields }))
            .expect_error(400, "BadRequest");
    }
    let remove = json!({ "operation": "removeField", "bucket": "/db/House", "field": "title" });
    admin.post("/schema", &remove).expect(200);
    let villa = seen(&admin, &client, "Villa");
    assert_eq!((villa.get("title"), &villa["pool"]), (None, &json!(true)));
    // Without its super class a class keeps what is its own.
    let fields = json!({ "pool": { "type": "/db/Boolean" } });
    admin
        .put(
            "/schema/Villa",
            &json!({ "superClass": "/db/Object", "fields": fields }),
        )
        .expect(200);
    let villa = seen(&admin, &client, "Villa");
    assert_eq!((villa.get("front"), &villa["pool"]), (None, &json!(true)));
    admin.delete("/schema/House").expect(204);
}

#[test]
fn an_embedded_class_may_contain_itself() {
    let (_server, admin, client) = open();
    let fields = json!({ "self": { "type": "/db/Nest" }, "n": { "type": "/db/Integer" } });
    let nest = json!({ "class": "/db/Nest", "embedded": true, "fields": fields });
    let tree = json!({ "class": "/db/Tree", "fields": { "nest": { "type": "/db/Nest" } } });
    admin.post("/schema", &json!([nest, tree])).expect(200);
    let nested = (0..100).fold(json!({ "n": 100 }), |inner, n| json!({ "self": inner, "n": 99 - n }));
    client.put("/db/Tree/1", &json!({ "nest": nested })).expect(200);
    let field = json!({ "name": "late", "type": "/db/String" });
    let add = json!({ "operation": "addField", "bucket": "/db/Nest", "field": field });
    admin.post("/schema", &add).expect(200);
    rename(&admin, "Nest", "n", "m");
    let object = client.get("/db/Tree/1").expect(200).json();
    assert_eq!(
        client.query("Tree", &json!({ "nest.self.self.m": 2 })),
        std::slice::from_ref(&object)
    );
    let mut nest = &object["nest"];
    for m in 0..=100 {
        assert_eq!(
            (&nest["m"], nest.get("n"), nest.get("late")),
            (&json!(m), None, Some(&Value::Null))
        );
        nest = &nest["self"];
    }
    assert!(nest.is_null());
}

#[test]
fn a_schema_has_its_limits() {
    let (_server, admin, _) = open();
    let fields = |n: usize| -> Value {
        let fields: serde_json::Map<String, Value> = (0..n)
            .map(|i| (format!("f{i}"), json!({ "type": "/db/String" })))
            .collect();
        fields.into()
    };
    let before = admin.get("/schema").expect(200).body;
    let many = admin.post("/schema/Many", &json!({ "fields": fields(501) }));
    assert!(many.expect_error(400, "BadRequest").contains("at most 500"));
    let classes: Vec<Value> = (0..1000)
        .map(|i| json!({ "class": format!("/db/C{i}"), "fields": {} }))
        .collect();
    let many = admin.post("/schema", &json!(classes));
    assert!(many.expect_error(400, "BadRequest").contains("at most 1000"));
    assert_eq!(admin.get("/schema").expect(200).body, before);
    admin
        .post("/schema/Many", &json!({ "fields": fields(500) }))
        .expect(200);
    // Inherited fields count.
    let more = json!({ "superClass": "/db/Many", "fields": { "one": { "type": "/db/String" } } });
    admin.post("/schema/More", &more).expect_error(400, "BadRequest");
    let field = json!({ "name": "one", "type": "/db/String" });
    let add = json!({ "operation": "addField", "bucket": "/db/Many", "field": field });
    admin.post("/schema", &add).expect_error(400, "BadRequest");
    let object = admin.post("/db/Many", &json!({ "f499": "x" })).expect(201).json();
    assert_eq!(object.as_object().unwrap().len(), 505);
}
