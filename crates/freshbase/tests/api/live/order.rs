//! Events come behind the answers of the requests that caused them. Protocol 08, section 3.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use fb_testkit::Server;
use serde_json::{Value, json};

use super::{Socket, docs};

/// A connection of which one can see what has arrived.
struct Http {
    stream: TcpStream,
    head: String,
}

impl Http {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            head: format!("host: {}\r\ncontent-type: application/json\r\n", server.address()),
        }
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} /v1{path} HTTP/1.1\r\n{}content-length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// What the system has already, without waiting.
    fn arrived(&mut self) -> String {
        self.stream.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut piece = [0; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(n @ 1..) => all.extend_from_slice(&piece[..n]),
                Ok(_) => panic!("the connection has ended"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.stream.set_nonblocking(false).unwrap();
        String::from_utf8(all).unwrap()
    }
}

#[test]
fn when_an_event_is_there_the_answer_of_its_write_has_been_there_already() {
    let (server, _admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("w", json!({}));
    let mut http = Http::open(&server);
    for round in 0..300 {
        let id = format!("/db/Doc/{round}");
        let long = "x".repeat(round * 50);
        for (method, path, body, status) in [
            ("POST", "/db/Doc", json!({ "id": id, "n": round, "s": long }), "201"),
            ("PUT", &id, json!({ "id": id, "n": round + 1, "s": long }), "200"),
            ("POST", &id, json!({ "$inc": { "n": 1 } }), "200"),
            ("DELETE", &id, Value::Null, "204"),
        ] {
            http.send(method, path, &body);
            let event = socket.next();
            let answer = http.arrived();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{round} {method}: {answer:?}"
            );
            if status != "204" {
                assert!(answer.ends_with('}'), "{round} {method}: {answer:?}");
            }
            assert_eq!(event["data"]["id"], id);
        }
    }
}

/// The worst case: a long answer, and an event that says no more than that an object has gone out of sight.
#[test]
fn short_events_do_not_overtake_long_answers() {
    let (server, admin, _) = docs();
    let mut sockets: Vec<Socket> = (0..4).map(|_| Socket::open(&server)).collect();
    for socket in &mut sockets {
        socket.results("w", json!({ "matchTypes": ["remove"] }));
    }
    let mut http = Http::open(&server);
    http.head += &format!("authorization: BAT {}\r\n", admin.token().unwrap());
    let s = "x".repeat(45_000);
    for round in 0..400 {
        super::put(&admin, "1", json!({ "n": round, "acl": null }));
        let hidden = json!({ "n": round, "s": s, "acl": { "read": { "/db/User/nobody": "allow" } } });
        http.send("PUT", "/db/Doc/1", &hidden);
        let event = sockets[round % 4].next();
        let answer = http.arrived();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{round}: {answer:?}");
        assert!(
            answer.ends_with('}') && answer.len() > s.len(),
            "{round}: {}",
            answer.len()
        );
        assert_eq!(event["data"], json!({ "id": "/db/Doc/1" }));
        for socket in sockets.iter_mut().skip(round % 4 + 1) {
            socket.next();
        }
        for socket in sockets.iter_mut().take(round % 4) {
            socket.next();
        }
    }
}

/// The socket is not there before the first write begins.
#[test]
fn also_for_those_who_subscribe_while_it_is_written() {
    let (server, _admin, _) = docs();
    for round in 0..40 {
        let mut socket = Socket::open(&server);
        let mut http = Http::open(&server);
        let id = format!("/db/Doc/{round}");
        socket.subscribe(
            "w",
            json!({ "query": json!({ "id": id }).to_string(), "initial": round % 2 == 0 }),
        );
        http.send("POST", "/db/Doc", &json!({ "id": id }));
        let first = socket.next();
        if first["data"].as_array().is_some_and(|result| !result.is_empty()) {
            // It was there already.
            continue;
        }
        assert_ne!(first["type"], "error", "{first}");
        if first["type"] == "subscribed" {
            // Whether there is an event depends on which was first; another write shows.
            http.stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
            let mut byte = [0; 1];
            http.stream.peek(&mut byte).unwrap();
            http.arrived();
            continue;
        }
        socket.next();
        let answer = http.arrived();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{round}: {answer:?}");
    }
}

/// A subscriber's events are in the order of the writes, whoever wrote them, and none is missing.
#[test]
fn events_are_in_the_order_of_the_writes() {
    const WRITERS: usize = 6;
    const EACH: usize = 50;
    let (server, admin, anybody) = docs();
    let mut socket = Socket::open(&server);
    super::put(&admin, "counter", json!({ "n": 0 }));
    socket.results("w", json!({ "query": "{\"n\":{\"$gte\":0}}" }));
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    anybody
                        .post("/db/Doc/counter", &json!({ "$inc": { "n": 1 } }))
                        .expect(200);
                }
            });
        }
    });
    let told = socket.told(&admin);
    let versions: Vec<u64> = told.iter().map(|m| m["data"]["version"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (2..=1 + (WRITERS * EACH) as u64).collect();
    assert_eq!(versions, expected);
}

/// What takes long before it commits: a password that is hashed with much effort, and code.
#[test]
fn also_when_a_request_takes_its_time_before_it_writes() {
    let (server, admin, _) = super::docs_of(&crate::server().arg("--hash-passes").arg("30"));
    let code = "exports.get = async function(db, req, res) {\n  \
        const end = Date.now() + 150;\n  while (Date.now() < end) await new Promise((next) => setTimeout(next, 10));\n  \
        await new db.Doc({ n: 1 }).save();\n  res.send({});\n};";
    let headers = [("content-type", "text/plain;charset=utf-8")];
    admin
        .request("PUT", "/code/slow/module", &headers, code.as_bytes())
        .expect(200);
    let mut socket = Socket::open(&server);
    socket.results("users", json!({ "bucket": "User", "token": admin.token() }));
    socket.results("docs", json!({}));
    for round in 0..8 {
        let mut http = Http::open(&server);
        if round % 2 == 0 {
            let user = json!({ "user": { "username": format!("u{round}") }, "password": "secret" });
            http.send("POST", "/db/User/register", &user);
        } else {
            http.send("GET", "/code/slow", &Value::Null);
        }
        let event = socket.next();
        let answer = http.arrived();
        assert!(answer.starts_with("HTTP/1.1 20"), "{round}: {answer:?} {event}");
    }
}
