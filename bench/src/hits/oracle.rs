//! What clients did, beside what they could have done had they known of each write in the moment of its acknowledgement.
//!
//! The oracle is computed from what was recorded: a read is a hit if the same client has had the answer since it was last
//! written. Results of queries are written with their objects; the oracle has them as arrays of objects or as arrays of ids and
//! their objects, whichever it has. No lifetimes and no filter can do better without reading what is outdated. As clients may do
//! that within the staleness, there is a second one that does so too: nothing can have more hits than that one.

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{
    plan::Plan,
    trace::{Event, Way, What},
};

/// Reads of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) reads: u64,
    /// Answered by the client's copies alone.
    pub(crate) hits: u64,
    /// These, and what an edge answered from memory.
    pub(crate) near: u64,
    /// What the oracle would have answered so.
    pub(crate) oracle: u64,
    /// The same if it reads what is outdated for as long as the staleness allows.
    pub(crate) stale_oracle: u64,
    /// Hits of what had been written meanwhile, within the staleness.
    pub(crate) outdated: u64,
    /// Requests, in the order of [`Way::REQUESTS`].
    pub(crate) requests: [u64; 4],
    /// Those of them that confirmed the copy.
    pub(crate) confirmed: [u64; 4],
}

impl Tally {
    /// Share of the reads that were hits.
    pub(crate) fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.reads.max(1) as f64
    }

    /// Share that the server had nothing to do with.
    pub(crate) fn near_ratio(&self) -> f64 {
        self.near as f64 / self.reads.max(1) as f64
    }

    /// The same as the first of the oracle.
    pub(crate) fn oracle_ratio(&self) -> f64 {
        self.oracle as f64 / self.reads.max(1) as f64
    }

    /// And of the one that reads what is outdated.
    pub(crate) fn stale_oracle_ratio(&self) -> f64 {
        self.stale_oracle as f64 / self.reads.max(1) as f64
    }

    /// Share of the reads that were hits of what was current.
    pub(crate) fn current_ratio(&self) -> f64 {
        (self.hits - self.outdated) as f64 / self.reads.max(1) as f64
    }

    /// Both together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let both = |a: [u64; 4], b: [u64; 4]| std::array::from_fn(|i| a[i] + b[i]);
        Self {
            reads: self.reads + other.reads,
            hits: self.hits + other.hits,
            near: self.near + other.near,
            oracle: self.oracle + other.oracle,
            stale_oracle: self.stale_oracle + other.stale_oracle,
            outdated: self.outdated + other.outdated,
            requests: both(self.requests, other.requests),
            confirmed: both(self.confirmed, other.confirmed),
        }
    }
}

/// What was counted behind the warm-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) objects: Tally,
    pub(crate) queries: Tally,
    /// Queries whose result was an array of ids.
    pub(crate) ids: u64,
    pub(crate) writes: u64,
}

