//! Zipf-distributed reads and writes of objects and queries through one cache that hears of writes, with lifetimes that are learned, against
//! lifetimes that know the next write.

#![allow(dead_code, unreachable_pub)]

use std::time::Duration;

use fb_sketch::{
    Admission, Fill, KeyHash, Kind, LifetimeSettings, Lifetimes, Load, Moment, Past, Queries, QuerySettings, Settings,
    Sketch, Traffic, Worth,
};

#[derive(Debug, Clone)]
pub struct Workload {
    pub seed: u64,
    pub n_tables: usize,
    pub objects_per_table: usize,
    pub n_queries: usize,
    pub objects_per_query: usize,
    pub operations: u64,
    pub per_second: f64,
    pub writes_percent: f64,
    /// Share of reads that are queries.
    pub queries_percent: f64,
    /// Exponent of the popularity.
    pub zipf: f64,
    /// Largest filter.
    pub max_bits: u32,
    /// Lifetimes of objects are chosen from their true rates instead of learned ones, at the same price.
    pub knows_rates: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            seed: 1,
            n_tables: 10,
            objects_per_table: 10_000,
            n_queries: 1_000,
            objects_per_query: 10,
            operations: 4_000_000,
            per_second: 1_000.0,
            writes_percent: 1.0,
            queries_percent: 50.0,
            zipf: 0.99,
            max_bits: 116_800,
            knows_rates: false,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Hits {
    pub reads: u64,
    pub hits: u64,
    /// Of lifetimes that end with the next write.
    pub oracle: u64,
}

impl Hits {
    pub fn ratio(&self) -> f64 {
        self.hits as f64 / self.reads as f64
    }

    pub fn oracle_ratio(&self) -> f64 {
        self.oracle as f64 / self.reads as f64
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub objects: Hits,
    pub queries: Hits,
    pub writes: u64,
    pub purges: u64,
    /// Keys in the filter, by the adjustments of the second half.
    pub mean_stale: f64,
    pub max_stale: usize,
    pub capacity: usize,
    pub price: f64,
    pub mean_ttl: f64,
}

impl Outcome {
    pub fn all(&self) -> Hits {
        Hits {
            reads: self.objects.reads + self.queries.reads,
            hits: self.objects.hits + self.queries.hits,
            oracle: self.objects.oracle + self.queries.oracle,
        }
    }
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Ranks by popularity.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        sums.iter_mut().for_each(|value| *value /= sum);
        Self(sums)
    }

    fn share(&self, rank: usize) -> f64 {
        self.0[rank] - if rank == 0 { 0.0 } else { self.0[rank - 1] }
    }

