//! What a lifetime brings and costs: writes and reads of a key as Poisson processes, one cache that hears of writes.
//!
//! Source: algorithms, section 4; the formulas are our own derivation from renewal cycles.

use std::time::Duration;

use crate::Moment;

/// Lifetime that a write ends with probability `p`, at `rate` writes per second: the `p` quantile of an exponential.
pub fn quantile(p: f64, rate: f64) -> Duration {
    seconds(-(-p.clamp(0.0, 1.0 - f64::EPSILON)).ln_1p() / rate.max(f64::MIN_POSITIVE))
}

/// One key, by its rates per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Reads, hits included.
    pub reads: f64,
    /// Writes.
    pub writes: f64,
}

impl Traffic {
    /// Mean time in seconds that a copy with lifetime `ttl` is of use: until it ends or is written.
    pub fn useful_life(&self, ttl: f64) -> f64 {
        if self.writes * ttl < 1e-9 {
            ttl
        } else {
            -(-self.writes * ttl).exp_m1() / self.writes
        }
    }

    /// Mean seconds from fill to fill.
    fn cycle(&self, ttl: f64) -> f64 {
        self.useful_life(ttl) + 1.0 / self.reads.max(1e-12)
    }

    /// Share of reads that find a copy.
    pub fn hit_ratio(&self, ttl: f64) -> f64 {
        let useful = self.reads * self.useful_life(ttl);
        useful / (1.0 + useful)
    }

    /// Purges per second.
    pub fn invalidations(&self, ttl: f64) -> f64 {
        -(-self.writes * ttl).exp_m1() / self.cycle(ttl)
    }

    /// Mean number of entries in the filter: a written copy stays there for the rest of its lifetime.
    pub fn listed(&self, ttl: f64) -> f64 {
        ((ttl - self.useful_life(ttl)) / self.cycle(ttl)).max(0.0)
    }

    /// The lifetime on a geometric grid from `min` to `max` with the most hits per second, if an entry in the filter costs as much as
    /// `price` hits per second. Of equals the shortest. Cost: some 20 exponentials.
    pub fn best_ttl(&self, price: f64, min: Duration, max: Duration) -> Duration {
        let worth = |ttl: f64| self.reads * self.hit_ratio(ttl) - price * self.listed(ttl);
        let max = max.max(min).as_secs_f64();
        let mut best = min.as_secs_f64();
        let mut most = worth(best);
        let mut ttl = best.max(1e-3);
        while ttl < max {
            ttl = (ttl * 2.0).min(max);
            let value = worth(ttl);
            if value > most {
                (best, most) = (ttl, value);
            }
        }
        seconds(best)
    }
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// The price of an entry in the filter, found by looking at how full it is. One per app.
#[derive(Debug, Clone)]
pub(crate) struct Price {
    per_entry: f64,
    last: Option<(Moment, usize)>,
    /// Keys per second by which the filter fills, averaged over about half a minute.
    slope: f64,
}

/// How the last few seconds were.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Keys in the filter.
    pub stale: usize,
    /// Keys it should hold at most: [`Sketch::capacity`](crate::Sketch::capacity), or less.
    pub capacity: usize,
    /// Whether purges wait longer than they did.
    pub purges_pile_up: bool,
}

/// Share of the room that is aimed at.
const AIM: f64 = 0.9;
/// How strongly a deviation moves the price.
const GAIN: f64 = 0.2;
/// Seconds over which the slope is averaged.
const SMOOTHING: f64 = 30.0;
/// Seconds that are looked ahead at most.
const FORESIGHT: f64 = 3600.0;

impl Default for Price {
    fn default() -> Self {
        Self {
            per_entry: 1e-4,
            last: None,
            slope: 0.0,
        }
    }
}

