//! What all commands have in common that talk to a server as a developer does.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use fb_auth::Secret;
use fb_cli::{Api, CliError, LoggedIn, Logins, Project, Target};

use super::password_file;
use crate::cli::print_note;
use crate::terminal;

const USER_AGENT: &str = concat!("freshbase-cli/", env!("CARGO_PKG_VERSION"));

/// Adds the arguments that say which app is meant, and who asks.
pub(crate) fn with_app(command: Command) -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(arg("url", "URL", "API of the app, such as http://localhost:8080/v1 [default: `url` in freshbase.toml] [env: FRESHBASE_URL]"))
        .arg(arg("app", "NAME", "Name of the app, where one server has several: /apps/NAME/v1"))
        .arg(arg("dir", "DIR", "Project folder [default: the current one]"))
        .arg(arg("ca-file", "FILE", "Certificate of an authority to trust, in PEM, besides those of browsers"))
        .arg(arg("user", "USER", "Log in as this user, for this command only").conflicts_with("token"))
        .arg(arg("password-file", "FILE", "File that holds the password; without it you are asked").requires("user"))
        .arg(arg("token", "TOKEN", "Token of the user; others on this machine may see it, so rather use FRESHBASE_TOKEN [env: FRESHBASE_TOKEN]"))
}

/// The project and the app that the arguments mean.
pub(super) struct Remote {
    pub(super) project: Project,
    api: Api,
}

/// A value of the environment; empty ones are none.
#[expect(clippy::disallowed_methods, reason = "this is the binary")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

impl Remote {
    pub(super) fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        let project = Project::open(Path::new(text(matches, "dir").unwrap_or(".")))?;
        let url = text(matches, "url")
            .map(str::to_owned)
            .or_else(|| variable("FRESHBASE_URL"));
        let target = project.target(url.as_deref(), text(matches, "app"))?;
        if target.is_readable_by_others() {
            print_note("this connection is not encrypted: others on the network can read passwords and tokens");
        }
        let ca_file = text(matches, "ca-file")
            .map(PathBuf::from)
            .or_else(|| project.ca_file().map(Path::to_owned));
        let authorities = match &ca_file {
            Some(path) => Some(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?),
            None => None,
        };
        let api = Api::new(target, authorities.as_deref(), USER_AGENT)?;
        Ok(Self { project, api })
    }

    pub(super) fn target(&self) -> &Target {
        self.api.target()
    }

    /// A client without a login.
    pub(super) fn anonymous(&self) -> Api {
        self.api.clone()
    }

    /// A client with the login that the arguments, the environment or an earlier `freshbase login` give; without one if there
    /// is none.
    pub(super) async fn api(&self, matches: &ArgMatches) -> anyhow::Result<Api> {
        let token = match self.given(matches).await? {
            Some((_, token)) => Some(token),
            None => match variable("FRESHBASE_TOKEN") {
                Some(token) => Some(Secret::new(token.trim())),
                None => logins()?.get(self.target())?.map(|login| login.token),
            },
        };
        let api = self.anonymous();
        Ok(match token {
            Some(token) => api.with_token(&token)?,
            None => api,
        })
    }

    /// The login that the arguments ask for: a token, or a name and a password. Also the user's name, where that is known.
    pub(super) async fn given(&self, matches: &ArgMatches) -> anyhow::Result<Option<(Option<String>, Secret)>> {
        if let Some(token) = text(matches, "token") {
            return Ok(Some((None, Secret::new(token))));
        }
        let Some(user) = text(matches, "user") else {
            return Ok(None);
        };
        let (user, token) = self.log_in(user, text(matches, "password-file")).await?;
        Ok(Some((Some(user), token)))
    }

    /// Logs in with a password from a file, or that somebody types.
    pub(super) async fn log_in(&self, user: &str, file: Option<&str>) -> anyhow::Result<(String, Secret)> {
        let password = match file {
            Some(path) => password_file(path)?,
            None => terminal::ask_password(&format!("Password of {user}: "))?.ok_or_else(|| {
                CliError::Login(
                    "nobody is there to ask for the password; use --password-file or FRESHBASE_TOKEN".into(),
                )
            })?,
        };
        let mut state = self.api.login(user, &password).await?;
        loop {
            state = match state {
                LoggedIn::Done { user, token } => return Ok((user, token)),
                LoggedIn::NeedsCode(step) => {
                    let code = terminal::ask("Code of the second factor: ")?.ok_or_else(|| {
                        CliError::Login(
                            "a code of the second factor is needed, and nobody is there to ask for it".into(),
                        )
                    })?;
                    self.api.second_step(&step, code.trim()).await?
                }
            };
        }
    }
}

/// The logins that are kept for this user of the machine.
pub(super) fn logins() -> anyhow::Result<Logins> {
    let home = if cfg!(windows) { "APPDATA" } else { "HOME" };
    let dir = match (variable("XDG_CONFIG_HOME"), variable(home)) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(dir)) if cfg!(windows) => PathBuf::from(dir),
        (None, Some(home)) => Path::new(&home).join(".config"),
        (None, None) => anyhow::bail!("there is no home folder to keep logins in: set {home}, or use FRESHBASE_TOKEN"),
    };
    Ok(Logins::in_dir(&dir.join("freshbase")))
}
