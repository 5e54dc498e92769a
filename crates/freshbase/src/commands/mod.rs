//! The commands, one file each.

mod admin;
mod app;
mod backup;
pub(crate) mod code;
mod config;
pub(crate) mod deploy;
mod doctor;
pub(crate) mod edge;
pub(crate) mod login;
pub(crate) mod remote;
pub(crate) mod schema;
mod serve;

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{AppLimits, Apps, AppsOptions};
use fb_auth::Secret;
use fb_functions::{Engine, EngineOptions};
use fb_mail::{Catcher, Outbox, OutboxOptions};
use fb_outbound::{Outbound, OutboundOptions};
use fb_store_sqlite::{Durability, SqliteNode, SqliteOptions};
use fb_types::SystemClock;

use crate::cli::print_note;
use crate::config::Config;
use crate::master_key;

/// How long a command waits for the server to take over what it did.
const SERVER_TIME: Duration = Duration::from_secs(10);

/// Runs the command that was given.
pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("app", matches)) => app::run(matches),
        Some(("admin", matches)) => admin::run(matches),
        Some(("edge", matches)) => edge::run(matches),
        Some(("doctor", matches)) => doctor::run(matches),
        Some(("backup", matches)) => backup::back_up(matches),
        Some(("restore", matches)) => backup::restore(matches),
        Some(("config", matches)) => config::run(matches),
        Some(("login", matches)) => login::log_in(matches),
        Some(("logout", matches)) => login::log_out(matches),
        Some(("whoami", matches)) => login::who_am_i(matches),
        Some(("deploy", matches)) => deploy::run(matches),
        Some(("schema", matches)) => schema::run(matches),
        Some(("code", matches)) => code::run(matches),
        _ => anyhow::bail!("unknown command; see freshbase --help"),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Largest answer that code can fetch, in bytes.
const FETCHED_BYTES: usize = 16 << 20;

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

fn apps_options(config: &Config, outbox: Arc<Outbox>, master_key: Secret) -> anyhow::Result<AppsOptions> {
    let outbound = OutboundOptions {
        allow: config.outbound_allow.clone(),
        user_agent: concat!("Freshbase/", env!("CARGO_PKG_VERSION")).into(),
        ..OutboundOptions::default()
    };
    let function_limits = fb_functions::Limits {
        memory_bytes: config.function_memory_bytes,
        cpu_time: config.function_cpu_time,
        wall_time: config.function_time,
        ..fb_functions::Limits::default()
    };
    Ok(AppsOptions {
        engine: Engine::new(EngineOptions::default())?,
        // One of its own: names that apps choose may take long to look up, and logins and mails should not wait for these.
        function_outbound: Outbound::new(OutboundOptions {
            timeout: function_limits.wall_time,
            max_response_bytes: FETCHED_BYTES,
            ..outbound.clone()
        })?,
        function_limits,
        purges: None,
        clock: Arc::new(SystemClock),
        limits: AppLimits {
            cache_bytes: config.cache_bytes,
            content_cache_bytes: config.content_cache_bytes,
            file_bytes: config.file_bytes,
            object_bytes: config.object_bytes,
            results: config.results,
            query_time: config.query_time,
            query: AppLimits::default().query,
        },
        hash_cost: config.hash_cost,
        waiting_hashes: config.waiting_hashes,
        master_key,
        files: crate::files::store(config)?,
        outbox,
        mail_from: config.mail_from.clone(),
        outbound: Outbound::new(outbound)?,
        leaks_url: config.leaks_url.clone(),
        push_endpoints: config.push_endpoints.clone(),
        domain: config.domain.clone(),
    })
}

/// The outbox of a command that sends no mail.
fn no_outbox() -> Arc<Outbox> {
    let nowhere = Catcher::new(Arc::new(SystemClock));
    Arc::new(Outbox::start(Arc::new(nowhere), OutboxOptions::default()))
}

/// The apps of a data directory that a server may be using at the same time. Makes the directory if there is none.
async fn attach(config: &Config) -> anyhow::Result<Arc<Apps>> {
    attach_with(config, || master_key::of(config)).await
}

async fn attach_with(config: &Config, key: impl FnOnce() -> anyhow::Result<Secret>) -> anyhow::Result<Arc<Apps>> {
    let dir = &config.data_dir;
    let node = SqliteNode::attach(dir, sqlite_options(config))
        .with_context(|| format!("opening the data directory {}", dir.display()))?;
    let options = apps_options(config, no_outbox(), key()?)?;
    Ok(Apps::open(Arc::new(node), options).await?)
}

/// Waits until the server that uses the data directory, if one does, has taken over what was done to the set of apps:
/// until then it might go on with the files of an app that is gone. Done is done, so nothing here is an error.
async fn wait_for_server(config: &Config, apps: &Apps) {
    let deadline = tokio::time::Instant::now() + SERVER_TIME;
    loop {
        let awaited = match apps.is_awaited().await {
            Ok(awaited) => is_served(&config.data_dir).map(|served| served && awaited),
            Err(error) => Err(error.into()),
        };
        match awaited {
            Ok(false) => return,
            Ok(true) if tokio::time::Instant::now() < deadline => {}
            Ok(true) => return print_note("the running server has not taken this over yet"),
            Err(error) => return print_note(&format!("whether a server has taken this over is not known: {error:#}")),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// True if a server holds the lock of the data directory.
fn is_served(data_dir: &Path) -> anyhow::Result<bool> {
    let path = data_dir.join("lock");
    let during = || format!("looking at {}", path.display());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(during),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(during),
    }
}

/// Like [`attach`], for commands that make no sense on a new data directory: a slip in its path should not make one.
async fn attach_existing(config: &Config) -> anyhow::Result<Arc<Apps>> {
    check_exists(&config.data_dir)?;
    attach(config).await
}

/// Like [`attach_existing`], for commands that neither seal nor unseal secrets: they need no master key, and make none.
async fn attach_keyless(config: &Config) -> anyhow::Result<Arc<Apps>> {
    let dir = &config.data_dir;
    check_exists(dir)?;
    if !dir.join("node.db").try_exists()? {
        anyhow::bail!("{} is no data directory of Freshbase", dir.display());
    }
    attach_with(config, || Ok(Secret::random()?)).await
}

fn check_exists(dir: &Path) -> anyhow::Result<()> {
    match dir.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => anyhow::bail!("there is no data directory {}", dir.display()),
        Err(error) => Err(error).with_context(|| format!("opening the data directory {}", dir.display())),
    }
}

/// A password from a file, whose last line break does not count.
fn password_file(path: &str) -> anyhow::Result<Secret> {
    let password = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(Secret::new(password.trim_end_matches(['\n', '\r'])))
}
