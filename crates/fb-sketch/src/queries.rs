//! Which query results are worth keeping, and for how long.

use std::collections::HashMap;
use std::time::Duration;

use crate::economy::{quantile, seconds};
use crate::hash::{ByKey, Mixer};
use crate::{KeyHash, Moment};

/// Counters per row, and rows, of the counts of requests: 64 KB.
const WIDTH: usize = 1 << 12;
const DEPTH: usize = 4;
/// Seats that a newcomer is compared with.
const N_SAMPLES: usize = 8;
/// Standard deviations of chance that a newcomer must be ahead by: of many who are asked for equally often, one seems better all the time.
const AHEAD: f64 = 3.0;
/// Windows until half of what a query was asked for when it got its seat is forgotten. Since then, caches answer in its place.
const HALF_LIFE: f64 = 5.0;

/// Settings of [`Queries`].
#[derive(Debug, Clone)]
pub struct QuerySettings {
    /// Results at most that are kept up to date. Default 1,000.
    pub max_queries: usize,
    /// Shortest and longest lifetime. Default 1 s and 24 hours.
    pub ttl: (Duration, Duration),
    /// Probability with which the first lifetime is ended by a write. Default 0.63: the mean time between two.
    pub quantile: f64,
    /// How much a lifetime that proved wrong still counts. Default 0.7.
    pub alpha: f64,
    /// Growth of a lifetime that no write ended. Default 1.5.
    pub growth: f64,
    /// Requests are counted over about that time. Default 1 minute.
    pub window: Duration,
    /// Seed of the tables.
    pub seed: u64,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            max_queries: 1_000,
            ttl: (Duration::from_secs(1), Duration::from_hours(24)),
            quantile: 0.63,
            alpha: 0.7,
            growth: 1.5,
            window: Duration::from_mins(1),
            seed: 0,
        }
    }
}

/// What a query costs, and what keeping its result up to date would.
#[derive(Debug, Clone, Copy)]
pub struct Worth {
    /// Time that one evaluation takes.
    pub evaluation: Duration,
    /// Share of requests that the cached result would answer; 0.9 if nothing is known.
    pub hit_ratio: f64,
    /// Writes per second of the class.
    pub writes: f64,
    /// Time that looking at one write on behalf of this query takes.
    pub per_write: Duration,
}

/// Whether a result may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may: its query is kept up to date already, or is from now on.
    Admitted,
    /// It may, in place of this one, which is to be deactivated.
    InsteadOf(KeyHash),
    /// It may not: answer with `no-store`.
    Refused,
}

/// The cached queries of one app.
///
/// Memory: 64 KB for counting, made at the first request, and about 100 bytes per admitted query. Same calls, same answers.
#[derive(Debug)]
pub struct Queries {
    settings: QuerySettings,
    counts: Counts,
    seats: ByKey<usize>,
    admitted: Vec<Seat>,
    /// Where the next sample begins.
    hand: usize,
    /// Queries with subscribers, which are kept up to date anyway, by how many.
    live: HashMap<KeyHash, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    key: KeyHash,
    worth: Worth,
    /// Most requests per second that it was asked for, as of when.
    demand: (f64, Moment),
    /// Seconds.
    ttl: Option<f64>,
    filled: Moment,
    ends: Moment,
    is_invalid: bool,
}

impl Queries {
    /// Without queries, as of `start`.
    pub fn new(settings: QuerySettings, start: Moment) -> Self {
        Self {
            counts: Counts {
                rows: Vec::new(),
                since: start,
                start,
                window: settings.window,
            },
            seats: ByKey::with_hasher(Mixer(settings.seed)),
            admitted: Vec::new(),
            hand: 0,
            live: HashMap::new(),
            settings,
        }
    }

