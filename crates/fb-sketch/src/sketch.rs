//! The sketch: reads and writes come in, filters go out.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::delta::Version;
use crate::filter::{Filter, false_positive_rate};
use crate::horizon::{Horizon, Kind, Past, Record};
use crate::registry::{Registered, Registry, Standing};
use crate::snapshot::{Body, Snapshot};
use crate::stale::StaleSet;
use crate::time::{Moment, Ticks};
use crate::{KeyHash, Settings};

/// Which copies that were handed out may live, and which of them are out of date.
///
/// Shared by all threads. Reads lock one shard of the books for a lookup; writes of keys that nobody can have do the same;
/// snapshots are behind a pointer that is swapped.
///
/// # Order of calls
/// The guarantee hangs on it (algorithms, section 3.3):
///
/// 1. [`report_read`](Self::report_read) *before* the store is asked; the lifetime in the answer is what is left until the
///    instant it returned, never computed anew. Confirmations (304) register like whole answers.
/// 2. [`report_write`](Self::report_write) *after* the commit and before its acknowledgement.
/// 3. The `now` of [`snapshot`](Self::snapshot) is read from the clock before the call.
#[derive(Debug)]
pub struct Sketch {
    settings: Settings,
    ticks: Ticks,
    boot: u64,
    registry: Registry,
    state: Mutex<State>,
    /// Held while a snapshot is made.
    publisher: Mutex<()>,
    published: ArcSwap<Snapshot>,
    sweeps: AtomicUsize,
    counts: Counts,
}

/// What writes change.
#[derive(Debug)]
struct State {
    stale: StaleSet,
    horizon: Horizon,
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    refused: AtomicU64,
    writes: AtomicU64,
    purges: AtomicU64,
}

/// Figures, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SketchStats {
    /// Keys in the books.
    pub keys: usize,
    /// Keys in the filter.
    pub stale: usize,
    /// Bits of the filter.
    pub bits: u32,
    /// Share of bits that are set in the last snapshot.
    pub fill: f64,
    /// Share of other keys that seem to be in the filter, from the number of keys.
    pub false_positives: f64,
    /// Bits that are stuck until the next rebuild.
    pub stuck: usize,
    /// Whether the filter contains everything.
    pub is_blind: bool,
    /// Reads that were registered.
    pub reads: u64,
    /// Reads that got no lifetime because the books were full.
    pub refused: u64,
    /// Writes that were reported.
    pub writes: u64,
    /// Writes of keys that somebody may have had a copy of.
    pub purges: u64,
}

impl Sketch {
    /// An app's sketch. `start` is now; `boot` a random number that no other process of this app drew.
    pub fn new(settings: Settings, start: Moment, boot: u64, past: Past) -> Self {
        let settings = settings.checked();
        let ticks = Ticks::from(start);
        let horizon = Horizon::after(past, start, |ttl| settings.margin(ttl));
        let stale = StaleSet::new(&settings);
        let body = if horizon.is_blind(start) {
            Body::new(Version { boot, number: 0 }, Filter::full())
        } else {
            Body::new(
                Version {
                    boot,
                    number: stale.version(),
                },
                stale.filter(),
            )
        };
        Self {
            ticks,
            boot,
            registry: Registry::new(&settings, ticks),
            state: Mutex::new(State { stale, horizon }),
            publisher: Mutex::new(()),
            published: ArcSwap::from_pointee(Snapshot::first(start, body)),
            sweeps: AtomicUsize::new(0),
            counts: Counts::default(),
            settings,
        }
    }

