//! How long copies of objects should live, learned from fills and writes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::KeyHash;
use crate::economy::{Load, Price, Traffic, quantile};
use crate::hash::Mixer;
use crate::table::{Aged, Table};
use crate::time::{Moment, Tick, Ticks};

/// Classes with statistics of their own, per shard; further ones share one.
const MAX_CLASSES: usize = 256;
/// Most by which a key's own price differs.
const SPREAD: f64 = 3.0;
/// Events that the settings' first rates are worth against those of the class.
const FIRST: f64 = 0.1;
/// Reads before older ones count half.
const MEMORY: f32 = 64.0;

/// Settings of [`Lifetimes`].
#[derive(Debug, Clone)]
pub struct LifetimeSettings {
    /// Shortest lifetime. Default 1 s.
    pub min: Duration,
    /// Longest lifetime. Default 24 hours.
    pub max: Duration,
    /// Time over which writes are forgotten. Default 24 hours.
    pub window: Duration,
    /// The same for bursts: what is written often just now gets short lifetimes at once. Default 5 minutes.
    pub burst: Duration,
    /// No lifetime that a write ends with a higher probability: the rest would bring next to nothing. Default 0.99.
    pub quantile: f64,
    /// How many writes the class's mean rate is worth against an object's own. Default 0.5.
    pub prior: f64,
    /// Writes per second of an object of a class of which nothing is known. Default one per hour.
    pub first_writes: f64,
    /// Reads per second of such an object. Default one per minute.
    pub first_reads: f64,
    /// Objects with figures of their own. 44 bytes each in a table that grows with use, and is up to three quarters empty while it does. Default 262,144.
    pub max_keys: usize,
}

impl Default for LifetimeSettings {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_hours(24),
            window: Duration::from_hours(24),
            burst: Duration::from_mins(5),
            quantile: 0.99,
            prior: 0.5,
            first_writes: 1.0 / 3600.0,
            first_reads: 1.0 / 60.0,
            max_keys: 1 << 18,
        }
    }
}

/// What is known of a copy that is about to be handed out.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// The longest lifetime it may have.
    pub longest: Duration,
    /// Copies handed out since the last call that were not reported by calls of their own.
    pub others: u32,
}

impl Default for Fill {
    fn default() -> Self {
        Self {
            longest: Duration::MAX,
            others: 0,
        }
    }
}

/// Rates of objects, and the lifetimes that follow from them. One per app, shared by all threads.
///
/// Nothing here is needed for correctness: the [`Sketch`](crate::Sketch) promises what it promises for any lifetime. Forgetting
/// an object costs hits or entries in the filter until its rates are known again. Same calls, same answers.
#[derive(Debug)]
pub struct Lifetimes {
    settings: LifetimeSettings,
    ticks: Ticks,
    shards: [Mutex<Shard>; N_SHARDS],
    price: Mutex<Price>,
    /// The price again, for readers.
    per_entry: AtomicU64,
}

const N_SHARDS: usize = 16;

#[derive(Debug)]
struct Shard {
    objects: Table<Object>,
    classes: HashMap<u32, Class, Mixer>,
    /// Sum and number of the last lifetimes in seconds, older ones count half.
    life: f64,
    n_lives: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Object {
    /// First and last time it was met.
    seen: Tick,
    at: Tick,
    /// Writes, fading over the window, and over the burst; as of `at`.
    slow: f32,
    fast: f32,
    /// Fills after the first, and seconds for which no copy was out.
    fills: f32,
    idle: f32,
    /// Of the last copy; the end moves to the write that ended it.
    filled: Tick,
    ends: Tick,
}

impl Aged for Object {
    fn used(&self) -> u32 {
        self.at
    }
}

/// Sums over the class's objects.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    writes: f64,
    exposure: f64,
    fills: f64,
    idle: f64,
}

