//! Every way to change something that somebody may have a copy of, and that the filter names it right after the answer.

use fb_testkit::{Client, class, encode};
use serde_json::json;

use super::{is_listed, lifetimes};
use crate::open;

type Change<'a> = &'a dyn Fn(&Client, &str);

#[test]
fn each_change_of_an_object_is_in_the_filter_at_once() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let module = "exports.call = async (db, data) => {
        const todo = await db.Todo.load(data.key);
        todo.n = 7;
        await todo.update();
        return {};
    };";
    let headers = [("content-type", "text/plain;charset=utf-8")];
    admin
        .request("PUT", "/code/change/module", &headers, module.as_bytes())
        .expect(200);
    let hidden = json!({ "read": { "/db/Role/1": "allow" } });
    let changes: &[(&str, Change<'_>)] = &[
        ("update", &|c, key| {
            drop(c.put(&format!("/db/Todo/{key}"), &json!({ "n": 1 })).expect(200))
        }),
        ("partial", &|c, key| {
            let operation = json!({ "$inc": { "n": 1 } });
            c.post(&format!("/db/Todo/{key}"), &operation).expect(200);
        }),
        ("delete", &|c, key| {
            drop(c.delete(&format!("/db/Todo/{key}")).expect(204))
        }),
        ("import", &|c, key| {
            let object = json!([{ "id": format!("/db/Todo/{key}"), "n": 3 }]);
            c.put("/db/Todo", &object).expect(200);
        }),
        ("code", &|c, key| {
            drop(c.get(&format!("/code/change?key={key}")).expect(200))
        }),
        ("acl", &|c, key| {
            let object = json!({ "acl": hidden });
            c.put(&format!("/db/Todo/{key}"), &object).expect(200);
        }),
        ("truncate", &|c, _| drop(c.delete("/db/Todo").expect(200))),
    ];
    for (name, change) in changes {
        for raw in [format!("{name}-plain"), format!("{name} ü/ö:%")] {
            let path = format!("/db/Todo/{}", encode(&raw));
            let created = admin.put(&path, &json!({ "n": 0 })).expect(200).json();
            // Elements are ids as clients have them.
            let id = created["id"].as_str().unwrap().to_owned();
            assert!(!is_listed(&anybody, &id), "{name}: an insert has no copies");
            assert!(lifetimes(&anybody.get(&id)).is_some());
            assert!(!is_listed(&anybody, &id), "{name}: nothing was changed");
            change(&admin, &encode(&raw));
            assert!(is_listed(&anybody, &id), "{name} of {id}");
        }
    }
}

#[test]
fn each_change_of_a_file_is_in_the_filter_at_once() {
    let (_server, admin, anybody) = open();
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    let changes: &[(&str, Change<'_>)] = &[
        ("upload", &|c, path| {
            drop(c.upload(path, "text/plain", b"two").expect(200))
        }),
        ("metadata", &|c, path| {
            let changes = json!({ "mimeType": "text/html" });
            c.post(&format!("/file{path}"), &changes).expect(200);
        }),
        ("rules", &|c, path| {
            let changes = json!({ "acl": { "read": { "/db/Role/1": "allow" } } });
            c.post(&format!("/file{path}"), &changes).expect(200);
        }),
        ("delete", &|c, path| drop(c.delete(&format!("/file{path}")).expect(204))),
        ("folder", &|c, path| {
            let folder = &path[..=path.rfind('/').unwrap()];
            c.delete(&format!("/file{folder}")).expect(200);
        }),
    ];
    for (name, change) in changes {
        let path = format!("/data/{name}/a%20%C3%BC%E2%82%AC.txt");
        let id = format!("/file/data/{name}/a ü€.txt");
        admin.upload(&path, "text/plain", b"one").expect(200);
        assert!(lifetimes(&anybody.get(&format!("/file{path}"))).is_some());
        assert!(!is_listed(&anybody, &id));
        change(&admin, &path);
        assert!(is_listed(&anybody, &id), "{name}");
    }
}

#[test]
fn s40_a_change_of_a_class_or_a_bucket_makes_every_copy_doubtful() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    admin.upload("/data/a", "text/plain", b"one").expect(200);
    anybody.get("/db/Todo/a").expect(200);
    class(&admin, "Other", &[]);
    assert!(!is_listed(&anybody, "/db/Todo/a"));
    let def =
        json!([{ "operation": "updateClassAcl", "bucket": "/db/Todo", "acl": { "load": { "/db/Role/1": "allow" } } }]);
    admin.post("/schema", &def).expect(200);
    assert!(is_listed(&anybody, "/db/Todo/a"));
    anybody.get("/db/Todo/a").expect_error(466, "PermissionDenied");

    let (_server, admin, anybody) = open();
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    admin.upload("/data/a", "text/plain", b"one").expect(200);
    anybody.get("/file/data/a").expect(200);
    assert!(!is_listed(&anybody, "/file/data/a"));
    admin
        .put("/file/data", &json!({ "load": { "/db/Role/1": "allow" } }))
        .expect(204);
    assert!(is_listed(&anybody, "/file/data/a"));
}
