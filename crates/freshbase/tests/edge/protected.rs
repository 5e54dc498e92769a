//! What not everybody may see: the edge answers those who may, by the server's rules, and nobody else, also when rights change.

use fb_testkit::{Client, Response, wait_for};
use serde_json::json;

use crate::kit::{Mode, World, user, way};

/// Reads until the edge decides by itself.
fn warm(world: &World, client: &Client, path: &str) -> Response {
    let answer = world.warm(client, path);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    answer
}

#[test]
fn s39_protected_objects_are_served_from_the_edge_to_those_who_may_and_to_nobody_else() {
    let world = World::start();
    let (ann, ann_id) = user(&world, "ann");
    let (bob, bob_id) = user(&world, "bob");
    let (eve, _) = user(&world, "eve");
    world.put("1", 1, &json!({ ann_id.clone(): "allow", bob_id: "allow" }));
    let hits = world.edge.figure("guarded_hits_total");
    for client in [&ann, &bob] {
        assert_eq!(warm(&world, client, "/db/Todo/1").json()["n"], 1);
    }
    assert!(world.edge.figure("guarded_hits_total") >= hits + 2);
    // With the copy at hand: a user who may not, nobody, a token that is none, another app's administrator.
    let before = world.edge.figure("guarded_hits_total");
    for _ in 0..3 {
        eve.get("/db/Todo/1").expect(404);
        world.edge.client().get("/db/Todo/1").expect(404);
        world.edge.client().with_token("00").get("/db/Todo/1").expect(460);
        let cookie = [("cookie", "BAT=x")];
        let by_cookie = world.edge.client().request("GET", "/db/Todo/1", &cookie, b"");
        assert_eq!(by_cookie.status, 404);
    }
    assert_eq!(world.edge.figure("guarded_hits_total"), before);
    // What is kept for one may be looked at by the other, with its own tag and only by who sees it.
    let tag = warm(&world, &ann, "/db/Todo/1").header("etag").unwrap().to_owned();
    let known = bob.request("GET", "/db/Todo/1", &[("if-none-match", &tag)], b"");
    assert_eq!((known.status, way(&known)), (304, "hit"));
    assert_eq!(
        eve.request("GET", "/db/Todo/1", &[("if-none-match", &tag)], b"").status,
        404
    );
}

#[test]
fn s39_the_edges_own_words_with_the_server_do_not_reach_clients() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    world.put("1", 1, &json!({ id: "allow" }));
    world.put("2", 1, &json!({}));
    for path in ["/db/Todo/1", "/db/Todo/2", "/db/Todo/none", "/connect"] {
        for _ in 0..4 {
            let answer = ann.get(path);
            for (name, _) in &answer.headers {
                assert!(
                    !name.starts_with("freshbase-") && !name.starts_with("surrogate-"),
                    "{path}: {name}"
                );
            }
        }
    }
    // Nor does the server say them to anybody who has not the secret.
    let direct = Client::new(world.server.address(), "/v1");
    for proof in ["", "0123456789abcdef0123456789abcdee", "0"] {
        let answer = direct.request(
            "GET",
            "/db/Todo/2",
            &[("freshbase-edge", proof), ("freshbase-edge-bound", "0")],
            b"",
        );
        assert!(
            answer.status == 200
                && answer.header("surrogate-key").is_none()
                && answer.header("freshbase-purges").is_none()
        );
    }
}

#[test]
fn s40_rights_end_with_the_rule_that_gave_them() {
    let world = World::start();
    let admin = world.via_edge(&world.admin);
    let (ann, ann_id) = user(&world, "ann");
    let (bob, bob_id) = user(&world, "bob");
    world.put("1", 1, &json!({ ann_id.clone(): "allow", bob_id.clone(): "allow" }));
    warm(&world, &ann, "/db/Todo/1");
    warm(&world, &bob, "/db/Todo/1");
    // Through the edge: at once.
    let rest = json!({ "n": 2, "acl": { "read": { bob_id: "allow" } } });
    admin.put("/db/Todo/1", &rest).expect(200);
    ann.get("/db/Todo/1").expect(404);
    assert_eq!(bob.get("/db/Todo/1").expect(200).json()["n"], 2);
    assert_eq!(warm(&world, &bob, "/db/Todo/1").json()["n"], 2);
    ann.get("/db/Todo/1").expect(404);
    // The class: for all of its objects.
    let closed = json!({ "acl": { "load": { ann_id: "allow" } }, "fields": { "n": { "type": "/db/Integer" } } });
    admin.put("/schema/Todo", &closed).expect(200);
    bob.get("/db/Todo/1").expect(466);
}

