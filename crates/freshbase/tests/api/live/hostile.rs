//! Whatever comes, it is answered or ended, and nobody else notices.

use fb_testkit::raw_request;
use serde_json::{Value, json};
use tungstenite::Message;

use super::{Socket, check_error, docs, metric, no_panics, put};

#[test]
fn what_is_no_handshake_is_an_answer_of_http() {
    let (server, _admin, anybody) = docs();
    let good = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    anybody.get("/events").expect_error(426, "UpgradeRequired");
    for (name, value, status, class) in [
        ("upgrade", "h2c", 426, "UpgradeRequired"),
        ("connection", "close", 426, "UpgradeRequired"),
        ("sec-websocket-version", "8", 426, "UpgradeRequired"),
        ("sec-websocket-version", "", 426, "UpgradeRequired"),
        ("sec-websocket-key", "", 400, "BadRequest"),
        ("sec-websocket-key", "short", 400, "BadRequest"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ", 400, "BadRequest"),
        (
            "sec-websocket-key",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            400,
            "BadRequest",
        ),
    ] {
        let mut request = format!(
            "GET /v1/events HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            server.address()
        );
        for (n, v) in good {
            request += &format!("{n}: {}\r\n", if n == name { value } else { v });
        }
        let answer = String::from_utf8(raw_request(server.address(), (request + "\r\n").as_bytes())).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name} {value}: {answer}"
        );
        assert!(answer.contains(class), "{answer}");
        if status == 426 {
            assert!(answer.to_lowercase().contains("upgrade: websocket"), "{answer}");
        }
    }
    // Another method, an older HTTP, and no upgrade at all.
    anybody
        .post("/events", &json!({}))
        .expect_error(405, "MethodNotAllowed");
    let mut old = format!("GET /v1/events HTTP/1.0\r\nhost: {}\r\n", server.address());
    for (n, v) in good {
        old += &format!("{n}: {v}\r\n");
    }
    let answer = String::from_utf8(raw_request(server.address(), (old + "\r\n").as_bytes())).unwrap();
    assert!(answer.contains(" 426 "), "{answer}");
    assert_eq!(metric(&server, "freshbase_live_connections"), 0.0);
    no_panics(&server);
}

#[test]
fn messages_that_make_no_sense_are_errors_and_the_others_go_on() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("good", json!({}));
    let deep = |open: &str, close: &str| open.repeat(10_000) + &close.repeat(10_000);
    for text in [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        "\"subscribe\"".into(),
        "{".into(),
        "{}".into(),
        "{\"type\":\"subscribe\"}".into(),
        "{\"type\":\"subscribe\",\"id\":1}".into(),
        "{\"type\":\"subscribe\",\"id\":\"\"}".into(),
        format!("{{\"type\":\"subscribe\",\"id\":\"{}\"}}", "x".repeat(300)),
        "{\"id\":\"\\ud800\"}".into(),
        "NaN".into(),
        deep("[", "]"),
        format!("{{\"id\":{}}}", deep("{\"a\":", "}").replace("{\"a\":}", "{}")),
    ] {
        socket.wire.send(Message::text(text.clone())).unwrap();
        let message = socket.next();
        assert_eq!((&message["type"], message.get("id")), (&json!("error"), None), "{text}");
        check_error(&message["error"]);
    }
    put(&admin, "1", json!({}));
    assert_eq!(socket.events(&admin), ["add/insert /1"]);
    no_panics(&server);
}

#[test]
fn s44_too_large_too_odd_and_too_many_end_the_socket_with_a_code_that_says_so() {
    let (server, admin, _) = docs();
    let mut good = Socket::open(&server);
    good.results("good", json!({}));

    let mut socket = Socket::open(&server);
    let large = json!({ "type": "subscribe", "id": "x", "bucket": "Doc", "query": { "s": "x".repeat(64 << 10) } });
    socket.send(&large);
    assert_eq!(socket.end(), Some(1009));
    let mut socket = Socket::open(&server);
    let fits = json!({ "type": "subscribe", "id": "x", "bucket": "Doc", "query": { "s": "x".repeat(60 << 10) } });
    socket.send(&fits);
    socket.next();

    let mut socket = Socket::open(&server);
    socket.wire.send(Message::binary(b"{}".to_vec())).unwrap();
    assert_eq!(socket.end(), Some(1003));

    let mut socket = Socket::open(&server);
    for _ in 0..100 {
        socket.wire.send(Message::text("?")).unwrap();
    }
    assert_eq!(socket.end(), Some(1008));

    // Half a frame, and no frame at all.
    for bytes in [
        &b"\x81\xfe\x10\x00"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x81\x05hello",
    ] {
        let mut socket = Socket::open(&server);
        std::io::Write::write_all(socket.wire.get_mut(), bytes).unwrap();
        socket.wire.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        socket.end();
    }
    put(&admin, "1", json!({}));
    assert_eq!(good.events(&admin), ["add/insert /1"]);
    no_panics(&server);
}

/// Something else in every place of a subscription: an answer each time, and none of them the server's fault.
#[test]
fn s16_type_confusion_everywhere_is_answered() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5e300),
        json!(u64::MAX),
        json!(""),
        json!("null"),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "$gt": {} }),
        json!({ "__proto__": null }),
        json!("{\"$or\":[]}"),
        json!("{\"n\":{\"$in\":[{}]}}"),
        json!(["all", "any", "none", 1]),
    ];
    let members = [
        "bucket",
        "query",
        "sort",
        "limit",
        "offset",
        "initial",
        "matchTypes",
        "operations",
        "token",
    ];
    let mut n = 0;
    for member in members {
        for (i, value) in values.iter().enumerate() {
            for second in [None, Some(members[i % members.len()])] {
                let id = format!("s{n}");
                n += 1;
                let mut more = json!({ member: value });
                if let Some(second) = second {
                    more[second] = values[(i * 7 + n) % values.len()].clone();
                }
                socket.subscribe(&id, more.clone());
                let message = socket.next();
                assert_eq!(message["id"], json!(id), "{more}: {message}");
                match message["type"].as_str().unwrap() {
                    "error" => check_error(&message["error"]),
                    "result" | "subscribed" => {
                        socket.send(&json!({ "type": "unsubscribe", "id": id, "token": value }));
                    }
                    other => panic!("{other}"),
                }
                // Too many mistakes in a row would end it.
                if n % 50 == 0 {
                    socket.results("good", json!({}));
                    put(&admin, "1", Value::Object(serde_json::Map::new()));
                    assert_eq!(socket.told(&admin).len(), 1);
                    socket.send(&json!({ "type": "unsubscribe", "id": "good" }));
                }
            }
        }
    }
    no_panics(&server);
}
