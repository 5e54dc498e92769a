//! What an app's sketch may cost, and what it promises.

use std::time::Duration;

/// Settings of a [`Sketch`](crate::Sketch). The defaults fit an app of any size: memory follows use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bits of the filter while few keys are stale. Default 14,600 (1.8 KB).
    pub min_bits: u32,
    /// Bits of the filter at most; beyond that false positives grow instead. The filter doubles from `min_bits`, so this is
    /// reached only if it is a power of two times that. Default 1,868,800 (234 KB, for 320,000 stale keys).
    pub max_bits: u32,
    /// Hash functions. Default 4.
    pub hashes: u8,
    /// False positives at which the filter doubles. Default 0.061: 20,000 keys in 116,800 bits, one initial TCP window.
    pub false_positives: f64,
    /// No copy is promised a longer life. Default 24 hours.
    pub longest: Duration,
    /// How much faster the server's clock may run than a cache's, in millionths. Copies are kept in the books for that much
    /// longer, or a cache with a slow clock would serve a copy that the filter has just forgotten. Default 500.
    pub drift_ppm: u32,
    /// The same as a constant, for what caches round: `Age` and `max-age` are whole seconds. Default 2 s.
    pub slack: Duration,
    /// For how long after its end a copy is still known to [`is_known`](crate::Sketch::is_known). Default 10 s.
    pub grace: Duration,
    /// Keys in the books at most; further keys get no lifetime. About 26 to 52 bytes each. Default 1,000,000.
    pub max_keys: usize,
    /// Age at which a snapshot is replaced. It adds to the staleness bound. Default 50 ms.
    pub refresh_min: Duration,
    /// Snapshots of which the difference to now can be told. Default 8.
    pub n_versions: usize,
    /// What is left of the books after a crash.
    pub durability: Durability,
    /// Parts of the books with a lock each; rounded up to a power of two. Default 32.
    pub n_shards: usize,
    /// Seed of the books' hash tables, which clients should not know.
    pub seed: u64,
}

/// What is left of the books after a crash. See [`Horizon`](crate::Horizon).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the next process is blind for the longest lifetime.
    Forgotten,
    /// The caller writes [records](crate::Record) down.
    Journaled {
        /// The longest life of a copy of which nothing is written down yet, and so about the time the next process is blind.
        unlogged: Duration,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_bits: 14_600,
            max_bits: 14_600 << 7,
            hashes: 4,
            false_positives: 0.061,
            longest: Duration::from_hours(24),
            drift_ppm: 500,
            slack: Duration::from_secs(2),
            grace: Duration::from_secs(10),
            max_keys: 1_000_000,
            refresh_min: Duration::from_millis(50),
            n_versions: 8,
            durability: Durability::Forgotten,
            n_shards: 32,
            seed: 0,
        }
    }
}

impl Settings {
    /// How much longer than `ttl` a copy stays in the books.
    pub(crate) fn margin(&self, ttl: Duration) -> Duration {
        let drift = ttl.as_nanos() * u128::from(self.drift_ppm) / 1_000_000;
        self.slack + Duration::from_nanos(u64::try_from(drift).unwrap_or(u64::MAX))
    }

    /// Values that the rest relies on, whatever was set.
    pub(crate) fn checked(mut self) -> Self {
        self.min_bits = self.min_bits.clamp(8, crate::MAX_BITS);
        self.max_bits = self.max_bits.clamp(self.min_bits, crate::MAX_BITS);
        self.hashes = self.hashes.clamp(1, crate::MAX_HASHES);
        self.n_shards = self.n_shards.clamp(1, 1 << 12).next_power_of_two();
        self
    }
}
