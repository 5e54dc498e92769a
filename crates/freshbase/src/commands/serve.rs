//! `freshbase serve`.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;
use fb_app::caching::PurgeSink;
use fb_app::{Apps, FirstAdmin, NewApp, Profile, SetupLink};
use fb_auth::Secret;
use fb_mail::{Catcher, Outbox, OutboxOptions, Smtp};
use fb_purge::Purger;
use fb_server::{EdgeAccess, Listeners, Purges, Server, ServerOptions};
use fb_store_sqlite::SqliteNode;
use fb_types::{AppId, SystemClock};
use tokio::net::TcpListener;

use super::{apps_options, runtime, sqlite_options};
use crate::cli::print;
use crate::config::{self, Config};
use crate::https::Https;
use crate::logging;
use crate::master_key::{self, private_file};
use crate::purge::Follower;

/// How often the server looks for what the command line did to the set of apps. A look takes microseconds.
const FOLLOW_TIME: Duration = Duration::from_millis(200);

/// How often contents without a file are looked for, which is one look-up if there are none.
const COLLECT_TIME: Duration = Duration::from_secs(60);

/// How often it is asked which apps' logs are due to be pruned.
const PRUNE_TIME: Duration = Duration::from_secs(1);

/// How often it is written down of which copies in caches nothing is on disk yet.
const TEND_TIME: Duration = Duration::from_secs(1);

/// How long errands rest that could not be carried out.
const ERRAND_PAUSE: Duration = Duration::from_secs(5);

/// How long mails that wait may take when the server stops.
const MAIL_TIME: Duration = Duration::from_secs(5);

/// The setup link's file, in the data directory.
const LINK_FILE: &str = "setup-link";

/// Name of the app that is made at first start.
const DEFAULT_APP: &str = "main";

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    logging::start(&config)?;
    runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let (listener, address) = bind(&config.listen).await?;
    let tls = match &config.tls_listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let (tls_listener, tls_address) = tls.unzip();
    let mut https = Https::prepare(&config, tls_address)?;
    let dir = &config.data_dir;
    let node = SqliteNode::open(dir, sqlite_options(&config))
        .with_context(|| format!("opening the data directory {}", dir.display()))?;
    let (outbox, catcher) = mail(&config)?;
    if config.files.s3.is_some() {
        // Better now than with the first upload.
        let storage = crate::files::store(&config)?;
        storage.check().await.context("trying the storage of files")?;
    }
    let node = Arc::new(node);
    let key = master_key::of(&config)?;
    let edges = edges(&config)?;
    let mut options = apps_options(&config, outbox.clone(), key.clone())?;
    options.purges = edges
        .purges
        .clone()
        .map(|purges| Arc::new(purges) as Arc<dyn PurgeSink>);
    let apps = Apps::open(node.clone(), options).await?;
    let follower = match (&edges.purges, &edges.foreign) {
        (Some(purges), Some(purger)) => {
            let urls = config.purge.urls.clone();
            Some(Follower::start(
                purges.log().clone(),
                purger.clone(),
                apps.clone(),
                urls,
            ))
        }
        _ => None,
    };
    let link = prepare(&apps, &config).await?;
    if let Some(https) = &mut https {
        https.open_acme(&config, node, &key).await?;
    }
    let options = ServerOptions {
        limits: config.http.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        catcher,
        https: https.as_ref().map(|https| https.options.clone()),
        edges,
    };
    let server = Server::new(apps.clone(), options)?;
    // Whoever reads that it is ready may stop it at once.
    let stopped = stop_signal();

    let url = if address.ip().is_loopback() && config.listen.starts_with("localhost") {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    };
    let and_tls = tls_address.map_or_else(String::new, |address| format!(" and https://{address}"));
    print(&format!(
        "Freshbase {} is ready at {url}{and_tls} (API: {url}/v1, data: {})",
        env!("CARGO_PKG_VERSION"),
        dir.display()
    ));
    announce(&config, &url, link.as_ref())?;
    tracing::info!(%address, data_dir = %dir.display(), "serving on {address}");

    let keeper = tokio::spawn(keep_house(apps.clone(), config.idle));
    let listeners = Listeners {
        plain: listener,
        tls: tls_listener,
    };
    let certificates = https.map(Https::keep);
    server.serve(listeners, stopped).await;
    if let Some(certificates) = certificates {
        certificates.stop().await;
    }
    if let Some(follower) = follower {
        follower.stop().await;
    }
    let unsent = outbox.close(MAIL_TIME).await;
    if unsent > 0 {
        tracing::warn!(unsent, "{unsent} mails were not sent before the server stopped");
    }
    keeper.abort();
    // Its end may be the answer to the abort, or the panic that made it end.
    let _ = keeper.await;
    if let Err(error) = apps.withdraw().await {
        tracing::warn!(error = %error, "commands will wait for this server as if it were still there");
    }
    tracing::info!("stopped");
    Ok(())
}

