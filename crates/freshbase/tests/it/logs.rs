//! The application's log: protocol 09 §1.

use fb_testkit::root;
use serde_json::json;

use crate::server;

const LOG: &str = "/db/logs.AppLog";

#[test]
fn everybody_may_log_and_administrators_read() {
    let server = server().baqend().start();
    let (admin, anybody) = (root(&server), server.client());
    let (ann, ann_id) = anybody.clone().register("ann");
    let entry = json!({
        "date": "2024-11-20T22:16:00.123Z", "message": "User ann logged in", "level": "info",
        "data": { "any": [1, null, { "j": "son" }] }, "user": ann_id,
    });
    let mut ids = Vec::new();
    for client in [&anybody, &ann, &admin] {
        let logged = client.post(LOG, &entry).expect(201).json();
        for (name, value) in entry.as_object().unwrap() {
            assert_eq!(logged[name], *value, "{logged}");
        }
        ids.push(logged["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    for client in [&anybody, &ann] {
        for answer in [
            client.get(&ids[0]),
            client.get(&format!("{LOG}/query")),
            client.get(&format!("{LOG}/count")),
            client.get(LOG),
            client.put(&ids[0], &json!({ "message": "forged" })),
            client.request("PUT", &ids[0], &[("if-match", "*")], b"{}"),
            client.post(&ids[0], &json!({ "$set": { "message": "forged" } })),
            client.delete(&ids[0]),
            client.delete(LOG),
            client.post("/schema/logs.AppLog", &json!({ "fields": {} })),
            client.post("/schema/Sub", &json!({ "superClass": LOG, "fields": {} })),
            client.post("/db/logs.AccessLog", &json!({ "ip": "::1" })),
        ] {
            answer.expect_error(466, "PermissionDenied");
        }
    }
    assert_eq!(admin.get(&ids[0]).expect(200).json()["message"], entry["message"]);
    for (filter, expected) in [
        (json!({ "message": { "$regex": "^User ann" } }), 3),
        (
            json!({ "date": { "$gte": { "$date": "2024-11-20T22:16:00.123Z" } }, "level": "info" }),
            3,
        ),
        (json!({ "date": { "$gt": { "$date": "2024-11-20T22:16:00.123Z" } } }), 0),
        (json!({ "user": ann_id, "data.any.0": 1 }), 3),
    ] {
        assert_eq!(admin.query("logs.AppLog", &filter).len(), expected, "{filter}");
    }
    let wrong = json!({ "message": "x", "data": "no object" });
    anybody.post(LOG, &wrong).expect_error(463, "InvalidTypeValue");
}

#[test]
fn in_a_secure_app_users_may_log() {
    let server = server().secure().start();
    let admin = root(&server);
    let user = json!({ "user": { "username": "ann" }, "password": "a secret", "login": false });
    admin.post("/db/User/register", &user).expect(200);
    let ann = server.client().login("ann", "a secret");
    let entry = json!({ "message": "hi" });
    let id = ann.post(LOG, &entry).expect(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.client().post(LOG, &entry).expect_error(466, "PermissionDenied");
    for answer in [ann.get(&id), ann.delete(&id), ann.put(&id, &entry)] {
        answer.expect_error(466, "PermissionDenied");
    }
    assert_eq!(admin.get(&id).expect(200).json()["message"], "hi");
}
