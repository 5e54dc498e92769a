//! How many there may be, and how many there can be.

use serde_json::json;

use super::{Socket, docs, docs_of, metric, put};
use crate::server;

#[test]
fn s44_a_connection_has_so_many_subscriptions_and_no_more() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    for i in 0..200 {
        socket.results(&i.to_string(), json!({ "query": { "n": i } }));
    }
    let error = socket.refusal("one more", json!({}));
    assert_eq!(
        (&error["status"], &error["reason"]),
        (&json!(429), &json!("Too Many Requests"))
    );
    // The same name is the same subscription, and others end.
    socket.results("7", json!({ "query": { "n": 1007 } }));
    socket.send(&json!({ "type": "unsubscribe", "id": "8" }));
    socket.results("one more", json!({ "query": { "n": 9 } }));
    put(&admin, "1", json!({ "n": 9 }));
    put(&admin, "2", json!({ "n": 8 }));
    put(&admin, "3", json!({ "n": 7 }));
    // One place is for the mark.
    socket.send(&json!({ "type": "unsubscribe", "id": "100" }));
    let ids: Vec<_> = socket.told(&admin).iter().map(|m| m["id"].clone()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.contains(&json!("9")) && ids.contains(&json!("one more")));
    assert_eq!(metric(&server, "freshbase_live_subscriptions"), 200.0);
    assert_eq!(metric(&server, "freshbase_live_connections"), 1.0);
}

#[test]
fn s44_an_address_and_an_app_have_so_many_connections_and_no_more() {
    for (limit, status) in [("max-live-clients-per-address", 429), ("max-live-clients", 503)] {
        let (server, _admin, anybody) = docs_of(&server().arg(format!("--{limit}")).arg("3"));
        let mut sockets: Vec<Socket> = (0..3).map(|_| Socket::open(&server)).collect();
        assert_eq!(Socket::try_open(&server).err(), Some(status));
        let stream = anybody.get("/events/Doc");
        assert_eq!(stream.status, status);
        // Everything else goes on.
        anybody.get("/db/Doc").expect(466);
        anybody.get("/db/Doc/query").expect(200);
        let mut last = sockets.pop().unwrap();
        last.wire.close(None).unwrap();
        last.end();
        drop(last);
        fb_testkit::wait_for("the place to be free", || {
            Socket::try_open(&server).ok().map(|s| sockets.push(s))
        });
        for socket in &mut sockets {
            socket.results("w", json!({}));
        }
    }
}

#[test]
fn hundreds_of_sockets_are_told_the_same_and_each_its_own() {
    const SOCKETS: usize = 300;
    let (server, admin, _) = docs();
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|_| Socket::open(&server)).collect();
    for (i, socket) in sockets.iter_mut().enumerate() {
        socket.results("all", json!({}));
        socket.results("own", json!({ "query": { "n": i } }));
        socket.results("top", json!({ "sort": { "n": -1 }, "limit": 2 }));
    }
    assert_eq!(metric(&server, "freshbase_live_connections"), SOCKETS as f64);
    assert_eq!(metric(&server, "freshbase_live_filters"), (SOCKETS + 1) as f64);
    assert_eq!(metric(&server, "freshbase_live_views"), (SOCKETS + 2) as f64);
    for i in 0..SOCKETS {
        if i % 3 == 0 {
            put(&admin, "x", json!({ "n": i }));
        }
    }
    for (i, socket) in sockets.iter_mut().enumerate() {
        let told = socket.told(&admin);
        let of = |id: &str| told.iter().filter(|m| m["id"] == id).count();
        assert_eq!(of("all"), SOCKETS / 3);
        assert_eq!(of("top"), SOCKETS / 3);
        let last = SOCKETS - SOCKETS % 3 - 3;
        let own = match i {
            _ if i % 3 > 0 => 0,
            _ if i == last => 1,
            _ => 2,
        };
        assert_eq!(of("own"), own, "{i}");
    }
    drop(sockets);
    fb_testkit::wait_for("all of them to be gone", || {
        (metric(&server, "freshbase_live_subscriptions") == 0.0 && metric(&server, "freshbase_live_connections") == 0.0)
            .then_some(())
    });
}

/// Requests and messages of one address are counted together.
#[test]
fn s18_messages_count_for_the_limit_of_requests() {
    let (server, admin, _) = docs();
    let limit = json!({ "requestLimit": { "requests": 50, "seconds": 600, "banSeconds": 600 } });
    admin.put("/config", &limit).expect(200);
    let mut socket = Socket::open(&server);
    for _ in 0..60 {
        let message = json!({ "type": "subscribe", "id": "x", "bucket": "Doc", "initial": false });
        if socket
            .wire
            .send(tungstenite::Message::text(message.to_string()))
            .is_err()
        {
            break;
        }
    }
    assert_eq!(socket.end(), Some(1008));
    assert_eq!(Socket::try_open(&server).err(), Some(429));
}

#[test]
fn s44_live_queries_leave_connections_for_requests() {
    let (server, _admin, anybody) = docs_of(&server().arg("--max-connections").arg("12"));
    let sockets: Vec<Socket> = (0..6).map(|_| Socket::open(&server)).collect();
    assert_eq!(Socket::try_open(&server).err(), Some(503));
    anybody.get("/events/Doc").expect_error(503, "Unavailable");
    anybody.get("/db/Doc/query").expect(200);
    drop(sockets);
    fb_testkit::wait_for("the places to be free", || Socket::try_open(&server).ok());
}
