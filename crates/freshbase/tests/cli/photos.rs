//! The example of profile pictures, as a developer deploys it and a user uses it.

use std::path::Path;

use fb_testkit::{Client, Server, png, root, wait_for};
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

/// A user, as the page knows it.
struct User {
    client: Client,
    id: String,
}

impl User {
    fn register(server: &Server, name: &str) -> Self {
        let body = json!({ "user": { "username": name }, "password": format!("a secret of {name}"), "login": true });
        let registered = server.client().post("/db/User/register", &body).expect(200);
        let token = registered.header("baqend-authorization-token").unwrap();
        Self {
            client: server.client().with_token(token),
            id: registered.json()["id"].as_str().unwrap().to_owned(),
        }
    }

    fn key(&self) -> &str {
        self.id.rsplit('/').next().unwrap()
    }

    /// Uploads as the page does; the id of the file.
    fn upload(&self, name: &str, content: &[u8]) -> String {
        let acl = json!({
            "read": { self.id.as_str(): "allow", "/db/Role/2": "allow" },
            "write": { self.id.as_str(): "allow" },
        });
        let id = format!("/file/photos/{name}");
        let headers = [("content-type", "image/png"), ("baqend-acl", &acl.to_string())];
        self.client.request("PUT", &id, &headers, content).expect(200);
        id
    }

    /// Says that the picture is its own, and waits for what becomes of it.
    fn ask(&self, picture: &Value) -> Value {
        let id = self.client.post("/db/Picture", picture).expect(201).json()["id"].clone();
        wait_for("the avatars", || {
            let found = self.client.get(id.as_str().unwrap()).expect(200).json();
            (found["isDone"] == true).then_some(found)
        })
    }
}

/// A server with the example and users.
fn example() -> (Server, Machine, User, User) {
    let server = server();
    let machine = Machine::new(&server);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos");
    copy(&example, &machine.project());
    machine.run(&["deploy", "--allow-public"]).ok();
    // As its README says.
    let readme = std::fs::read_to_string(example.join("README.md")).unwrap();
    let (_, body) = readme.split_once("-d '").unwrap();
    let body: Value = serde_json::from_str(body.split_once('\'').unwrap().0).unwrap();
    root(&server).put("/config", &body).expect(200);
    let (ann, mallory) = (User::register(&server, "ann"), User::register(&server, "mallory"));
    (server, machine, ann, mallory)
}

#[test]
fn the_example_of_profile_pictures_makes_avatars_of_uploads() {
    let (server, _machine, ann, _) = example();
    let stranger = server.client();
    let file = ann.upload("cat", &png(300, 200, [200, 40, 40]));
    assert_eq!(ann.ask(&json!({ "file": file }))["error"], Value::Null);
    let profile = format!("/db/Profile/{}", ann.key());
    let found = stranger.get(&profile).expect(200).json();
    assert_eq!(found["user"], json!(ann.id));
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
    stranger.get(&file).expect_error(466, "PermissionDenied");
    ann.client.get(&file).expect(200);
    // Only code writes profiles and avatars.
    ann.client
        .put(&profile, &json!({ "avatars": {} }))
        .expect_error(466, "PermissionDenied");
    let path = format!("/file/avatars/{}/small.webp", ann.key());
    assert!(ann.client.request("PUT", &path, &[], b"x").status >= 400);

    // What is no image, or too large a one, is said to be that, once.
    for (name, content, error) in [
        ("text", b"no image at all".to_vec(), ""),
        ("large", vec![0; 11 << 20], "the picture has more than 10 MiB"),
    ] {
        let file = ann.upload(name, &content);
        let picture = ann.ask(&json!({ "file": file }));
        let told = picture["error"].as_str().unwrap();
        assert!(!told.is_empty() && told.contains(error), "{told}");
    }
    assert_eq!(stranger.get(&profile).expect(200).json()["avatars"], found["avatars"]);
}

#[test]
fn nobody_changes_the_profile_picture_of_somebody_else_or_publishes_their_original() {
    let (server, _machine, ann, mallory) = example();
    let of_ann = ann.upload("cat", &png(300, 200, [200, 40, 40]));
    ann.ask(&json!({ "file": of_ann }));
    let profile = || {
        let path = format!("/db/Profile/{}", ann.key());
        server.client().get(&path).expect(200).json()
    };
    let before = profile();

    // Names say nothing about whose picture it is, and neither do clients.
    let forged = mallory.upload(&format!("{}/dog", ann.key()), &png(30, 20, [0, 0, 0]));
    let picture = json!({ "file": forged, "user": ann.id, "isDone": true, "error": "x" });
    let picture = mallory.ask(&picture);
    assert_eq!(
        (&picture["user"], &picture["error"]),
        (&json!(mallory.id), &Value::Null)
    );
    let path = format!("/db/Profile/{}", mallory.key());
    server.client().get(&path).expect(200);
    assert_eq!(profile(), before);
    // Mallory's pictures are not Ann's to look at.
    assert!(ann.client.get(picture["id"].as_str().unwrap()).status >= 400);

    // Avatars are public: originals of others are not made into any, and nothing is told about them.
    let refused = |file: &str| {
        let refused = mallory.client.post("/db/Picture", &json!({ "file": file }));
        assert_eq!(refused.status, 475, "{file}");
        refused.json()["message"].clone()
    };
    let told = refused(&of_ann);
    assert_eq!(refused("/file/photos/none"), told);
    assert_eq!(refused("/file/www/index.html"), told);
    let no_file = mallory.client.post("/db/Picture", &json!({}));
    assert_eq!(no_file.status, 475);
    assert!(server.client().post("/db/Picture", &json!({ "file": of_ann })).status >= 400);
}
