//! `freshbase admin create|reset|operator-reset`.

use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{AdminErrand, Apps, ErrandId, ErrandOutcome, Profile};
use fb_auth::{Secret, random_bytes};
use fb_store_sqlite::SqliteNode;
use fb_types::AppId;

use super::{SERVER_TIME, attach_keyless, password_file, runtime};
use crate::cli::{print, print_note};
use crate::config::{self, Config};

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("create", matches)) => change(matches, AdminErrand::Create),
        Some(("reset", matches)) => change(matches, AdminErrand::Reset),
        Some(("operator-reset", matches)) => operator_reset(matches),
        _ => anyhow::bail!("unknown command; see freshbase admin --help"),
    }
}

fn change(matches: &ArgMatches, what: AdminErrand) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let user = text(matches, "user").unwrap_or_default();
    let password = Password::of(matches)?;
    let (app, outcome) = runtime()?.block_on(async {
        let apps = attach_keyless(&config).await?;
        let app = app_of(&apps, text(matches, "app"))?;
        let admin = apps.admin_of(&app, user, &password.secret).await?;
        let errand = apps.ask(&app, what, &admin).await?;
        let outcome = wait_for(&config, &apps, &errand).await?;
        anyhow::Ok((app, outcome))
    })?;
    match outcome {
        Some(ErrandOutcome::Done) => print(&match what {
            AdminErrand::Create => format!("Created the administrator {user} of app {app}."),
            AdminErrand::Reset => format!(
                "The administrator {user} of app {app} has a new password and no second factor; all sessions have ended."
            ),
        }),
        Some(ErrandOutcome::NameTaken) => anyhow::bail!(
            "app {app} has a user {user} already; `freshbase admin reset --app {app} {user}` gives it a new password and makes \
             it an administrator"
        ),
        Some(ErrandOutcome::NoUser) => anyhow::bail!(
            "app {app} has no user {user}; `freshbase admin create --app {app} {user}` makes a new administrator"
        ),
        Some(ErrandOutcome::NoApp) => anyhow::bail!("app {app} was deleted meanwhile"),
        Some(ErrandOutcome::Failed(why)) => anyhow::bail!("that failed: {why}"),
        None => print_note("the running server has not done this yet; it will when it gets to it"),
    }
    password.announce();
    Ok(())
}

/// Waits for an errand to be carried out, by the server or, while there is none, here. `None` if that takes too long.
async fn wait_for(config: &Config, apps: &Apps, errand: &ErrandId) -> anyhow::Result<Option<ErrandOutcome>> {
    let deadline = tokio::time::Instant::now() + SERVER_TIME;
    loop {
        let mut obstacle = None;
        // Asked again and again: the server may be killed, or end, before it gets to it.
        if let Some(_lock) = SqliteNode::try_lock(&config.data_dir)? {
            obstacle = apps.run_errands_without_server().await.err();
        }
        if let Some(outcome) = apps.errand_outcome(errand).await? {
            return Ok(Some(outcome));
        }
        if tokio::time::Instant::now() >= deadline {
            return match obstacle {
                None => Ok(None),
                Some(error) => {
                    apps.take_errand_back(errand).await?;
                    Err(error.into())
                }
            };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn operator_reset(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let password = Password::of(matches)?;
    let user = runtime()?.block_on(async {
        let apps = attach_keyless(&config).await?;
        let user = match text(matches, "user") {
            Some(user) => user.to_owned(),
            None => apps
                .operator_name()
                .await?
                .context("there is no operator yet; say who it shall be: freshbase admin operator-reset USER")?,
        };
        let admin = apps.first_admin(Profile::Secure, &user, &password.secret).await?;
        apps.reset_operator(&admin).await?;
        anyhow::Ok(user)
    })?;
    print(&format!(
        "The operator is {user}, with a new password; all sessions of the operator have ended."
    ));
    password.announce();
    Ok(())
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn app_of(apps: &Apps, name: Option<&str>) -> anyhow::Result<AppId> {
    let directory = apps.directory();
    match name {
        Some(name) => {
            let slot = directory.by_name(AppId::new(name)?.as_str());
            let slot = slot.with_context(|| format!("there is no app {name}; `freshbase app list` lists all apps"))?;
            Ok(slot.id().clone())
        }
        None => {
            let slot = directory.default_app();
            let slot =
                slot.context("there is no default app; name one with --app (`freshbase app list` lists all apps)")?;
            Ok(slot.id().clone())
        }
    }
}

/// The new password, from a file or made up.
struct Password {
    secret: Secret,
    is_made_up: bool,
}

impl Password {
    fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        Ok(match text(matches, "password-file") {
            Some(path) => Self {
                secret: password_file(path)?,
                is_made_up: false,
            },
            None => Self {
                secret: made_up()?,
                is_made_up: true,
            },
        })
    }

    /// Prints a password that nobody knows yet.
    fn announce(&self) {
        if self.is_made_up {
            print(&format!("Password: {}", self.secret.expose()));
        }
    }
}

/// 125 random bits in characters that nobody mixes up.
fn made_up() -> anyhow::Result<Secret> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = random_bytes::<25>()?;
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(Secret::new(groups.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_passwords_are_long_and_differ() {
        let one = made_up().unwrap();
        let groups: Vec<&str> = one.expose().split('-').collect();
        assert!(
            groups.len() == 5 && groups.iter().all(|group| group.len() == 5),
            "{groups:?}"
        );
        assert_ne!(one.expose(), made_up().unwrap().expose());
    }
}
