//! The example of profile pictures, as a developer deploys it and a user uses it.

use std::path::Path;

use fb_testkit::{Response, png, root, wait_for};
use serde_json::{Value, json};

use crate::{Machine, server};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn the_example_of_profile_pictures_makes_avatars_of_uploads() {
    let server = server();
    let machine = Machine::new(&server);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos");
    copy(&example, &machine.project());
    machine.run(&["deploy", "--allow-public"]).ok();

    let admin = root(&server);
    admin.put("/config", &json!({ "registration": "open" })).expect(200);
    let stranger = server.client();
    let body = json!({ "user": { "username": "ann" }, "password": "a secret of ann", "login": true });
    let registered = stranger.post("/db/User/register", &body).expect(200);
    let ann = server
        .client()
        .with_token(registered.header("baqend-authorization-token").unwrap());
    let id = registered.json()["id"].as_str().unwrap().to_owned();
    let key = id.rsplit('/').next().unwrap().to_owned();
    let acl = json!({
        "read": { id.as_str(): "allow", "/db/Role/2": "allow" },
        "write": { id.as_str(): "allow" },
    });
    let upload = |name: &str, content: &[u8]| -> Response {
        let path = format!("/file/photos/{key}/{name}");
        let headers = [("content-type", "image/png"), ("baqend-acl", &acl.to_string())];
        ann.request("PUT", &path, &headers, content).expect(200)
    };
    let profile = |is_there: &dyn Fn(&Value) -> bool| -> Value {
        wait_for("the profile", || {
            let answer = stranger.get(&format!("/db/Profile/{key}"));
            let found = (answer.status == 200).then(|| answer.json())?;
            is_there(&found).then_some(found)
        })
    };

    upload("cat", &png(300, 200, [200, 40, 40]));
    let found = profile(&|profile| profile["avatars"].is_object());
    assert_eq!(found["user"], json!(id));
    assert_eq!(found["error"], Value::Null);
    for (size, media_type) in [
        ("small", "image/webp"),
        ("medium", "image/webp"),
        ("large", "image/jpeg"),
    ] {
        // Everybody may look at them.
        let file = found["avatars"][size]["file"].as_str().unwrap();
        let avatar = stranger.get(file).expect(200);
        assert_eq!(avatar.header("content-type"), Some(media_type), "{file}");
        assert_eq!(json!(avatar.body.len()), found["avatars"][size]["bytes"]);
    }
    // The original is its owner's.
    stranger
        .get(&format!("/file/photos/{key}/cat"))
        .expect_error(466, "PermissionDenied");
    ann.get(&format!("/file/photos/{key}/cat")).expect(200);
    // Only code writes profiles and avatars.
    ann.put(&format!("/db/Profile/{key}"), &json!({ "error": "mine" }))
        .expect_error(466, "PermissionDenied");
    assert!(
        ann.request("PUT", &format!("/file/avatars/{key}/small.webp"), &[], b"x")
            .status
            >= 400
    );

    // What is no image is said to be none, once.
    upload("text", b"no image at all");
    let found = profile(&|profile| profile["error"].is_string());
    assert_eq!(found["original"], json!(format!("/file/photos/{key}/text")));
}
