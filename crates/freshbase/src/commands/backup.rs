//! `freshbase backup` and `freshbase restore`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{NewApp, Profile};
use fb_types::{AppId, Clock, SystemClock};

use super::{attach, attach_existing, runtime, wait_for_server};
use crate::cli::print;
use crate::config;

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
}

pub(super) fn back_up(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = AppId::new(text(matches, "app"))?;
    let to = match text(matches, "out") {
        "" => PathBuf::from(format!("{id}-{}.fbdb", SystemClock.now().to_string().replace(':', ""))),
        path => PathBuf::from(path),
    };
    let bytes = runtime()?.block_on(async {
        let apps = attach_existing(&config).await?;
        apps.back_up(&id, &to).await.with_context(|| format!("backing up {id}"))
    })?;
    print(&format!("Backed up app {id} to {} ({bytes} bytes).", to.display()));
    Ok(())
}

pub(super) fn restore(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = AppId::new(text(matches, "app"))?;
    let from = Path::new(text(matches, "file"));
    let hosts = matches
        .get_many::<String>("host")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let is_default = matches.get_flag("default");
    // The profile of a restored app is the one in its backup.
    let new = NewApp {
        id: id.clone(),
        profile: Profile::Secure,
        hosts,
        is_default,
        admin: None,
    };
    runtime()?.block_on(async {
        let apps = attach(&config).await?;
        if is_default && apps.directory().default_app().is_some() {
            anyhow::bail!("there is a default app already; delete it first, or restore without --default");
        }
        apps.restore(&new, from)
            .await
            .with_context(|| format!("restoring {id} (an app of this name must not exist)"))?;
        wait_for_server(&config, &apps).await;
        Ok(())
    })?;
    print(&format!("Restored app {id} from {}.", from.display()));
    Ok(())
}