/// Goes through the events of all clients in the order of time; those before `warm_up` count for nothing but what is known
/// afterwards.
///
/// Error: a copy was used although a write had been acknowledged before the last `bound` microseconds that began when the copy was
/// there already.
pub(crate) fn replay(plan: &Plan, clients: &[Vec<Event>], warm_up: u32, bound: u32) -> Result<Outcome> {
    let mut order: Vec<(u32, u32, u32)> = Vec::new();
    for (client, events) in clients.iter().enumerate() {
        // Reads count when they begin, writes when they are acknowledged.
        let time = |event: &Event| {
            if event.what == What::Write {
                event.done
            } else {
                event.at
            }
        };
        let of_client = events.iter().enumerate();
        order.extend(of_client.map(|(n, event)| (time(event), client as u32, n as u32)));
    }
    order.sort_unstable();
    let writes = Writes::of(plan, clients);
    let each = || clients.iter().map(|_| Copies::none(plan));
    // What the client has, and what it would have by either oracle.
    let (mut real, mut strict, mut stale): (Vec<_>, Vec<_>, Vec<_>) =
        (each().collect(), each().collect(), each().collect());
    let mut outcome = Outcome::default();

    for (time, client, n) in order {
        let (event, client) = (clients[client as usize][n as usize], client as usize);
        if event.what == What::Write {
            outcome.writes += u64::from(time >= warm_up);
            continue;
        }
        let past = event.at.saturating_sub(bound);
        let has = strict[client].read(plan, &writes, &event, event.at);
        let stale_has = stale[client].read(plan, &writes, &event, past);

        let is_hit = event.way == Way::Copy;
        let is_outdated = is_hit && real[client].is_outdated(plan, &writes, &event, event.at);
        ensure!(
            !is_hit || !real[client].is_outdated(plan, &writes, &event, past),
            "a copy of {} was used {} ms after the begin although it had been outdated for more than {} ms",
            if event.is_query() { &plan.queries } else { &plan.objects }[event.key as usize].path,
            event.at / 1_000,
            bound / 1_000
        );
        if !is_hit && event.way != Way::Members {
            *real[client].since(&event) = event.done;
        }
        if time < warm_up || event.what == What::Member {
            continue;
        }
        outcome.ids += u64::from(event.what == What::Ids);
        let tally = match event.is_query() {
            true => &mut outcome.queries,
            false => &mut outcome.objects,
        };
        tally.reads += 1;
        tally.hits += u64::from(is_hit);
        tally.near += u64::from(event.is_near);
        tally.oracle += u64::from(has);
        tally.stale_oracle += u64::from(stale_has);
        tally.outdated += u64::from(is_outdated);
        if let Some(place) = Way::REQUESTS.iter().position(|way| *way == event.way) {
            tally.requests[place] += 1;
            tally.confirmed[place] += u64::from(event.is_confirmed);
        }
    }
    Ok(outcome)
}

/// No copy.
const NEVER: u32 = u32::MAX;

/// Since when a client has copies.
struct Copies {
    objects: Vec<u32>,
    queries: Vec<u32>,
    /// Whether it knows the ids in a result.
    ids: Vec<bool>,
}

impl Copies {
    fn none(plan: &Plan) -> Self {
        Self {
            objects: vec![NEVER; plan.objects.len()],
            queries: vec![NEVER; plan.queries.len()],
            ids: vec![false; plan.queries.len()],
        }
    }

    fn since(&mut self, event: &Event) -> &mut u32 {
        let copies = if event.is_query() {
            &mut self.queries
        } else {
            &mut self.objects
        };
        &mut copies[event.key as usize]
    }

    /// What an oracle does that may use what was current at `as_of`: whether it has the answer. Afterwards it has it.
    fn read(&mut self, plan: &Plan, writes: &Writes, event: &Event, as_of: u32) -> bool {
        let since = *self.since(event);
        let is_current = |object: u32, since: u32| since != NEVER && !writes.is_outdated(object, since, as_of);
        let has = if event.is_query() {
            let (query, members) = (event.key as usize, plan.members[event.key as usize]);
            let has_ids = std::mem::replace(&mut self.ids[query], event.what == What::Ids);
            members.iter().all(|member| is_current(*member, since))
                || has_ids
                    && members
                        .iter()
                        .all(|member| is_current(*member, self.objects[*member as usize]))
        } else {
            is_current(event.key, since)
        };
        if !has {
            *self.since(event) = event.at;
        }
        has
    }

    /// Whether the copy that is read had been written before `as_of`. An array of ids never is: it does not change, and its
    /// objects are events of their own.
    fn is_outdated(&mut self, plan: &Plan, writes: &Writes, event: &Event, as_of: u32) -> bool {
        let since = *self.since(event);
        let objects = match event.what {
            What::Query => &plan.members[event.key as usize][..],
            What::Object | What::Member => std::slice::from_ref(&event.key),
            What::Ids | What::Write => &[],
        };
        objects.iter().any(|object| writes.is_outdated(*object, since, as_of))
    }
}

/// When each object was written: sent and acknowledged, in the order of the latter.
struct Writes(Vec<Vec<(u32, u32)>>);

impl Writes {
    fn of(plan: &Plan, clients: &[Vec<Event>]) -> Self {
        let mut writes = vec![Vec::new(); plan.objects.len()];
        for event in clients.iter().flatten().filter(|event| event.what == What::Write) {
            writes[event.key as usize].push((event.done, event.at));
        }
        for of_object in &mut writes {
            of_object.sort_unstable();
        }
        Self(writes)
    }

