//! Simulation of an origin, edges and browsers, against the real sketch, on one exact time line.
//!
//! Every read of every client is checked against the writes that were acknowledged before it began: what it returns must not
//! have been overdue for longer than the bound that its client was promised. [`Mutant`]s break one rule each.

// The example that runs it for longer uses less of it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss
)]

mod client;
mod edge;
mod events;
mod origin;
mod world;

pub use world::World;

use std::time::Duration;

/// Microseconds of true time.
pub type Time = u64;

pub const MILLI: Time = 1_000;
pub const SECOND: Time = 1_000_000;

/// Keys; at most 64, because clients keep sets of them in one word.
pub const N_KEYS: usize = 48;

/// Every fourth key is a query, whose writes are reported after their acknowledgement.
pub fn is_query(key: usize) -> bool {
    key.is_multiple_of(4)
}

#[derive(Debug, Clone)]
pub struct Config {
    pub seed: u64,
    pub reads: u64,
    pub clients: usize,
    pub edges: usize,
    /// What clients accept as the age of their filter.
    pub delta: Time,
    /// How long an edge keeps the filter.
    pub micro_cache: Time,
    pub refresh_min: Time,
    pub ttl: (Time, Time),
    /// Mean time of a step of a request.
    pub step: Time,
    /// Mean time between two reads of all clients together.
    pub read_gap: Time,
    /// Mean time between two writes of one key.
    pub write_gap: Time,
    /// Within that time a purge has its effect, or the edge knows that it missed something.
    pub purge_max: Time,
    /// Within that time after the acknowledgement a write of a query is reported.
    pub inv_max: Time,
    /// True error of caches' clock rates, at most.
    pub drift_ppm: i64,
    /// What the sketch allows for.
    pub margin_ppm: u32,
    pub slack: Time,
    pub unlogged: Time,
    /// Mean time between crashes; 0 is never.
    pub crash_every: Time,
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            reads: 1_000_000,
            clients: 8,
            edges: 2,
            delta: 5 * SECOND,
            micro_cache: SECOND,
            refresh_min: 50 * MILLI,
            ttl: (2 * SECOND, 40 * SECOND),
            step: 40 * MILLI,
            read_gap: 3 * MILLI,
            write_gap: 10 * SECOND,
            purge_max: 500 * MILLI,
            inv_max: 300 * MILLI,
            drift_ppm: 1_000,
            margin_ppm: 3_000,
            slack: 20 * MILLI,
            unlogged: 3 * SECOND,
            crash_every: 60 * SECOND,
            mutant: None,
        }
    }
}

impl Config {
    /// Few readers, so that no other's registration covers for a missing one.
    pub fn sparse() -> Self {
        Self {
            clients: 2,
            edges: 1,
            step: 250 * MILLI,
            read_gap: 150 * MILLI,
            ..Self::default()
        }
    }

    /// Long ways.
    pub fn far() -> Self {
        Self {
            delta: 2 * SECOND,
            step: 300 * MILLI,
            purge_max: 200 * MILLI,
            read_gap: 10 * MILLI,
            ..Self::default()
        }
    }

    /// Clocks that are off by two per cent, short ways, and a filter that is seldom old.
    pub fn askew() -> Self {
        Self {
            delta: 2 * SECOND,
            step: MILLI,
            read_gap: 60 * MILLI,
            write_gap: 30 * SECOND,
            drift_ppm: 20_000,
            margin_ppm: 42_000,
            crash_every: 0,
            ..Self::default()
        }
    }

    /// Purges take long.
    pub fn slow_purges() -> Self {
        Self {
            delta: SECOND,
            micro_cache: 200 * MILLI,
            purge_max: 4 * SECOND,
            ..Self::default()
        }
    }