impl Lifetimes {
    /// Without knowledge, as of `start`.
    pub fn new(settings: LifetimeSettings, start: Moment) -> Self {
        let shard = |_| {
            Mutex::new(Shard {
                objects: Table::new(settings.max_keys / N_SHARDS),
                classes: HashMap::with_hasher(Mixer(0)),
                life: 0.0,
                n_lives: 0.0,
            })
        };
        let price = Price::default();
        Self {
            ticks: Ticks::from(start),
            shards: std::array::from_fn(shard),
            per_entry: AtomicU64::new(price.per_entry().to_bits()),
            price: Mutex::new(price),
            settings,
        }
    }

    /// Held for one key's arithmetic.
    fn shard(&self, key: KeyHash) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(key.to_bits() % N_SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of `key` is about to be handed out: says how long it should live, and counts it. `class` is any number that
    /// similar objects share.
    ///
    /// Cost: up to half a microsecond, most of it exponentials: one for each doubling from the shortest to the longest lifetime.
    pub fn fill(&self, key: KeyHash, class: u32, now: Moment, fill: Fill) -> Duration {
        let tick = self.ticks.now(now);
        let mut shard = self.shard(key);
        let mut object = shard.touch(key, class, tick, &self.settings);
        if object.filled != Tick::MAX {
            let idle = secs(tick.saturating_sub(object.ends));
            let fills = 1.0 + fill.others as f32;
            object.fills += fills;
            object.idle += idle;
            if object.fills > MEMORY {
                let share = MEMORY / 2.0 / object.fills;
                object.fills *= share;
                object.idle *= share;
            }
            let class = shard.class(class);
            class.fills += f64::from(fills);
            class.idle += f64::from(idle);
        }
        let traffic = shard.traffic(&object, class, &self.settings);
        // Lifetimes come in steps. Each key has a price a little of its own, or all that are alike would change theirs at once
        // and the filter would swing.
        let spread = (key.to_bits() >> 40) as f64 / f64::from(1 << 24) * 2.0 - 1.0;
        let price = self.price() * SPREAD.powf(spread);
        let max = quantile(self.settings.quantile, traffic.writes)
            .min(self.settings.max)
            .min(fill.longest)
            .max(self.settings.min);
        let ttl = traffic.best_ttl(price, self.settings.min, max);
        object.filled = tick;
        object.ends = object.ends.max(self.ticks.end(now + ttl));
        shard.put(key, object);
        shard.life += ttl.as_secs_f64();
        shard.n_lives += 1.0;
        if shard.n_lives > 256.0 {
            shard.life /= 2.0;
            shard.n_lives /= 2.0;
        }
        ttl
    }

    /// The sketch granted less than [`fill`](Self::fill) said: copies end then.
    pub fn granted(&self, key: KeyHash, until: Moment) {
        if let Some(object) = self.shard(key).objects.get_mut(key) {
            object.ends = self.ticks.end(until);
        }
    }

    /// `key` was written. Returns how long the last copy lived if it was still alive: its true lifetime.
    pub fn written(&self, key: KeyHash, class: u32, now: Moment) -> Option<Duration> {
        let tick = self.ticks.now(now);
        let mut shard = self.shard(key);
        let mut object = shard.touch(key, class, tick, &self.settings);
        object.slow += 1.0;
        object.fast += 1.0;
        shard.class(class).writes += 1.0;
        let lived = (object.filled != Tick::MAX && object.ends > tick)
            .then(|| self.ticks.moment(tick).since(self.ticks.moment(object.filled)));
        if lived.is_some() {
            object.ends = tick;
        }
        shard.put(key, object);
        lived
    }

    /// What is believed of `key`. For queries, whose rate of change is the sum of their objects'.
    pub fn traffic(&self, key: KeyHash, class: u32, now: Moment) -> Traffic {
        let tick = self.ticks.now(now);
        let mut shard = self.shard(key);
        let mut object = shard.objects.get(key).copied().unwrap_or_else(|| Object::new(tick));
        object.age_to(tick, &self.settings);
        shard.traffic(&object, class, &self.settings)
    }

    /// Called every few seconds: makes lifetimes shorter when the filter is too full, else longer.
    pub fn adjust(&self, load: &Load, now: Moment) {
        let (mut sum, mut n) = (0.0, 0.0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            sum += shard.life;
            n += shard.n_lives;
        }
        let mut price = self.price.lock().unwrap_or_else(PoisonError::into_inner);
        price.adjust(load, now, if n > 0.0 { sum / n } else { 0.0 });
        self.per_entry.store(price.per_entry().to_bits(), Ordering::Relaxed);
    }

    /// The price of an entry in the filter, in hits per second.
    pub fn price(&self) -> f64 {
        f64::from_bits(self.per_entry.load(Ordering::Relaxed))
    }

    /// Objects with figures of their own.
    pub fn n_keys(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).objects.len())
            .sum()
    }
}

