//! The server: versions and their history, which survive, and the sketch, which does not.

use std::collections::{HashMap, VecDeque};

use fb_sketch::{Durability, KeyHash, Kind, Past, Record, Settings, Sketch, Snapshot};
use std::sync::Arc;

use super::{Config, Mutant, N_KEYS, Time, is_query, micros, moment};

/// How many versions of a key are remembered: more than any copy lives through.
const HISTORY: usize = 128;

#[derive(Debug)]
pub struct Origin {
    pub hashes: [KeyHash; N_KEYS],
    store: [Row; N_KEYS],
    disk: Disk,
    pub sketch: Option<Sketch>,
    pub boot: u64,
    stopped_well: Option<Time>,
}

/// One key's versions.
#[derive(Debug, Default)]
struct Row {
    version: u32,
    /// Newest last; the last is `version`.
    written: VecDeque<Written>,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    committed: Time,
    acknowledged: Time,
}

#[derive(Debug, Default)]
struct Disk {
    records: HashMap<KeyHash, Record>,
    blind_until: Time,
}

impl Origin {
    pub fn new(config: &Config) -> Self {
        let mut origin = Self {
            hashes: std::array::from_fn(|key| KeyHash::of(&format!("/db/Thing/{key}"))),
            store: std::array::from_fn(|_| Row::default()),
            disk: Disk::default(),
            sketch: None,
            boot: 0,
            stopped_well: None,
        };
        origin.sketch = Some(origin.new_sketch(config, 0, Past::Blank));
        origin
    }

    fn new_sketch(&self, config: &Config, now: Time, past: Past) -> Sketch {
        let no_margin = config.mutant == Some(Mutant::NoDriftMargin);
        let settings = Settings {
            // Small enough for false positives, and for growing and shrinking.
            min_bits: 48,
            max_bits: 384,
            longest: micros(config.ttl.1),
            drift_ppm: if no_margin { 0 } else { config.margin_ppm },
            slack: if no_margin { micros(0) } else { micros(config.slack) },
            grace: micros(0),
            refresh_min: micros(config.refresh_min),
            durability: Durability::Journaled {
                unlogged: micros(config.unlogged),
            },
            n_shards: 2,
            ..Settings::default()
        };
        Sketch::new(settings, moment(now), self.boot, past)
    }

    pub fn kind(key: usize) -> Kind {
        if is_query(key) { Kind::Query } else { Kind::Object }
    }

    pub fn register(&self, key: usize, now: Time, ttl: Time) -> Time {
        let Some(sketch) = &self.sketch else { return now };
        sketch
            .report_read(self.hashes[key], Self::kind(key), moment(now), micros(ttl))
            .as_micros()
    }

    pub fn version(&self, key: usize) -> u32 {
        self.store[key].version
    }

    pub fn commit(&mut self, key: usize, now: Time) -> u32 {
        let row = &mut self.store[key];
        row.version += 1;
        row.written.push_back(Written {
            committed: now,
            acknowledged: Time::MAX,
        });
        if row.written.len() > HISTORY {
            row.written.pop_front();
        }
        row.version
    }

    /// True if edges have to be told.
    pub fn report(&self, key: usize, now: Time, mutant: Option<Mutant>) -> bool {
        let Some(sketch) = &self.sketch else { return false };
        if mutant == Some(Mutant::StayNotExtended) && sketch.is_stale(self.hashes[key]) {
            return true;
        }
        sketch.report_write(self.hashes[key], moment(now)).is_some()
    }

    pub fn acknowledge(&mut self, key: usize, version: u32, now: Time) {
        let row = &mut self.store[key];
        let back = (row.version - version) as usize;
        if let Some(index) = row.written.len().checked_sub(back + 1) {
            let written = &mut row.written[index];
            written.acknowledged = written.acknowledged.min(now);
        }
    }

    /// Since when `version` has been overdue: the first acknowledgement of a later one.
    pub fn overdue_since(&self, key: usize, version: u32) -> Time {
        let row = &self.store[key];
        let n_later = (row.version - version) as usize;
        row.written
            .iter()
            .rev()
            .take(n_later)
            .map(|written| written.acknowledged)
            .min()
            .unwrap_or(Time::MAX)
    }

    pub fn snapshot(&self, now: Time) -> Option<Arc<Snapshot>> {
        Some(self.sketch.as_ref()?.snapshot(moment(now)))
    }

    pub fn on_disk(&mut self, boot: u64, records: &[Record]) {
        for record in records {
            let known = self.disk.records.entry(record.key).or_insert(*record);
            known.until = known.until.max(record.until);
        }
        if let Some(sketch) = self.sketch.as_ref().filter(|_| boot == self.boot) {
            sketch.written_down(records);
        }
    }

    pub fn stop(&mut self, in_good_order: bool) {
        self.stopped_well = None;
        if let Some(sketch) = self.sketch.take().filter(|_| in_good_order) {
            self.stopped_well = Some(sketch.last_expiry().as_micros());
        }
        self.boot += 1;
    }

    /// Starts again; returns the keys that edges have to be told about.
    pub fn start(&mut self, config: &Config, now: Time, has_journal: bool) -> Vec<usize> {
        let past = match self.stopped_well.take() {
            _ if config.mutant == Some(Mutant::NoCrashRule) => Past::Blank,
            Some(end) => Past::EndsBy(moment(end)),
            None if has_journal => Past::Journaled {
                unlogged: micros(config.unlogged),
            },
            None => Past::Unknown {
                longest: micros(config.ttl.1),
            },
        };
        let sketch = self.new_sketch(config, now, past);
        if config.mutant != Some(Mutant::BlindnessForgotten) && config.mutant != Some(Mutant::NoCrashRule) {
            sketch.doubt(moment(now), moment(self.disk.blind_until));
        }
        let mut changed = Vec::new();
        if matches!(past, Past::Unknown { .. }) {
            self.disk.records.clear();
        }
        self.disk.records.retain(|_, record| record.until > moment(now));
        if matches!(past, Past::Journaled { .. }) {
            for record in self.disk.records.values() {
                sketch.restore(record);
            }
        }
        // What was committed and not acknowledged counts as such from now on.
        for (key, row) in self.store.iter_mut().enumerate() {
            for written in &mut row.written {
                written.acknowledged = written.acknowledged.min(now);
            }
            let is_recent = |written: &Written| written.committed + config.ttl.1 >= now;
            if row.written.back().is_some_and(is_recent)
                && config.mutant != Some(Mutant::ChangesNotReplayed)
                && config.mutant != Some(Mutant::NoCrashRule)
                && sketch.report_write(self.hashes[key], moment(now)).is_some()
            {
                changed.push(key);
            }
        }
        sketch.restored();
        self.disk.blind_until = sketch.blind_until().as_micros();
        self.sketch = Some(sketch);
        changed
    }
}
