//! A server, an edge, and the wire between them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use fb_testkit::{Client, Response, Server, ServerBuilder, class, root, wait_for};
use serde_json::{Value, json};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_freshbase");
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It carries everything.
    Open,
    /// It carries everything but streams of purges, which end.
    NoStreams,
    /// The same, but they only fall silent.
    SilentStreams,
    /// Answers do not arrive, streams of purges do.
    HeldAnswers,
    /// Nothing arrives anywhere.
    Down,
}

/// Carries connections from an edge to a server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) address: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    mode: Mutex<Mode>,
    moved: Condvar,
    lines: Mutex<Vec<Arc<Line>>>,
}

#[derive(Debug)]
struct Line {
    near: TcpStream,
    far: TcpStream,
    is_stream: AtomicBool,
}

impl Line {
    fn end(&self) {
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
    }
}

impl State {
    /// Waits until bytes of a line may go on; false if they must not.
    fn lets(&self, line: &Line, is_answer: bool) -> bool {
        let mut mode = self.mode.lock().unwrap();
        loop {
            let is_stream = line.is_stream.load(Ordering::SeqCst);
            match *mode {
                Mode::Down => return false,
                Mode::NoStreams if is_stream => return false,
                Mode::SilentStreams if is_stream => mode = self.moved.wait(mode).unwrap(),
                Mode::HeldAnswers if is_answer && !is_stream => mode = self.moved.wait(mode).unwrap(),
                Mode::Open | Mode::NoStreams | Mode::SilentStreams | Mode::HeldAnswers => return true,
            }
        }
    }

    fn carry(&self, line: &Line, is_answer: bool) {
        let (mut from, mut to) = match is_answer {
            true => (&line.far, &line.near),
            false => (&line.near, &line.far),
        };
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let piece = &buffer[..n];
            if !is_answer && String::from_utf8_lossy(piece).contains("GET /.freshbase/purges") {
                line.is_stream.store(true, Ordering::SeqCst);
            }
            if !self.lets(line, is_answer) || to.write_all(piece).is_err() {
                break;
            }
        }
        line.end();
    }
}

impl Wire {
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            mode: Mutex::new(Mode::Open),
            moved: Condvar::new(),
            lines: Mutex::default(),
        });
        let (shared, server) = (state.clone(), server.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { return };
                // What nobody listens for ends, as it would without the wire.
                let Ok(far) = TcpStream::connect(&server) else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let line = Arc::new(Line {
                    near,
                    far,
                    is_stream: AtomicBool::new(false),
                });
                shared.lines.lock().unwrap().push(line.clone());
                for is_answer in [false, true] {
                    let (state, line) = (shared.clone(), line.clone());
                    std::thread::spawn(move || state.carry(&line, is_answer));
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
        self.state.moved.notify_all();
        for line in self.state.lines.lock().unwrap().iter() {
            let is_stream = line.is_stream.load(Ordering::SeqCst);
            if mode == Mode::Down || mode == Mode::NoStreams && is_stream {
                line.end();
            }
        }
    }
}

/// A running edge. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Edge {
    child: Child,
    pub(crate) printed: String,
    pub(crate) address: String,
    figures: String,
}

impl Edge {
    pub(crate) fn start(origin: &str, more: &[&str]) -> Self {
        Self::with_secret(origin, SECRET, more)
    }

    pub(crate) fn with_secret(origin: &str, secret: &str, more: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command
            .args([
                "edge",
                "--origin",
                origin,
                "--listen",
                "127.0.0.1:0",
                "--figures-listen",
                "127.0.0.1:0",
            ])
            .args(more)
            .env("FRESHBASE_EDGE_SECRET", secret)
            // Away from the working directory, whose freshbase.toml it would read.
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut printed = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut printed).unwrap();
        assert!(printed.contains(" edge is ready at "), "{printed}");
        let address = |before: &str| {
            let rest = printed.split_once(before).unwrap().1;
            let end = rest.find([' ', ')', '\n']).unwrap();
            rest[..end].to_owned()
        };
        let (address, figures) = (address("ready at http://"), address("figures: http://"));
        Self {
            child,
            printed,
            address,
            figures,
        }
    }

    /// An anonymous client of the default app.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, "/v1")
    }

    pub(crate) fn admin(&self, path: &str) -> Response {
        Client::new(&self.figures, "").get(path)
    }

    pub(crate) fn figure(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.admin("/metrics").expect(200).body).unwrap();
        let name = format!("freshbase_edge_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
        line.parse().unwrap()
    }

    pub(crate) fn wait_until_intact(&self) {
        wait_for("the stream of purges", || (self.figure("intact") == 1).then_some(()));
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.wait()
    }

    pub(crate) fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait_for("the edge to stop", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Everything.
pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) wire: Wire,
    pub(crate) server: Server,
    /// The administrator, past the edge.
    pub(crate) admin: Client,
}

pub(crate) fn server() -> ServerBuilder {
    ServerBuilder::new(BINARY).env("FRESHBASE_EDGE_SECRET", SECRET)
}

impl World {
    /// With a class `Todo` that everybody may use.
    pub(crate) fn start() -> Self {
        Self::with(&server().baqend(), &[])
    }

    pub(crate) fn with(server: &ServerBuilder, more: &[&str]) -> Self {
        let server = server.start();
        let admin = root(&server);
        class(&admin, "Todo", &[("n", "Integer")]);
        let wire = Wire::to(server.address());
        let edge = Edge::start(&format!("http://{}", wire.address), more);
        edge.wait_until_intact();
        Self {
            edge,
            wire,
            server,
            admin,
        }
    }

    /// The same client past the edge, or the other way round.
    pub(crate) fn via_edge(&self, client: &Client) -> Client {
        let fresh = self.edge.client();
        match client.token() {
            Some(token) => fresh.with_token(token),
            None => fresh,
        }
    }

    pub(crate) fn put(&self, key: &str, n: i64, read: &Value) {
        let body = json!({ "n": n, "acl": { "read": read } });
        self.admin.put(&format!("/db/Todo/{key}"), &body).expect(200);
    }

    /// Reads until the answer comes from the edge.
    pub(crate) fn warm(&self, client: &Client, path: &str) -> Response {
        wait_for("an answer from the edge", || {
            let answer = client.get(path);
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            (way(&answer) == "hit").then_some(answer)
        })
    }

    /// Has the edge know of all purges so far.
    pub(crate) fn settle(&self) {
        let text = String::from_utf8(self.server.client_of("").get("/metrics").expect(200).body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("freshbase_purges "));
        let at_server: f64 = line.unwrap().trim().parse().unwrap();
        wait_for("the purges", || {
            (self.edge.figure("stream_number") >= at_server as u64).then_some(())
        });
    }
}

trait Elsewhere {
    fn client_of(&self, base: &str) -> Client;
}

impl Elsewhere for Server {
    fn client_of(&self, base: &str) -> Client {
        Client::new(self.address(), base)
    }
}

/// How an answer came about.
pub(crate) fn way(answer: &Response) -> &str {
    let said = answer.header("cache-status").unwrap_or_default();
    said.strip_prefix("freshbase-edge; ").unwrap_or(said)
}

/// A user; its client talks to the edge.
pub(crate) fn user(world: &World, name: &str) -> (Client, String) {
    let (client, id) = world.server.client().register(name);
    (world.via_edge(&client), id)
}
