//! Numbers for the operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What an engine does and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Instances there are.
    pub instances: usize,
    /// Of them, those that wait for calls.
    pub idle: usize,
    /// Calls under way.
    pub running: usize,
    /// Calls that began since the start.
    pub calls: u64,
    /// Of them, those that took longer than they may.
    pub stopped: u64,
    /// Calls that ended by a mistake of the engine.
    pub panics: u64,
    /// Threads that are stuck in code that cannot be stopped; each was replaced.
    pub lost_threads: usize,
    /// Memory of all instances in bytes, measured when they have run; each counts at least 1 MiB, larger ones up to an eighth too much.
    pub bytes: usize,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) instances: AtomicUsize,
    pub(crate) idle: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) calls: AtomicU64,
    pub(crate) stopped: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) lost_threads: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    /// Of them, those of instances that wait for calls.
    pub(crate) idle_bytes: AtomicUsize,
}

impl Counters {
    /// An instance begins to wait for calls.
    pub(crate) fn idles(&self, bytes: usize) {
        self.idle.fetch_add(1, Ordering::Relaxed);
        self.idle_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It waits no more.
    pub(crate) fn idles_no_more(&self, bytes: usize) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
        self.idle_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        let get = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Stats {
            instances: get(&self.instances),
            idle: get(&self.idle),
            running: get(&self.running),
            calls: self.calls.load(Ordering::Relaxed),
            stopped: self.stopped.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            lost_threads: get(&self.lost_threads),
            bytes: get(&self.bytes),
        }
    }
}

/// An instance in the count, with its memory.
pub(crate) struct Counted {
    counters: Arc<Counters>,
    bytes: usize,
}

impl Counted {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        counters.instances.fetch_add(1, Ordering::Relaxed);
        Self { counters, bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn measured(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counters.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counters.instances.fetch_sub(1, Ordering::Relaxed);
        self.counters.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
