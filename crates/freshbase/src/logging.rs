//! The log on standard error.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// Starts logging as configured.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level).with_context(|| format!("log-level `{}`", config.log_level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if config.log_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
    started
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("starting the log")
}
