//! A browser: its own cache, its filter, and the rules of section 3.1.

use std::sync::Arc;

use fb_sketch::{Filter, KeyHash};

use super::events::Sent;
use super::{LocalClock, Mutant, N_KEYS, Rng, Time};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Any cache may answer.
    Default,
    /// No browser's cache may answer; an edge may.
    NoCache,
    /// Only the origin may.
    Bypass,
}

#[derive(Debug)]
pub struct Client {
    pub clock: LocalClock,
    pub edge: usize,
    /// Whether it takes the filter's `Age` into account, as our own client does. Published ones do not.
    pub counts_age: bool,
    filter: Option<Held>,
    /// How many filters came; requests remember it.
    pub n_filters: u64,
    refresh_sent: Option<Time>,
    white: u64,
    /// Own writes, by when they were reported at the origin. 0 is none.
    black: [Time; N_KEYS],
    seen: [u32; N_KEYS],
    cache: [Option<Copy>; N_KEYS],
    /// For the checks, not for the client: no read that begins now may return less.
    pub floor: [u32; N_KEYS],
}

#[derive(Debug)]
struct Held {
    filter: Arc<Filter>,
    generation: Time,
    /// On the client's clock: the filter shows at least what was then.
    born: Time,
}

#[derive(Debug, Clone, Copy)]
struct Copy {
    version: u32,
    /// On the client's clock.
    until: Time,
}

/// What a read leads to.
#[derive(Debug)]
pub enum Decision {
    Return(u32),
    Ask { mode: Mode, must: bool },
}

impl Client {
    pub fn new(rng: &mut Rng, edge: usize, max_ppm: i64, counts_age: bool) -> Self {
        Self {
            clock: LocalClock::new(rng, max_ppm),
            edge,
            counts_age,
            filter: None,
            n_filters: 0,
            refresh_sent: None,
            white: 0,
            black: [0; N_KEYS],
            seen: [0; N_KEYS],
            cache: [None; N_KEYS],
            floor: [0; N_KEYS],
        }
    }

    fn age(&self, now: Time) -> Time {
        self.filter
            .as_ref()
            .map_or(Time::MAX, |held| self.clock.read(now).saturating_sub(held.born))
    }

    /// Whether to ask for a new filter now.
    pub fn wants_filter(&mut self, now: Time, delta: Time) -> bool {
        if self.refresh_sent.is_none() && self.age(now) >= delta / 5 * 4 {
            self.refresh_sent = Some(now);
            return true;
        }
        false
    }

    pub fn refresh_failed(&mut self, sent: Time) {
        if self.refresh_sent == Some(sent) {
            self.refresh_sent = None;
        }
    }

    fn is_suspect(&self, key: usize, hash: KeyHash) -> bool {
        self.black[key] != 0 || self.filter.as_ref().is_none_or(|held| held.filter.contains(hash))
    }

    pub fn load(&mut self, now: Time, key: usize, hash: KeyHash, delta: Time, mutant: Option<Mutant>) -> Decision {
        let is_old = self.age(now) > delta && mutant != Some(Mutant::FilterAgeIgnored);
        let must = self.filter.is_none()
            || is_old
            || self.black[key] != 0
            || (self.white & 1 << key == 0 && self.is_suspect(key, hash));
        if must {
            return Decision::Ask {
                mode: Mode::NoCache,
                must,
            };
        }
        match self.cache[key] {
            Some(copy) if copy.until > self.clock.read(now) => {
                if copy.version < self.seen[key] && mutant != Some(Mutant::NoSessionRules) {
                    return Decision::Ask {
                        mode: Mode::Bypass,
                        must,
                    };
                }
                Decision::Return(copy.version)
            }
            _ => Decision::Ask {
                mode: Mode::Default,
                must,
            },
        }
    }

    /// False if the answer is older than what was seen, and has to be asked for again.
    #[expect(clippy::too_many_arguments, reason = "all of an answer")]
    pub fn answered(
        &mut self,
        now: Time,
        key: usize,
        hash: KeyHash,
        (version, ttl): (u32, Time),
        sent: Time,
        must: bool,
        n_filters: u64,
        mutant: Option<Mutant>,
    ) -> bool {
        let counted_from = if mutant == Some(Mutant::LifetimeFromArrival) {
            now
        } else {
            sent
        };
        self.cache[key] = Some(Copy {
            version,
            until: self.clock.read(counted_from) + ttl,
        });
        if version < self.seen[key] && mutant != Some(Mutant::NoSessionRules) {
            return false;
        }
        self.seen[key] = self.seen[key].max(version);
        let is_newer = n_filters == self.n_filters || mutant == Some(Mutant::WhitelistByOlderRequest);
        if must && is_newer && self.is_suspect(key, hash) {
            self.white |= 1 << key;
            self.black[key] = 0;
        }
        true
    }

    pub fn take_filter(&mut self, now: Time, sent: Time, received: Sent, mutant: Option<Mutant>) {
        if self.refresh_sent != Some(sent) {
            return;
        }
        self.refresh_sent = None;
        let age = if self.counts_age { received.age } else { 0 };
        let counted_from = if mutant == Some(Mutant::FilterAgeFromArrival) {
            now
        } else {
            sent
        };
        let born = self.clock.read(counted_from).saturating_sub(age);
        // An edge may have an older filter than the last one was.
        if self
            .filter
            .as_ref()
            .is_some_and(|held| held.generation > received.generation)
        {
            return;
        }
        self.filter = Some(Held {
            filter: received.snapshot.filter().clone(),
            generation: received.generation,
            born,
        });
        self.n_filters += 1;
        self.white = 0;
        for stamp in &mut self.black {
            if *stamp <= received.generation || mutant == Some(Mutant::NoSessionRules) {
                *stamp = 0;
            }
        }
    }

    /// An own write was acknowledged; it had been reported at the origin by `stamp`.
    pub fn wrote(&mut self, key: usize, version: u32, stamp: Time) {
        self.seen[key] = self.seen[key].max(version);
        self.white &= !(1 << key);
        self.black[key] = self.black[key].max(stamp);
    }
}
