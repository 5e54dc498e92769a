//! A small server between command and server, which answers some requests itself and hands on the others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use fb_testkit::{Client, Server};

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below `/v1`, with the query.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// What is done with one.
pub(crate) enum Does {
    /// The server is asked.
    HandsOn,
    /// Status, media type, body.
    Answers(u16, &'static str, String),
    /// The connection ends without an answer.
    HangsUp,
}

/// The server in between.
pub(crate) struct Between {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Between {
    pub(crate) fn new(server: Option<&Server>, does: impl FnMut(&Asked) -> Does + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let to = server.map(|server| server.address().to_owned());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (does, all) = (Arc::new(Mutex::new(does)), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (does, all, to) = (does.clone(), all.clone(), to.clone());
                std::thread::spawn(move || serve(stream, to.as_deref(), &does, &all));
            }
        });
        Self { url, asked }
    }

    /// `PUT /file/www/a` and so on, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request per connection.
fn serve(
    stream: TcpStream,
    to: Option<&str>,
    does: &Mutex<impl FnMut(&Asked) -> Does>,
    all: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut parts = line.split_whitespace();
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, n)| n.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked {
        path: path.strip_prefix("/v1").unwrap_or(&path).to_owned(),
        method,
        body,
    };
    all.lock().unwrap().push(format!("{} {}", asked.method, asked.path));
    let what = (does.lock().unwrap())(&asked);
    let (status, headers, body) = match what {
        Does::HangsUp => return None,
        Does::Answers(status, media_type, body) => (
            status,
            vec![("content-type".to_owned(), media_type.to_owned())],
            body.into_bytes(),
        ),
        Does::HandsOn => {
            let kept: Vec<(&str, &str)> = headers
                .iter()
                .filter(|(name, _)| matches!(name.as_str(), "authorization" | "content-type"))
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let answer = Client::new(to?, "/v1").request(&asked.method, &asked.path, &kept, &asked.body);
            (answer.status, answer.headers, answer.body)
        }
    };
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    for (name, value) in headers {
        if !matches!(name.as_str(), "content-length" | "connection" | "transfer-encoding") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    // An answer to HEAD has none.
    let length = if asked.method == "HEAD" { 0 } else { body.len() };
    head.push_str(&format!("content-length: {length}\r\n\r\n"));
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body[..length]).ok()
}
