//! Until when copies of which keys may live: the books that reads are entered in.

use std::collections::hash_map::Entry as Place;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hash::{ByKey, Mixer};
use crate::time::{Moment, Tick, Ticks};
use crate::{Durability, KeyHash, Kind, Record, Settings};

/// How often a full shard is searched for what has expired.
const SWEEP_INTERVAL: Tick = 16;

/// All shards.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[Mutex<Shard>]>,
    ticks: Ticks,
    limit: usize,
    longest: Duration,
    unlogged: Option<Duration>,
    grace: Tick,
    seed: u64,
}

#[derive(Debug)]
struct Shard {
    entries: ByKey<Entry>,
    /// Records that nobody has taken yet.
    records: Vec<Record>,
    swept: Tick,
}

/// 24 bytes beside the key's 8.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// No copy lives longer. Only grows.
    cached: Tick,
    /// The end that a record was made of.
    asked: Tick,
    /// The end that is written down.
    durable: Tick,
    /// The end that was granted last, and the tick from which it is not good enough any more.
    granted: Tick,
    renew: Tick,
    /// Copies that were handed out under that grant, after the first.
    n_copies: u32,
}

/// Whether what is registered of a key is good enough for another copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Until then a copy may live: more than half of the last grant is left.
    Until(Moment),
    /// A lifetime has to be found and registered. The last one was used for so many copies, after the first.
    Ask(u32),
}

/// What became of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    Until(Moment),
    Refused,
}

impl Registry {
    pub(crate) fn new(settings: &Settings, ticks: Ticks) -> Self {
        let shard = || {
            Mutex::new(Shard {
                entries: ByKey::with_hasher(Mixer(settings.seed)),
                records: Vec::new(),
                swept: 0,
            })
        };
        Self {
            shards: (0..settings.n_shards).map(|_| shard()).collect(),
            ticks,
            limit: settings.max_keys.div_ceil(settings.n_shards),
            longest: settings.longest,
            unlogged: match settings.durability {
                Durability::Forgotten => None,
                Durability::Journaled { unlogged } => Some(unlogged),
            },
            grace: ticks.end(ticks.moment(0) + settings.grace),
            seed: settings.seed,
        }
    }

