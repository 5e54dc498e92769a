//! What app developers live with: logins, deployments, schema and code commands, against the real server, with real folders.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod between;
mod code;
mod deploy;
mod hostile;
mod login;
mod photos;
mod schema;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fb_testkit::{ROOT_PASSWORD, Server, ServerBuilder};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_freshbase");

fn server() -> Server {
    ServerBuilder::new(BINARY).secure().start()
}

/// A developer's machine: a home folder, a project folder, and a login by environment.
struct Machine {
    dir: tempfile::TempDir,
    url: String,
    token: Option<String>,
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Standard error of a command that ended with this code and a message, without a panic.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(
            self.err.contains("error: ") && !self.err.contains("panicked"),
            "{}",
            self.err
        );
        self.err
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

impl Machine {
    /// A machine that is logged in to the default app as its administrator.
    fn new(server: &Server) -> Self {
        let token = fb_testkit::root(server).token().map(str::to_owned);
        Self {
            token,
            ..Self::stranger(&format!("{}/v1", server.url()))
        }
    }

    /// A machine without a login.
    fn stranger(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("project")).unwrap();
        std::fs::write(dir.path().join("password"), format!("{ROOT_PASSWORD}\n")).unwrap();
        Self {
            dir,
            url: url.to_owned(),
            token: None,
        }
    }

    fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Writes a file of the project.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.project().join(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.project()).env_clear();
        command
            .env("HOME", self.dir.path().join("home"))
            .env("FRESHBASE_URL", &self.url);
        if let Some(token) = &self.token {
            command.env("FRESHBASE_TOKEN", token);
        }
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(self.command(args))
    }

    fn password_file(&self) -> String {
        text(&self.dir.path().join("password")).to_owned()
    }
}

fn finish(mut command: Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
