//! What is there and what is done with it: objects and queries by popularity, reads and writes.
//!
//! The parameters are those of the simulated workload in `crates/fb-sketch/tests`.

use std::fmt::Write as _;

use crate::{dataset::Rng, hits::filter::Hashes, http::percent_encode};

/// Objects that each query finds.
pub(crate) const MEMBERS: usize = 10;
/// Of a thousand operations.
const WRITES: u64 = 10;
/// Of a hundred reads.
const QUERIES: u64 = 50;
/// Popularity falls with the rank to this power.
const EXPONENT: f64 = 0.99;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Classes.
    pub(crate) classes: usize,
    /// Objects of each.
    pub(crate) per_class: usize,
    /// Queries of all classes.
    pub(crate) queries: usize,
}

/// One thing that a client does; objects and queries by their rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Object(u32),
    Query(u32),
    Write(u32),
}

/// Something that has copies.
pub(crate) struct Resource {
    /// Path of the request.
    pub(crate) path: String,
    /// Of its name in the filter.
    pub(crate) hashes: Hashes,
}

impl Resource {
    fn new(id: String) -> Self {
        Self {
            hashes: Hashes::of(&id),
            path: format!("/v1{id}"),
        }
    }
}

/// Everything that all clients share.
pub(crate) struct Plan {
    pub(crate) extent: Extent,
    pub(crate) objects: Vec<Resource>,
    pub(crate) queries: Vec<Resource>,
    /// The objects that each query finds.
    pub(crate) members: Vec<[u32; MEMBERS]>,
    /// The query that finds an object, if there is one.
    pub(crate) query_of: Vec<Option<u32>>,
    object_ranks: Zipf,
    query_ranks: Zipf,
}

impl Plan {
    /// The members of queries are objects of any popularity.
    pub(crate) fn new(extent: Extent, seed: u64) -> Self {
        let Extent {
            classes,
            per_class,
            queries,
        } = extent;
        let n_objects = classes * per_class;
        let mut rng = Rng::new(seed);
        let mut members = vec![[0; MEMBERS]; queries];
        let mut query_of = vec![None; n_objects];
        for (query, members) in members.iter_mut().enumerate() {
            for member in members {
                // Each object belongs to one query at most, of its own class.
                *member = loop {
                    let object = rng.below(per_class as u64) as usize * classes + query % classes;
                    if query_of[object].is_none() {
                        query_of[object] = Some(query as u32);
                        break object as u32;
                    }
                };
            }
        }
        let object = |n: usize| Resource::new(format!("/db/Zipf{}/k{:06}", n % classes, n / classes));
        let query = |n: usize| {
            let filter = percent_encode(&format!(r#"{{"group":"q{n}"}}"#));
            let class = n % classes;
            Resource::new(format!(
                "/db/Zipf{class}/query?q={filter}&start=0&count={MEMBERS}&cached=true"
            ))
        };
        Self {
            extent,
            objects: (0..n_objects).map(object).collect(),
            queries: (0..queries).map(query).collect(),
            members,
            query_of,
            object_ranks: Zipf::new(n_objects),
            query_ranks: Zipf::new(queries),
        }
    }

    /// The next operation of a client.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Operation {
        if rng.below(1_000) < WRITES {
            Operation::Write(self.object_ranks.draw(rng))
        } else if rng.below(100) < QUERIES {
            Operation::Query(self.query_ranks.draw(rng))
        } else {
            Operation::Object(self.object_ranks.draw(rng))
        }
    }

    /// The objects of a class, a line each.
    pub(crate) fn lines(&self, class: usize) -> String {
        let mut lines = String::new();
        for object in (class..self.objects.len()).step_by(self.extent.classes) {
            let group = match self.query_of[object] {
                Some(query) => format!("q{query}"),
                None => format!("none{}", object % 1_000),
            };
            let id = &self.objects[object].path["/v1".len()..];
            writeln!(
                lines,
                "{{\"id\":\"{id}\",\"acl\":null,\"group\":\"{group}\",\"n\":0,\"text\":\"{}\"}}",
                "x".repeat(100)
            )
            .expect("writing to a String does not fail");
        }
        lines
    }

    /// The object whose id this is.
    pub(crate) fn object_of(&self, id: &str) -> Option<u32> {
        let (class, key) = id.strip_prefix("/db/Zipf")?.split_once("/k")?;
        let (class, key): (usize, usize) = (class.parse().ok()?, key.parse().ok()?);
        let object = key * self.extent.classes + class;
        (object < self.objects.len()).then_some(object as u32)
    }
}

/// Ranks by popularity, as sums of shares.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-EXPONENT);
                sum
            })
            .collect();
        sums.iter_mut().for_each(|value| *value /= sum);
        Self(sums)
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        let unit = unit(rng);
        self.0.partition_point(|&sum| sum < unit).min(self.0.len() - 1) as u32
    }
}

/// A number above 0 and below 1.
pub(crate) fn unit(rng: &mut Rng) -> f64 {
    (rng.below(1 << 53) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent {
        classes: 10,
        per_class: 100,
        queries: 20,
    };

    #[test]
    fn queries_find_objects_of_their_class_and_of_nobody_else() {
        let plan = Plan::new(EXTENT, 1);
        for (query, members) in plan.members.iter().enumerate() {
            let lines = plan.lines(query % 10);
            assert_eq!(lines.matches(&format!("\"group\":\"q{query}\"")).count(), MEMBERS);
            for member in members {
                let id = &plan.objects[*member as usize].path["/v1".len()..];
                assert!(lines.contains(&format!("\"id\":\"{id}\"")));
                assert_eq!(plan.object_of(id), Some(*member));
            }
        }
        assert_eq!(plan.object_of("/db/Zipf1/k999999"), None);
    }

    #[test]
    fn one_operation_of_a_hundred_writes_and_half_of_the_reads_are_queries() {
        let (plan, mut rng) = (Plan::new(EXTENT, 1), Rng::new(2));
        let (mut writes, mut queries, mut first) = (0, 0, 0);
        for _ in 0..100_000 {
            match plan.draw(&mut rng) {
                Operation::Write(_) => writes += 1,
                Operation::Query(_) => queries += 1,
                Operation::Object(0) => first += 1,
                Operation::Object(_) => {}
            }
        }
        assert!((800..1_200).contains(&writes) && (48_500..50_500).contains(&queries));
        // Of a thousand the most popular one has 13 %.
        assert!((6_000..7_200).contains(&first), "{first}");
    }
}
