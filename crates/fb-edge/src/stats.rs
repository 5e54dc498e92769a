//! Figures.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn add_many(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: Count,
    pub(crate) guarded: Count,
    pub(crate) fills: Count,
    pub(crate) refreshed: Count,
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
    /// Those of them that were not for everybody: the edge decided.
    pub guarded_hits: u64,
    /// Requests to the origin for answers that others may get.
    pub fills: u64,
    /// Those of them for what clients wanted before it was purged.
    pub refreshed: u64,
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
    /// The last number of the stream that has taken effect; begins anew with each start of the origin.
    pub stream_number: u64,
    /// Answers that are kept now.
    pub entries: usize,
    /// Those of them that are not for everybody.
    pub guarded_entries: usize,
    /// Bytes of memory that answers take.
    pub bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Tokens of which it is known what they are worth.
    pub callers: usize,
    /// Requests now that others may wait for.
    pub under_way: usize,
    /// Whether the edge may answer from memory now.
    pub is_intact: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) entries: usize,
    pub(crate) guarded_entries: usize,
    pub(crate) bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) callers: usize,
    /// The last number of the stream.
    pub(crate) stream_number: u64,
}

impl Counts {
    pub(crate) fn stats(&self, sizes: Sizes, under_way: usize, purges: u64, is_intact: bool) -> EdgeStats {
        EdgeStats {
            hits: self.hits.get(),
            guarded_hits: self.guarded.get(),
            fills: self.fills.get(),
            refreshed: self.refreshed.get(),
            confirmed: self.confirmed.get(),
            followed: self.followed.get(),
            collapsed: self.collapsed.get(),
            passed: self.passed.get(),
            stale: self.stale.get(),
            purges,
            stream_number: sizes.stream_number,
            entries: sizes.entries,
            guarded_entries: sizes.guarded_entries,
            bytes: sizes.bytes,
            disk_bytes: sizes.disk_bytes,
            callers: sizes.callers,
            under_way,
            is_intact,
        }
    }
}
