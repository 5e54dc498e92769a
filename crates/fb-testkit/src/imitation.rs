//! A server that answers as the test says, and remembers what it was asked: for services of others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// HTTP status; 0 cuts the connection off instead.
    pub status: u16,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A status, headers and a text.
    pub fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Self {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// The server. Its thread lives as long as the process.
pub struct Imitation {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Imitation {
    /// Starts it on a free port. Connections are kept; each has a thread.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer)
    }

    /// Starts it at an address.
    pub fn start_at(address: &str, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Handler>) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, asked }
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets that.
    pub fn forget(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &Handler) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        let asked = receive(&mut stream, &mut buffer)?;
        let Answer { status, headers, body } = answer(&asked);
        let is_head = asked.method == "HEAD";
        log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        if status == 0 {
            return None;
        }
        let mut head = format!("HTTP/1.1 {status} Imitated\r\n");
        for (name, value) in &headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut bytes = match status {
            204 | 304 => format!("{head}\r\n").into_bytes(),
            _ => format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes(),
        };
        if !is_head && !matches!(status, 204 | 304) {
            bytes.extend_from_slice(&body);
        }
        stream.write_all(&bytes).ok()?;
    }
}

/// The next request; `None` at the end of the connection.
fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
            let split = |line: &str| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            };
            let headers: Vec<_> = lines.filter_map(split).collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length = length.map_or(0, |(_, value)| value.parse().unwrap_or(0));
            if let Some(body) = buffer.get(end + 4..end + 4 + length) {
                let body = body.to_vec();
                buffer.drain(..end + 4 + length);
                return Some(Asked {
                    method,
                    path,
                    headers,
                    body,
                });
            }
        }
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece) {
            Ok(n @ 1..) => buffer.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    }
}
