//! The key that secrets in the databases are encrypted under: configured, or kept in a file beside them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use fb_auth::{Secret, encode_hex, random_bytes};

use crate::config::Config;

/// The file, in the data directory.
pub(crate) const FILE: &str = "master.key";

/// The configured key, or the file's, which is made if there is none.
pub(crate) fn of(config: &Config) -> anyhow::Result<Secret> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(FILE);
    let read = || std::fs::read_to_string(&path);
    let text = match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(&config.data_dir, &path).with_context(|| format!("writing {}", path.display()))?;
            read()
        }
        text => text,
    };
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    let text = text.trim();
    if text.len() < 32 {
        anyhow::bail!(
            "{} is damaged: it must hold at least 32 characters; restore it from a copy",
            path.display()
        );
    }
    Ok(Secret::new(text))
}

/// Complete or not there: written under another name first. If another process makes one at the same time, one of them
/// wins and both use it.
fn make(dir: &Path, path: &Path) -> anyhow::Result<()> {
    let key = encode_hex(&random_bytes::<32>()?);
    let draft = dir.join(format!("{FILE}.{}", std::process::id()));
    let mut file = private_file(&draft)?;
    file.write_all(key.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => Ok(linked?),
    }
}

/// A new file that its owner alone may read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
