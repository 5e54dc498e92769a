//! Handlers of devices, which are registered instead of inserted.

use fb_testkit::{Client, Response};
use serde_json::{Value, json};

use super::{put, user};
use crate::{class, open};

fn register(client: &Client, token: &str, device: Value) -> Response {
    let body = json!({ "devicetype": "Android", "subscription": { "token": token }, "device": device });
    client.post("/db/Device/register", &body)
}

fn cookie(answer: &Response) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn registering_a_device_calls_what_inserting_and_updating_it_would() {
    let (_server, admin, anybody) = open();
    class(
        &admin,
        "Device",
        &[("deviceOs", "String"), ("label", "String"), ("said", "String")],
    );
    let (ann, id) = user(&admin, &anybody, "ann");
    put(&admin, "Device/validate", "label.is('empty', (v) => v !== '');");
    let code = |kind: &str| {
        format!(
            "exports.on{kind} = (db, device) => {{
                if (device.label === 'refused') throw new Abort('not this one');
                device.said = `{kind} ${{device.version}} ${{device.deviceOs}} ${{device.label}} ${{db.User.me && db.User.me.id}}`;
                device.deviceOs = 'other';
                device.acl.allowReadAccess('/db/Role/3');
            }}"
        )
    };
    put(&admin, "Device/insert", &code("Insert"));
    put(&admin, "Device/update", &code("Update"));
    for (label, about) in [("", "Object is not valid"), ("refused", "not this one")] {
        let message = register(&ann, "one", json!({ "label": label })).expect_error(475, "ScriptAborted");
        assert!(message.contains(about), "{message}");
    }
    assert_eq!(admin.get("/db/Device/count").expect(200).json()["count"], 0);
    let said = |answer: Response| {
        let device = answer.expect(200).json();
        assert_eq!(device["deviceOs"], "Android", "what the server knows best");
        assert_eq!(device["acl"]["read"], json!({ "/db/Role/3": "allow" }));
        (
            device["said"].as_str().unwrap().to_owned(),
            device["version"].as_i64().unwrap(),
        )
    };
    let first = said(register(&ann, "one", json!({ "label": "a" })));
    assert_eq!(first, (format!("Insert null Android a {id}"), 1));
    let second = said(register(&anybody, "one", json!({ "label": "b" })));
    assert_eq!(second, ("Update 1 Android b null".to_owned(), 2));
    // Nothing is written, so nobody is asked.
    assert_eq!(said(register(&ann, "one", json!({ "label": "b" }))), second);
    assert_eq!(said(register(&ann, "one", Value::Null)), second);
    register(&ann, "one", json!({ "label": "refused" })).expect_error(475, "ScriptAborted");
    assert_eq!(admin.get("/db/Device/count").expect(200).json()["count"], 1);
    // Code's own registrations call no code.
    put(
        &admin,
        "reg/module",
        "exports.call = async (db) => { const d = await db.Device.register('Android', 'two', new db.Device({ label: 'refused' })); return d.label; }",
    );
    anybody.get("/code/reg").expect(200);
}

#[test]
fn a_device_that_is_deleted_by_its_cookie_is_asked_about_like_others() {
    let (_server, admin, anybody) = open();
    class(&admin, "Device", &[("deviceOs", "String"), ("label", "String")]);
    let registered = register(&anybody, "one", json!({ "label": "kept" })).expect(200);
    let path = registered.json()["id"].as_str().unwrap().to_owned();
    let mine = [("cookie", cookie(&registered))];
    let mine = mine.each_ref().map(|(name, value)| (*name, value.as_str()));
    // It changes once while the handler looks at it.
    put(
        &admin,
        "Device/delete",
        "exports.onDelete = async (db, device) => {
            const { label } = await db.Device.load(device.id);
            if (label === 'moving') await db.Device.partialUpdate(device.key).set('label', 'kept').execute();
            if (label === 'kept') throw new Abort('kept');
        }",
    );
    let delete = || anybody.request("DELETE", &path, &mine, b"");
    for label in ["kept", "moving"] {
        admin.post(&path, &json!({ "$set": { "label": label } })).expect(200);
        assert_eq!(delete().expect_error(475, "ScriptAborted"), "kept", "{label}");
        let own = anybody.request("GET", "/db/Device/registered", &mine, b"").expect(200);
        assert_eq!(own.json()["id"], path);
    }
    let old = [mine[0], ("if-match", "\"1\"")];
    anybody
        .request("DELETE", &path, &old, b"")
        .expect_error(412, "ObjectOutOfDate");
    admin.post(&path, &json!({ "$set": { "label": "free" } })).expect(200);
    delete().expect(204);
    admin.get(&path).expect(404);
}