pub(super) async fn bind(listen: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    let address = listener.local_addr().context("finding out the address")?;
    Ok((listener, address))
}

/// Prints the setup link, and keeps it in a file that its owner alone may read: who starts the server is not always who
/// sees what it prints. Without a link an old file goes.
fn announce(config: &Config, url: &str, link: Option<&SetupLink>) -> anyhow::Result<()> {
    let path = config.data_dir.join(LINK_FILE);
    let Some(link) = link else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        };
    };
    let link = format!("{url}/setup#{}", link.token.expose());
    let written = private_file(&path).and_then(|mut file| writeln!(file, "{link}"));
    written.with_context(|| format!("writing {}", path.display()))?;
    print(&format!("Create the administrator: {link} (works once, for a day)"));
    Ok(())
}

/// Who is told of purges. Without anybody there are none.
fn edges(config: &Config) -> anyhow::Result<EdgeAccess> {
    let targets = config
        .purge
        .targets()
        .map_err(|errors| anyhow::anyhow!(errors.join("; ")))?;
    let purges = match config.edge_secret.is_some() || !targets.is_empty() {
        true => Some(Purges::new(u64::from_be_bytes(fb_auth::random_bytes()?))),
        false => None,
    };
    let name_headers = config.purge.key_headers(&targets);
    let foreign = match targets.is_empty() {
        true => None,
        false => {
            let purge = &config.purge;
            let purger = Purger::start(targets, purge.by(), purge.options(), Arc::new(SystemClock))?;
            Some(Arc::new(purger))
        }
    };
    Ok(EdgeAccess {
        purges,
        secret: config.edge_secret.clone(),
        foreign,
        name_headers,
    })
}

/// Where mails go: to the mail server, or into memory for the operator to read.
fn mail(config: &Config) -> anyhow::Result<(Arc<Outbox>, Option<Arc<Catcher>>)> {
    let options = OutboxOptions::default();
    Ok(match &config.smtp {
        Some(smtp) => {
            let smtp = Smtp::new(smtp.clone()).context("preparing the mail server")?;
            (Arc::new(Outbox::start(Arc::new(smtp), options)), None)
        }
        None => {
            let catcher = Arc::new(Catcher::new(Arc::new(SystemClock)));
            (Arc::new(Outbox::start(catcher.clone(), options)), Some(catcher))
        }
    })
}

/// Makes the default app at first start, and the operator. Gives a link if the app has no administrator.
async fn prepare(apps: &Apps, config: &Config) -> anyhow::Result<Option<SetupLink>> {
    let existing = apps.directory().default_app().map(|slot| slot.id().clone());
    let is_made = match &existing {
        Some(id) => apps.is_finished(id).await?,
        None => false,
    };
    let given = match (&config.admin_user, &config.admin_password) {
        (Some(username), Some(password)) if !is_made || !apps.has_operator().await? => {
            Some(apps.first_admin(profile(config), username, password).await?)
        }
        _ => None,
    };
    if let Some(operator) = &given {
        apps.create_operator(operator).await.context("making the operator")?;
    }
    if !is_made {
        make_default_app(apps, config, given, existing)
            .await
            .context("making the default app")?;
    }
    let default = apps.directory().default_app().map(|slot| slot.id().to_string());
    let app = match default {
        Some(name) => apps.by_name(&name).await?,
        None => None,
    };
    match app {
        Some(app) => Ok(app.setup_link().await?),
        None => Ok(None),
    }
}

fn profile(config: &Config) -> Profile {
    if config.baqend {
        Profile::Baqend
    } else {
        Profile::Secure
    }
}