impl Shard {
    /// The object as of now; new if it was not known.
    fn touch(&mut self, key: KeyHash, class: u32, now: Tick, settings: &LifetimeSettings) -> Object {
        let mut object = self.objects.get(key).copied().unwrap_or_else(|| Object::new(now));
        self.class(class).exposure += f64::from(secs(now.saturating_sub(object.at)));
        object.age_to(now, settings);
        object
    }

    fn put(&mut self, key: KeyHash, object: Object) {
        match self.objects.get_mut(key) {
            Some(known) => *known = object,
            None => self.objects.insert(key, object),
        }
    }

    fn class(&mut self, class: u32) -> &mut Class {
        let is_full = self.classes.len() >= MAX_CLASSES && !self.classes.contains_key(&class);
        let class = self.classes.entry(if is_full { u32::MAX } else { class }).or_default();
        // What is long ago fades.
        if class.writes > 10_000.0 {
            class.writes /= 2.0;
            class.exposure /= 2.0;
        }
        if class.fills > 10_000.0 {
            class.fills /= 2.0;
            class.idle /= 2.0;
        }
        class
    }

    /// Rates with the class's as prior: a Gamma distribution whose mean is the class's mean rate.
    fn traffic(&mut self, object: &Object, class: u32, settings: &LifetimeSettings) -> Traffic {
        let prior = settings.prior;
        let class = self.class(class);
        let mean_writes = (class.writes + FIRST) / (class.exposure + FIRST / settings.first_writes);
        let mean_reads = (class.fills + FIRST) / (class.idle + FIRST / settings.first_reads);

        let age = f64::from(secs(object.at.saturating_sub(object.seen)));
        let faded = |window: Duration| {
            let window = window.as_secs_f64();
            -window * (-age / window).exp_m1()
        };
        let slow = (f64::from(object.slow) + prior) / (faded(settings.window) + prior / mean_writes);
        // Only what is certainly more than usual: a standard deviation less than was counted.
        let fast = f64::from(object.fast);
        let fast = (fast - fast.sqrt()) / faded(settings.burst).max(1.0);
        let reads = (f64::from(object.fills) + prior) / (f64::from(object.idle) + prior / mean_reads);
        Traffic {
            reads,
            writes: slow.max(fast),
        }
    }
}

impl Object {
    fn new(now: Tick) -> Self {
        Self {
            seen: now,
            at: now,
            slow: 0.0,
            fast: 0.0,
            fills: 0.0,
            idle: 0.0,
            filled: Tick::MAX,
            ends: 0,
        }
    }

    fn age_to(&mut self, now: Tick, settings: &LifetimeSettings) {
        let passed = secs(now.saturating_sub(self.at));
        if passed > 0.0 {
            self.slow *= (-passed / settings.window.as_secs_f32()).exp();
            self.fast *= (-passed / settings.burst.as_secs_f32()).exp();
            self.at = now;
        }
    }
}

fn secs(ticks: Tick) -> f32 {
    let ticks = ticks as f32;
    ticks * Ticks::LENGTH.as_secs_f32()
}