    /// Whether the last write that was acknowledged before `now` was sent when a copy was there already since `since`.
    fn is_outdated(&self, object: u32, since: u32, now: u32) -> bool {
        let of_object = &self.0[object as usize];
        let before = of_object.partition_point(|(done, _)| *done < now);
        before > 0 && of_object[before - 1].1 > since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hits::plan::{Extent, MEMBERS};

    fn plan() -> Plan {
        let extent = Extent {
            classes: 1,
            per_class: 100,
            queries: 1,
        };
        Plan::new(extent, 1)
    }

    fn event(at: u32, what: What, key: u32, way: Way) -> Event {
        Event {
            at,
            done: at + 1,
            key,
            what,
            way,
            is_confirmed: false,
            is_near: way == Way::Copy,
        }
    }

    #[test]
    fn the_oracle_asks_again_once_per_client_and_write() {
        let plan = plan();
        let read = |at, way| event(at, What::Object, 7, way);
        let first = vec![
            read(10, Way::Absent),
            read(20, Way::Copy),
            read(60, Way::Named),
            read(70, Way::Copy),
        ];
        let second = vec![
            read(15, Way::Absent),
            event(50, What::Write, 7, Way::Absent),
            read(65, Way::Ended),
        ];
        let outcome = replay(&plan, &[first, second], 0, 1_000).unwrap();
        let objects = outcome.objects;
        assert_eq!(
            (objects.reads, objects.hits, objects.oracle, objects.outdated),
            (6, 2, 2, 0)
        );
        assert_eq!((objects.requests, outcome.writes), ([2, 1, 1, 0], 1));
    }

    #[test]
    fn copies_that_are_older_than_the_bound_are_an_error() {
        let plan = plan();
        let client = |used| {
            vec![
                event(10, What::Object, 7, Way::Absent),
                event(20, What::Write, 7, Way::Absent),
                event(used, What::Object, 7, Way::Copy),
            ]
        };
        let outcome = replay(&plan, &[client(120)], 0, 100).unwrap();
        assert_eq!((outcome.objects.outdated, outcome.objects.oracle), (1, 0));
        assert!(replay(&plan, &[client(122)], 0, 100).is_err());
    }

    #[test]
    fn a_result_is_outdated_with_each_of_its_objects() {
        let plan = plan();
        let member = plan.members[0][3];
        let events = vec![
            event(10, What::Query, 0, Way::Absent),
            event(20, What::Query, 0, Way::Copy),
            event(30, What::Write, member, Way::Absent),
            event(40, What::Query, 0, Way::Copy),
        ];
        let queries = replay(&plan, std::slice::from_ref(&events), 0, 100).unwrap().queries;
        assert_eq!(
            (queries.hits, queries.oracle, queries.stale_oracle, queries.outdated),
            (2, 1, 2, 1)
        );
        assert!(replay(&plan, &[events], 0, 5).is_err());
    }

    #[test]
    fn an_array_of_ids_is_as_good_as_its_objects() {
        let plan = plan();
        let mut events = Vec::new();
        let members = |at, events: &mut Vec<Event>| {
            for member in plan.members[0] {
                events.push(event(at, What::Member, member, Way::Absent));
            }
        };
        members(10, &mut events);
        events.push(event(11, What::Ids, 0, Way::Absent));
        events.push(event(20, What::Write, plan.members[0][0], Way::Absent));
        members(30, &mut events);
        events.push(event(31, What::Ids, 0, Way::Members));
        events.push(event(40, What::Write, plan.members[0][0], Way::Absent));
        events.push(event(50, What::Object, plan.members[0][0], Way::Absent));
        events.push(event(60, What::Ids, 0, Way::Copy));
        let queries = replay(&plan, &[events], 0, 1_000).unwrap().queries;
        assert_eq!((queries.reads, queries.hits, queries.requests), (3, 1, [1, 0, 0, 1]));
        assert_eq!(MEMBERS as u64 * queries.oracle, 20, "after its objects were read");
    }
}