/// Makes the default app; `existing` is one whose making an earlier start did not finish.
async fn make_default_app(
    apps: &Apps,
    config: &Config,
    given: Option<FirstAdmin>,
    existing: Option<AppId>,
) -> anyhow::Result<()> {
    let profile = profile(config);
    let admin = match given {
        // The profile's clients expect this administrator on a fresh server.
        None if config.baqend => Some(apps.first_admin(profile, "root", &Secret::new("root")).await?),
        given => given,
    };
    let resume = existing.is_some();
    let new = NewApp {
        id: match existing {
            Some(id) => id,
            None => AppId::new(DEFAULT_APP)?,
        },
        profile,
        hosts: Vec::new(),
        is_default: true,
        admin,
    };
    if resume {
        apps.resume(&new).await?;
    } else {
        apps.create(&new).await?;
    }
    tracing::info!(app = %new.id, ?profile, "made the default app {}", new.id);
    Ok(())
}

/// Puts idle apps to sleep, lets apps do what is due, takes over what the command line did to the set of apps, and carries
/// out what it asks for.
async fn keep_house(apps: Arc<Apps>, idle: Duration) {
    let mut since_sleep = tokio::time::Instant::now();
    let mut errands_from = since_sleep;
    let mut since_collected = since_sleep;
    let mut collector: Option<tokio::task::JoinHandle<()>> = None;
    let mut since_pruned = since_sleep;
    let mut pruner: Option<tokio::task::JoinHandle<()>> = None;
    let mut since_tended = since_sleep;
    let mut tender: Option<tokio::task::JoinHandle<()>> = None;
    let mut ticks = tokio::time::interval(FOLLOW_TIME.min(idle));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let followed = match apps.refresh().await {
            Ok(()) => apps.announce().await,
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            tracing::warn!(error = %error, "the list of apps could not be read");
        }
        if errands_from.elapsed() > Duration::ZERO
            && let Err(error) = apps.run_errands().await
        {
            errands_from = tokio::time::Instant::now() + ERRAND_PAUSE;
            tracing::warn!(error = %error, "errands of the command line have to wait");
        }
        apps.run_due().await;
        if since_collected.elapsed() >= COLLECT_TIME && collector.as_ref().is_none_or(|task| task.is_finished()) {
            since_collected = tokio::time::Instant::now();
            collector = Some(tokio::spawn(collect(apps.clone())));
        }
        if since_pruned.elapsed() >= PRUNE_TIME && pruner.as_ref().is_none_or(|task| task.is_finished()) {
            since_pruned = tokio::time::Instant::now();
            pruner = Some(tokio::spawn(prune(apps.clone())));
        }
        if since_tended.elapsed() >= TEND_TIME && tender.as_ref().is_none_or(|task| task.is_finished()) {
            since_tended = tokio::time::Instant::now();
            tender = Some(tokio::spawn(tend(apps.clone())));
        }
        if since_sleep.elapsed() >= idle {
            since_sleep = tokio::time::Instant::now();
            let asleep = apps.sleep_idle().await;
            if asleep > 0 {
                tracing::info!(n_apps = asleep, "put {asleep} idle apps to sleep");
            }
        }
    }
}

/// Removes contents of files that nobody refers to any more, in apps that are awake. On its own: the storage may be slow.
async fn collect(apps: Arc<Apps>) {
    for app in apps.awake() {
        match app.collect_contents().await {
            Ok(0) => {}
            Ok(n) => tracing::info!(app = %app.id(), n_contents = n, "removed {n} contents without a file"),
            Err(error) => tracing::warn!(app = %app.id(), error = %error, "contents without a file stay for now"),
        }
    }
}

/// Looks after the books of copies in caches, in apps that are awake and have any.
async fn tend(apps: Arc<Apps>) {
    for app in apps.awake() {
        if let Err(error) = app.tend_caching().await {
            tracing::warn!(app = %app.id(), error = %error, "lifetimes of answers stay short for now");
        }
    }
}

/// Removes old entries of logs, in apps that are awake: those that just woke up, and each once a minute.
async fn prune(apps: Arc<Apps>) {
    for app in apps.awake() {
        match app.prune_logs_when_due().await {
            Ok(0) => {}
            Ok(n) => tracing::info!(app = %app.id(), n_entries = n, "removed {n} old entries of logs"),
            Err(error) => tracing::warn!(app = %app.id(), error = %error, "old entries of logs stay for now"),
        }
    }
}

/// Done when the process is asked to stop, from this call on.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async move {
        #[cfg(unix)]
        match terminate {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "SIGTERM cannot be heard");
                let _ = interrupt.await;
            }
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
        tracing::info!("stopping");
    }
}
