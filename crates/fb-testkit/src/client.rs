//! A small HTTP client: one request per connection, every byte under the test's control.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A server that says nothing for so long is a failed test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {} {text}", self.status))
    }

    /// Fails unless the status is this one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Fails unless the answer is an error of this status with a body that programs can read and people understand.
    pub fn expect_error(&self, status: u16, class_name: &str) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        assert_eq!(body["className"], class_name, "{body}");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(message.len() > 3 && body["requestId"].is_string(), "{body}");
        message.to_owned()
    }
}

/// A client of one app's API, with or without a token.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    base: String,
    token: Option<String>,
}

impl Client {
    /// An anonymous client of the API at `base` (`/v1`).
    pub fn new(address: &str, base: &str) -> Self {
        Self {
            address: address.into(),
            base: base.into(),
            token: None,
        }
    }

    /// The same client, logged in.
    pub fn login(mut self, username: &str, password: &str) -> Self {
        let body = serde_json::json!({ "username": username, "password": password });
        let answer = self.post("/db/User/login", &body).expect(200);
        self.token = answer.header("baqend-authorization-token").map(str::to_owned);
        assert!(self.token.is_some(), "login gives a token");
        self
    }

    /// A new user, logged in; answers with the client and the user's id.
    pub fn register(mut self, username: &str) -> (Self, String) {
        let body = serde_json::json!({ "user": { "username": username }, "password": "a secret", "login": true });
        let answer = self.post("/db/User/register", &body).expect(200);
        self.token = answer.header("baqend-authorization-token").map(str::to_owned);
        let id = answer.json()["id"].as_str().expect("a user has an id").to_owned();
        (self, id)
    }

    /// The same client with this token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The same client, logged in no more.
    pub fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    /// `127.0.0.1:<port>` of its server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of its app's WebSocket.
    pub fn socket_url(&self) -> String {
        format!("ws://{}{}/events", self.address, self.base)
    }

    /// The token, if it has one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// GET
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// DELETE
    pub fn delete(&self, path: &str) -> Response {
        self.request("DELETE", path, &[], b"")
    }

    /// POST with a JSON body
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.request("POST", path, &[], body.to_string().as_bytes())
    }

    /// PUT with a JSON body
    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.request("PUT", path, &[], body.to_string().as_bytes())
    }

    /// Uploads a file, whatever is there: `path` is below `/file`, encoded.
    pub fn upload(&self, path: &str, media_type: &str, content: &[u8]) -> Response {
        let headers = [("content-type", media_type)];
        self.request("PUT", &format!("/file{path}"), &headers, content)
    }

    /// Headers of a GET without its body.
    pub fn head_of(&self, path: &str) -> Response {
        self.request("HEAD", path, &[], b"")
    }

    /// A query by GET; the objects found.
    pub fn query(&self, bucket: &str, filter: &Value) -> Vec<Value> {
        let path = format!("/db/{bucket}/query?q={}", encode(&filter.to_string()));
        match self.get(&path).expect(200).json() {
            Value::Array(objects) => objects,
            other => panic!("a query answers with an array, not {other}"),
        }
    }

    /// Any request. `path` is below the API's base and goes out as it is.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut head = format!("{method} {}{path} HTTP/1.1\r\nconnection: close\r\n", self.base);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("host: {}\r\n", self.address);
        }
        if let Some(token) = &self.token {
            head += &format!("authorization: BAT {token}\r\n");
        }
        if !body.is_empty() {
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                head += "content-type: application/json\r\n";
            }
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut request = head.into_bytes();
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        let answer = raw_request(&self.address, &request);
        parse(&answer, method == "HEAD").unwrap_or_else(|| {
            panic!(
                "no HTTP answer to {method} {path}: {:?}",
                String::from_utf8_lossy(&answer)
            )
        })
    }

    /// The head of a JSON request that leaves the connection open, up to the empty line.
    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], body_bytes: usize) -> String {
        let mut head = format!("{method} {}{path} HTTP/1.1\r\nhost: {}\r\n", self.base, self.address);
        if let Some(token) = &self.token {
            head += &format!("authorization: BAT {token}\r\n");
        }
        if body_bytes > 0 {
            head += &format!("content-type: application/json\r\ncontent-length: {body_bytes}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// Like [`Self::request`], but a connection that breaks gives `None`: for tests that kill the server.
    pub fn try_request(&self, method: &str, path: &str, body: &Value) -> Option<Response> {
        let body = body.to_string();
        let mut head = format!(
            "{method} {}{path} HTTP/1.1\r\nconnection: close\r\nhost: {}\r\n",
            self.base, self.address
        );
        if let Some(token) = &self.token {
            head += &format!("authorization: BAT {token}\r\n");
        }
        head += &format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        parse(&answer, false)
    }
}

/// A connection that is kept open between requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has arrived behind the last answer.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; `None` if nobody listens.
    pub fn open(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends bytes as they are. False if the connection is broken.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next answer, which needs a length; `None` if the connection ends before it is complete.
    pub fn receive(&mut self) -> Option<Response> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.map_or(0, |l| l.trim().parse().unwrap_or(0));
                if let Some(answer) = self.buffer.get(..end + 4 + length) {
                    let answer = parse(answer, false);
                    self.buffer.drain(..end + 4 + length);
                    return answer;
                }
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(n @ 1..) => self.buffer.extend_from_slice(&piece[..n]),
                _ => return None,
            }
        }
    }

    /// A JSON request as `client` would send it, and its answer; `None` if the connection breaks.
    pub fn request(
        &mut self,
        client: &Client,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Response> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = client.head(method, path, headers, body.len());
        if !self.send((head + &body).as_bytes()) {
            return None;
        }
        self.receive()
    }
}

/// Sends these bytes over a fresh connection and reads until the server closes it. A reset ends the answer as well; of a stream of
/// events, which has no end, the first event does.
pub fn raw_request(address: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..n]);
        if answer.ends_with(b"\n\n\r\n") && is_stream(&answer) && has(&answer, b"\ndata: ") {
            break;
        }
    }
    answer
}

/// True if the answer is a stream of events.
fn is_stream(answer: &[u8]) -> bool {
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    head.contains("content-type: text/event-stream")
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

/// Percent-encodes a text for a URL.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// Takes a whole answer apart; `None` if it is not complete.
pub(crate) fn parse(answer: &[u8], is_head: bool) -> Option<Response> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let rest = &answer[end + 4..];
    let body = if is_head || status == 204 || status == 304 {
        Vec::new()
    } else if header("transfer-encoding") == Some("chunked") {
        dechunk(rest, is_stream(answer))?
    } else {
        let length: usize = header("content-length")
            .and_then(|l| l.parse().ok())
            .unwrap_or(rest.len());
        rest.get(..length)?.to_vec()
    };
    Some(Response { status, headers, body })
}

/// What may be cut off has the pieces that arrived.
fn dechunk(mut rest: &[u8], may_be_cut_off: bool) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        if may_be_cut_off && rest.is_empty() {
            return Some(body);
        }
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
