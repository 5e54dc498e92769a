//! A server as child process: start it, find its address, stop it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::api::Api;

/// A server that is not ready by then has failed.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server that has not ended so long after being asked is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running server; dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// The line that told where it listens.
    announcement: String,
    started_at: Instant,
}

impl Server {
    /// Spawns `command` and waits for the line on its standard output that tells where it
    /// listens, `http://127.0.0.1:<port>`. Standard error goes to the file `log`, whose end is
    /// shown when the start fails.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        let log_file = File::create(log).context("creating the server's log file")?;
        command.stdout(Stdio::piped()).stderr(log_file);
        let started_at = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("the child has no standard output")?;
        let found = read_address(stdout);
        // From here on the drop of `server` ends the process, also on errors.
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            announcement: String::new(),
            started_at,
        };

        match found.recv_timeout(START_LIMIT) {
            Ok((address, line)) => {
                server.address = address;
                server.announcement = line;
                Ok(server)
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "no address on standard output after {} s\n{}",
                    START_LIMIT.as_secs(),
                    tail(log)
                )
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{} ended without telling its address\n{}", program.display(), tail(log))
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first address behind `words` in the line that told where it listens.
    pub(crate) fn address_behind(&self, words: &str) -> Option<SocketAddr> {
        find_address(self.announcement.split_once(words)?.1)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks `path` until it answers with success; the time since the process was spawned.
    pub(crate) fn wait_until_healthy(&self, path: &str) -> Result<Duration> {
        let api = Api::new(self.address);
        loop {
            let outcome = api.get(path);
            let elapsed = self.started_at.elapsed();
            match outcome {
                Ok(_) => return Ok(elapsed),
                Err(error) if elapsed > START_LIMIT => {
                    return Err(error.context(format!("{path} gave no success within {} s", START_LIMIT.as_secs())));
                }
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("an impossible process id")?;
        kill_process(pid, Signal::TERM).context("asking the server to end")?;
        let asked_at = Instant::now();
        while self
            .child
            .try_wait()
            .context("waiting for the server to end")?
            .is_none()
        {
            ensure!(
                asked_at.elapsed() < STOP_LIMIT,
                "the server did not end within {} s",
                STOP_LIMIT.as_secs()
            );
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines until the end, so that the pipe never fills, and passes on the first address and its line.
fn read_address(stdout: ChildStdout) -> mpsc::Receiver<(SocketAddr, String)> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut sender: Option<SyncSender<(SocketAddr, String)>> = Some(sender);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = find_address(&line)
                && let Some(sender) = sender.take()
            {
                // Nobody listens any more if the start was given up.
                let _ = sender.send((address, line));
            }
        }
    });
    receiver
}

fn find_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_found_within_a_line() {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 4711)));
        assert_eq!(find_address("listening on http://127.0.0.1:4711"), address);
        assert_eq!(find_address("ready: http://127.0.0.1:4711/v1 (pid 7)"), address);
        assert_eq!(find_address("ready: http://127.0.0.1:4711."), address);
        assert_eq!(find_address("starting"), None);
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported_with_its_log() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no licence >&2; exit 3"]);
        let error = Server::start(&mut command, log.path()).err().unwrap();
        assert!(error.to_string().contains("no licence"), "{error}");
    }
}
