//! What administrators say about copies of the app's objects and files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest lifetime that can be set; the books are made for it.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);

/// How long clients and caches on the way may keep public objects and files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CachingSettings {
    /// Whether answers get a lifetime. Default true. Copies that are out there when it is switched off are kept account of until
    /// they have ended.
    pub enabled: bool,
    /// How old what a client reads may be, in seconds: 0 to 86,400, default 60. 0 makes published clients ask for each object.
    pub staleness: u32,
    /// For how many seconds caches between server and clients keep an answer: 0 to 60, default 1. They cannot be told of a
    /// write, so whoever asks them may get what was current that long ago. Part of `staleness`.
    pub edge_staleness: u32,
    /// Shortest lifetime in seconds, 1 to 86,400. Default 1.
    pub min_lifetime: u32,
    /// Longest lifetime in seconds, up to 86,400. Default 60. For up to that time after a change of a class or a bucket every
    /// copy is asked about.
    pub max_lifetime: u32,
    /// For how many seconds beyond their lifetime edges may answer with copies while this server is down: 0 to 86,400, default 0. Only
    /// with what everybody may read, and never with what they know to be outdated.
    pub stale_if_error: u32,
}

impl Default for CachingSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            staleness: 60,
            edge_staleness: 1,
            min_lifetime: 1,
            max_lifetime: 60,
            stale_if_error: 0,
        }
    }
}

impl CachingSettings {
    /// After how many seconds clients fetch the filter again. What an edge adds to its age is taken off.
    pub fn filter_refresh(&self) -> u32 {
        match self.staleness {
            0 => 0,
            total => total.saturating_sub(self.edge_staleness).max(1),
        }
    }

    /// How long shared caches may keep an answer. The one place that says so: caches that can be purged may keep it longer.
    pub(crate) fn edge(&self) -> Duration {
        Duration::from_secs(self.edge_staleness.into())
    }

    pub(crate) fn clamp(&self, lifetime: Duration) -> Duration {
        let min = Duration::from_secs(self.min_lifetime.into());
        lifetime.min(self.longest()).max(min)
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_secs(self.max_lifetime.into())
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.staleness > 86_400 {
            return Err("caching.staleness must be 0 to 86400".into());
        }
        if self.edge_staleness > 60 {
            return Err("caching.edgeStaleness must be 0 to 60".into());
        }
        if !(1..=86_400).contains(&self.min_lifetime) || !(self.min_lifetime..=86_400).contains(&self.max_lifetime) {
            return Err("caching.minLifetime must be 1 to maxLifetime, and that at most 86400".into());
        }
        if self.stale_if_error > 86_400 {
            return Err("caching.staleIfError must be 0 to 86400".into());
        }
        Ok(())
    }
}
