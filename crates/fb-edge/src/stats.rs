//! Figures.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: Count,
    pub(crate) fills: Count,
    pub(crate) confirmed: Count,
    pub(crate) followed: Count,
    pub(crate) collapsed: Count,
    pub(crate) passed: Count,
    pub(crate) stale: Count,
}

/// Figures of an edge, for metrics. Numbers are since its start unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeStats {
    /// Answers from memory.
    pub hits: u64,
    /// Requests to the origin for answers that others may get.
    pub fills: u64,
    /// Those of them that confirmed what was in memory.
    pub confirmed: u64,
    /// Requests that waited for another one's answer.
    pub followed: u64,
    /// Those of them that got it.
    pub collapsed: u64,
    /// Requests that were passed on.
    pub passed: u64,
    /// Answers that were out of date, because the origin was down and the app allowed it.
    pub stale: u64,
    /// Purges that have taken effect.
    pub purges: u64,
    /// Answers in memory now.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Requests now that others may wait for.
    pub under_way: usize,
    /// Whether the edge may answer from memory now.
    pub is_intact: bool,
}

impl Counts {
    pub(crate) fn stats(
        &self,
        (entries, bytes): (usize, u64),
        under_way: usize,
        purges: u64,
        is_intact: bool,
    ) -> EdgeStats {
        EdgeStats {
            hits: self.hits.get(),
            fills: self.fills.get(),
            confirmed: self.confirmed.get(),
            followed: self.followed.get(),
            collapsed: self.collapsed.get(),
            passed: self.passed.get(),
            stale: self.stale.get(),
            purges,
            entries,
            bytes,
            under_way,
            is_intact,
        }
    }
}