    /// Held for one key, for a tick, or for a copy of the bits. Taken after `publisher`; shards are never held meanwhile.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters that a copy of `key` is about to be handed out that may live for `ttl`; returns until when it may.
    ///
    /// `ttl` is the longest time any cache may serve the copy: see [`lifetime`](crate::lifetime). The answer is `now + ttl` or
    /// earlier: at most [`Settings::longest`] away; a few seconds only, until the key's record is written down; `now` itself
    /// if the books are full, and then the copy must not be stored at all. What is already registered is never shortened.
    ///
    /// Cost: about 50 ns.
    pub fn report_read(&self, key: KeyHash, kind: Kind, now: Moment, ttl: Duration) -> Moment {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        match self.registry.register(key, kind, now, ttl, &self.settings) {
            Registered::Until(until) => until,
            Registered::Refused => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                now
            }
        }
    }

    /// Whether another copy of `key` may be handed out under what [`report_read`](Self::report_read) granted last, and until when it
    /// may live. This is a read that was reported long before the store is asked, so call it before that, as rule 1 has it.
    ///
    /// Cost: about 30 ns, and a wait for memory.
    pub fn standing(&self, key: KeyHash, now: Moment) -> Standing {
        self.registry.standing(key, now)
    }

    /// Enters that `key` was written. If somebody may have a copy, says for how long yet: purge it from all caches that can be.
    ///
    /// Every snapshot whose `now` comes after this call contains the key for that time.
    ///
    /// Cost: that of a read, and a second lock if there may be copies or the sketch is blind.
    pub fn report_write(&self, key: KeyHash, now: Moment) -> Option<Duration> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        let known = self.registry.written(key, now);
        let mut state = self.state();
        let blind_until = state.horizon.is_blind(now).then(|| state.horizon.ends());
        if let Some(end) = known {
            state.stale.insert(key, end);
        }
        drop(state);
        // While blind, copies may exist that the books do not know.
        let end = known.map(|end| self.ticks.moment(end)).max(blind_until)?;
        self.counts.purges.fetch_add(1, Ordering::Relaxed);
        Some(end.since(now))
    }

    /// Drops what has expired. Called about once a second, so that memory follows; exactness does not depend on it.
    pub fn tick(&self, now: Moment) {
        let mut state = self.state();
        state.stale.expire(self.ticks.now(now));
        drop(state);
        self.registry.sweep(self.sweeps.fetch_add(1, Ordering::Relaxed), now);
    }

    /// The filter as of `now`, or up to [`Settings::refresh_min`] earlier: [`Snapshot::generation`] says.
    ///
    /// Cost: a load of a pointer; every `refresh_min` one caller also copies the bits, and the others wait for it.
    pub fn snapshot(&self, now: Moment) -> Arc<Snapshot> {
        let current = self.published.load_full();
        if self.is_recent(&current, now) {
            return current;
        }
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.published.load_full();
        if self.is_recent(&current, now) {
            return current;
        }
        let snapshot = self.publish(&current, now);
        drop(publisher);
        snapshot
    }

    /// Also true for a caller who was overtaken: what was reported before its `now` is in the later snapshot.
    fn is_recent(&self, snapshot: &Snapshot, now: Moment) -> bool {
        let generation = snapshot.generation();
        now < generation || now.since(generation) < self.settings.refresh_min
    }

    /// The generation is `now`, which the caller read before the bits are copied here: what was reported before that is in them.
    fn publish(&self, current: &Snapshot, now: Moment) -> Arc<Snapshot> {
        let mut state = self.state();
        state.stale.expire(self.ticks.now(now));
        state.stale.fit(self.ticks.now(now), self.ticks);
        let is_blind = state.horizon.is_blind(now) || !self.ticks.reach(now);
        let number = if is_blind { 0 } else { state.stale.version() };
        let version = Version {
            boot: self.boot,
            number,
        };
        let filter = (version != current.version()).then(|| match is_blind {
            true => Filter::full(),
            false => state.stale.filter(),
        });
        drop(state);
        let snapshot = Arc::new(match filter {
            Some(filter) => current.followed_by(now, Body::new(version, filter), self.settings.n_versions),
            None => current.again(now),
        });
        self.published.store(snapshot.clone());
        snapshot
    }

    /// Whether the key is in the filter because of a write, rather than by chance or blindness.
    pub fn is_stale(&self, key: KeyHash) -> bool {
        self.state().stale.contains(key)
    }

    /// Whether a copy lives, or ended less than [`Settings::grace`] ago: an edge may still have it.
    pub fn is_known(&self, key: KeyHash, now: Moment) -> bool {
        self.registry.is_known(key, now)
    }

    /// When the last copy ends that is known of, blindness included. To be written down when the process stops in good
    /// order, after the last answer, for [`Past::EndsBy`]; and erased when it starts again.
    ///
    /// Cost: linear in the keys.
    pub fn last_expiry(&self) -> Moment {
        self.registry.extent().1.max(self.state().horizon.ends())
    }

    /// When blindness ends; in the past if it has. A process that is blind writes this down *before* it answers anything, and the next
    /// one, if it starts earlier, says [`doubt`](Self::doubt): the copies that made this one blind are not in its journal.
    pub fn blind_until(&self) -> Moment {
        self.state().horizon.ends()
    }

    /// From now until `end` the filter contains everything: after a step of the clock, or of what an earlier process wrote down.
    pub fn doubt(&self, now: Moment, end: Moment) {
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        self.state().horizon.doubt(end);
        let current = self.published.load_full();
        self.publish(&current, now);
        drop(publisher);
    }

    /// Enters a record of an earlier process; see [`Horizon`]. If the books are full the sketch stays blind until its end.
    pub fn restore(&self, record: &Record) {
        if !self.registry.restore(record) {
            self.state().horizon.doubt(record.until);
            return;
        }
        match record.kind {
            Kind::Object => {}
            Kind::Query => self.state().stale.insert(record.key, self.ticks.end(record.until)),
        }
    }

    /// All records are restored, and all changes reported that were committed before the start.
    pub fn restored(&self) {
        self.state().horizon.restored();
    }

    /// Records to be written down, then given to [`written_down`](Self::written_down). At most one per key and call.
    pub fn take_records(&self) -> Vec<Record> {
        self.registry.take_records()
    }

    /// These records will survive a crash: from now on their keys get lifetimes up to their ends.
    pub fn written_down(&self, records: &[Record]) {
        self.registry.written_down(records);
    }

    /// These records could not be written down; the next reads ask again.
    pub fn not_written_down(&self, records: &[Record]) {
        self.registry.not_written_down(records);
    }

    /// Figures. Cost: a lock per shard.
    pub fn stats(&self, now: Moment) -> SketchStats {
        let keys = self.registry.len();
        let published = self.published.load();
        let filter = published.filter();
        let state = self.state();
        SketchStats {
            keys,
            stale: state.stale.len(),
            bits: state.stale.m(),
            fill: f64::from(filter.ones()) / f64::from(filter.m()),
            false_positives: false_positive_rate(state.stale.m(), self.settings.hashes, state.stale.len()),
            stuck: state.stale.n_stuck(),
            is_blind: state.horizon.is_blind(now),
            reads: self.counts.reads.load(Ordering::Relaxed),
            refused: self.counts.refused.load(Ordering::Relaxed),
            writes: self.counts.writes.load(Ordering::Relaxed),
            purges: self.counts.purges.load(Ordering::Relaxed),
        }
    }

    /// Keys the filter holds at its largest before false positives exceed their target.
    pub fn capacity(&self) -> usize {
        let mut m = self.settings.min_bits;
        while m <= self.settings.max_bits / 2 {
            m *= 2;
        }
        crate::filter::capacity(m, self.settings.hashes, self.settings.false_positives)
    }

    /// When the next key leaves the filter, if any is in it.
    pub fn next_expiry(&self) -> Option<Moment> {
        self.state().stale.next_expiry(self.ticks)
    }
}
