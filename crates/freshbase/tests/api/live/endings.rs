//! How sockets end, and how clients come back.

use std::io::{Read, Write};
use std::net::TcpStream;

use fb_testkit::{root, wait_for};
use serde_json::json;

use super::{PATIENCE, Socket, docs, docs_of, keys, metric, put};
use crate::server;

#[test]
fn a_server_that_stops_says_that_it_goes_away() {
    let (mut server, _admin, _) = docs();
    let mut sockets: Vec<Socket> = (0..20).map(|_| Socket::open(&server)).collect();
    for socket in &mut sockets {
        socket.results("w", json!({}));
    }
    server.signal("TERM");
    for socket in &mut sockets {
        assert_eq!(socket.end(), Some(1001));
    }
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.log().contains("cut off"), "{}", server.log());
}

#[test]
fn a_client_that_says_goodbye_is_answered_and_forgotten() {
    let (server, _admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("w", json!({}));
    socket.wire.close(None).unwrap();
    socket.end();
    wait_for("the socket to be forgotten", || {
        (metric(&server, "freshbase_live_connections") == 0.0).then_some(())
    });
    assert_eq!(metric(&server, "freshbase_live_subscriptions"), 0.0);
}

#[test]
fn another_schema_asks_clients_to_connect_again() {
    let (server, admin, _) = docs();
    put(&admin, "1", json!({ "n": 1 }));
    let mut socket = Socket::open(&server);
    socket.results("w", json!({}));
    let fields = json!({ "fields": { "more": { "type": "/db/String" } } });
    admin.post("/schema/Doc", &fields).expect(200);
    assert_eq!(socket.end(), Some(1012));
    let mut socket = Socket::open(&server);
    assert_eq!(keys(&socket.results("again", json!({}))), ["1"]);
    put(&admin, "1", json!({ "n": 2, "more": "x" }));
    assert_eq!(socket.told(&admin)[0]["data"]["more"], "x");
}

/// What was acknowledged is in the result of whoever comes back, and what comes then is told.
#[test]
fn after_a_crash_clients_come_back_to_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path());
    let (mut server, admin, _) = docs_of(&builder);
    let mut known = 0;
    for round in 0..3 {
        let mut socket = Socket::open(&server);
        let result = socket.results("w", json!({ "sort": { "n": 1 } }));
        assert_eq!(result.len(), known, "round {round}");
        let admin = root(&server);
        for _ in 0..20 {
            put(&admin, &format!("k{known}"), json!({ "n": known }));
            known += 1;
        }
        let told = socket.told(&admin);
        assert_eq!(told.len(), 20, "round {round}");
        server.kill();
        assert_eq!(socket.end(), None);
        server = builder.clone().baqend().start();
    }
    drop(admin);
    let mut socket = Socket::open(&server);
    assert_eq!(socket.results("w", json!({})).len(), known);
}

#[test]
fn a_client_that_does_not_answer_is_cut_off_and_one_that_does_stays() {
    let (server, admin, _) = docs_of(&server().arg("--live-ping").arg("300ms"));
    let mut alive = Socket::open(&server);
    alive.results("w", json!({}));
    // It takes what comes, and says nothing.
    let mut silent = TcpStream::connect(server.address()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let hello = format!(
        "GET /v1/events HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address()
    );
    silent.write_all(hello.as_bytes()).unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = silent.read_to_end(&mut all);
        all
    });
    // Answering pings is what reading does.
    let mut pings = 0;
    while !reader.is_finished() {
        if let tungstenite::Message::Ping(_) = alive.wire.read().unwrap() {
            pings += 1;
        }
    }
    let all = reader.join().unwrap();
    assert!(String::from_utf8_lossy(&all).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(pings > 0);
    put(&admin, "1", json!({}));
    assert_eq!(alive.events(&admin), ["add/insert /1"]);
}

#[test]
fn a_socket_without_a_live_query_is_closed_after_a_while() {
    let (server, _admin, _) = docs_of(&server().arg("--live-ping").arg("1s").arg("--live-idle").arg("100ms"));
    let mut idle = Socket::open(&server);
    let mut used = Socket::open(&server);
    used.results("w", json!({}));
    assert_eq!(idle.end(), Some(1000));
    used.results("v", json!({}));
    for id in ["v", "w"] {
        used.send(&json!({ "type": "unsubscribe", "id": id }));
    }
    assert_eq!(used.end(), Some(1000));
}

#[test]
fn a_slow_client_is_told_to_come_again_and_nobody_else_notices() {
    let (server, admin, _) = docs();
    let mut slow = Socket::open(&server);
    slow.results("w", json!({}));
    let mut quick = Socket::open(&server);
    quick.results("w", json!({}));
    let long = "x".repeat(900_000);
    let mut seen = 0;
    // What the system holds for a client is its own business: some megabytes.
    while metric(&server, "freshbase_live_connections") > 1.0 && seen < 60 {
        put(&admin, "1", json!({ "n": seen, "s": long }));
        seen += quick.told(&admin).len();
    }
    // Nothing more than was waiting is kept for it; it is closed when it reads, or after a while.
    assert!(seen >= 10, "{seen}");
    assert_eq!(slow.end(), Some(1013));
    put(&admin, "2", json!({}));
    assert_eq!(quick.events(&admin), ["add/insert /2"]);
}
