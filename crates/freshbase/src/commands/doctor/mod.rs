//! `freshbase doctor`: looks at the configuration and at every app, and says what should not stay as it is.

mod checks;
mod purge;
mod report;

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{Apps, Checkup, OperatorCheckup};
use fb_tls::{Certificate, HostReport};
use fb_types::{AppId, Clock, SystemClock, Timestamp};

use super::{attach_keyless, runtime};
use crate::cli::print;
use crate::config::{self, Config};
use crate::{https, master_key};

/// What the checks look at. Collected first, so that they are plain functions.
struct Facts {
    config: Config,
    now: Timestamp,
    operator: Option<OperatorCheckup>,
    key_file: Option<KeyFile>,
    apps: Vec<Checkup>,
    /// The certificate of the configured files, or why it cannot be used.
    certificate: Option<Result<Certificate, String>>,
    /// What a server left in the records about the certificates it obtains, by host.
    obtained: Vec<(String, HostReport)>,
    /// Caches that cannot be told of changes, and why.
    untold: Vec<String>,
    /// Apps that could not be looked at, and why.
    unreadable: Vec<(AppId, String)>,
}

/// The file with the master key, where that is where the key is.
struct KeyFile {
    /// Others than its owner may read it.
    is_shared: bool,
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let facts = runtime()?.block_on(collect(config))?;
    let report = report::Report::of(&facts);
    print(&if matches.get_flag("json") {
        report.json()
    } else {
        report.text()
    });
    match report.n_problems() {
        0 => Ok(()),
        1 => anyhow::bail!("there is a problem"),
        n => anyhow::bail!("there are {n} problems"),
    }
}

async fn collect(config: Config) -> anyhow::Result<Facts> {
    let apps = attach_keyless(&config).await?;
    let mut facts = Facts {
        certificate: https::files(&config)
            .map(|files| files.load().map_err(|e| format!("{:#}", anyhow::Error::from(e)))),
        obtained: obtained(&config, &apps).await?,
        now: SystemClock.now(),
        operator: apps.check_operator().await?,
        key_file: key_file(&config)?,
        apps: Vec::new(),
        untold: purge::untold(&config).await,
        unreadable: Vec::new(),
        config,
    };
    for record in apps.list().await? {
        match apps.check_up(&record).await {
            Ok(Some(app)) => facts.apps.push(app),
            Ok(None) => {
                let why = "its creation is under way, or was cut off: start the server once".to_owned();
                facts.unreadable.push((record.id, why));
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::from(error));
                facts.unreadable.push((record.id, why));
            }
        }
    }
    Ok(facts)
}

async fn obtained(config: &Config, apps: &Apps) -> anyhow::Result<Vec<(String, HostReport)>> {
    let mut reports = Vec::new();
    if config.acme.is_some() {
        for host in fb_tls::wanted_hosts(&apps.list().await?, &config.domain) {
            let report = fb_tls::report(apps.node(), &host).await?;
            reports.push((host, report));
        }
    }
    Ok(reports)
}

fn key_file(config: &Config) -> anyhow::Result<Option<KeyFile>> {
    if config.master_key.is_some() {
        return Ok(None);
    }
    let path = config.data_dir.join(master_key::FILE);
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("looking at {}", path.display())),
    };
    #[cfg(unix)]
    let is_shared = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0;
    // Who may read it is not a matter of bits there.
    #[cfg(not(unix))]
    let is_shared = {
        let _ = metadata;
        false
    };
    Ok(Some(KeyFile { is_shared }))
}