    /// Counts a request for `key` that came to the origin, and says whether its result may be cached.
    ///
    /// The seats go to the queries that save most evaluation time per second: `requests · hit ratio · evaluation − writes ·
    /// time per write`. When all are taken, a newcomer has to be worth a tenth more than the least of eight of their owners, and by more
    /// than chance explains. What owners are asked for counts from when caches did not answer for them yet, and fades.
    pub fn consider(&mut self, key: KeyHash, now: Moment, worth: Worth) -> Admission {
        self.counts.add(key, now);
        let rate = self.counts.rate(key, now);
        if let Some(&seat) = self.seats.get(&key) {
            let demand = self.demand(&self.admitted[seat], now);
            let seat = &mut self.admitted[seat];
            seat.worth = worth;
            seat.demand = (demand.max(rate), now);
            return Admission::Admitted;
        }
        let gain = Gain::of(rate, &worth, self.settings.window);
        let is_live = self.live.contains_key(&key);
        if gain.saved <= 0.0 && !is_live {
            return Admission::Refused;
        }
        let seat = Seat {
            key,
            worth,
            demand: (rate, now),
            ttl: None,
            filled: now,
            ends: now,
            is_invalid: false,
        };
        if self.admitted.len() < self.settings.max_queries {
            self.seats.insert(key, self.admitted.len());
            self.admitted.push(seat);
            return Admission::Admitted;
        }
        let Some((index, least)) = self.least(now) else {
            return Admission::Refused;
        };
        if !gain.is_ahead_of(least) && !is_live {
            return Admission::Refused;
        }
        let old = std::mem::replace(&mut self.admitted[index], seat);
        self.seats.remove(&old.key);
        self.seats.insert(key, index);
        Admission::InsteadOf(old.key)
    }

    /// Requests per second for `key` that came to the origin.
    pub fn requests(&self, key: KeyHash, now: Moment) -> f64 {
        self.counts.rate(key, now)
    }

    /// How long the result that is about to be handed out should live. `writes` is the rate at which something changes it, as
    /// far as is known: the sum over its objects of [`Traffic::writes`](crate::Traffic::writes), plus what enters.
    pub fn fill(&mut self, key: KeyHash, now: Moment, writes: f64) -> Duration {
        let (min, max) = self.settings.ttl;
        let first = quantile(self.settings.quantile, writes).clamp(min, max);
        let Some(&seat) = self.seats.get(&key) else {
            return first;
        };
        let seat = &mut self.admitted[seat];
        let mut ttl = seat.ttl.unwrap_or(first.as_secs_f64());
        // It ended by itself: it could have lived longer.
        if seat.ttl.is_some() && !seat.is_invalid && seat.ends <= now {
            ttl *= self.settings.growth;
        }
        let life = seconds(ttl).clamp(min, max);
        seat.ttl = Some(life.as_secs_f64());
        seat.filled = now;
        seat.ends = seat.ends.max(now + life);
        seat.is_invalid = false;
        life
    }

    /// The result changed. Returns how long the last copy lived, if it was alive.
    pub fn invalidated(&mut self, key: KeyHash, now: Moment) -> Option<Duration> {
        let seat = &mut self.admitted[*self.seats.get(&key)?];
        if seat.is_invalid || seat.ends <= now {
            return None;
        }
        let lived = now.since(seat.filled);
        let alpha = self.settings.alpha;
        seat.ttl = seat.ttl.map(|ttl| alpha * ttl + (1.0 - alpha) * lived.as_secs_f64());
        seat.is_invalid = true;
        seat.ends = now;
        Some(lived)
    }

    /// The query is no longer kept up to date.
    pub fn forget(&mut self, key: KeyHash) {
        let Some(index) = self.seats.remove(&key) else { return };
        self.admitted.swap_remove(index);
        if let Some(moved) = self.admitted.get(index) {
            self.seats.insert(moved.key, index);
        }
    }

    /// Somebody subscribes to the query: it is kept up to date anyway, so its result is admitted and stays.
    pub fn subscribed(&mut self, key: KeyHash) {
        *self.live.entry(key).or_default() += 1;
    }

    /// A subscription to it ended.
    pub fn unsubscribed(&mut self, key: KeyHash) {
        if let Some(n) = self.live.get_mut(&key) {
            *n -= 1;
            if *n == 0 {
                self.live.remove(&key);
            }
        }
    }

