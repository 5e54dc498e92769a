//! Events that are written by whoever has them, beside the socket's own task.

use fb_testkit::wait_for;
use serde_json::{Value, json};
use tungstenite::Message;

use super::{Socket, docs, metric, no_panics, put};

/// The system has no room in the midst of frames again and again, while the socket has pongs to say and refusals.
#[test]
fn a_client_that_reads_late_gets_whole_frames_in_their_order() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("w", json!({}));
    const WRITES: usize = 200;
    for n in 0..WRITES {
        // Short ones are among them.
        let long = "x".repeat(n * 7919 % 30_000);
        put(&admin, "1", json!({ "n": n, "s": long }));
        socket.wire.send(Message::Ping(n.to_string().into())).unwrap();
        if n % 50 == 0 {
            socket.send(&json!({ "type": "nonsense", "id": format!("r{n}") }));
        }
    }
    let (mut events, mut pongs, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    while events.len() < WRITES || pongs.last() != Some(&(WRITES - 1)) || refusals.len() < WRITES / 50 {
        match socket.wire.read().unwrap() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                match message["type"].as_str() {
                    Some("match") => events.push(message["data"]["n"].as_u64().unwrap() as usize),
                    _ => refusals.push(message["id"].as_str().unwrap().to_owned()),
                }
            }
            Message::Pong(payload) => pongs.push(str::from_utf8(&payload).unwrap().parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events, (0..WRITES).collect::<Vec<_>>());
    assert_eq!(refusals, ["r0", "r50", "r100", "r150"]);
    // Of pings that come faster than they can be answered, the last one is.
    assert!(pongs.is_sorted(), "{pongs:?}");
    no_panics(&server);
}

#[test]
fn messages_are_counted_whoever_writes_them() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("w", json!({}));
    for n in 0..10 {
        put(&admin, "1", json!({ "n": n }));
    }
    assert_eq!(socket.told(&admin).len(), 10);
    // The result, that the mark is subscribed to, ten events, and the mark. What is counted was written before.
    wait_for("all to be counted", || {
        (metric(&server, "freshbase_live_messages_total") == 13.0).then_some(())
    });
}

/// What was ended is not told of any more, even while events are on their way.
#[test]
fn clients_that_go_in_the_midst_of_events_leave_nothing_behind() {
    let (server, admin, _) = docs();
    for _ in 0..5 {
        let mut sockets: Vec<Socket> = (0..20).map(|_| Socket::open(&server)).collect();
        for socket in &mut sockets {
            socket.results("w", json!({}));
        }
        for (n, socket) in sockets.into_iter().enumerate() {
            put(&admin, "1", json!({ "n": n, "s": "x".repeat(20_000) }));
            // Some say goodbye, others do not.
            if n % 2 == 0 {
                let mut socket = socket;
                socket.wire.close(None).unwrap();
            }
        }
        wait_for("the sockets to be forgotten", || {
            (metric(&server, "freshbase_live_connections") == 0.0).then_some(())
        });
    }
    assert_eq!(metric(&server, "freshbase_live_subscriptions"), 0.0);
    no_panics(&server);
}
