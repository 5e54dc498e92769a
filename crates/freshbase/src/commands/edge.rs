//! `freshbase edge`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use fb_auth::Secret;
use fb_edge::{Edge, EdgeOptions, Monotonic};
use tokio::sync::watch;

use super::serve::{bind, stop_signal};
use super::{password_file, runtime};
use crate::cli::{print, with_keys};
use crate::config::{self, Config};
use crate::https::Https;
use crate::{keys, logging};

/// What an edge may add to the staleness of answers, if nothing else is said: what apps allow by default.
const BOUND: &str = "1s";

/// The keys of the server that an edge has as well.
const KEYS: [&str; 7] = [
    "listen",
    "tls-listen",
    "tls-cert",
    "tls-key",
    "max-connections",
    "log-level",
    "log-format",
];

pub(crate) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    with_keys(Command::new("edge"), |name| KEYS.contains(&name))
        .about("Run a caching proxy near users, in front of a server that is elsewhere")
        .arg(
            option(
                "origin",
                "URL",
                "The server behind it: https://host, or http://host:port in a network of your own",
            )
            .required(true),
        )
        .arg(option(
            "secret-file",
            "FILE",
            "File with the secret that the server has as `edge-secret` [env: FRESHBASE_EDGE_SECRET, FRESHBASE_EDGE_SECRET_FILE]",
        ))
        .arg(option("origin-ca", "FILE", "PEM file with an authority that the server's certificate may be from"))
        .arg(option("memory", "SIZE", "Memory for answers").default_value("256MiB"))
        .arg(option(
            "disk",
            "DIR",
            "Directory of its own for answers from 64 KiB to 8 MiB; without one, larger answers than 1 MiB are not kept",
        ))
        .arg(option("disk-size", "SIZE", "How much of the disk").default_value("2GiB"))
        .arg(
            option(
                "bound",
                "DURATION",
                "How old the last proof may be that no purge is missing: what the edge adds to the age of answers. Apps whose `edgeStaleness` is less are \
                 not kept for longer than that",
            )
            .default_value(BOUND),
        )
        .arg(option(
            "figures-listen",
            "HOST:PORT",
            "Address for /healthz, /readyz and /metrics; without it there are none",
        ))
        .after_help(
            "First steps:
  openssl rand -hex 32 > edge-secret                                   one secret for the server and its edges
  FRESHBASE_EDGE_SECRET_FILE=edge-secret freshbase serve               the server, which knows edges now
  freshbase edge --origin http://10.0.0.1:8080 --secret-file edge-secret --listen 0.0.0.0:80
  curl -si http://localhost/v1/db/Todo/1 | grep -i cache-status        from the third time on: hit

The edge keeps what the server says it may keep. The server tells it of every write before it is acknowledged; while it cannot, the edge \
asks about everything. What not everybody may see is answered by the edge to those who may, by the server's own rules. Clients need no \
change: they talk to the edge as to the server. docs/edge.md says how much is promised, and what to look at.",
        )
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    logging::start(&config)?;
    let options = options(&config, matches)?;
    let figures = matches.get_one::<String>("figures-listen").cloned();
    runtime()?.block_on(serve(config, options, figures))
}

fn options(config: &Config, matches: &ArgMatches) -> anyhow::Result<EdgeOptions> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let value = |name: &str| text(name).unwrap_or_default();
    let wrong = |name: &str, expected: String| anyhow::anyhow!("`--{name}` must be {expected}");
    let bytes = |name: &str| keys::size(value(name)).map_err(|expected| wrong(name, expected));
    let secret = match (text("secret-file"), &config.edge_secret) {
        (Some(file), _) => password_file(file)?,
        (None, Some(secret)) => secret.clone(),
        (None, None) => anyhow::bail!(
            "there is no secret: give --secret-file, with what the server has as `edge-secret`. Without it the server does not tell of purges"
        ),
    };
    keys::check_edge_secret(secret.expose()).map_err(|expected| wrong("secret-file", expected))?;
    let mut options = EdgeOptions::of(value("origin").trim_end_matches('/'));
    options.secret = Secret::expose(&secret).to_owned();
    options.memory = bytes("memory")? as u64;
    options.bound = keys::duration(value("bound")).map_err(|expected| wrong("bound", expected))?;
    if options.bound < Duration::from_millis(500) {
        anyhow::bail!("`--bound` must be at least 500ms: the server gives a sign of life every 200ms");
    }
    if let Some(dir) = text("disk") {
        options.disk = Some((PathBuf::from(dir), bytes("disk-size")? as u64));
    }
    if let Some(file) = text("origin-ca") {
        options.authorities = vec![std::fs::read(file).with_context(|| format!("reading {file}"))?];
    }
    options.limits.connections = config.http.connections;
    Ok(options)
}

async fn serve(config: Config, options: EdgeOptions, figures: Option<String>) -> anyhow::Result<()> {
    let (listener, address) = bind(&config.listen).await?;
    let tls = match &config.tls_listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let figures = match &figures {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let https = Https::prepare(&config, tls.as_ref().map(|(_, address)| *address))?;
    let origin = options.origin.clone();
    let edge = Edge::new(options, Arc::new(Monotonic::default()))?;
    // Whoever reads that it is ready may stop it at once.
    let stopped = stop_signal();
    let (stop, stopping) = watch::channel(false);
    let wait = || {
        let mut stopping = stopping.clone();
        async move { drop(stopping.wait_for(|is_stopping| *is_stopping).await) }
    };
    let follower = {
        let edge = edge.clone();
        tokio::spawn(async move { edge.follow_purges().await })
    };
    let mut places = format!("http://{address}");
    let mut servers = Vec::new();
    servers.push(tokio::spawn({
        let (edge, stop) = (edge.clone(), wait());
        async move { edge.report_hits(stop).await }
    }));
    servers.push(tokio::spawn({
        let (edge, stop) = (edge.clone(), wait());
        async move { edge.serve(listener, stop).await }
    }));
    if let (Some((listener, address)), Some(https)) = (tls, &https) {
        places.push_str(&format!(" and https://{address}"));
        let (edge, stop, acceptor) = (edge.clone(), wait(), https.options.acceptor.clone());
        servers.push(tokio::spawn(async move {
            let handshake = |stream| {
                let acceptor = acceptor.clone();
                async move { acceptor.accept(stream).await.map_err(Into::into) }
            };
            edge.serve_encrypted(listener, handshake, stop).await;
        }));
    }
    let certificates = https.map(Https::keep);
    let mut and_figures = String::new();
    if let Some((listener, address)) = figures {
        and_figures = format!(", figures: http://{address}");
        let (edge, stop) = (edge.clone(), wait());
        servers.push(tokio::spawn(async move { edge.serve_figures(listener, stop).await }));
    }
    print(&format!(
        "Freshbase {} edge is ready at {places} (origin: {origin}{and_figures})",
        env!("CARGO_PKG_VERSION")
    ));
    tracing::info!(%address, origin, "an edge of {origin} on {address}");
    stopped.await;
    tracing::info!("stopping");
    stop.send_replace(true);
    for server in servers {
        server.await.context("serving")?;
    }
    follower.abort();
    // Its end is the answer to the abort.
    let _ = follower.await;
    if let Some(certificates) = certificates {
        certificates.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}
