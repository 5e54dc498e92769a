//! Removes the oldest entries of logs, and the oldest runs of jobs, as the app's settings say.
//!
//! What counts is when the server wrote an entry down, not the `date` in it, which is whatever its author claims. Entries
//! go in the order in which they came, a few per commit, so that writes of others find their turn in between. Each deletion
//! leaves a change record like any other, without a body; the feed is bounded by itself.

use std::sync::atomic::Ordering;

use fb_auth::{Errand, system};
use fb_store::{Batch, Effect, Moment, ObjectWrite, Oldest, StoreError, Write};
use fb_types::schema::{APP_LOG, AUDIT_LOG};
use fb_types::{Class, ObjectKey, Stored, Timestamp};
use serde::{Deserialize, Serialize};

use crate::triggers::RUN;
use crate::{App, AppError};

/// Entries of one commit: a few milliseconds of the writer.
const AT_ONCE: usize = 200;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// How long the logs of an app that is awake rest between two looks, in milliseconds.
const REST_MS: i64 = 60_000;

/// How long logs are kept, and what jobs left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogSettings {
    /// For how many days, by class.
    pub retention: LogRetention,
    /// Most entries of `logs.AppLog`; beyond that the oldest go. 0 is no limit. Default 1,000,000.
    pub max_lines: u32,
    /// Most objects of `jobs.Status`; beyond that the oldest of those go that have ended. 0 is no limit. Default 10,000.
    pub max_runs: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            retention: LogRetention::default(),
            max_lines: 1_000_000,
            max_runs: 10_000,
        }
    }
}

/// Days that entries are kept, by class, that of logs without its name space; at most 36,500, and 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogRetention {
    /// Of `logs.AppLog`. Default 30.
    #[serde(rename = "AppLog")]
    pub app_log: u32,
    /// Of `logs.AuditLog`. Default 0: whoever floods the app must not be able to push evidence out.
    #[serde(rename = "AuditLog")]
    pub audit_log: u32,
    /// Of `jobs.Status`. Default 30. A run that goes on stays.
    #[serde(rename = "jobs.Status")]
    pub runs: u32,
}

impl Default for LogRetention {
    fn default() -> Self {
        Self {
            app_log: 30,
            audit_log: 0,
            runs: 30,
        }
    }
}

impl LogSettings {
    pub(crate) fn check(self) -> Result<(), String> {
        for (name, days) in [
            ("AppLog", self.retention.app_log),
            ("AuditLog", self.retention.audit_log),
            (RUN, self.retention.runs),
        ] {
            if days > 36_500 {
                return Err(format!("logs.retention.{name} must be 0 to 36500"));
            }
        }
        Ok(())
    }
}

/// Largest entry of the app's log in bytes: many may write some, and their number alone must bound them.
const MAX_LINE: usize = 64 << 10;

/// Refuses entries of the app's log that are too large; `bucket` may be any class.
pub(crate) fn check_line(bucket: &str, bytes: usize) -> Result<(), AppError> {
    match bucket == APP_LOG && bytes > MAX_LINE {
        false => Ok(()),
        true => Err(AppError::TooLarge(format!(
            "an entry of {APP_LOG} may have {MAX_LINE} bytes"
        ))),
    }
}

/// What is kept of a log.
#[derive(Debug, Clone, Copy)]
struct Keep {
    /// Entries from then on.
    since: Option<Timestamp>,
    /// So many, the newest.
    lines: Option<u64>,
}

impl Keep {
    /// Those of the oldest entries that go.
    fn superfluous(self, oldest: &Oldest) -> Vec<ObjectKey> {
        let excess = self.lines.map_or(0, |lines| oldest.at_most.saturating_sub(lines));
        let entries = (0..).zip(&oldest.keys);
        let goes = |n: u64, at: Timestamp| n < excess || self.since.is_some_and(|since| at < since);
        entries
            .take_while(|(n, (_, at))| goes(*n, *at))
            .map(|(_, (key, _))| key.clone())
            .collect()
    }
}

impl App {
    /// Does [`Self::prune_logs`] if the last time was a minute ago, or the app was asleep since.
    pub async fn prune_logs_when_due(&self) -> Result<usize, AppError> {
        let now = self.clock().now().millis();
        let last = self.pruned_at().load(Ordering::Relaxed);
        if last != 0 && (last..last + REST_MS).contains(&now) {
            return Ok(0);
        }
        self.pruned_at().store(now, Ordering::Relaxed);
        self.prune_logs().await
    }

    /// Removes entries of the logs and runs of jobs that are older or more than the settings keep; how many went. One look at
    /// the oldest of each if there are none. It is called from one task.
    pub async fn prune_logs(&self) -> Result<usize, AppError> {
        let mut n_removed = 0;
        for bucket in [APP_LOG, AUDIT_LOG, RUN] {
            loop {
                let removed = self.prune_some(bucket).await?;
                n_removed += removed;
                if removed < AT_ONCE {
                    break;
                }
            }
        }
        Ok(n_removed)
    }

    async fn prune_some(&self, bucket: &str) -> Result<usize, AppError> {
        let schema = self.schema();
        let Some(class) = schema.class(bucket) else {
            return Ok(0);
        };
        let keep = self.kept_of(bucket);
        if keep.since.is_none() && keep.lines.is_none() {
            return Ok(0);
        }
        let grant = system(Errand::PruneLogs).grant(class.name());
        let oldest = self.store().oldest(&grant, AT_ONCE).await?;
        let mut keys = keep.superfluous(&oldest);
        if bucket == RUN && !keys.is_empty() {
            let running = self.runs().await?;
            keys.retain(|key| !running.contains(key.as_str()));
        }
        if keys.is_empty() {
            return Ok(0);
        }
        let n_removed = keys.len();
        let writes = keys.into_iter().map(|key| removal(class, schema.rev(), key)).collect();
        match self.store().commit(Batch { writes }).await {
            Ok(_) => Ok(n_removed),
            // The next run sees the new schema.
            Err(StoreError::SchemaChanged) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// What the settings keep of a log, as of now.
    fn kept_of(&self, bucket: &str) -> Keep {
        let logs = &self.settings().logs;
        let (days, lines) = match bucket {
            AUDIT_LOG => (logs.retention.audit_log, 0),
            RUN => (logs.retention.runs, logs.max_runs),
            _ => (logs.retention.app_log, logs.max_lines),
        };
        let age = i64::from(days) * DAY_MS;
        Keep {
            since: (days > 0).then(|| Timestamp::from_millis(self.clock().now().millis() - age)),
            lines: (lines > 0).then_some(u64::from(lines)),
        }
    }
}

fn removal(class: &Class, rev: u32, key: ObjectKey) -> Write {
    let decide = |_: Option<&Stored>, _: Moment| Ok(Effect::Delete);
    Write::Object(ObjectWrite {
        grant: system(Errand::PruneLogs).grant(class.name()),
        key,
        checked_under: rev,
        decide: Box::new(decide),
    })
}
