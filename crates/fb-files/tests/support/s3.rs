//! An S3 server for the tests of this program: `moto`, which `scripts/s3-test-server` prepares.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use fb_files::{FileStore, S3Config};

pub const BUCKET: &str = "contents";

struct Server {
    port: u16,
    /// The server ends when this is closed, which is when the tests end.
    _until: ChildStdin,
}

/// The address of the server, which is started by whoever asks first.
pub fn endpoint() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    format!("http://127.0.0.1:{}", SERVER.get_or_init(start).port)
}

pub fn config() -> S3Config {
    let mut config = S3Config::new(BUCKET, "us-east-1", "key", "secret");
    config.endpoint = Some(endpoint());
    config.path_style = true;
    config.prefix = "some/files".to_owned();
    config
}

pub fn file_store() -> FileStore {
    FileStore::s3(config()).unwrap()
}

fn start() -> Server {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prepared = Command::new(here.join("../../scripts/s3-test-server"))
        .stderr(Stdio::inherit())
        .output();
    let prepared = prepared.expect("scripts/s3-test-server can be run");
    assert!(
        prepared.status.success(),
        "scripts/s3-test-server failed; it says above what is missing"
    );
    let python = String::from_utf8(prepared.stdout).unwrap();
    let mut child = Command::new(python.trim())
        .arg(here.join("tests/support/s3_server.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the S3 server can be started");
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let port = line.trim().parse().expect("the S3 server prints its port");
    let server = Server {
        port,
        _until: child.stdin.take().unwrap(),
    };
    // It needs neither a signature nor anything else.
    request(
        port,
        &format!("PUT /{BUCKET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    );
    server
}

/// Sends a request as it stands and reads the whole answer.
pub fn request(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
