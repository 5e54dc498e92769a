//! Classes and buckets: what is counted of each, and until when copies of what is in it may live.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use fb_sketch::Moment;

use super::traffic::{SharedTraffic, Traffic};

/// Most areas that are told apart; further ones share one.
const MAX_AREAS: usize = 1000;

/// Time over which rates are averaged.
const MEMORY: Duration = Duration::from_secs(30);

/// The area of what has no area of its own.
const OTHERS: &str = "";

/// A class or a bucket.
#[derive(Debug)]
pub(crate) struct Area {
    pub(crate) number: u32,
    reads: AtomicU64,
    writes: AtomicU64,
    granted_secs: AtomicU64,
    pub(super) traffic: SharedTraffic,
    /// No copy lives longer; microseconds.
    until: AtomicU64,
    /// Writes of anything in it, and what came of them per second lately, as the bits of a float.
    all_writes: AtomicU64,
    write_rate: AtomicU64,
}

/// What was counted of a class or a bucket since the app is awake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaFigures {
    /// `/db/<class>`, `/file/<bucket>`, `/query/<class>` for results of queries, or `/code/<module>`; the prefix alone for all beyond the first thousand
    pub name: String,
    /// Answers that got a lifetime
    pub reads: u64,
    /// Sum of these lifetimes in seconds
    pub granted_seconds: u64,
    /// Writes of which somebody may have had a copy
    pub stale_writes: u64,
    /// Requests
    pub traffic: Traffic,
}

/// All classes, or all buckets, by name. There are few, they are looked up with each read, and hardly ever is one new.
#[derive(Debug, Default)]
pub(crate) struct Areas(ArcSwap<HashMap<String, Arc<Area>>>);

impl Areas {
    /// Calls `look` with an area, if it is known.
    pub(crate) fn look<T>(&self, name: &str, look: impl FnOnce(&Area) -> T) -> Option<T> {
        let areas = self.0.load();
        areas.get(name).or_else(|| areas.get(OTHERS)).map(|area| look(area))
    }

    pub(crate) fn get_or_insert(&self, name: &str) -> Arc<Area> {
        loop {
            let areas = self.0.load();
            let is_full = areas.len() >= MAX_AREAS;
            if let Some(area) = areas.get(name).or_else(|| areas.get(OTHERS).filter(|_| is_full)) {
                return area.clone();
            }
            let name = if is_full { OTHERS } else { name };
            self.0.rcu(|areas| {
                let mut areas = HashMap::clone(areas);
                let number = u32::try_from(areas.len()).unwrap_or(u32::MAX);
                areas
                    .entry(name.to_owned())
                    .or_insert_with(|| Arc::new(Area::new(number)));
                areas
            });
        }
    }

    /// When the last copy ends of what is in areas of which `is_meant` is true.
    pub(crate) fn until(&self, is_meant: impl Fn(&str) -> bool) -> Moment {
        let areas = self.0.load();
        let meant = areas.iter().filter(|(name, _)| *name == OTHERS || is_meant(name));
        let until = meant.map(|(_, area)| area.until.load(Ordering::SeqCst)).max();
        Moment::from_micros(until.unwrap_or_default())
    }

    /// So much time has passed since the last call.
    pub(crate) fn measure(&self, passed: Duration) {
        for area in self.0.load().values() {
            area.measure(passed);
        }
    }

    /// Requests for anything in all of them.
    pub(super) fn traffic(&self) -> Traffic {
        self.0.load().values().map(|area| area.traffic.get()).sum()
    }

    /// Figures of all, in the order of their names, which get this prefix.
    pub(crate) fn figures(&self, prefix: &str) -> Vec<AreaFigures> {
        let areas = self.0.load();
        let figures = areas.iter().map(|(name, area)| AreaFigures {
            name: format!("{prefix}{name}"),
            reads: area.reads.load(Ordering::Relaxed),
            granted_seconds: area.granted_secs.load(Ordering::Relaxed),
            stale_writes: area.writes.load(Ordering::Relaxed),
            traffic: area.traffic.get(),
        });
        let mut figures: Vec<AreaFigures> = figures.collect();
        figures.sort_by(|a, b| a.name.cmp(&b.name));
        figures
    }
}

impl Area {
    fn new(number: u32) -> Self {
        Self {
            number,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            granted_secs: AtomicU64::new(0),
            traffic: SharedTraffic::default(),
            until: AtomicU64::new(0),
            all_writes: AtomicU64::new(0),
            write_rate: AtomicU64::new(0),
        }
    }

    /// A copy may live until then. To be said before what is copied is read for good.
    pub(crate) fn expect(&self, until: Moment) {
        self.until.fetch_max(until.as_micros(), Ordering::SeqCst);
    }

    pub(crate) fn count_read(&self, granted: Duration) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.granted_secs.fetch_add(granted.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn count_write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Something in it was written, whether or not somebody may have a copy.
    pub(crate) fn count_any_write(&self) {
        self.all_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes per second, over about half a minute.
    pub(crate) fn write_rate(&self) -> f64 {
        f64::from_bits(self.write_rate.load(Ordering::Relaxed))
    }

    /// So much time has passed since the last call.
    fn measure(&self, passed: Duration) {
        let passed = passed.as_secs_f64().max(1e-3);
        let rate = self.all_writes.swap(0, Ordering::Relaxed) as f64 / passed;
        let share = -(-passed / MEMORY.as_secs_f64()).exp_m1();
        let smooth = self.write_rate() + (rate - self.write_rate()) * share;
        self.write_rate.store(smooth.to_bits(), Ordering::Relaxed);
    }
}
