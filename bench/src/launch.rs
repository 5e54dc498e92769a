//! Starting Freshbase, and what it takes while it does nothing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::{logins, measure::median, process, server::Server};

/// Where a server says that it is ready.
pub(crate) const HEALTH_PATH: &str = "/healthz";
/// The operator, who is also the administrator of the default app.
pub(crate) const ADMIN: &str = "root";
/// Password of [`ADMIN`].
pub(crate) const ADMIN_PASSWORD: &str = "root";

/// How long a server may take to settle before its memory is read.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// Memory and start time of a server without load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Idle {
    /// Starts that were measured.
    pub(crate) starts: usize,
    /// Resident memory a second after the start, in MB, median.
    pub(crate) memory_mb: f64,
    /// From spawning the process on an empty directory to the first answer, median.
    pub(crate) first_start_ms: f64,
    /// The same on the directory that the first start has set up, median.
    pub(crate) restart_ms: f64,
}

/// Starts `binary` `starts` times on empty directories inside `dir`, and once more on each.
pub(crate) fn measure_idle(binary: &Path, dir: &Path, starts: usize) -> Result<Idle> {
    let (mut memory, mut first_start, mut restart) = (Vec::new(), Vec::new(), Vec::new());
    let log = dir.join("idle.log");
    for index in 0..starts {
        let data_dir = dir.join(format!("idle-{index}"));
        let server = launch(binary, &data_dir, &log)?;
        first_start.push(server.wait_until_healthy(HEALTH_PATH)?.as_secs_f64() * 1e3);
        thread::sleep(SETTLE);
        memory.push(memory_mb(&server)?);
        server.stop()?;

        let server = launch(binary, &data_dir, &log).context("starting again on the same data")?;
        restart.push(server.wait_until_healthy(HEALTH_PATH)?.as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(Idle {
        starts,
        memory_mb: median(memory)?,
        first_start_ms: median(first_start)?,
        restart_ms: median(restart)?,
    })
}

fn launch(binary: &Path, data_dir: &Path, log: &Path) -> Result<Server> {
    launch_with(binary, data_dir, log, &[])
}

/// Starts `binary` with further arguments.
pub(crate) fn launch_with(binary: &Path, data_dir: &Path, log: &Path, more: &[&str]) -> Result<Server> {
    Server::start(command(binary, data_dir)?.args(more), log)
}

/// The command that starts `binary` as a server with its data in `data_dir`, which is created.
pub(crate) fn command(binary: &Path, data_dir: &Path) -> Result<Command> {
    std::fs::create_dir_all(data_dir).context("creating the data directory")?;
    let mut command = Command::new(program_path(binary)?);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--compat", "baqend", "--data-dir"])
        .arg(data_dir)
        .args(["--max-waiting-logins", &logins::MAX_WAITING.to_string()])
        .env("FRESHBASE_ADMIN_USER", ADMIN)
        .env("FRESHBASE_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .stdin(Stdio::null());
    Ok(command)
}

/// `binary` as a full path: a bare file name would be looked for in `PATH`.
pub(crate) fn program_path(binary: &Path) -> Result<PathBuf> {
    match binary.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        Ok(_) => bail!(
            "{} is not a file; --server takes the freshbase binary",
            binary.display()
        ),
        Err(error) => Err(error).with_context(|| format!("looking for the freshbase binary {}", binary.display())),
    }
}

/// Resident memory in MB.
pub(crate) fn memory_mb(server: &Server) -> Result<f64> {
    Ok(process::resident_bytes(server.pid())? as f64 / 1e6)
}
