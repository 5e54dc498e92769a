//! Files: public ones, large ones on disk, and those that have rules.

use fb_testkit::wait_for;
use serde_json::json;

use crate::kit::{World, server, user, way};

#[test]
fn large_files_are_kept_on_disk_and_are_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let world = World::with(
        &server().baqend(),
        &["--disk", cache.to_str().unwrap(), "--disk-size", "8MiB"],
    );
    world
        .admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    let content = |seed: usize| -> Vec<u8> { (0..2_000_000).map(|i| ((i * seed) >> 3) as u8).collect() };
    let client = world.edge.client();
    for seed in 1..7 {
        let path = format!("/data/{seed}");
        world
            .admin
            .upload(&path, "application/octet-stream", &content(seed))
            .expect(200);
        assert!(world.warm(&client, &format!("/file{path}")).body == content(seed));
    }
    assert!((2_000_000..=8 << 20).contains(&world.edge.figure("disk_bytes")));
    // Whether they had to make room or not.
    for seed in 1..7 {
        assert!(client.get(&format!("/file/data/{seed}")).expect(200).body == content(seed));
    }
    world
        .admin
        .upload("/data/6", "application/octet-stream", &content(9))
        .expect(200);
    world.settle();
    assert!(client.get("/file/data/6").expect(200).body == content(9));
    assert!(world.warm(&client, "/file/data/6").body == content(9));
}

#[test]
fn s39_files_with_rules_are_served_to_those_who_may() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    let (eve, _) = user(&world, "eve");
    let rules = json!({ "load": { id.clone(): "allow" } });
    world.admin.put("/file/data", &rules).expect(204);
    world.admin.upload("/data/a", "text/plain", b"for ann").expect(200);
    assert_eq!(world.warm(&ann, "/file/data/a").body, b"for ann");
    for _ in 0..3 {
        assert_eq!(eve.get("/file/data/a").status, 466);
        assert_ne!(world.edge.client().get("/file/data/a").status, 200);
    }
    // A new content, then a new rule.
    world
        .via_edge(&world.admin)
        .upload("/data/a", "text/plain", b"again")
        .expect(200);
    assert_eq!(ann.get("/file/data/a").expect(200).body, b"again");
    world.warm(&ann, "/file/data/a");
    let closed = json!({ "load": { "/db/Role/1": "allow" } });
    world.via_edge(&world.admin).put("/file/data", &closed).expect(204);
    assert_eq!(ann.get("/file/data/a").status, 466);
}

#[test]
fn s26_tokens_in_urls_open_their_own_path_and_end_with_the_session() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    world
        .admin
        .put("/file/data", &json!({ "load": { id.clone(): "allow" } }))
        .expect(204);
    for name in ["a", "b"] {
        world
            .admin
            .upload(&format!("/data/{name}"), "text/plain", name.as_bytes())
            .expect(200);
    }
    // As the published clients make them (protocol 05): a signature of the path with the token's key.
    let token = resource_token(ann.token().unwrap(), "/v1/file/data/a");
    let anybody = world.edge.client();
    let path = format!("/file/data/a?BAT={token}");
    let first = anybody.get(&path).expect(200);
    assert_eq!(
        (
            first.body.as_slice(),
            first.header("cache-control").unwrap().starts_with("private")
        ),
        (&b"a"[..], true)
    );
    assert_eq!(world.warm(&anybody, &path).body, b"a");
    assert_eq!(anybody.get(&format!("/file/data/b?BAT={token}")).status, 460);
    assert_ne!(anybody.get("/file/data/a").status, 200);
    world.via_edge(&world.admin).delete(&format!("{id}/token"));
    wait_for("the end", || (way(&anybody.get(&path)) != "hit").then_some(()));
    assert_eq!(anybody.get(&path).status, 460);
}

/// A token for one path: the data of the session token, and an HMAC of path and data whose key is the session token's own signature.
fn resource_token(token: &str, path: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let (data, signature) = token.split_at(token.len() - 40);
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(signature.as_bytes()).unwrap();
    mac.update(path.as_bytes());
    mac.update(data.as_bytes());
    format!("{data}{}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
}
