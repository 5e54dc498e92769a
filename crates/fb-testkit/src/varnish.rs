//! A real Varnish with the VCL of this repository.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Client, free_port, wait_for};

/// Where the VCL is.
const VCL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/varnish");

/// A Varnish that runs. It is ended when dropped.
pub struct Varnish {
    child: Option<Child>,
    dir: tempfile::TempDir,
    port: u16,
}

impl Varnish {
    /// The secret in its VCL.
    pub const SECRET: &'static str = "a secret of tests";

    /// Starts one in front of the server at `origin` (`127.0.0.1:<port>`), and waits until it answers.
    pub fn start(origin: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = origin.rsplit_once(':').expect("an address with a port").1;
        let shipped = std::fs::read_to_string(Path::new(VCL).join("default.vcl")).expect("the VCL of the repository");
        let vcl = shipped.replace("\"8080\"", &format!("\"{port}\""));
        let vcl = vcl.replace("change me", Self::SECRET);
        assert!(
            vcl != shipped,
            "the shipped file has its port and secret where this looks for them"
        );
        std::fs::write(dir.path().join("default.vcl"), vcl).expect("it can be written");
        let mut varnish = Self {
            child: None,
            dir,
            port: free_port(),
        };
        varnish.run();
        varnish
    }

    fn run(&mut self) {
        let file = |name: &str| self.dir.path().join(name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(file("log"))
            .expect("a log");
        let child = Command::new("varnishd")
            .args(["-F", "-j", "none", "-T", "none", "-s", "malloc,32m"])
            .args(["-p", "vsl_space=1M", "-p", "thread_pool_min=10"])
            .args(["-a", &self.address(), "-p", &format!("vcl_path={VCL}")])
            .arg("-n")
            .arg(file("work"))
            .arg("-f")
            .arg(file("default.vcl"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child =
            Some(child.unwrap_or_else(|error| {
                panic!("varnishd cannot be started ({error}): run scripts/install-test-tools")
            }));
        wait_for("varnish to answer", || {
            let stream = std::net::TcpStream::connect(self.address()).ok()?;
            drop(stream);
            // Who has no secret learns that.
            let answer = self.client().request("PURGE", "/", &[], b"");
            (answer.status == 403).then_some(())
        });
    }

    /// Stops it. What it has stored is gone, and connections are refused until [`Self::restart`].
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // The one that was started has a child of its own, which it ends if it is asked.
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let _ = child.wait();
    }

    /// Starts it again at the same address, with nothing stored.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client of the server behind it, whose paths begin at the root.
    pub fn client(&self) -> Client {
        Client::new(&self.address(), "")
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "--- log of varnish\n{log}---");
        }
    }
}
