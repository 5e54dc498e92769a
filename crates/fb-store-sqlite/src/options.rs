//! What an operator can choose.

use std::time::Duration;

/// Settings of all app files of a node.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Writes that may wait per app before further ones are refused as `Overloaded`. Default 10,000.
    pub max_waiting_writes: usize,
    /// Idle connections kept per app for reading, and slow queries that run at once. Default 4.
    pub readers: usize,
    /// Page cache per connection in KiB. Default 1,024.
    pub cache_kib: u32,
    /// Most page cache of the connection that writes, per app that is awake, in KiB. Default 8,192.
    pub writer_cache_kib: u32,
    /// Part of each file that readers map into memory, in MiB. Default 256: a point read takes 4 instead of 6 µs. An
    /// unreadable disk sector ends the process then, where with 0 it fails the one query.
    pub mmap_mib: u32,
    /// Objects of a class that a caller with limited rights may be able to see and that still count as few: reads for
    /// such callers begin with these objects. Default 2,000, at most 2,048.
    pub few_objects: usize,
    /// How much of the change feed is kept.
    pub retention: Retention,
    /// Number of this node in change records. Default 0.
    pub origin: u32,
    /// Most pages of 4 KiB that one app's file may have; `None` is unlimited. A write beyond it is `Unavailable`.
    pub max_pages: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            max_waiting_writes: 10_000,
            readers: 4,
            cache_kib: 1024,
            writer_cache_kib: 8 * 1024,
            mmap_mib: 256,
            few_objects: 2000,
            retention: Retention::default(),
            origin: 0,
            max_pages: None,
        }
    }
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The loss of power: every commit waits for the disk.
    #[default]
    Full,
    /// The end of the process, but not of the machine: after a loss of power the last writes may be missing. The file
    /// stays consistent.
    Relaxed,
}

/// How much of the change feed is kept: the younger part by both measures. The newest record always stays. A consumer
/// whose cursor is older than the oldest record sees a gap behind it and has to start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Greatest age. Default 7 days.
    pub age: Duration,
    /// Greatest number of records. Default 1,000,000.
    pub records: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_hours(7 * 24),
            records: 1_000_000,
        }
    }
}