    /// Held for a lookup or an insert, and once in a while for a sweep; never while another lock is taken.
    fn shard(&self, key: KeyHash) -> MutexGuard<'_, Shard> {
        // Other bits than the tables use.
        let spread = (key.to_bits() ^ self.seed).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
        let shard = &self.shards[spread as usize & (self.shards.len() - 1)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a copy that may live for `ttl`, or shorter, as the answer says.
    pub(crate) fn register(
        &self,
        key: KeyHash,
        kind: Kind,
        now: Moment,
        ttl: Duration,
        settings: &Settings,
    ) -> Registered {
        let ttl = ttl.min(self.longest);
        if ttl.is_zero() || !self.ticks.reach(now) {
            return Registered::Until(now);
        }
        let end = |ttl: Duration| self.ticks.end(now + ttl + settings.margin(ttl));

        let mut shard = self.shard(key);
        if shard.entries.len() >= self.limit && !shard.entries.contains_key(&key) {
            shard.sweep(self.ticks.now(now), self.grace);
            if shard.entries.len() >= self.limit {
                return Registered::Refused;
            }
        }
        let Shard { entries, records, .. } = &mut *shard;
        let entry = entries.entry(key).or_default();
        let mut granted = ttl;
        if let Some(unlogged) = self.unlogged
            && ttl > unlogged
            && end(ttl) > entry.durable
        {
            // If nobody takes the records, their number stays bounded and lifetimes short.
            if end(ttl) > entry.asked && records.len() < self.limit {
                let until = now + 2 * (ttl + settings.margin(ttl));
                entry.asked = self.ticks.end(until);
                records.push(Record {
                    key,
                    kind,
                    until: self.ticks.moment(entry.asked),
                });
            }
            // What is written down already still counts.
            let rest = self.ticks.moment(entry.durable).since(now + settings.margin(ttl));
            let rest = rest.saturating_sub(Ticks::LENGTH);
            granted = rest.max(unlogged).min(ttl);
        }
        entry.cached = entry.cached.max(end(granted));
        entry.granted = self.ticks.now(now + granted);
        entry.renew = self.ticks.now(now + granted / 2);
        entry.n_copies = 0;
        Registered::Until(now + granted)
    }

    pub(crate) fn standing(&self, key: KeyHash, now: Moment) -> Standing {
        let tick = self.ticks.now(now);
        let mut shard = self.shard(key);
        let Some(entry) = shard.entries.get_mut(&key) else {
            return Standing::Ask(0);
        };
        if tick >= entry.renew {
            return Standing::Ask(entry.n_copies);
        }
        entry.n_copies = entry.n_copies.saturating_add(1);
        Standing::Until(self.ticks.moment(entry.granted))
    }

    /// The end of the longest-lived copy, if it lies ahead. What was written gets a new lifetime with its next copy.
    pub(crate) fn written(&self, key: KeyHash, now: Moment) -> Option<Tick> {
        let mut shard = self.shard(key);
        let entry = shard.entries.get_mut(&key)?;
        entry.renew = 0;
        let end = entry.cached;
        drop(shard);
        (end > self.ticks.now(now)).then_some(end)
    }

    pub(crate) fn is_known(&self, key: KeyHash, now: Moment) -> bool {
        let now = self.ticks.now(now);
        self.shard(key)
            .entries
            .get(&key)
            .is_some_and(|entry| entry.cached.saturating_add(self.grace) > now)
    }

    /// Enters what was written down before a crash. False if there is no room.
    pub(crate) fn restore(&self, record: &Record) -> bool {
        let end = self.ticks.end(record.until);
        let mut shard = self.shard(record.key);
        let has_room = shard.entries.len() < self.limit;
        let entry = match shard.entries.entry(record.key) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(_) if !has_room => return false,
            Place::Vacant(place) => place.insert(Entry::default()),
        };
        entry.cached = entry.cached.max(end);
        entry.durable = entry.durable.max(end);
        entry.asked = entry.asked.max(end);
        true
    }

    pub(crate) fn take_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for shard in &self.shards {
            records.append(&mut shard.lock().unwrap_or_else(PoisonError::into_inner).records);
        }
        records
    }

    pub(crate) fn written_down(&self, records: &[Record]) {
        for record in records {
            let end = self.ticks.end(record.until);
            if let Some(entry) = self.shard(record.key).entries.get_mut(&record.key) {
                entry.durable = entry.durable.max(end);
                // The next copy may live longer.
                entry.renew = 0;
            }
        }
    }

    /// The next read asks again.
    pub(crate) fn not_written_down(&self, records: &[Record]) {
        for record in records {
            if let Some(entry) = self.shard(record.key).entries.get_mut(&record.key) {
                entry.asked = entry.durable;
            }
        }
    }

    /// Sweeps one shard. Called with growing numbers, it comes by all of them.
    pub(crate) fn sweep(&self, turn: usize, now: Moment) {
        let shard = &self.shards[turn & (self.shards.len() - 1)];
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sweep(self.ticks.now(now), self.grace);
    }

    /// Number of keys; the end of the longest-lived copy.
    pub(crate) fn extent(&self) -> (usize, Moment) {
        let mut n_keys = 0;
        let mut last = 0;
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            n_keys += shard.entries.len();
            last = shard
                .entries
                .values()
                .map(|entry| entry.cached)
                .max()
                .unwrap_or(0)
                .max(last);
        }
        (n_keys, self.ticks.moment(last))
    }

    /// Number of keys. Cost: a lock per shard.
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len())
            .sum()
    }
}

impl Shard {
    /// Linear in the shard, so not more than once a second.
    fn sweep(&mut self, now: Tick, grace: Tick) {
        if self.swept != 0 && now.saturating_sub(self.swept) < SWEEP_INTERVAL {
            return;
        }
        self.swept = now.max(1);
        self.entries.retain(|_, entry| entry.cached.saturating_add(grace) > now);
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to_fit();
        }
    }
}
