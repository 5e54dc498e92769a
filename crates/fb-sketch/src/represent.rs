//! In which form the result of a query is handed out.

use std::time::Duration;

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// The objects themselves: one request, outdated by each change of one of them.
    Objects,
    /// Their ids: the objects are loaded by id, each from the caches; outdated only when the ids or their order change.
    Ids,
}

/// How a query is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryUse {
    /// Requests per second, hits included.
    pub reads: f64,
    /// Changes per second of the list of ids.
    pub membership_changes: f64,
    /// Changes per second of objects that stay where they are.
    pub inner_changes: f64,
    /// Lifetime that results get.
    pub ttl: Duration,
    /// Objects in the result.
    pub n_objects: u32,
    /// Share of loads by id that a cache answers.
    pub object_hit_ratio: f64,
    /// Time of one dependent round.
    pub round_trip: Duration,
    /// Time the server takes to evaluate it.
    pub evaluation: Duration,
}

impl QueryUse {
    /// Waiting time per second of all its readers, in seconds.
    pub fn cost(&self, representation: Representation) -> f64 {
        let round_trip = self.round_trip.as_secs_f64();
        let request = round_trip + self.evaluation.as_secs_f64();
        match representation {
            Representation::Objects => self.reads * self.miss(self.membership_changes + self.inner_changes) * request,
            Representation::Ids => {
                let all_cached = self.object_hit_ratio.clamp(0.0, 1.0).powf(f64::from(self.n_objects));
                self.reads * self.miss(self.membership_changes) * request + self.reads * (1.0 - all_cached) * round_trip
            }
        }
    }

    /// Share of requests that no cache answers, if the result changes `rate` times per second.
    fn miss(&self, rate: f64) -> f64 {
        let traffic = crate::Traffic {
            reads: self.reads,
            writes: rate,
        };
        1.0 / (1.0 + self.reads * traffic.useful_life(self.ttl.as_secs_f64()))
    }
}

/// The cheaper form. What is in use stays until the other one is cheaper by more than a fifth.
///
/// Source: algorithms, section 6.2.
pub fn represent(usage: &QueryUse, current: Option<Representation>) -> Representation {
    let (objects, ids) = (usage.cost(Representation::Objects), usage.cost(Representation::Ids));
    match current {
        None if ids < objects => Representation::Ids,
        None => Representation::Objects,
        Some(Representation::Objects) if objects > 1.2 * ids => Representation::Ids,
        Some(Representation::Ids) if ids > 1.2 * objects => Representation::Objects,
        Some(current) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: QueryUse = QueryUse {
        reads: 1.0,
        membership_changes: 0.001,
        inner_changes: 0.001,
        ttl: Duration::from_secs(600),
        n_objects: 20,
        object_hit_ratio: 0.9,
        round_trip: Duration::from_millis(50),
        evaluation: Duration::from_millis(5),
    };

    #[test]
    fn few_changes_inside_want_objects() {
        assert_eq!(represent(&QUIET, None), Representation::Objects);
    }

    #[test]
    fn many_changes_of_objects_that_are_cached_want_ids() {
        let usage = QueryUse {
            inner_changes: 5.0,
            object_hit_ratio: 0.999,
            ..QUIET
        };
        assert_eq!(represent(&usage, None), Representation::Ids);
    }

    #[test]
    fn near_the_border_the_form_stays() {
        // From the quiet to the busy and back the change comes at different points.
        let at = |inner: f64| QueryUse {
            inner_changes: inner,
            object_hit_ratio: 0.999,
            ..QUIET
        };
        let rates: Vec<f64> = (0..2000).map(|i| f64::from(i) * 0.00005).collect();
        let mut form = Representation::Objects;
        let up = rates.iter().find(|&&rate| {
            form = represent(&at(rate), Some(form));
            form == Representation::Ids
        });
        let down = rates.iter().rev().find(|&&rate| {
            form = represent(&at(rate), Some(form));
            form == Representation::Objects
        });
        assert!(up.unwrap() > down.unwrap(), "{up:?} {down:?}");
    }
}