    /// Admitted queries.
    pub fn len(&self) -> usize {
        self.admitted.len()
    }

    /// Whether none is admitted.
    pub fn is_empty(&self) -> bool {
        self.admitted.is_empty()
    }

    /// Requests per second that caches leave, or would if they did not answer.
    fn demand(&self, seat: &Seat, now: Moment) -> f64 {
        let (most, as_of) = seat.demand;
        let windows = now.since(as_of).as_secs_f64() / self.settings.window.as_secs_f64();
        (most * (-windows / HALF_LIFE).exp2()).max(self.counts.rate(seat.key, now))
    }

    /// Of the next few seats the one that is worth least. Those of live queries cannot be had.
    fn least(&mut self, now: Moment) -> Option<(usize, Gain)> {
        let n = self.admitted.len();
        let mut least: Option<(usize, Gain)> = None;
        for _ in 0..N_SAMPLES.min(n) {
            self.hand = (self.hand + 1) % n;
            let seat = &self.admitted[self.hand];
            if self.live.contains_key(&seat.key) {
                continue;
            }
            let gain = Gain::of(self.demand(seat, now), &seat.worth, self.settings.window);
            if least.is_none_or(|(_, known)| gain.saved < known.saved) {
                least = Some((self.hand, gain));
            }
        }
        least
    }
}

/// What keeping a query's result up to date is good for, in seconds of work per second.
#[derive(Debug, Clone, Copy)]
struct Gain {
    saved: f64,
    /// Variance, as requests come independently of each other.
    variance: f64,
}

impl Gain {
    fn of(requests: f64, worth: &Worth, window: Duration) -> Self {
        let each = worth.hit_ratio * worth.evaluation.as_secs_f64();
        Self {
            saved: requests * each - worth.writes * worth.per_write.as_secs_f64(),
            variance: requests / window.as_secs_f64() * each * each,
        }
    }

    fn is_ahead_of(self, other: Self) -> bool {
        let by = self.saved - other.saved;
        self.saved > other.saved * 1.1 && by > AHEAD * (self.variance + other.variance).sqrt()
    }
}

/// A count-min sketch that forgets: counts are halved once per window.
#[derive(Debug)]
struct Counts {
    rows: Vec<u32>,
    start: Moment,
    since: Moment,
    window: Duration,
}

impl Counts {
    fn places(key: KeyHash) -> impl Iterator<Item = usize> {
        (0..DEPTH).map(move |row| {
            let spread = (key.to_bits() ^ row as u64)
                .wrapping_mul(0xd6e8_feb8_6659_fd93)
                .rotate_left(17);
            let column = (spread.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % WIDTH;
            row * WIDTH + column
        })
    }

    fn add(&mut self, key: KeyHash, now: Moment) {
        if self.rows.is_empty() {
            self.rows = vec![0; WIDTH * DEPTH];
        }
        if now.since(self.since) >= self.window {
            // More than 32 windows ago is the same as never.
            let n_windows = now.since(self.since).as_nanos() / self.window.as_nanos().max(1);
            for count in &mut self.rows {
                *count = count
                    .checked_shr(u32::try_from(n_windows).unwrap_or(u32::MAX))
                    .unwrap_or(0);
            }
            self.since = now;
        }
        // Only the smallest grow: less is counted twice.
        let least = self.count(key);
        for place in Self::places(key) {
            let count = &mut self.rows[place];
            *count = (*count).max(least.saturating_add(1));
        }
    }

    fn count(&self, key: KeyHash) -> u32 {
        Self::places(key)
            .map(|place| self.rows.get(place).copied().unwrap_or(0))
            .min()
            .unwrap_or(0)
    }

    /// Requests per second; at most a window and what is left of those before it.
    fn rate(&self, key: KeyHash, now: Moment) -> f64 {
        let before = if self.since > self.start {
            self.window
        } else {
            Duration::ZERO
        };
        let counted = now.since(self.since) + before;
        f64::from(self.count(key)) / counted.max(self.window).as_secs_f64()
    }
}
