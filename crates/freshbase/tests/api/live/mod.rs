//! Live queries over real sockets. Protocol 08.

mod at_once;
mod endings;
mod events;
mod hostile;
mod limits;
mod order;
mod resume;
mod rights;
mod sse;
mod wishes;

use std::net::TcpStream;
use std::time::Duration;

use fb_testkit::{Client, Server, ServerBuilder, class, with_callers};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::server;

/// A socket that says nothing for so long is a failed test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open server with the classes `Doc` and `Mark`, its administrator, and somebody who is not logged in.
fn docs() -> (Server, Client, Client) {
    docs_of(&server())
}

fn docs_of(builder: &ServerBuilder) -> (Server, Client, Client) {
    let (server, admin, anybody) = with_callers(builder.clone().baqend().start());
    class(
        &admin,
        "Doc",
        &[
            ("n", "Integer"),
            ("s", "String"),
            ("tags", "collection.List[/db/String]"),
        ],
    );
    class(&admin, "Mark", &[("whose", "Integer")]);
    (server, admin, anybody)
}

fn put(client: &Client, key: &str, mut object: Value) {
    object["id"] = json!(format!("/db/Doc/{key}"));
    let answer = client.put(&format!("/db/Doc/{key}"), &object);
    assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
}

/// Puts `1`, `2`, … with `n` as given.
fn put_all(client: &Client, numbers: &[i64]) {
    for (i, n) in numbers.iter().enumerate() {
        put(client, &(i + 1).to_string(), json!({ "n": n }));
    }
}

fn delete(client: &Client, key: &str) {
    client.delete(&format!("/db/Doc/{key}")).expect(204);
}

/// A client's socket.
struct Socket {
    wire: WebSocket<TcpStream>,
    has_mark: bool,
}

impl Socket {
    fn open(server: &Server) -> Self {
        Self::try_open(server).expect("a WebSocket")
    }

    /// `Err` is the status of the answer.
    fn try_open(server: &Server) -> Result<Self, u16> {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{}/v1/events", server.address());
        match tungstenite::client(url, stream) {
            Ok((wire, _)) => Ok(Self { wire, has_mark: false }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn send(&mut self, message: &Value) {
        self.wire.send(Message::text(message.to_string())).unwrap();
    }

    /// Subscribes like the published client does; `more` replaces members.
    fn subscribe(&mut self, id: &str, more: Value) {
        let mut message = json!({
            "type": "subscribe", "id": id, "bucket": "Doc", "query": "{}", "initial": true,
            "matchTypes": ["all"], "operations": ["any"], "reconnects": -1,
        });
        for (name, value) in more.as_object().unwrap() {
            message[name] = value.clone();
        }
        self.send(&message);
    }

    /// Subscribes, and gives the objects of the first result.
    fn results(&mut self, id: &str, more: Value) -> Vec<Value> {
        self.subscribe(id, more);
        let message = self.next();
        assert_eq!(
            (&message["id"], &message["type"]),
            (&json!(id), &json!("result")),
            "{message}"
        );
        message["data"].as_array().unwrap().clone()
    }

    /// Subscribes to what is refused, and gives the error.
    fn refusal(&mut self, id: &str, more: Value) -> Value {
        self.subscribe(id, more);
        self.error(id)
    }

    fn error(&mut self, id: &str) -> Value {
        let message = self.next();
        assert_eq!(
            (&message["id"], &message["type"]),
            (&json!(id), &json!("error")),
            "{message}"
        );
        check_error(&message["error"]);
        message["error"].clone()
    }

    /// The next message.
    fn next(&mut self) -> Value {
        loop {
            match self.wire.read().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    let date = message["date"].as_str().unwrap();
                    assert!(date.len() >= 20 && date.contains('T') && date.ends_with('Z'), "{date}");
                    return message;
                }
                Message::Ping(_) => {}
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    /// Reads to the end, and gives its code.
    fn end(&mut self) -> Option<u16> {
        loop {
            match self.wire.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Everything that was told about what was written up to now: a write of another class comes behind it.
    fn told(&mut self, writer: &Client) -> Vec<Value> {
        let mut told = Vec::new();
        let mark = json!({ "whose": self.wire.get_ref().local_addr().unwrap().port() });
        if !self.has_mark {
            self.has_mark = true;
            self.subscribe("mark", json!({ "bucket": "Mark", "query": mark, "initial": false }));
            told.extend(std::iter::from_fn(|| {
                Some(self.next()).filter(|message| message["id"] != "mark")
            }));
        }
        writer.post("/db/Mark", &mark).expect(201);
        told.extend(std::iter::from_fn(|| {
            Some(self.next()).filter(|message| message["id"] != "mark")
        }));
        told
    }

    /// The same in short: kind, operation, index and key.
    fn events(&mut self, writer: &Client) -> Vec<String> {
        self.told(writer).iter().map(short).collect()
    }
}

/// `add/insert 2 /7`: kind, operation, index if there is one, key.
fn short(message: &Value) -> String {
    assert_eq!(message["type"], "match", "{message}");
    let index = message
        .get("index")
        .map(|index| format!(" {index}"))
        .unwrap_or_default();
    let kind = message["matchType"].as_str().unwrap();
    let operation = message["operation"].as_str().unwrap();
    let id = message["data"]["id"].as_str().unwrap();
    format!("{kind}/{operation}{index} {}", id.strip_prefix("/db/Doc").unwrap())
}

fn keys(objects: &[Value]) -> Vec<&str> {
    objects
        .iter()
        .map(|object| object["id"].as_str().unwrap().rsplit_once('/').unwrap().1)
        .collect()
}

/// An error says what is wrong, and nothing that is the server's own.
fn check_error(error: &Value) {
    let members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["status", "reason", "message"]);
    assert!(
        error["status"]
            .as_u64()
            .is_some_and(|status| (400..500).contains(&status)),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().len() > 5, "{error}");
}

/// No handler has panicked.
fn no_panics(server: &Server) {
    assert_eq!(metric(server, "freshbase_panics_total"), 0.0);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// The sum of all lines of a metric.
fn metric(server: &Server, name: &str) -> f64 {
    let answer = Client::new(server.address(), "").get("/metrics").expect(200);
    let text = String::from_utf8(answer.body).unwrap();
    text.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}