    fn draw(&self, rng: &mut Rng) -> usize {
        let unit = rng.unit();
        self.0.partition_point(|&sum| sum < unit).min(self.0.len() - 1)
    }
}

#[derive(Clone, Copy, Default)]
struct Copy {
    until: u64,
    /// Not written since it was filled.
    is_current: bool,
}

const BASE: u64 = 1_700_000_000_000_000;

fn at(micros: u64) -> Moment {
    Moment::from_micros(BASE + micros)
}

pub fn run(workload: &Workload) -> Outcome {
    let mut rng = Rng(workload.seed);
    let n_objects = workload.n_tables * workload.objects_per_table;
    let objects: Vec<KeyHash> = (0..n_objects)
        .map(|n| KeyHash::of(&format!("/db/Table{}/{}", n % workload.n_tables, n / workload.n_tables)))
        .collect();
    let queries: Vec<KeyHash> = (0..workload.n_queries)
        .map(|n| KeyHash::of(&format!("/db/Table{}/query?q={n}", n % 10)))
        .collect();
    let members: Vec<Vec<usize>> = (0..workload.n_queries)
        .map(|_| (0..workload.objects_per_query).map(|_| rng.below(n_objects)).collect())
        .collect();
    let mut queries_of: Vec<Vec<usize>> = vec![Vec::new(); n_objects];
    for (query, members) in members.iter().enumerate() {
        for &object in members {
            queries_of[object].push(query);
        }
    }
    let object_ranks = Zipf::new(n_objects, workload.zipf);
    let query_ranks = Zipf::new(workload.n_queries, workload.zipf);

    let settings = Settings {
        max_bits: workload.max_bits,
        ..Settings::default()
    };
    let sketch = Sketch::new(settings, at(0), 1, Past::Blank);
    let lifetimes = Lifetimes::new(LifetimeSettings::default(), at(0));
    let mut admitted = Queries::new(QuerySettings::default(), at(0));
    let mut object_copies = vec![Copy::default(); n_objects];
    let mut query_copies = vec![Copy::default(); workload.n_queries];
    // What the oracle has: everything that was read since it was written.
    let mut object_known = vec![false; n_objects];
    let mut query_known = vec![false; workload.n_queries];
    let mut outcome = Outcome {
        capacity: sketch.capacity(),
        ..Outcome::default()
    };
    let mut time = 0.0;
    let mut adjusted = 0.0;
    let (mut n_samples, mut ttl_sum, mut n_fills) = (0_u32, 0.0, 0_u64);

    for operation in 0..workload.operations {
        time += -rng.unit().ln() / workload.per_second;
        let now = (time * 1e6) as u64;
        if time - adjusted > 5.0 {
            adjusted = time;
            sketch.tick(at(now));
            let stale = sketch.stats(at(now)).stale;
            let load = Load {
                stale,
                capacity: outcome.capacity,
                purges_pile_up: false,
            };
            lifetimes.adjust(&load, at(now));
            if operation > workload.operations / 2 {
                n_samples += 1;
                outcome.mean_stale += stale as f64;
                outcome.max_stale = outcome.max_stale.max(stale);
            }
        }
        if rng.unit() * 100.0 < workload.writes_percent {
            let object = object_ranks.draw(&mut rng);
            let class = (object % workload.n_tables) as u32;
            outcome.writes += 1;
            outcome.purges += u64::from(sketch.report_write(objects[object], at(now)).is_some());
            lifetimes.written(objects[object], class, at(now));
            object_copies[object].is_current = false;
            object_known[object] = false;
            for &query in &queries_of[object] {
                outcome.purges += u64::from(sketch.report_write(queries[query], at(now)).is_some());
                admitted.invalidated(queries[query], at(now));
                query_copies[query].is_current = false;
                query_known[query] = false;
            }
        } else if rng.unit() * 100.0 < workload.queries_percent {
            let query = query_ranks.draw(&mut rng);
            let hits = &mut outcome.queries;
            hits.reads += 1;
            hits.oracle += u64::from(std::mem::replace(&mut query_known[query], true));
            let copy = &mut query_copies[query];
            if copy.is_current && copy.until > now {
                hits.hits += 1;
                continue;
            }
            let worth = Worth {
                evaluation: Duration::from_millis(5),
                hit_ratio: 0.9,
                writes: workload.per_second * workload.writes_percent / 100.0 / workload.n_tables as f64,
                per_write: Duration::from_nanos(500),
            };
            if admitted.consider(queries[query], at(now), worth) == Admission::Refused {
                continue;
            }
            let rate = members[query]
                .iter()
                .map(|&object| {
                    lifetimes
                        .traffic(objects[object], (object % workload.n_tables) as u32, at(now))
                        .writes
                })
                .sum();
            let ttl = admitted.fill(queries[query], at(now), rate);
            let until = sketch.report_read(queries[query], Kind::Query, at(now), ttl);
            *copy = Copy {
                until: until.as_micros() - BASE,
                is_current: true,
            };
        } else {
            let object = object_ranks.draw(&mut rng);
            let hits = &mut outcome.objects;
            hits.reads += 1;
            hits.oracle += u64::from(std::mem::replace(&mut object_known[object], true));
            let copy = &mut object_copies[object];
            if copy.is_current && copy.until > now {
                hits.hits += 1;
                continue;
            }
            let mut ttl = lifetimes.fill(
                objects[object],
                (object % workload.n_tables) as u32,
                at(now),
                Fill::default(),
            );
            if workload.knows_rates {
                let share = object_ranks.share(object) * workload.per_second / 100.0;
                let traffic = Traffic {
                    reads: share * (100.0 - workload.writes_percent) * (100.0 - workload.queries_percent) / 100.0,
                    writes: share * workload.writes_percent,
                };
                let max = fb_sketch::quantile(0.99, traffic.writes).min(Duration::from_hours(24));
                ttl = traffic.best_ttl(lifetimes.price(), Duration::from_secs(1), max);
            }
            n_fills += 1;
            ttl_sum += ttl.as_secs_f64();
            let until = sketch.report_read(objects[object], Kind::Object, at(now), ttl);
            *copy = Copy {
                until: until.as_micros() - BASE,
                is_current: true,
            };
        }
    }
    outcome.mean_stale /= f64::from(n_samples.max(1));
    outcome.price = lifetimes.price();
    outcome.mean_ttl = ttl_sum / n_fills.max(1) as f64;
    outcome
}