impl Price {
    /// Called every few seconds: up to a quarter dearer if there will be too much, up to 5 % cheaper if there is room.
    ///
    /// `life` is the mean lifetime in seconds. A copy that was handed out at an old price stays listed for up to that time, so
    /// what counts is where the filter is heading; the present alone would be answered too late and then for too long.
    pub(crate) fn adjust(&mut self, load: &Load, now: Moment, life: f64) {
        if let Some((then, stale)) = self.last {
            let passed = now.since(then).as_secs_f64().max(1e-3);
            let slope = (load.stale as f64 - stale as f64) / passed;
            self.slope += (slope - self.slope) * -(-passed / SMOOTHING).exp_m1();
        }
        self.last = Some((now, load.stale));
        let ahead = (load.stale as f64 + self.slope * life.min(FORESIGHT)).max(0.0);
        let aim = (load.capacity as f64 * AIM).max(1.0);
        let factor = match load.purges_pile_up {
            true => 1.25,
            false => (ahead / aim).powf(GAIN).clamp(0.95, 1.25),
        };
        self.per_entry = (self.per_entry * factor).clamp(1e-9, 1e3);
    }

    /// Hits per second that an entry costs.
    pub(crate) fn per_entry(&self) -> f64 {
        self.per_entry
    }
}

/// How caches on the way treat a copy's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aging {
    /// Edges say how old their copies are (`Age`), as our own do.
    Honest,
    /// Edges may hand out a copy at the end of its life there as if it were new.
    Reset,
}

/// How long any copy may live that is handed out with these lifetimes: what is to be registered.
pub fn lifetime(browser: Duration, edge: Duration, aging: Aging) -> Duration {
    match aging {
        Aging::Honest => browser.max(edge),
        Aging::Reset => browser.saturating_add(edge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_an_exponential() {
        for (p, factor) in [(0.5, 0.693), (0.632, 1.0), (0.9, 2.303)] {
            let ttl = quantile(p, 0.1).as_secs_f64();
            assert!((ttl - 10.0 * factor).abs() < 0.02, "{p}: {ttl}");
        }
        assert_eq!(quantile(0.5, 0.0), Duration::MAX);
    }

    #[test]
    fn what_is_never_written_lives_longest() {
        let traffic = Traffic {
            reads: 0.01,
            writes: 0.0,
        };
        let (min, max) = (Duration::from_secs(1), Duration::from_hours(24));
        assert_eq!(traffic.best_ttl(0.1, min, max), max);
    }

    #[test]
    fn what_is_written_more_than_read_lives_shortest() {
        let traffic = Traffic {
            reads: 0.01,
            writes: 10.0,
        };
        let (min, max) = (Duration::from_secs(1), Duration::from_hours(24));
        assert_eq!(traffic.best_ttl(0.1, min, max), min);
    }

    #[test]
    fn a_higher_price_never_lengthens_a_life() {
        for (reads, writes) in [(1.0, 0.1), (0.1, 0.1), (10.0, 0.001), (0.001, 1e-5)] {
            let traffic = Traffic { reads, writes };
            let mut last = Duration::MAX;
            for price in [1e-6, 1e-4, 1e-2, 1.0] {
                let ttl = traffic.best_ttl(price, Duration::from_secs(1), Duration::from_hours(24));
                assert!(ttl <= last, "{traffic:?} at {price}");
                last = ttl;
            }
        }
    }

    /// Cycles drawn at random have the means that the formulas say.
    #[test]
    fn formulas_agree_with_simulated_cycles() {
        let mut state = 88172645463325252_u64;
        let mut exponential = |rate: f64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let unit = ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            -unit.ln() / rate
        };
        for (reads, writes, ttl) in [
            (1.0, 0.1, 20.0),
            (0.2, 0.02, 10.0),
            (5.0, 1.0, 3.0),
            (0.05, 0.001, 600.0),
        ] {
            let traffic = Traffic { reads, writes };
            let n = 200_000;
            let (mut time, mut useful, mut listed, mut invalidated) = (0.0, 0.0, 0.0, 0.0);
            for _ in 0..n {
                let written = exponential(writes);
                useful += written.min(ttl);
                time += written.min(ttl) + exponential(reads);
                if written < ttl {
                    listed += ttl - written;
                    invalidated += 1.0;
                }
            }
            let close = |a: f64, b: f64| assert!((a - b).abs() < 0.02 * b, "{traffic:?}, {ttl}: {a} {b}");
            close(useful * reads / (useful * reads + f64::from(n)), traffic.hit_ratio(ttl));
            close(listed / time, traffic.listed(ttl));
            close(invalidated / time, traffic.invalidations(ttl));
        }
    }
}
