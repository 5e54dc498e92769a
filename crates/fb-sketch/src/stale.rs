//! The keys of which an outdated copy may be out there, as a map and as a counting Bloom filter kept in step with it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::filter::{self, Filter};
use crate::hash::{ByKey, Mixer};
use crate::time::{Moment, Tick, Ticks};
use crate::{KeyHash, Settings};

/// Rebuilds on behalf of stuck counters are at least this far apart.
const REPAIR_INTERVAL: Duration = Duration::from_mins(1);

/// Each key is counted once, however often it is written; a later expiry only extends its stay.
#[derive(Debug)]
pub(crate) struct StaleSet {
    until: ByKey<Tick>,
    /// One entry per key. It may be earlier than what `until` says; then it is pushed again when its time comes.
    heap: BinaryHeap<Reverse<(Tick, KeyHash)>>,
    counting: Counting,
    min_bits: u32,
    max_bits: u32,
    false_positives: f64,
    repaired: Tick,
}

/// Counters and the bits that say which of them are not zero. Without memory until the first key comes.
#[derive(Debug)]
struct Counting {
    m: u32,
    h: u8,
    counters: Vec<u8>,
    bits: Vec<u8>,
    /// Counters that reached the ceiling. They are not trusted any more and stay: a false positive until the next rebuild.
    n_stuck: usize,
    ceiling: u8,
    version: u64,
}

impl StaleSet {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            until: ByKey::with_hasher(Mixer(settings.seed)),
            heap: BinaryHeap::new(),
            counting: Counting {
                m: settings.min_bits,
                h: settings.hashes,
                counters: Vec::new(),
                bits: Vec::new(),
                n_stuck: 0,
                ceiling: u8::MAX,
                // 0 is the filter that contains everything.
                version: 1,
            },
            min_bits: settings.min_bits,
            max_bits: settings.max_bits,
            false_positives: settings.false_positives,
            repaired: 0,
        }
    }

    /// Keeps `key` until `until` at least.
    pub(crate) fn insert(&mut self, key: KeyHash, until: Tick) {
        match self.until.entry(key) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                *known = until.max(*known);
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(until);
                self.heap.push(Reverse((until, key)));
                self.counting.add(key);
            }
        }
    }

    /// Drops what has expired. Cost: logarithmic per dropped or extended key.
    pub(crate) fn expire(&mut self, now: Tick) {
        while let Some(&Reverse((end, key))) = self.heap.peek() {
            if end > now {
                break;
            }
            self.heap.pop();
            match self.until.get(&key) {
                Some(&later) if later > end => self.heap.push(Reverse((later, key))),
                Some(_) => {
                    self.until.remove(&key);
                    self.counting.remove(key);
                }
                None => debug_assert!(false, "every key in the heap is in the map"),
            }
        }
    }

    /// Gives the filter the size its keys want, and clears stuck counters. Cost: none, or linear in keys and bits.
    pub(crate) fn fit(&mut self, now: Tick, ticks: Ticks) {
        let capacity = |m| filter::capacity(m, self.counting.h, self.false_positives);
        let n = self.until.len();
        let mut m = self.counting.m;
        while n > capacity(m) && m <= self.max_bits / 2 {
            m *= 2;
        }
        // Half of the smaller one's capacity: a population that moves around a border does not rebuild all the time.
        while m / 2 >= self.min_bits && n < capacity(m / 2) / 2 {
            m /= 2;
        }
        let since_repair = ticks.moment(now).since(ticks.moment(self.repaired));
        let is_repair_due = self.counting.n_stuck > 0 && since_repair >= REPAIR_INTERVAL;
        if m != self.counting.m || is_repair_due {
            self.repaired = now;
            self.counting.clear(m);
            for &key in self.until.keys() {
                self.counting.add(key);
            }
        }
    }

    pub(crate) fn contains(&self, key: KeyHash) -> bool {
        self.until.contains_key(&key)
    }

    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    pub(crate) fn m(&self) -> u32 {
        self.counting.m
    }

    pub(crate) fn n_stuck(&self) -> usize {
        self.counting.n_stuck
    }

    /// Moves with every change of the bits.
    pub(crate) fn version(&self) -> u64 {
        self.counting.version
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter::new(self.counting.m, self.counting.h, &self.counting.bits).unwrap_or_else(|_| Filter::full())
    }

    /// When the last key will be dropped.
    pub(crate) fn next_expiry(&self, ticks: Ticks) -> Option<Moment> {
        self.heap.peek().map(|Reverse((end, _))| ticks.moment(*end))
    }

    #[cfg(test)]
    pub(crate) fn is_blank(&self) -> bool {
        self.heap.is_empty()
            && self
                .counting
                .counters
                .iter()
                .chain(&self.counting.bits)
                .all(|&byte| byte == 0)
    }
}

impl Counting {
    fn add(&mut self, key: KeyHash) {
        if self.counters.is_empty() {
            self.counters = vec![0; self.m as usize];
            self.bits = vec![0; self.m.div_ceil(8) as usize];
        }
        let mut is_changed = false;
        for i in key.positions(self.m, self.h) {
            let counter = &mut self.counters[i as usize];
            if *counter == self.ceiling {
                continue;
            }
            *counter += 1;
            if *counter == 1 {
                self.bits[i as usize / 8] |= 1 << (i % 8);
                is_changed = true;
            }
            if *counter == self.ceiling {
                self.n_stuck += 1;
            }
        }
        self.version += u64::from(is_changed);
    }

    fn remove(&mut self, key: KeyHash) {
        let mut is_changed = false;
        for i in key.positions(self.m, self.h) {
            let counter = &mut self.counters[i as usize];
            if *counter == self.ceiling {
                continue;
            }
            debug_assert!(*counter > 0, "what is removed was added");
            *counter = counter.saturating_sub(1);
            if *counter == 0 {
                self.bits[i as usize / 8] &= !(1 << (i % 8));
                is_changed = true;
            }
        }
        self.version += u64::from(is_changed);
    }

    fn clear(&mut self, m: u32) {
        self.m = m;
        self.counters = Vec::new();
        self.bits = Vec::new();
        self.n_stuck = 0;
        self.version += 1;
    }
}

#[cfg(test)]
mod tests;
