//! Writing files whose names come from a server: never outside of the folder, never through a link.

use std::io::Write;
use std::path::Path;

use crate::CliError;

/// True for a name that can be that of a file or folder everywhere, and nothing else.
pub(crate) fn is_plain(name: &str) -> bool {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_port = stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
    let is_device = DEVICES.contains(&stem.as_str()) || is_port && stem.ends_with(|c: char| c.is_ascii_digit());
    (1..=128).contains(&name.len())
        && name.chars().all(is_known)
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && !is_device
}

/// Writes `text` to `root`/`name`, whose segments are plain. The file is there as a whole or not at all.
pub(crate) fn write(root: &Path, name: &str, text: &str) -> Result<(), CliError> {
    let segments: Vec<&str> = name.split('/').collect();
    let (folders, _) = segments.split_at(segments.len() - 1);
    if let Some(strange) = segments.iter().find(|segment| !is_plain(segment)) {
        let strange = crate::ui::clean(strange);
        return Err(CliError::Project(format!(
            "the server sent the name `{strange}`, which no file should have"
        )));
    }
    std::fs::create_dir_all(root).map_err(CliError::io("making", root))?;
    let mut dir = root.to_owned();
    for folder in folders {
        dir.push(folder);
        match std::fs::symlink_metadata(&dir) {
            Ok(known) if known.is_dir() => {}
            Ok(_) => return Err(CliError::Project(format!("{} is no folder", dir.display()))),
            Err(_) => std::fs::create_dir(&dir).map_err(CliError::io("making", &dir))?,
        }
    }
    let path = root.join(name);
    if std::fs::symlink_metadata(&path).is_ok_and(|known| !known.is_file()) {
        return Err(CliError::Project(format!("{} is no plain file", path.display())));
    }
    let failed = || CliError::io("writing", &path);
    let mut file = tempfile::Builder::new()
        .prefix(".freshbase-")
        .tempfile_in(&dir)
        .map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())?;
    readable(file.as_file()).map_err(failed())?;
    file.persist(&path).map_err(|error| failed()(error.error))?;
    Ok(())
}

/// Sources are no secrets; temporary files are their owner's alone.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s31_names_that_servers_send_stay_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("code");
        for name in [
            "",
            ".",
            "..",
            "../x.js",
            "a/../../x.js",
            "/etc/x.js",
            "a//b.js",
            "a\\b.js",
            "a\0b",
            "CON.js",
            "nul",
            "com1.js",
            ".bashrc",
            "-rf",
            "a:b.js",
            "ü.js",
            "x.",
            &"a".repeat(200),
        ] {
            assert!(write(&root, name, "x").is_err(), "{name}");
        }
        assert!(!dir.path().join("x.js").try_exists().unwrap());
        write(&root, "user.register.js", "1").unwrap();
        write(&root, "Todo/insert.js", "2").unwrap();
        write(&root, "Todo/insert.js", "3").unwrap();
        assert_eq!(std::fs::read_to_string(root.join("Todo/insert.js")).unwrap(), "3");
        assert_eq!(std::fs::read_dir(root.join("Todo")).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn s31_links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("code");
        std::fs::create_dir_all(dir.path().join("outside")).unwrap();
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(dir.path().join("outside/x.js"), "kept").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("Todo")).unwrap();
        std::os::unix::fs::symlink("../outside/x.js", root.join("x.js")).unwrap();
        assert!(write(&root, "Todo/insert.js", "x").is_err() && write(&root, "x.js", "x").is_err());
        assert_eq!(
            std::fs::read_to_string(dir.path().join("outside/x.js")).unwrap(),
            "kept"
        );
        assert_eq!(std::fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
    }
}
