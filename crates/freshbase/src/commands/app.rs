//! `freshbase app create|list|delete`.

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{NewApp, Profile};
use fb_types::AppId;

use super::{attach, attach_existing, password_file, runtime, wait_for_server};
use crate::cli::print;
use crate::config;

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("create", matches)) => create(matches),
        Some(("list", matches)) => list(matches),
        Some(("delete", matches)) => delete(matches),
        Some(("setup-link", matches)) => setup_link(matches),
        _ => anyhow::bail!("unknown command; see freshbase app --help"),
    }
}

fn name(matches: &ArgMatches) -> anyhow::Result<AppId> {
    let name = matches
        .get_one::<String>("name")
        .map(String::as_str)
        .unwrap_or_default();
    Ok(AppId::new(name)?)
}

fn create(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = name(matches)?;
    let admin = match (
        matches.get_one::<String>("admin-user"),
        matches.get_one::<String>("admin-password-file"),
    ) {
        (Some(username), Some(path)) => Some((username.clone(), password_file(path)?)),
        _ => None,
    };
    let profile = if matches.contains_id("compat") && matches.get_one::<String>("compat").is_some() {
        Profile::Baqend
    } else {
        Profile::Secure
    };
    let hosts = matches
        .get_many::<String>("host")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let link = runtime()?.block_on(async {
        let apps = attach(&config).await?;
        let admin = match &admin {
            Some((username, password)) => Some(apps.first_admin(profile, username, password).await?),
            None => None,
        };
        let new = NewApp {
            id: id.clone(),
            profile,
            hosts,
            is_default: false,
            admin,
        };
        let link = apps.create(&new).await?;
        wait_for_server(&config, &apps).await;
        anyhow::Ok(link)
    })?;
    print(&format!(
        "Created app {id}. Its API is at /apps/{id}/v1 of the server, and at /v1 of the host {id}.{}.",
        config.domain
    ));
    if let Some(link) = link {
        print(&format!(
            "Create its administrator at /setup?app={id}#{} (works once, for a day).",
            link.token.expose()
        ));
    }
    Ok(())
}

fn list(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let apps = runtime()?.block_on(async {
        attach_existing(&config)
            .await?
            .list()
            .await
            .map_err(anyhow::Error::from)
    })?;
    if matches.get_flag("json") {
        for app in &apps {
            let hosts: Vec<String> = app.hosts.iter().map(|h| format!("\"{h}\"")).collect();
            print(&format!(
                "{{\"name\":\"{}\",\"default\":{},\"hosts\":[{}],\"createdAt\":\"{}\"}}",
                app.id,
                app.is_default,
                hosts.join(","),
                app.created_at
            ));
        }
        return Ok(());
    }
    print(&format!("{:<24} {:<8} {:<24} HOSTS", "NAME", "DEFAULT", "CREATED"));
    for app in &apps {
        let default = if app.is_default { "yes" } else { "" };
        print(
            format!(
                "{:<24} {default:<8} {:<24} {}",
                app.id.as_str(),
                app.created_at.to_string(),
                app.hosts.join(" ")
            )
            .trim_end(),
        );
    }
    Ok(())
}

fn setup_link(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = name(matches)?;
    let link = runtime()?.block_on(async {
        let apps = attach_existing(&config).await?;
        let app = apps
            .by_name(id.as_str())
            .await?
            .with_context(|| format!("there is no app {id}"))?;
        let link = app.setup_link().await?;
        apps.close().await;
        anyhow::Ok(link)
    })?;
    let Some(link) = link else {
        anyhow::bail!("app {id} has an administrator already")
    };
    print(&format!(
        "Create the administrator of {id} at /setup?app={id}#{} (works once, for a day).",
        link.token.expose()
    ));
    Ok(())
}

fn delete(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = name(matches)?;
    if !matches.get_flag("yes") {
        anyhow::bail!(
            "this deletes app {id} with all its data; add --yes if you mean it (freshbase backup {id} first?)"
        );
    }
    runtime()?.block_on(async {
        let apps = attach_existing(&config).await?;
        apps.delete(&id).await?;
        wait_for_server(&config, &apps).await;
        anyhow::Ok(())
    })?;
    print(&format!("Deleted app {id}."));
    Ok(())
}
