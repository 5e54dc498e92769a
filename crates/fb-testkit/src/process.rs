//! A server process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;

/// How long a server may take to start or stop before the test fails. Never waited for in full when things go well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    binary: PathBuf,
    listen: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    data_dir: Option<PathBuf>,
    wrapper: Vec<String>,
}

impl ServerBuilder {
    /// A server of this binary: `env!("CARGO_BIN_EXE_freshbase")` in tests of that package.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            listen: "127.0.0.1:0".into(),
            args: Vec::new(),
            env: Vec::new(),
            data_dir: None,
            wrapper: Vec::new(),
        }
    }

    /// The open defaults of the original protocol, administrator `root`.
    pub fn baqend(self) -> Self {
        self.arg("--compat").arg("baqend").admin("root", ROOT_PASSWORD)
    }

    /// The default profile, administrator `root`.
    pub fn secure(self) -> Self {
        self.admin("root", ROOT_PASSWORD)
    }

    /// Another administrator.
    pub fn admin(self, user: &str, password: &str) -> Self {
        self.env("FRESHBASE_ADMIN_USER", user)
            .env("FRESHBASE_ADMIN_PASSWORD", password)
    }

    /// Another address to listen on than any free port of 127.0.0.1.
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// One more argument of `freshbase serve`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A data directory that outlives the server; without one it gets a temporary one.
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }

    /// Starts it through another program, which gets the server's command line behind these arguments and becomes the
    /// server in the end (`exec`).
    pub fn through(mut self, program: &[&str]) -> Self {
        self.wrapper = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&self) -> Server {
        let (data_dir, temporary) = match &self.data_dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let dir = tempfile::tempdir().expect("a temporary directory");
                (dir.path().to_owned(), Some(dir))
            }
        };
        let mut command = match self.wrapper.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command
            .args(["serve", "--listen", &self.listen, "--data-dir"])
            .arg(&data_dir)
            .args(&self.args);
        command
            .env_remove("FRESHBASE_ADMIN_USER")
            .env_remove("FRESHBASE_ADMIN_PASSWORD");
        command.envs(self.env.iter().map(|(n, v)| (n, v)));
        // Away from the working directory, whose freshbase.toml it would read.
        command.current_dir(data_dir.parent().unwrap_or(&data_dir));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server binary starts");
        let log = collect(child.stderr.take().expect("stderr is piped"));
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).expect("stdout can be read") == 0 {
                let status = child.wait().expect("the server can be waited for");
                panic!(
                    "the server ended with {status} before it was ready:\n{printed}{}",
                    text(&log)
                );
            }
            printed.push_str(&line);
            if line.contains(" is ready at ") {
                break;
            }
        }
        let start = printed.find("http://").expect("the ready line has a URL");
        let url = printed[start..].split_whitespace().next().expect("a URL").to_owned();
        let address = url.trim_start_matches("http://").to_owned();
        let encrypted = printed.split_once("https://");
        let tls_address = encrypted
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .map(str::to_owned);
        // Later lines (the setup link) are collected in the background.
        let rest = collect(stdout);
        Server {
            child,
            url,
            address,
            tls_address,
            printed,
            rest,
            log,
            data_dir,
            _temporary: temporary,
            is_stopped: false,
        }
    }
}

type Log = Arc<Mutex<Vec<u8>>>;

/// Reads a pipe to its end in the background, so that the server never blocks on it.
fn collect(mut pipe: impl Read + Send + 'static) -> Log {
    let log = Log::default();
    let target = log.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            target
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&buffer[..n]);
        }
    });
    log
}

fn text(log: &Log) -> String {
    String::from_utf8_lossy(&log.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    address: String,
    tls_address: Option<String>,
    printed: String,
    rest: Log,
    log: Log,
    data_dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    is_stopped: bool,
}

impl Server {
    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `127.0.0.1:<port>` where it speaks HTTPS.
    pub fn tls_address(&self) -> &str {
        self.tls_address
            .as_deref()
            .expect("the server was started with tls-listen")
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        self.printed.clone() + &text(&self.rest)
    }

    /// The secret of the setup link it printed, once it has.
    pub fn setup_token(&self) -> String {
        wait_for("the setup link", || {
            let printed = self.printed();
            let (_, rest) = printed.split_once("/setup#")?;
            let token: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            (token.len() == 32).then_some(token)
        })
    }

    /// An anonymous client of the default app.
    pub fn client(&self) -> Client {
        Client::new(&self.address, "/v1")
    }

    /// An anonymous client of an app by name.
    pub fn app(&self, name: &str) -> Client {
        Client::new(&self.address, &format!("/apps/{name}/v1"))
    }

    /// Asks it to stop, waits, and gives its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it without warning, as a crash or the kernel would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.is_stopped = true;
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the server to stop", || {
            self.child.try_wait().expect("it can be waited for")
        });
        self.is_stopped = true;
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_stopped {
            self.kill();
        }
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test failed, and this says why")]
            {
                eprintln!("--- log of the server\n{}---", self.log());
            }
        }
    }
}

/// Asks until there is an answer; fails the test if there is none for very long.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The administrator's password in tests.
pub const ROOT_PASSWORD: &str = "root has a long one";

/// A client of the default app that is logged in as `root`.
pub fn root(server: &Server) -> Client {
    server.client().login("root", ROOT_PASSWORD)
}