    /// Crashes come in rows.
    pub fn unstable() -> Self {
        Self {
            crash_every: 12 * SECOND,
            read_gap: 10 * MILLI,
            ..Self::default()
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The origin reads, then registers.
    RegisterAfterRead,
    /// Writes of objects are acknowledged first, and reported up to three seconds later.
    ReportAfterAck,
    /// Writes are reported, then committed.
    ReportBeforeCommit,
    /// A copy of the bits takes up to three seconds, and the generation is read from the clock behind it.
    GenerationAfterCopy,
    /// Registered is half of what is handed out.
    ShortRegistration,
    /// A key that is in the filter is not reported again.
    StayNotExtended,
    /// The lifetime in the answer starts anew when the answer is sent.
    LifetimeRecomputed,
    /// Revalidations are not registered.
    RevalidationUnregistered,
    /// A restarted origin believes that nothing is out there.
    NoCrashRule,
    /// Records count before they are on disk.
    RecordsTrustedEarly,
    /// Changes before the crash are not reported after it.
    ChangesNotReplayed,
    /// A blind origin that crashes forgets that it was.
    BlindnessForgotten,
    /// The bound does not allow for the time that purges take.
    PurgeBelievedImmediate,
    /// An edge stores an answer that was under way when a purge came.
    EdgeStoresAcrossPurge,
    /// An edge that missed purges goes on.
    EdgeIgnoresLostStream,
    /// No allowance for slow clocks in caches.
    NoDriftMargin,
    /// Caches count lifetimes from arrival.
    LifetimeFromArrival,
    /// Clients count the filter's age from its arrival.
    FilterAgeFromArrival,
    /// Clients trust an answer to a request that is older than their filter.
    WhitelistByOlderRequest,
    /// Clients believe a filter of any age.
    FilterAgeIgnored,
    /// Clients do not compare with what they have seen, and blacklist own writes until the next filter only.
    NoSessionRules,
}

impl Mutant {
    /// A setting in which the rule matters.
    pub fn scene(self) -> Config {
        let config = match self {
            Self::RegisterAfterRead => Config::sparse(),
            Self::LifetimeFromArrival => Config {
                step: 400 * MILLI,
                ..Config::sparse()
            },
            Self::FilterAgeFromArrival | Self::WhitelistByOlderRequest => Config::far(),
            Self::NoDriftMargin => Config::askew(),
            Self::PurgeBelievedImmediate => Config::slow_purges(),
            Self::BlindnessForgotten => Config::unstable(),
            _ => Config::default(),
        };
        Config {
            mutant: Some(self),
            ..config
        }
    }

    pub const ALL: &[Self] = &[
        Self::RegisterAfterRead,
        Self::ReportAfterAck,
        Self::ReportBeforeCommit,
        Self::GenerationAfterCopy,
        Self::ShortRegistration,
        Self::StayNotExtended,
        Self::LifetimeRecomputed,
        Self::RevalidationUnregistered,
        Self::NoCrashRule,
        Self::RecordsTrustedEarly,
        Self::ChangesNotReplayed,
        Self::BlindnessForgotten,
        Self::PurgeBelievedImmediate,
        Self::EdgeStoresAcrossPurge,
        Self::EdgeIgnoresLostStream,
        Self::NoDriftMargin,
        Self::LifetimeFromArrival,
        Self::FilterAgeFromArrival,
        Self::WhitelistByOlderRequest,
        Self::FilterAgeIgnored,
        Self::NoSessionRules,
    ];
}

/// Everything a run found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub reads: u64,
    pub from_browser: u64,
    pub from_edge: u64,
    pub from_origin: u64,
    pub writes: u64,
    pub crashes: u64,
    pub filters: u64,
    pub stale_reads: u64,
    pub violations: u64,
    pub session_violations: u64,
    /// Largest share of its bound that a read used, in thousandths.
    pub used_permille: u64,
    pub max_staleness: Time,
    pub simulated: Time,
    pub first: Option<String>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.violations == 0 && self.session_violations == 0
    }
}

/// Small, seeded, good enough: xorshift64*.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn exponential(&mut self, mean: Time) -> Time {
        (-self.unit().ln() * mean as f64) as Time
    }
}

pub fn moment(time: Time) -> fb_sketch::Moment {
    fb_sketch::Moment::from_micros(time)
}

pub fn micros(time: Time) -> Duration {
    Duration::from_micros(time)
}

/// A clock that runs at its own rate; only differences of its readings mean something.
#[derive(Debug, Clone, Copy)]
pub struct LocalClock {
    ppm: i64,
    offset: Time,
}

impl LocalClock {
    pub fn new(rng: &mut Rng, max_ppm: i64) -> Self {
        let ppm = rng.between(0, 2 * max_ppm as u64) as i64 - max_ppm;
        Self {
            ppm,
            offset: 1_000 * SECOND + rng.below(1_000 * SECOND),
        }
    }

    pub fn read(&self, time: Time) -> Time {
        let error = time as i128 * i128::from(self.ppm) / 1_000_000;
        (time as i128 + self.offset as i128 + error).max(0) as Time
    }
}
