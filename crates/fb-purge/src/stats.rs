//! Figures of each target.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use std::time::Duration;

use crate::queue::Queue;

/// What one target was told, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStats {
    /// [`Target::name`](crate::Target::name).
    pub target: String,
    /// Names it has confirmed, repetitions included.
    pub sent: u64,
    /// How often it has confirmed "everything".
    pub everything: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Names that had to be sent again because of that.
    pub retried: u64,
    /// How often names were given up for "everything".
    pub overflows: u64,
    /// Names that were not repeated, because too many were to be.
    pub unrepeated: u64,
    /// Names that wait.
    pub queued: usize,
    /// Names in requests that are not answered yet.
    pub under_way: usize,
    /// Names that will be sent once more.
    pub repeating: usize,
    /// For how long the first of those that wait has waited.
    pub oldest: Duration,
    /// Whether the last request failed.
    pub is_failing: bool,
    /// Sum of the times from order to confirmation, of what `delays` counts.
    pub delay: Duration,
    /// What was confirmed and was no repetition.
    pub delays: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) everything: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) overflows: AtomicU64,
    pub(crate) unrepeated: AtomicU64,
    pub(crate) under_way: AtomicUsize,
    pub(crate) is_failing: AtomicBool,
    pub(crate) delay_micros: AtomicU64,
    pub(crate) delays: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn delayed(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.delay_micros.fetch_add(micros, Ordering::Relaxed);
        self.delays.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self, target: &str, queue: &Queue) -> TargetStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TargetStats {
            target: target.to_owned(),
            sent: of(&self.sent),
            everything: of(&self.everything),
            failed: of(&self.failed),
            retried: of(&self.retried),
            overflows: of(&self.overflows),
            unrepeated: of(&self.unrepeated),
            queued: queue.len(),
            under_way: self.under_way.load(Ordering::Relaxed),
            repeating: queue.n_again(),
            oldest: queue.oldest().map_or(Duration::ZERO, |since| since.elapsed()),
            is_failing: self.is_failing.load(Ordering::Relaxed),
            delay: Duration::from_micros(of(&self.delay_micros)),
            delays: of(&self.delays),
        }
    }
}
