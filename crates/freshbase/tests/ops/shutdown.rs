//! Stopping: what was begun is finished and stays. Starting where something else is: a clear refusal.

use fb_testkit::{Client, Connection, Server, root, wait_for};
use serde_json::json;

use crate::{freshbase, server, text};

/// Sends the head of a request, and comes back when its handler waits for the body.
fn begin(client: &Client, server: &Server, method: &str, path: &str, body: &str) -> Connection {
    let mut connection = Connection::open(server.address()).unwrap();
    let head = client.head(method, path, &[("expect", "100-continue")], body.len());
    assert!(connection.send(head.as_bytes()));
    assert_eq!(connection.receive().unwrap().status, 100);
    connection
}

/// The listener is gone: the server is on its way out.
fn wait_until_it_stops_listening(server: &Server) {
    wait_for("the listener to close", || {
        Connection::open(server.address()).is_none().then_some(())
    });
}

fn begun_requests_are_finished_after(signal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut running = builder.start();
    let admin = root(&running);
    let fields = json!({ "fields": { "name": { "type": "/db/String" } } });
    admin.post("/schema/Item", &fields).expect(200);

    let body = |n: usize| json!({ "id": format!("/db/Item/{n}"), "name": "x".repeat(2000) }).to_string();
    let mut inserts: Vec<_> = (0..8)
        .map(|n| (begin(&admin, &running, "POST", "/db/Item", &body(n)), body(n)))
        .collect();
    let lines: Vec<String> = (100..250).map(body).collect();
    let lines = lines.join("\n");
    let mut import = begin(&admin, &running, "PUT", "/db/Item", &lines);
    // One body is half there when the signal comes, and an idle connection must not hold anybody up.
    let _idle = Connection::open(running.address()).unwrap();
    let (half, other_half) = lines.split_at(lines.len() / 2);
    assert!(import.send(half.as_bytes()));

    running.signal(signal);
    wait_until_it_stops_listening(&running);
    for (connection, body) in &mut inserts {
        assert!(connection.send(body.as_bytes()));
    }
    assert!(import.send(other_half.as_bytes()));
    for (connection, _) in &mut inserts {
        connection.receive().expect("an answer").expect(201);
    }
    let report = import.receive().expect("an answer").expect(200).json();
    assert_eq!(report["count"], 150, "{report}");
    assert_eq!(running.wait().code(), Some(0));
    assert!(running.log().contains("stopped"), "{}", running.log());

    let again = builder.start();
    let count = again.client().get("/db/Item/count").expect(200).json();
    assert_eq!(count["count"], 158);
}

#[test]
fn sigterm_finishes_what_was_begun() {
    begun_requests_are_finished_after("TERM");
}

#[test]
fn sigint_finishes_what_was_begun() {
    begun_requests_are_finished_after("INT");
}

/// A client that got no answer can be sure that nothing was done: what was done was answered.
#[test]
fn what_a_stopping_server_did_it_has_answered() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut expected = 0;
    let mut running = builder.start();
    root(&running)
        .post("/schema/Item", &json!({ "fields": {} }))
        .expect(200);
    for round in 0..5 {
        let (answered, progress) = std::sync::mpsc::channel();
        let client = running.client();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..12)
                .map(|_| {
                    let (answered, client) = (answered.clone(), &client);
                    let mut connection = Connection::open(running.address()).expect("the server is ready");
                    scope.spawn(move || {
                        let mut n = 0;
                        while let Some(answer) = connection.request(client, "POST", "/db/Item", &[], &json!({})) {
                            answer.expect(201);
                            n += 1;
                            let _ = answered.send(());
                        }
                        n
                    })
                })
                .collect();
            for _ in 0..50 {
                progress.recv().unwrap();
            }
            running.signal("TERM");
            expected += writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>();
        });
        assert_eq!(running.wait().code(), Some(0), "round {round}");
        running = builder.start();
        let count = running.client().get("/db/Item/count").expect(200).json();
        assert_eq!(count["count"], expected, "round {round}");
    }
}

#[test]
fn a_request_that_never_ends_is_cut_off_after_the_shutdown_timeout() {
    let mut running = server().baqend().arg("--shutdown-timeout").arg("100ms").start();
    let admin = root(&running);
    let _stuck = begin(&admin, &running, "POST", "/schema/Item", "{\"fields\":{}}");
    assert_eq!(running.stop().code(), Some(0));
    assert!(running.log().contains("cut off"), "{}", running.log());
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let first = server().baqend().start();
    let admin = root(&first);
    admin.post("/schema/Item", &json!({ "fields": {} })).expect(200);
    let data = text(first.data_dir());
    let error = freshbase(
        first.data_dir(),
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", data],
    )
    .failed();
    assert!(error.contains("another server uses") && error.contains(data), "{error}");
    admin.post("/db/Item", &json!({})).expect(201);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = server().baqend().start();
    let dir = tempfile::tempdir().unwrap();
    let error = freshbase(dir.path(), &["serve", "--listen", first.address()]).failed();
    assert!(error.contains(&format!("listening on {}", first.address())), "{error}");
    assert!(error.contains("in use"), "{error}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?}");
}

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = freshbase(
            dir.path(),
            &["serve", "--listen", "127.0.0.1:0", "--data-dir", text(&path)],
        )
        .failed();
        assert!(error.contains(text(&path)), "{error}");
    }
    // An address of documentation, which no machine has.
    let elsewhere = "192.0.2.1:80";
    let error = freshbase(dir.path(), &["serve", "--listen", elsewhere, "--data-dir", "data"]).failed();
    assert!(error.contains(&format!("listening on {elsewhere}")), "{error}");
}

#[test]
fn data_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    freshbase(dir.path(), &["app", "create", "shop", "--data-dir", "data"]).ok();
    let node = dir.path().join("data/node.db");
    let mut bytes = std::fs::read(&node).unwrap();
    // The user version in the header of the file.
    bytes[60..64].copy_from_slice(&77_u32.to_be_bytes());
    std::fs::write(&node, bytes).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"];
    let error = freshbase(dir.path(), &serve).failed();
    assert!(error.contains("format 77"), "{error}");
}
