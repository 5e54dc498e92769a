//! The box: what else a reader must know to judge absolute figures.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Facts about the box, measured at the begin of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// 4 KiB appends with `fdatasync` per second: the bound of any acknowledged write that is
    /// not grouped with others.
    pub(crate) syncs_per_second: f64,
    /// Whether the data lies in memory, where syncing costs nothing and write figures mean little.
    pub(crate) in_memory: bool,
}

impl Environment {
    /// Looks at the box and at the file system of `dir`, for about half a second.
    pub(crate) fn probe(dir: &Path) -> Result<Self> {
        Ok(Self {
            cores: std::thread::available_parallelism().context("counting cores")?.get(),
            syncs_per_second: syncs_per_second(dir, Duration::from_millis(500)).context("measuring fdatasync")?,
            in_memory: is_in_memory(dir)?,
        })
    }
}

fn syncs_per_second(dir: &Path, span: Duration) -> Result<f64> {
    let mut file = File::create(dir.join("sync-probe"))?;
    let block = [0x5a; 4096];
    let since = Instant::now();
    let mut count = 0_u32;
    while since.elapsed() < span {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / since.elapsed().as_secs_f64())
}

fn is_in_memory(dir: &Path) -> Result<bool> {
    // Magic numbers of tmpfs and ramfs, from statfs(2).
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(dir).context("asking for the file system")?.f_type;
    Ok(kind == TMPFS || kind == RAMFS)
}
