//! Ends of the server and of the edge, with and without warning.

use fb_testkit::{free_port, root, wait_for};
use serde_json::json;

use crate::kit::{Edge, Mode, World, server, user, way};

#[test]
fn without_the_server_only_what_the_app_allows_is_answered() {
    let mut world = World::start();
    let client = world.edge.client();
    let (ann, id) = user(&world, "ann");
    world.put("1", 1, &json!({}));
    world.put("own", 1, &json!({ id: "allow" }));
    world.warm(&client, "/db/Todo/1");
    world.warm(&ann, "/db/Todo/own");
    world.server.kill();
    wait_for("the loss", || (world.edge.figure("intact") == 0).then_some(()));
    let answer = client.get("/db/Todo/1");
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["className"], "OriginUnreachable");
    assert_eq!(ann.get("/db/Todo/own").status, 502);
}

#[test]
fn without_the_server_outdated_answers_are_given_where_the_app_allows_it() {
    let mut world = World::start();
    world
        .admin
        .put("/config", &json!({ "caching": { "staleIfError": 3600 } }))
        .expect(200);
    let client = world.edge.client();
    let (ann, id) = user(&world, "ann");
    world.put("1", 1, &json!({}));
    world.put("2", 1, &json!({}));
    world.put("own", 1, &json!({ id: "allow" }));
    for path in ["/db/Todo/1", "/db/Todo/2"] {
        world.warm(&client, path);
    }
    world.warm(&ann, "/db/Todo/own");
    // The edge asks again for what is purged if somebody wanted it since it was stored, which is so with the first write only.
    world.put("2", 2, &json!({}));
    wait_for("the edge to ask again", || {
        let is_done = world.edge.figure("refreshed_total") == 1 && world.edge.figure("under_way") == 0;
        is_done.then_some(())
    });
    world.put("2", 3, &json!({}));
    world.settle();
    world.server.kill();
    wait_for("the loss", || (world.edge.figure("intact") == 0).then_some(()));
    let stale = client.get("/db/Todo/1").expect(200);
    assert_eq!(
        (way(&stale), &stale.json()["n"]),
        ("hit; detail=stale-if-error", &json!(1))
    );
    assert_eq!(client.get("/db/Todo/2").status, 502, "it is known to be wrong");
    assert_eq!(ann.get("/db/Todo/own").status, 502, "rights may be gone");
    assert_eq!(client.put("/db/Todo/1", &json!({})).status, 502);
}

#[test]
fn a_server_that_comes_back_is_asked_about_everything() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let builder = server()
        .baqend()
        .listen(&format!("127.0.0.1:{port}"))
        .data_dir(dir.path());
    let mut world = World::with(&builder, &[]);
    let client = world.edge.client();
    world.put("1", 1, &json!({}));
    world.warm(&client, "/db/Todo/1");
    for round in 2..4 {
        world.server.kill();
        world.server = builder.start();
        world.admin = root(&world.server);
        world.put("1", round, &json!({}));
        wait_for("the stream", || (world.edge.figure("intact") == 1).then_some(()));
        assert_eq!(client.get("/db/Todo/1").expect(200).json()["n"], round);
        assert_eq!(world.warm(&client, "/db/Todo/1").json()["n"], round);
    }
    // In good order: the stream does not hold the server up.
    assert!(world.server.stop().success());
}

#[test]
fn an_edge_begins_with_nothing_whatever_the_last_one_left_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().to_str().unwrap().to_owned();
    let mut world = World::with(&server().baqend(), &["--disk", &cache]);
    world
        .admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    world
        .admin
        .upload("/data/a", "text/plain", &vec![b'a'; 200_000])
        .expect(200);
    world.warm(&world.edge.client(), "/file/data/a");
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files(), 1);
    world.edge.kill();
    world
        .admin
        .upload("/data/a", "text/plain", &vec![b'b'; 200_000])
        .expect(200);
    assert_eq!(files(), 1, "as a crash leaves it");
    world.edge = Edge::start(world.server.url(), &["--disk", &cache]);
    assert_eq!(files(), 0);
    world.edge.wait_until_intact();
    assert_eq!(
        world.edge.client().get("/file/data/a").expect(200).body,
        vec![b'b'; 200_000]
    );
    assert_eq!(world.edge.stop(), Some(0));
}

#[test]
fn requests_under_way_are_finished_when_the_edge_stops() {
    let World { mut edge, wire, .. } = {
        let world = World::start();
        world.put("1", 1, &json!({}));
        world
    };
    let client = edge.client();
    wire.set(Mode::HeldAnswers);
    let reader = std::thread::spawn(move || client.try_request("GET", "/db/Todo/1", &json!({})));
    wait_for("the request", || (edge.figure("passed_total") == 1).then_some(()));
    edge.ask_to_stop();
    wire.set(Mode::Open);
    // The server is gone with the world: what matters is that there is an answer at all, and an end.
    assert!(reader.join().unwrap().is_some());
    assert_eq!(edge.wait(), Some(0));
}
