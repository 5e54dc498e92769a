//! A real ACME server: Pebble, the one Let's Encrypt makes for tests, with a name server of our own beside it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use crate::tls::{Authority, HttpVersion, HttpsClient};
use crate::wait_for;

/// A port that is free now, outside of the range that the system gives away by itself: a server that is started later
/// finds it free as well.
pub fn free_port() -> u16 {
    loop {
        // Seeded by the system: tests run in many processes at once.
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + u16::try_from(random % 12_000).expect("it is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a Pebble is started with.
#[derive(Debug, Clone, Copy)]
pub struct Pebble {
    /// Where it listens.
    pub port: u16,
    /// Where it looks for answers to challenges over HTTP.
    pub http_port: u16,
    /// Where it looks for answers to challenges over TLS.
    pub tls_port: u16,
    /// How long its certificates are valid, in seconds.
    pub validity_seconds: u64,
}

/// A Pebble that runs. It is killed when dropped.
pub struct RunningPebble {
    child: Child,
    dir: tempfile::TempDir,
    authority: Authority,
    management: u16,
}

impl Default for Pebble {
    fn default() -> Self {
        Self {
            port: free_port(),
            http_port: free_port(),
            tls_port: free_port(),
            validity_seconds: 90 * 24 * 3600,
        }
    }
}

impl Pebble {
    /// Its directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// Starts it and waits until it answers. All names lead to 127.0.0.1, but for those below `nowhere.test`, which do not
    /// exist.
    pub fn start(&self) -> RunningPebble {
        let authority = Authority::default();
        let dir = tempfile::tempdir().expect("a temporary directory");
        authority.write(&["127.0.0.1"], dir.path());
        std::fs::write(dir.path().join("root.pem"), authority.root()).expect("it can be written");
        let management = free_port();
        let file = |name: &str| {
            dir.path()
                .join(name)
                .to_str()
                .expect("paths of tests are UTF-8")
                .to_owned()
        };
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": file("cert.pem"),
            "privateKey": file("key.pem"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "certificateValidityPeriod": self.validity_seconds,
        } });
        std::fs::write(dir.path().join("config.json"), config.to_string()).expect("it can be written");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new("pebble")
            .args(["-config", &file("config.json"), "-dnsserver", &name_server()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("pebble, the ACME server for tests, cannot be started ({error}): run scripts/install-test-tools")
        });
        let pebble = RunningPebble {
            child,
            dir,
            authority,
            management,
        };
        let client = HttpsClient::new(&format!("127.0.0.1:{}", self.port), &pebble.authority.root());
        wait_for("pebble to answer", || {
            client.get(HttpVersion::Http1, "127.0.0.1", "/dir").ok()
        });
        pebble
    }
}

impl RunningPebble {
    /// The file with the authority that its own HTTPS is trusted by.
    pub fn root_file(&self) -> String {
        let path = self.dir.path().join("root.pem");
        path.to_str().expect("paths of tests are UTF-8").to_owned()
    }

    /// The root of the certificates it issues, in PEM.
    pub fn issuing_root(&self) -> String {
        let client = HttpsClient::new(&format!("127.0.0.1:{}", self.management), &self.authority.root());
        let answer = client
            .get(HttpVersion::Http1, "127.0.0.1", "/roots/0")
            .expect("an answer");
        String::from_utf8(answer.expect(200).body).expect("PEM")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RunningPebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- log of pebble\n{}---", self.log());
        }
    }
}

/// A name server on a port of its own, for as long as the process lives. Its address.
fn name_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = name_answer(&buffer[..n]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// The answer to a query with one question (RFC 1035, section 4).
fn name_answer(query: &[u8]) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|&b| b == 0)?;
    let question = query.get(12..name_end + 5)?;
    let is_address = question[question.len() - 4..] == [0, 1, 0, 1];
    let is_nowhere = question.windows(8).any(|w| w.eq_ignore_ascii_case(b"\x07nowhere"));
    let n_answers = u8::from(is_address && !is_nowhere);
    let mut answer = query[..2].to_vec();
    // An answer with authority; 3: there is no such name.
    answer.extend([0x84, if is_nowhere { 3 } else { 0 }, 0, 1, 0, n_answers, 0, 0, 0, 0]);
    answer.extend(question);
    if n_answers == 1 {
        // The name is that of the question; type, class, one second, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
