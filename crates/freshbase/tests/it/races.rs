//! Schema changes that take something away, while everything else goes on: nothing fails that could have been done
//! before or after the change.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use fb_testkit::Client;
use serde_json::{Value, json};

use crate::{class, open, rename};

/// How often a field is renamed while requests of one kind are made.
const RENAMES: usize = 24;

/// Renames fields of `bucket` to and fro; meanwhile `request` is repeated, and `check` sees each of its numbers.
fn while_renaming(admin: &Client, bucket: &str, request: impl Fn(usize) + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (done, request) = (&done, &request);
            scope.spawn(move || {
                let mut n = thread;
                while !done.load(Ordering::Acquire) {
                    request(n);
                    n += 3;
                }
            });
        }
        // Also ends the others if a request to rename fails.
        let _end = OnDrop(&done);
        for i in 0..RENAMES {
            let (from, to) = if i % 2 == 0 { ("s", "t") } else { ("t", "s") };
            rename(admin, bucket, from, to);
        }
    });
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn todo(admin: &Client) {
    class(admin, "Todo", &[("n", "Integer"), ("s", "String")]);
}

/// The names of the members, to see that no answer mixes two schemas.
fn assert_whole(object: &Value) {
    let names: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        names.contains("n") && names.contains("s") != names.contains("t"),
        "{object}"
    );
}

#[test]
fn objects_are_deleted_while_the_schema_changes() {
    let (_server, admin, client) = open();
    todo(&admin);
    while_renaming(&admin, "Todo", |n| {
        let path = format!("/db/Todo/{n}");
        client.put(&path, &json!({ "n": n })).expect(200);
        client.delete(&path).expect(204);
        client.get(&path).expect_error(404, "ObjectNotFound");
    });
    assert!(client.query("Todo", &json!({})).is_empty());
}

#[test]
fn a_class_is_emptied_while_the_schema_changes() {
    let (_server, admin, client) = open();
    todo(&admin);
    while_renaming(&admin, "Todo", |n| {
        if n % 3 == 0 {
            admin.delete("/db/Todo").expect(200);
        } else {
            client.post("/db/Todo", &json!({ "n": n })).expect(201);
        }
    });
    admin.delete("/db/Todo").expect(200);
    assert!(client.query("Todo", &json!({})).is_empty());
}

#[test]
fn users_register_while_their_class_changes() {
    let (_server, admin, client) = open();
    class(&admin, "User", &[("n", "Integer"), ("s", "String")]);
    while_renaming(&admin, "User", |n| {
        let (user, id) = client.clone().register(&format!("user{n}"));
        let own = user.get(&id).expect(200).json();
        assert_whole(&own);
        if n % 4 == 0 {
            user.delete(&id).expect(204);
            user.get("/db/User/me").expect_error(404, "ObjectNotFound");
        }
    });
}

#[test]
fn no_answer_mixes_two_schemas() {
    let (_server, admin, client) = open();
    todo(&admin);
    for n in 0..5 {
        let both = json!({ "n": 0, "s": "kept", "t": "kept" });
        client.put(&format!("/db/Todo/{n}"), &both).expect(200);
    }
    while_renaming(&admin, "Todo", |n| {
        let path = format!("/db/Todo/{}", n % 5);
        match n % 4 {
            0 => assert_whole(&client.post(&path, &json!({ "$inc": { "n": 1 } })).expect(200).json()),
            1 => assert_whole(&client.get(&path).expect(200).json()),
            2 => client
                .query("Todo", &json!({ "n": { "$gte": 0 } }))
                .iter()
                .for_each(assert_whole),
            _ => {
                let exported = admin.get("/db/Todo").expect(200).json();
                exported.as_array().unwrap().iter().for_each(assert_whole);
            }
        }
    });
    // Twenty-four renames later nothing was lost.
    for n in 0..5 {
        let object = client.get(&format!("/db/Todo/{n}")).expect(200).json();
        assert_eq!(object["s"], "kept", "{object}");
    }
}
