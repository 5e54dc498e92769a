//! What operators live with: crashes, shutdown, many apps, backups, the command line, a full disk. All of it against
//! the real binary.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod acme;
mod admin;
mod apps;
mod backup;
mod caching;
mod cli;
mod crash;
mod disk;
mod doctor;
mod files;
mod secrets;
mod shutdown;
mod tls;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use fb_testkit::{Client, Response, Server, ServerBuilder, wait_for};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_freshbase");

/// The server under test.
fn server() -> ServerBuilder {
    ServerBuilder::new(BINARY)
}

/// A run of a command that is over.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    /// Standard output of a command that succeeded.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Standard error of a command that failed as commands do: exit code 1, a message, no panic.
    #[track_caller]
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// A command that knows nothing of this process's environment.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(dir).env_clear();
    command
}

/// Runs a command of the binary to its end, in `dir`, whose data directory is the default one below it unless the
/// arguments say otherwise.
fn freshbase(dir: &Path, args: &[&str]) -> Run {
    finish(command(dir, args))
}

fn finish(mut command: Command) -> Run {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let out = read_all(child.stdout.take().expect("it is piped"));
    let err = read_all(child.stderr.take().expect("it is piped"));
    let mut child = Killed(child);
    // A server that should have refused to start would run for ever.
    let status = wait_for("a command to end", || child.0.try_wait().expect("it can be waited for"));
    Run {
        code: status.code(),
        out: out.join().expect("the output can be read"),
        err: err.join().expect("the output can be read"),
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// The operator of a server, through the admin API.
struct Operator {
    client: Client,
    bearer: String,
}

impl Operator {
    fn login(server: &Server, user: &str, password: &str) -> Self {
        let client = Client::new(server.address(), "/admin/v1");
        let answer = client.post("/login", &json!({ "username": user, "password": password }));
        let token = answer.expect(200).json()["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        Self { client, bearer }
    }

    fn root(server: &Server) -> Self {
        Self::login(server, "root", fb_testkit::ROOT_PASSWORD)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.client
            .request(method, path, &[("authorization", &self.bearer)], body.as_bytes())
    }

    /// Creates an app with the open defaults, administrator root/root.
    fn create(&self, name: &str) {
        let admin = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
        self.call(
            "POST",
            "/apps",
            &json!({ "name": name, "compat": "baqend", "admin": admin }),
        )
        .expect(201);
    }
}

/// The value of a metric without labels.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let page = Client::new(server.address(), "").get("/metrics").expect(200);
    let page = String::from_utf8(page.body).unwrap();
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Numbers that depend on the seed alone (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
