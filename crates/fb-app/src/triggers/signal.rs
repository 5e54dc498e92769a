//! Tells the tasks of an app that there is something to do. Cheap for apps that have nothing to do: one load per commit.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use fb_store::Committed;
use fb_types::Subject;
use tokio::sync::Notify;

use super::NEVER;

/// The bucket of the definitions of jobs.
pub(crate) const DEFINITIONS: &str = "jobs.Definition";

/// Changes of no interest that may come before the cursor follows them.
const AHEAD: u64 = 1000;

/// Shared by the store's observer, the tasks, and whoever looks at the clock.
#[derive(Default)]
pub(crate) struct Signal {
    /// What changes are of interest about: classes, and `/file/<bucket>`. `None` if nothing is.
    wanted: ArcSwapOption<HashSet<String>>,
    /// The newest change that was told.
    newest: AtomicU64,
    /// How far the feed was read.
    read: AtomicU64,
    pub(super) feed: Notify,
    /// Definitions of jobs were written.
    pub(crate) jobs_changed: AtomicBool,
    pub(crate) jobs: Notify,
}

impl Signal {
    /// Called by the store's writer, so it must be quick.
    pub(crate) fn committed(&self, changes: &[Committed]) {
        if let Some(Committed { change, .. }) = changes.last() {
            self.newest.store(change.seq.0, Ordering::Release);
        }
        let is_definition = |c: &Committed| {
            let object = c.change.subject.object();
            object.is_some_and(|id| id.class().as_str() == DEFINITIONS)
        };
        if changes.iter().any(is_definition) {
            self.jobs_changed.store(true, Ordering::Release);
            self.jobs.notify_one();
        }
        let wanted = self.wanted.load();
        let Some(wanted) = wanted.as_ref() else { return };
        let is_wanted = |c: &Committed| match &c.change.subject {
            Subject::Object(id) => wanted.contains(id.class().as_str()),
            Subject::File(id) => wanted.contains(&file_bucket(id.bucket().as_str())),
            Subject::Bucket(_) => false,
        };
        let is_far = self.newest() >= self.read.load(Ordering::Relaxed) + AHEAD;
        if is_far || changes.iter().any(is_wanted) {
            self.feed.notify_one();
        }
    }

    pub(super) fn wants_uploads(&self, bucket: &str) -> bool {
        let wanted = self.wanted.load();
        wanted
            .as_ref()
            .is_some_and(|wanted| wanted.contains(&file_bucket(bucket)))
    }

    pub(super) fn want(&self, wanted: HashSet<String>) {
        let wanted = (!wanted.is_empty()).then(|| Arc::new(wanted));
        self.wanted.store(wanted);
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    pub(super) fn set_read(&self, seq: u64) {
        self.read.store(seq, Ordering::Relaxed);
        self.newest.fetch_max(seq, Ordering::AcqRel);
    }

    /// True if there are changes that nobody has looked at.
    pub(super) fn is_behind(&self) -> bool {
        self.newest() > self.read.load(Ordering::Relaxed)
    }
}

/// What stands for a bucket of files among classes.
pub(super) fn file_bucket(name: &str) -> String {
    format!("/file/{name}")
}

/// When an app is due next, by the clock's milliseconds; kept while it sleeps.
#[derive(Debug)]
pub(crate) struct Due {
    pub(super) events: AtomicI64,
    pub(crate) jobs: AtomicI64,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            events: AtomicI64::new(NEVER),
            jobs: AtomicI64::new(NEVER),
        }
    }
}

impl Due {
    /// The earlier of both.
    pub(crate) fn earliest(&self) -> i64 {
        let events = self.events.load(Ordering::Acquire);
        events.min(self.jobs.load(Ordering::Acquire))
    }

    /// An app that is asleep is to be woken then.
    pub(crate) fn set(&self, at: i64) {
        self.events.store(at, Ordering::Release);
        self.jobs.store(NEVER, Ordering::Release);
    }
}