#[test]
fn s40_rights_end_with_the_membership_in_a_role_and_with_the_role() {
    let world = World::start();
    let admin = world.via_edge(&world.admin);
    let (ann, id) = user(&world, "ann");
    let role = json!({ "name": "team", "users": [id] });
    let role = admin.post("/db/Role", &role).expect(201).json();
    let path = role["id"].as_str().unwrap().trim_start_matches("/v1").to_owned();
    world.put("1", 1, &json!({ path.clone(): "allow" }));
    warm(&world, &ann, "/db/Todo/1");
    admin.put(&path, &json!({ "name": "team", "users": [] })).expect(200);
    ann.get("/db/Todo/1").expect(404);
    admin.put(&path, &json!({ "name": "team", "users": [id] })).expect(200);
    warm(&world, &ann, "/db/Todo/1");
    admin.delete(&path).expect(204);
    ann.get("/db/Todo/1").expect(404);
}

#[test]
fn s40_rights_end_with_the_session_the_user_and_the_password() {
    for end in ["token", "user", "inactive"] {
        let world = World::start();
        let admin = world.via_edge(&world.admin);
        let (ann, id) = user(&world, "ann");
        world.put("1", 1, &json!({ id.clone(): "allow" }));
        warm(&world, &ann, "/db/Todo/1");
        match end {
            "token" => drop(admin.delete(&format!("{id}/token"))),
            "user" => drop(admin.delete(&id).expect(204)),
            _ => {
                admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
            }
        }
        assert_eq!(
            world
                .server
                .client()
                .with_token(ann.token().unwrap())
                .get("/db/Todo/1")
                .status,
            460,
            "{end}"
        );
        assert_eq!(ann.get("/db/Todo/1").status, 460, "{end}");
    }
}

#[test]
fn s40_revocations_past_the_edge_arrive_as_purges_and_without_the_stream_nothing_is_decided_here() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    world.put("1", 1, &json!({ id.clone(): "allow" }));
    warm(&world, &ann, "/db/Todo/1");
    world.put("1", 2, &json!({ "/db/Role/1": "allow" }));
    world.settle();
    ann.get("/db/Todo/1").expect(404);
    world.put("1", 3, &json!({ id: "allow" }));
    world.settle();
    warm(&world, &ann, "/db/Todo/1");
    world.wire.set(Mode::SilentStreams);
    world.put("1", 4, &json!({ "/db/Role/1": "allow" }));
    wait_for("the end of the bound", || {
        (ann.get("/db/Todo/1").status == 404).then_some(())
    });
    for _ in 0..20 {
        ann.get("/db/Todo/1").expect(404);
    }
    // If the server cannot be asked either, an error is the only answer, whatever the app allows for other objects.
    world.wire.set(Mode::Down);
    assert_eq!(ann.get("/db/Todo/1").status, 502);
}

#[test]
fn s39_tokens_of_one_app_open_nothing_in_another() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    world.put("1", 1, &json!({ id: "allow" }));
    warm(&world, &ann, "/db/Todo/1");
    // The same address under another host, and by the app's name: other addresses, the same app.
    let named = Client::new(&world.edge.address, "/apps/main/v1").with_token(ann.token().unwrap());
    assert_eq!(named.get("/db/Todo/1").expect(200).json()["n"], 1);
    let nowhere = Client::new(&world.edge.address, "/apps/other/v1").with_token(ann.token().unwrap());
    assert_eq!(nowhere.get("/db/Todo/1").status, 404);
}

#[test]
fn s28_rules_of_fields_keep_a_class_at_the_server() {
    let world = World::start();
    let (ann, id) = user(&world, "ann");
    let fields = json!({ "fields": {
        "open": { "type": "/db/String" },
        "closed": { "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } },
    }});
    world.admin.post("/schema/Cut", &fields).expect(200);
    let object = json!({ "open": "o", "closed": "c", "acl": { "read": { id: "allow" } } });
    world.admin.put("/db/Cut/1", &object).expect(200);
    let admin = world.via_edge(&world.admin);
    for _ in 0..4 {
        let (cut, whole) = (ann.get("/db/Cut/1").expect(200), admin.get("/db/Cut/1").expect(200));
        assert_eq!((cut.json().get("closed"), &whole.json()["closed"]), (None, &json!("c")));
        assert!(way(&cut) != "hit" && way(&whole) != "hit");
    }
}
