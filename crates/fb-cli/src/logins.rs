//! Logins that are kept: a token per app, in a file that nobody else can read. Passwords are never kept.

use std::io::Write;
use std::path::{Path, PathBuf};

use fb_auth::Secret;
use serde_json::{Map, Value, json};

use crate::{CliError, Target};

/// The file of logins.
#[derive(Debug, Clone)]
pub struct Logins {
    path: PathBuf,
}

/// A login that was kept.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name of the user.
    pub user: String,
    /// Its token.
    pub token: Secret,
}

impl Logins {
    /// The logins in the file `logins.json` of `dir`, which need not exist.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            path: dir.join("logins.json"),
        }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The login for an app, if one was kept.
    pub fn get(&self, target: &Target) -> Result<Option<Login>, CliError> {
        let all = self.read()?;
        let login = all.get(&target.to_string());
        let text = |name: &str| login.and_then(|l| l.get(name)).and_then(Value::as_str);
        Ok(text("token").map(|token| Login {
            user: text("user").unwrap_or_default().to_owned(),
            token: Secret::new(token),
        }))
    }

    /// Keeps a login; replaces an earlier one for the same app.
    pub fn set(&self, target: &Target, login: &Login) -> Result<(), CliError> {
        let mut all = self.read()?;
        let entry = json!({ "user": login.user, "token": login.token.expose() });
        all.insert(target.to_string(), entry);
        self.write(all)
    }

    /// Forgets the login for an app. False if there was none.
    pub fn remove(&self, target: &Target) -> Result<bool, CliError> {
        let mut all = self.read()?;
        if all.shift_remove(&target.to_string()).is_none() {
            return Ok(false);
        }
        self.write(all)?;
        Ok(true)
    }

    fn read(&self) -> Result<Map<String, Value>, CliError> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(CliError::io("reading", &self.path)(error)),
        };
        check_private(&self.path)?;
        let broken = || {
            CliError::Login(format!(
                "{} is damaged; remove it and log in again",
                self.path.display()
            ))
        };
        let mut file: Value = serde_json::from_slice(&text).map_err(|_| broken())?;
        match file["logins"].take() {
            Value::Object(logins) if file["format"] == 1 => Ok(logins),
            _ => Err(broken()),
        }
    }

    fn write(&self, logins: Map<String, Value>) -> Result<(), CliError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        make_private_dir(dir).map_err(CliError::io("making", dir))?;
        let failed = || CliError::io("writing", &self.path);
        let text = format!("{:#}\n", json!({ "format": 1, "logins": logins }));
        // A new file is its owner's alone from its first moment, and takes the place of the old one as a whole.
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed())?;
        file.write_all(text.as_bytes()).map_err(failed())?;
        file.persist(&self.path).map_err(|error| failed()(error.error))?;
        Ok(())
    }
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)
        .map_err(CliError::io("reading", path))?
        .permissions()
        .mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(CliError::Login(format!(
            "others can read {0}, which holds tokens; run chmod 600 {0}, and log out and in again",
            path.display()
        ))),
    }
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), CliError> {
    // The user's own folder is not readable by others there.
    Ok(())
}

#[cfg(unix)]
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str) -> Login {
        Login {
            user: user.into(),
            token: Secret::new(format!("token of {user}")),
        }
    }

    #[test]
    fn each_app_has_its_own_login() {
        let dir = tempfile::tempdir().unwrap();
        let logins = Logins::in_dir(&dir.path().join("config/freshbase"));
        let one = Target::parse("localhost:1", None).unwrap();
        let two = Target::parse("localhost:1", Some("shop")).unwrap();
        assert!(logins.get(&one).unwrap().is_none() && !logins.remove(&one).unwrap());
        logins.set(&one, &login("ann")).unwrap();
        logins.set(&two, &login("bob")).unwrap();
        assert_eq!(logins.get(&one).unwrap().unwrap().user, "ann");
        assert_eq!(logins.get(&two).unwrap().unwrap().token.expose(), "token of bob");
        assert!(logins.remove(&one).unwrap() && logins.get(&one).unwrap().is_none());
        assert_eq!(logins.get(&two).unwrap().unwrap().user, "bob");
    }

    #[cfg(unix)]
    #[test]
    fn s47_tokens_are_kept_where_nobody_else_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let logins = Logins::in_dir(&dir.path().join("freshbase"));
        let app = Target::parse("localhost:1", None).unwrap();
        logins.set(&app, &login("ann")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(logins.path()), mode(&dir.path().join("freshbase"))),
            (0o600, 0o700)
        );
        std::fs::set_permissions(logins.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = logins.get(&app).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains("token of"), "{error}");
    }
}
