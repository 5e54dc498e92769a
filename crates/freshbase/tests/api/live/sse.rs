//! The same messages as server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use fb_testkit::{Client, Server, encode, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{PATIENCE, docs, docs_of, keys, metric, no_panics, put, put_all, short};
use crate::server;

/// An answer that does not end.
struct Stream {
    lines: BufReader<TcpStream>,
    head: String,
    /// The id of the last event.
    last: Option<String>,
}

impl Stream {
    fn open(server: &Server, client: &Client, path: &str) -> Self {
        Self::open_after(server, client, path, None)
    }

    /// As browsers do when a stream has ended.
    fn open_after(server: &Server, client: &Client, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut headers = vec![("accept", "text/event-stream"), ("accept-encoding", "gzip, br, zstd")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        stream
            .write_all(client.head("GET", path, &headers, 0).as_bytes())
            .unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self {
            lines,
            head: head.to_ascii_lowercase(),
            last: None,
        }
    }

    /// The next line, without what HTTP puts in between.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(n) if n > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
            _ => None,
        }
    }

    /// The next event: its name and its data. `None` at the end.
    fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let line = self.line()?;
            if let Some(id) = line.strip_prefix("id: ") {
                self.last = Some(id.to_owned());
            }
            let Some(name) = line.strip_prefix("event: ") else {
                continue;
            };
            let data = self.line()?;
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name, "{data}");
            assert_eq!(self.line().as_deref(), Some(""));
            return Some((name.to_owned(), data));
        }
    }

    fn result(&mut self) -> Vec<Value> {
        let (name, message) = self.next().unwrap();
        assert_eq!(name, "result");
        message["data"].as_array().unwrap().clone()
    }

    fn event(&mut self) -> String {
        short(&self.next().unwrap().1)
    }
}

/// A token for one path, as clients derive it from theirs.
fn resource_token(token: &str, path: &str) -> String {
    let (data, key) = token.split_at(token.len() - 40);
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(path.as_bytes());
    mac.update(data.as_bytes());
    let hash = mac.finalize().into_bytes();
    data.to_owned() + &hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
}

#[test]
fn a_stream_has_the_result_and_then_the_events() {
    let (server, admin, anybody) = docs();
    put_all(&admin, &[30, 20, 10, 5]);
    let query = encode("{\"n\":{\"$gt\":5}}");
    let sort = encode("{\"n\":1}");
    let mut stream = Stream::open(
        &server,
        &anybody,
        &format!("/events/Doc?q={query}&sort={sort}&start=1&count=1"),
    );
    assert!(stream.head.starts_with("http/1.1 200 "), "{}", stream.head);
    assert!(
        stream.head.contains("content-type: text/event-stream"),
        "{}",
        stream.head
    );
    assert!(stream.head.contains("cache-control: no-store"), "{}", stream.head);
    assert!(!stream.head.contains("content-encoding"), "{}", stream.head);
    assert_eq!(keys(&stream.result()), ["2"]);
    put(&admin, "new", json!({ "n": 7 }));
    assert_eq!(stream.event(), "remove/none /2");
    assert_eq!(stream.event(), "add/none 0 /3");
    put(&admin, "3", json!({ "n": 11, "s": "line\nbreak\r\nand \u{2028}" }));
    assert_eq!(stream.next().unwrap().1["data"]["s"], "line\nbreak\r\nand \u{2028}");
    assert_eq!(metric(&server, "freshbase_live_connections"), 1.0);
    drop(stream);
    // The server notices when it has something to say.
    wait_for("the stream to be forgotten", || {
        put(&admin, "3", json!({ "n": 11 }));
        (metric(&server, "freshbase_live_connections") == 0.0).then_some(())
    });
    assert_eq!(metric(&server, "freshbase_live_parked"), 1.0);
}

#[test]
fn a_stream_that_broke_goes_on_behind_the_last_event_id() {
    let (server, admin, anybody) = docs();
    let path = "/events/Doc?sort=%7B%22n%22%3A1%7D";
    let mut stream = Stream::open(&server, &anybody, path);
    stream.result();
    put(&admin, "1", json!({ "n": 1 }));
    assert_eq!(stream.event(), "add/insert 0 /1");
    let last = stream.last.clone().unwrap();
    drop(stream);
    put(&admin, "2", json!({ "n": 2 }));
    let mut by_header = Stream::open_after(&server, &anybody, path, Some(&last));
    let (name, message) = by_header.next().unwrap();
    assert_eq!((name.as_str(), &message["resumed"]), ("subscribed", &json!(true)));
    assert_eq!(by_header.event(), "add/insert 1 /2");
    let mut by_url = Stream::open(&server, &anybody, &format!("{path}&resume={last}"));
    assert_eq!(by_url.next().unwrap().1["resumed"], true);
    assert_eq!(by_url.event(), "add/insert 1 /2");
    assert_eq!(by_header.next().unwrap().1["error"]["status"], 409);
    assert_eq!(by_header.next(), None);
    let mut other = Stream::open_after(&server, &anybody, "/events/Doc", Some(&last));
    let (name, message) = other.next().unwrap();
    assert_eq!((name.as_str(), &message["resumed"]), ("result", &json!(false)));
}

