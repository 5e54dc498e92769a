//! What the edge keeps is what the server has, within the bound; and nothing else when it cannot know.

use fb_testkit::{Client, wait_for};
use serde_json::{Value, json};

use crate::kit::{Mode, World, server, way};

fn n(client: &Client, key: &str) -> i64 {
    client.get(&format!("/db/Todo/{key}")).expect(200).json()["n"]
        .as_i64()
        .unwrap()
}

#[test]
fn writes_past_the_edge_show_as_soon_as_it_is_told_of_them() {
    let world = World::start();
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    let kept = world.warm(&client, "/db/Todo/1");
    assert_eq!(kept.json()["n"], 1);
    for round in 2..6 {
        world.put("1", round, &json!({}));
        world.settle();
        assert_eq!(n(&client, "1"), round);
        assert_eq!(world.warm(&client, "/db/Todo/1").json()["n"], round);
    }
    world.admin.delete("/db/Todo/1").expect(204);
    world.settle();
    client.get("/db/Todo/1").expect(404);
}

#[test]
fn whoever_writes_through_the_edge_reads_what_was_written() {
    let world = World::start();
    let (client, admin) = (world.edge.client(), world.via_edge(&world.admin));
    world.put("1", 0, &json!({}));
    for round in 1..30 {
        world.warm(&client, "/db/Todo/1");
        admin.put("/db/Todo/1", &json!({ "n": round })).expect(200);
        assert_eq!(n(&client, "1"), round, "at once, without waiting for anything");
    }
}

#[test]
fn copies_say_how_old_they_are_and_others_than_the_edge_may_not_keep_them_for_longer_than_before() {
    let world = World::start();
    world.put("1", 1, &json!({}));
    let kept = world.warm(&world.edge.client(), "/db/Todo/1");
    assert_eq!(
        kept.header("cache-control"),
        world.server.client().get("/db/Todo/1").header("cache-control")
    );
    assert!(kept.header("cache-control").unwrap().ends_with(", s-maxage=1"));
    assert!(kept.header("age").unwrap().parse::<u64>().unwrap() <= 60);
    let tag = kept.header("etag").unwrap().to_owned();
    let known = world
        .edge
        .client()
        .request("GET", "/db/Todo/1", &[("if-none-match", &tag)], b"");
    assert_eq!((known.status, way(&known)), (304, "hit"));
}

#[test]
fn rules_of_classes_and_settings_concern_all_copies() {
    let world = World::start();
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    world.warm(&client, "/db/Todo/1");
    let class = |load: Value| json!({ "acl": { "load": load }, "fields": { "n": { "type": "/db/Integer" } } });
    let closed = class(json!({ "/db/Role/1": "allow" }));
    world.admin.put("/schema/Todo", &closed).expect(200);
    world.settle();
    client.get("/db/Todo/1").expect(466);
    world.admin.put("/schema/Todo", &class(json!({}))).expect(200);
    world.settle();
    world.warm(&client, "/db/Todo/1");
    world
        .admin
        .put("/config", &json!({ "caching": { "enabled": false } }))
        .expect(200);
    world.settle();
    for _ in 0..3 {
        assert_ne!(way(&client.get("/db/Todo/1").expect(200)), "hit");
    }
}

#[test]
fn s40_while_the_stream_is_lost_everything_is_asked_about() {
    let world = World::start();
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    world.warm(&client, "/db/Todo/1");
    world.wire.set(Mode::NoStreams);
    wait_for("the loss", || (world.edge.figure("intact") == 0).then_some(()));
    assert_eq!(world.edge.admin("/readyz").status, 503);
    for round in 2..6 {
        world.put("1", round, &json!({}));
        let answer = client.get("/db/Todo/1").expect(200);
        assert!(answer.json()["n"] == round && way(&answer) != "hit");
    }
    world.wire.set(Mode::Open);
    world.edge.wait_until_intact();
    world.settle();
    assert_eq!(world.warm(&client, "/db/Todo/1").json()["n"], 5);
    assert_eq!(world.edge.admin("/readyz").status, 200);
}

#[test]
fn s40_a_stream_that_falls_silent_is_trusted_for_no_longer_than_the_bound() {
    let world = World::start();
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    world.warm(&client, "/db/Todo/1");
    world.wire.set(Mode::SilentStreams);
    world.put("1", 2, &json!({}));
    // Without a sign of life the old answer ends by itself, and stays away.
    wait_for("the new answer", || (n(&client, "1") == 2).then_some(()));
    for _ in 0..20 {
        assert_eq!(n(&client, "1"), 2);
    }
    assert_eq!(world.edge.figure("intact"), 0);
}

#[test]
fn concurrent_misses_are_one_request() {
    let world = World::start();
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    let fills = world.edge.figure("fills_total");
    world.wire.set(Mode::HeldAnswers);
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.get("/db/Todo/1").expect(200).json()["n"].clone())
        })
        .collect();
    wait_for("all to wait for one", || {
        (world.edge.figure("followed_total") >= 19).then_some(())
    });
    world.wire.set(Mode::Open);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 1);
    }
    assert_eq!(world.edge.figure("collapsed_total"), 19);
    // One for the answer, and another one once it is known by what it varies.
    assert!(world.edge.figure("fills_total") - fills <= 2);
    assert_eq!(world.edge.figure("passed_total"), 0);
}

#[test]
fn apps_that_allow_less_than_the_edge_adds_are_kept_for_no_longer_than_they_say() {
    let world = World::with(&server().baqend(), &["--bound", "5s"]);
    world.put("1", 1, &json!({}));
    // By the time that caches may have it which nobody purges: a second, and not the minute of browsers.
    let client = world.edge.client();
    let first = client.get("/db/Todo/1").expect(200);
    assert_eq!(first.header("surrogate-control"), None);
    // Then it is asked for again, by a client or by the edge itself.
    let n_fills = world.edge.figure("fills_total");
    wait_for("its end", || {
        let is_hit = way(&client.get("/db/Todo/1")) == "hit";
        (!is_hit || world.edge.figure("fills_total") > n_fills).then_some(())
    });
}
