//! Whether the caches in front of the server would do as they are told.

use std::sync::Arc;
use std::time::Duration;

use fb_types::SystemClock;

use crate::config::Config;

/// How long a cache may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has every cache drop what nothing is called, one after the other. Gives those that did not.
pub(super) async fn untold(config: &Config) -> Vec<String> {
    let mut untold = Vec::new();
    // What is wrong with the configuration was said before.
    for target in config.purge.targets().unwrap_or_default() {
        if let Err(error) = fb_purge::probe(&target, PATIENCE, Arc::new(SystemClock)).await {
            untold.push(format!("{}: {error}", target.name()));
        }
    }
    untold
}