#[test]
fn events_can_be_chosen_and_the_result_left_out() {
    let (server, admin, anybody) = docs();
    let path = "/events/Doc?initial=false&matchTypes=add,remove&operations=insert,delete";
    let mut stream = Stream::open(&server, &anybody, path);
    assert_eq!(stream.next().unwrap().0, "subscribed");
    put(&admin, "1", json!({ "n": 1 }));
    put(&admin, "1", json!({ "n": 2 }));
    super::delete(&admin, "1");
    assert_eq!(stream.event(), "add/insert /1");
    assert_eq!(stream.event(), "remove/delete /1");
}

#[test]
fn what_is_refused_is_an_answer_of_http() {
    let (server, _admin, anybody) = docs();
    let bad_sort = format!("/events/Doc?sort={}", encode("{\"n\":3}"));
    let deep = format!("/events/Doc?sort={}&start=500&count=1", encode("{\"n\":1}"));
    for (path, status, class) in [
        ("/events/Nothing", 461, "BucketNotFound"),
        ("/events/Doc?q=%7B", 471, "SyntaxError"),
        (bad_sort.as_str(), 400, "BadRequest"),
        (deep.as_str(), 468, "QueryNotSupported"),
        ("/events/Doc?matchTypes=everything", 400, "BadRequest"),
        ("/events/Doc?operations=x", 400, "BadRequest"),
        ("/events/Doc?BAT=nonsense", 460, "BadCredentials"),
        ("/events/%ff", 400, "BadRequest"),
    ] {
        anybody.get(path).expect_error(status, class);
    }
    anybody
        .clone()
        .with_token("nonsense")
        .get("/events/Doc")
        .expect_error(460, "BadCredentials");
    let answer = anybody.request("HEAD", "/events/Doc", &[], b"");
    assert_eq!(answer.status, 200);
    wait_for("the stream that nobody reads to end", || {
        (metric(&server, "freshbase_live_connections") == 0.0).then_some(())
    });
    no_panics(&server);
}

#[test]
fn s06_rights_are_those_of_the_caller_by_header_or_by_resource_token() {
    let (server, admin, anybody) = docs();
    let (ann, id) = server.client().register("ann");
    let acl = json!({ "read": { &id: "allow" } });
    put(&admin, "1", json!({ "acl": acl }));
    put(&admin, "2", json!({}));
    let token = ann.token().unwrap();
    let resource = resource_token(token, "/v1/events/Doc");
    let by_url = format!("/events/Doc?BAT={resource}");
    let mut hers = [
        Stream::open(&server, &ann, "/events/Doc"),
        Stream::open(&server, &anybody, &by_url),
    ];
    let mut others = Stream::open(&server, &anybody, "/events/Doc");
    assert_eq!(others.result().len(), 1);
    for stream in &mut hers {
        assert_eq!(stream.result().len(), 2);
    }
    // It is for that path alone.
    let elsewhere = format!("/events/Mark?BAT={resource}");
    anybody.get(&elsewhere).expect_error(460, "BadCredentials");
    put(&admin, "2", json!({ "n": 1, "acl": acl }));
    assert_eq!(others.next().unwrap().1["data"], json!({ "id": "/db/Doc/2" }));
    for stream in &mut hers {
        assert_eq!(stream.event(), "change/update /2");
    }
    // Revoked: the last word is an error, and coming back is refused.
    let key = id.rsplit_once('/').unwrap().1;
    admin.delete(&format!("/db/User/{key}/token")).expect(204);
    for stream in &mut hers {
        let (name, message) = stream.next().unwrap();
        assert_eq!((name.as_str(), &message["error"]["status"]), ("error", &json!(460)));
        assert_eq!(stream.next(), None);
    }
    anybody.get(&by_url).expect_error(460, "BadCredentials");
}

#[test]
fn streams_end_with_the_server_and_with_the_schema_and_are_kept_alive_in_between() {
    let (mut server, admin, anybody) = docs_of(&server().arg("--live-ping").arg("50ms"));
    let mut stream = Stream::open(&server, &anybody, "/events/Doc");
    stream.result();
    let mut lines = std::iter::from_fn(|| stream.line());
    assert!(lines.by_ref().filter(|line| line == ": ping").nth(2).is_some());
    admin
        .post(
            "/schema/Doc",
            &json!({ "fields": { "more": { "type": "/db/String" } } }),
        )
        .expect(200);
    assert_eq!(stream.next(), None);
    let mut stream = Stream::open(&server, &anybody, "/events/Doc");
    stream.result();
    server.signal("TERM");
    assert_eq!(stream.next(), None);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.log().contains("cut off"), "{}", server.log());
}

#[test]
fn where_the_socket_is() {
    let (server, _admin, anybody) = docs();
    let urls = anybody.get("/events-url").expect(200).json();
    let socket = format!("//{}/v1/events", server.address());
    assert_eq!(urls, json!({ "url": format!("ws:{socket}"), "websocket": socket }));
    let urls = server.app("main").get("/events-url").expect(200).json();
    assert_eq!(urls["url"], format!("ws://{}/apps/main/v1/events", server.address()));
}
