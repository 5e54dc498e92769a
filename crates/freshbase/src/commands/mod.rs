//! The commands, one file each.

mod app;
mod backup;
mod config;
mod serve;

use std::sync::Arc;

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{AppLimits, Apps, AppsOptions};
use fb_store_sqlite::{Durability, SqliteNode, SqliteOptions};
use fb_types::SystemClock;

use crate::config::Config;

/// Runs the command that was given.
pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("app", matches)) => app::run(matches),
        Some(("backup", matches)) => backup::back_up(matches),
        Some(("restore", matches)) => backup::restore(matches),
        Some(("config", matches)) => config::run(matches),
        _ => anyhow::bail!("unknown command; see freshbase --help"),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn sqlite_options(config: &Config) -> SqliteOptions {
    SqliteOptions {
        durability: if config.relaxed {
            Durability::Relaxed
        } else {
            Durability::Full
        },
        ..SqliteOptions::default()
    }
}

fn apps_options(config: &Config) -> AppsOptions {
    AppsOptions {
        clock: Arc::new(SystemClock),
        limits: AppLimits {
            cache_bytes: config.cache_bytes,
            object_bytes: config.object_bytes,
            results: config.results,
            query_time: config.query_time,
            query: AppLimits::default().query,
        },
        hash_cost: fb_auth::HashCost::default(),
        domain: config.domain.clone(),
    }
}

/// The apps of a data directory that a server may be using at the same time. Makes the directory if there is none.
async fn attach(config: &Config) -> anyhow::Result<Arc<Apps>> {
    let dir = &config.data_dir;
    let node = SqliteNode::attach(dir, sqlite_options(config))
        .with_context(|| format!("opening the data directory {}", dir.display()))?;
    Ok(Apps::open(Arc::new(node), apps_options(config)).await?)
}

/// Like [`attach`], for commands that make no sense on a new data directory: a slip in its path should not make one.
async fn attach_existing(config: &Config) -> anyhow::Result<Arc<Apps>> {
    let dir = &config.data_dir;
    match dir.try_exists() {
        Ok(true) => attach(config).await,
        Ok(false) => anyhow::bail!("there is no data directory {}", dir.display()),
        Err(error) => Err(error).with_context(|| format!("opening the data directory {}", dir.display())),
    }
}
