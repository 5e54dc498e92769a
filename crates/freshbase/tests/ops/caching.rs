//! A server that was killed knows nothing of the copies it has handed out, and says so.

use fb_sketch::{Filter, KeyHash};
use fb_testkit::{Client, root, wait_for};
use serde_json::json;

use crate::server;

fn filter(client: &Client) -> Filter {
    Filter::from_json(&client.get("/bloomfilter").expect(200).body).unwrap()
}

#[test]
fn after_a_kill_no_client_with_a_fresh_filter_takes_an_outdated_copy() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut running = builder.start();
    let admin = root(&running);
    let open = json!({ "fields": { "n": { "type": "/db/Integer" } }, "acl": { "load": { "*": "allow" } } });
    admin.put("/schema/Doc", &open).expect(200);
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    let ids = ["/db/Doc/before", "/db/Doc/after", "/db/Doc/never"];
    let long = json!({ "caching": { "minLifetime": 3000, "maxLifetime": 3000 } });
    admin.put("/config", &long).expect(200);
    let anybody = running.client();
    for id in ids {
        admin.put(id, &json!({ "n": 1 })).expect(200);
        // Until the copy may live for long, which it may once that is on disk.
        wait_for("a long lifetime", || {
            let answer = anybody.get(id).expect(200);
            answer
                .header("cache-control")
                .unwrap()
                .contains("max-age=3000")
                .then_some(())
        });
    }
    admin.upload("/data/a", "text/plain", b"one").expect(200);
    anybody.get("/file/data/a").expect(200);
    admin.put(ids[0], &json!({ "n": 2 })).expect(200);
    running.kill();

    let running = builder.start();
    let (admin, anybody) = (root(&running), running.client());
    let everything = filter(&anybody);
    for id in ids.iter().chain(&["/file/data/a", "/db/Doc/unknown"]) {
        assert!(everything.contains(KeyHash::of(id)), "{id}");
    }
    admin.put(ids[1], &json!({ "n": 2 })).expect(200);
    admin.upload("/data/a", "text/plain", b"two").expect(200);
    // In seconds the filter tells them apart again, and what was changed before and behind the kill is in it at all times.
    wait_for("a filter that says something", || {
        let filter = filter(&anybody);
        assert!(filter.contains(KeyHash::of(ids[0])) && filter.contains(KeyHash::of(ids[1])));
        (!filter.contains(KeyHash::of("/db/Doc/unknown"))).then_some(())
    });
    assert!(!filter(&anybody).contains(KeyHash::of(ids[2])), "it was not changed");
    assert_eq!(anybody.get(ids[1]).expect(200).json()["n"], 2);
}
