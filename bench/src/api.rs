//! Single blocking calls to a server, for setting up and verifying; not for measuring.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::http::{self, RequestHeaders};

const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
pub(crate) struct Reply {
    /// Status code.
    pub(crate) status: u16,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Reply {
    /// Whether the status is 200 … 299.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.head, name)
    }

    /// The body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("reading the answer as JSON")
    }
}

/// Calls to one server, each on a connection of its own.
pub(crate) struct Api {
    address: SocketAddr,
    headers: RequestHeaders,
}

impl Api {
    /// Anonymous calls.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            headers: RequestHeaders::new(&address.to_string(), None),
        }
    }

    /// Calls as the user whose token this is.
    pub(crate) fn with_token(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            headers: RequestHeaders::new(&address.to_string(), Some(token)),
        }
    }

    /// GET; an error unless the status is 200 … 299.
    pub(crate) fn get(&self, path: &str) -> Result<Reply> {
        let mut request = Vec::new();
        self.headers.write_get(&mut request, path);
        self.exchange(&request).with_context(|| format!("GET {path}"))
    }

    /// GET with further header lines, each ending in CRLF; whatever the status.
    pub(crate) fn get_with(&self, path: &str, extra: &str) -> Result<Reply> {
        let mut request = Vec::new();
        self.headers.write_get_with(&mut request, path, extra);
        let mut line = Line::open(self.address)?;
        line.exchange(&request).with_context(|| format!("GET {path}"))
    }

    /// POST; an error unless the status is 200 … 299.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        let mut request = Vec::new();
        self.headers
            .write_json(&mut request, "POST", path, "", body.to_string().as_bytes());
        self.exchange(&request).with_context(|| format!("POST {path}"))
    }

    /// POST, whatever the status.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Reply> {
        let mut request = Vec::new();
        self.headers
            .write_json(&mut request, "POST", path, "", body.to_string().as_bytes());
        let mut line = Line::open(self.address)?;
        line.exchange(&request).with_context(|| format!("POST {path}"))
    }

    /// PUT of a text; an error unless the status is 200 … 299.
    pub(crate) fn put_text(&self, path: &str, text: &str) -> Result<Reply> {
        let mut request = Vec::new();
        self.headers.write_json(&mut request, "PUT", path, "", text.as_bytes());
        self.exchange(&request).with_context(|| format!("PUT {path}"))
    }

    fn exchange(&self, request: &[u8]) -> Result<Reply> {
        let reply = Line::open(self.address)?.exchange(request)?;
        ensure!(
            reply.is_success(),
            "status {}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        );
        Ok(reply)
    }
}

/// A keep-alive connection on which one request waits for its answer before the next.
pub(crate) struct Line {
    stream: TcpStream,
}

impl Line {
    /// Connects to a server.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connecting")?;
        stream.set_read_timeout(Some(TIMEOUT)).context("setting a time limit")?;
        stream.set_nodelay(true).context("switching Nagle's algorithm off")?;
        Ok(Self { stream })
    }

    /// Sends a complete request and waits for its answer, whatever the status.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        self.stream.write_all(request).context("sending the request")?;
        let mut buffer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        let answer = loop {
            let count = self.stream.read(&mut chunk).context("receiving the answer")?;
            ensure!(
                count > 0,
                "the server closed the connection before its answer was complete"
            );
            buffer.extend_from_slice(&chunk[..count]);
            if let Some(answer) = http::parse_answer(&buffer)? {
                break answer;
            }
        };
        let body = http::decode_body(&buffer, answer)?;
        buffer.truncate(answer.head_len);
        Ok(Reply {
            status: answer.status,
            head: buffer,
            body,
        })
    }
}
