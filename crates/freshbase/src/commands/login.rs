//! `freshbase login|logout|whoami`.

use clap::{ArgMatches, Command};
use fb_cli::{CliError, Login};

use super::remote::{Remote, logins, text, with_app};
use super::runtime;
use crate::cli::{print, print_note};
use crate::terminal;

pub(crate) fn commands() -> [Command; 3] {
    [
        with_app(Command::new("login"))
            .about("Log in to an app, and keep the token for further commands")
            .after_help(
                "Examples:
  freshbase login --url http://localhost:8080/v1                      asks for name and password
  freshbase login --url http://localhost:8080 --app shop --user ann   the app `shop` of that server
  freshbase login --user ann --password-file secret.txt               the app of this project, without questions

The token, never the password, is kept per app in freshbase/logins.json of your configuration folder, which only you can read. \
In CI set FRESHBASE_TOKEN instead.",
            ),
        with_app(Command::new("logout")).about("Forget the login for an app"),
        with_app(Command::new("whoami")).about("Say who is logged in; exit code 5 if nobody is"),
    ]
}

pub(super) fn log_in(matches: &ArgMatches) -> anyhow::Result<()> {
    let remote = Remote::of(matches)?;
    runtime()?.block_on(async {
        let login = match remote.given(matches).await? {
            Some((Some(user), token)) => Login { user, token },
            Some((None, token)) => {
                let known = remote.anonymous().with_token(&token)?.who_am_i().await?;
                let (user, _) = known.ok_or_else(|| CliError::Login("the token is not valid".into()))?;
                Login { user, token }
            }
            None => {
                let user = terminal::ask("User: ")?
                    .ok_or_else(|| CliError::Usage("who? give --user and --password-file, or --token".into()))?;
                let (user, token) = remote.log_in(user.trim(), None).await?;
                Login { user, token }
            }
        };
        let logins = logins()?;
        logins.set(remote.target(), &login)?;
        print(&format!("Logged in to {} as {}.", remote.target(), login.user));
        print_note(&format!("the token is kept in {}", logins.path().display()));
        Ok(())
    })
}

pub(super) fn log_out(matches: &ArgMatches) -> anyhow::Result<()> {
    let remote = Remote::of(matches)?;
    let logins = logins()?;
    let kept = logins.get(remote.target())?;
    if !logins.remove(remote.target())? {
        print(&format!("There was no login for {}.", remote.target()));
        return Ok(());
    }
    if let Some(login) = kept {
        let api = remote.anonymous().with_token(&login.token)?;
        // What was kept is gone in any case.
        if let Err(error) = runtime()?.block_on(api.log_out()) {
            print_note(&format!("the server was not told: {error}"));
        }
    }
    print(&format!("Logged out of {}.", remote.target()));
    Ok(())
}

pub(super) fn who_am_i(matches: &ArgMatches) -> anyhow::Result<()> {
    let remote = Remote::of(matches)?;
    runtime()?.block_on(async {
        let api = remote.api(matches).await?;
        let Some((user, renewed)) = api.who_am_i().await? else {
            return Err(CliError::Login(format!("nobody is logged in at {}", remote.target())).into());
        };
        print(&format!("{user} at {}", remote.target()));
        // A login that is in use does not end: the kept token is replaced by the fresh one.
        if let (Some(token), None, None) = (renewed, text(matches, "token"), text(matches, "user")) {
            let logins = logins()?;
            if logins.get(remote.target())?.is_some_and(|kept| kept.user == user) {
                logins.set(remote.target(), &Login { user, token })?;
            }
        }
        Ok(())
    })
}
