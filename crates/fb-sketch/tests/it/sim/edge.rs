//! A cache near users that can be purged.

use super::events::{FetchId, Sent};
use super::{LocalClock, N_KEYS, Rng, Time};

#[derive(Debug)]
pub struct Edge {
    pub clock: LocalClock,
    cache: [Option<Copy>; N_KEYS],
    /// Requests to the origin that others may wait for, per key.
    under_way: [Option<FetchId>; N_KEYS],
    /// Moves with each purge of the key, so that answers know what came in between.
    fences: [u64; N_KEYS],
    filter: Option<(Sent, Time)>,
    is_connected: bool,
}

#[derive(Debug, Clone, Copy)]
struct Copy {
    version: u32,
    /// On the edge's clock.
    until: Time,
}

impl Edge {
    pub fn new(rng: &mut Rng, max_ppm: i64) -> Self {
        Self {
            clock: LocalClock::new(rng, max_ppm),
            cache: [None; N_KEYS],
            under_way: [None; N_KEYS],
            fences: [0; N_KEYS],
            filter: None,
            is_connected: true,
        }
    }

    /// Version and remaining lifetime of a copy.
    pub fn find(&self, now: Time, key: usize) -> Option<(u32, Time)> {
        let copy = self.cache[key]?;
        let left = copy.until.checked_sub(self.clock.read(now)).filter(|&left| left > 0)?;
        self.is_connected.then_some((copy.version, left))
    }

    pub fn under_way(&self, key: usize) -> Option<FetchId> {
        self.under_way[key]
    }

    pub fn sent(&mut self, key: usize, fetch: FetchId) -> u64 {
        self.under_way[key] = Some(fetch);
        self.fences[key]
    }

    pub fn ended(&mut self, key: usize, fetch: FetchId) {
        if self.under_way[key] == Some(fetch) {
            self.under_way[key] = None;
        }
    }

    /// Keeps an answer, if no purge came since it was asked for. Returns what is left of its lifetime.
    pub fn keep(&mut self, now: Time, key: usize, (version, ttl): (u32, Time), sent: Time, fence: Option<u64>) -> Time {
        let until = self.clock.read(sent) + ttl;
        if fence.is_none_or(|fence| fence == self.fences[key]) && self.is_connected {
            self.cache[key] = Some(Copy { version, until });
        }
        until.saturating_sub(self.clock.read(now))
    }

    pub fn purge(&mut self, key: usize) {
        self.cache[key] = None;
        self.under_way[key] = None;
        self.fences[key] += 1;
    }

    pub fn flush(&mut self, is_connected: bool) {
        for key in 0..N_KEYS {
            self.purge(key);
        }
        self.is_connected = is_connected;
    }

    /// The filter, aged, if it was asked for less than `micro_cache` ago.
    pub fn find_filter(&self, now: Time, micro_cache: Time) -> Option<Sent> {
        let (filter, since) = self.filter.as_ref()?;
        let age = self.clock.read(now).saturating_sub(*since);
        (age < micro_cache).then(|| Sent {
            age: filter.age + age,
            ..filter.clone()
        })
    }

    pub fn keep_filter(&mut self, filter: Sent, sent: Time) {
        let since = self.clock.read(sent);
        if self.filter.as_ref().is_none_or(|(_, known)| *known < since) {
            self.filter = Some((filter, since));
        }
    }
}
