//! The way of a read and of a filter, and the check of what came of it.

use super::super::client::{Decision, Mode};
use super::super::events::{Event, FetchId, RequestId, Sent};
use super::super::{Mutant, N_KEYS, SECOND, Time, is_query};
use super::{Fetch, Request, World};

const REFRESH_TIMEOUT: Time = 8 * SECOND;

impl World {
    pub(super) fn read(&mut self, client: usize) {
        let gap = self.rng.exponential(self.config.read_gap * self.config.clients as Time);
        self.after(gap, Event::Read { client });
        // Half of the reads go to an eighth of the keys.
        let n = if self.rng.chance(50) { N_KEYS / 8 } else { N_KEYS };
        let key = self.rng.below(n as u64) as usize;
        if self.clients[client].wants_filter(self.now, self.config.delta) {
            let sent = self.now;
            self.after(REFRESH_TIMEOUT, Event::RefreshTimeout { client, sent });
            if !self.is_lost() {
                self.later(Event::FilterAtEdge { client, sent });
            }
        }
        let floor = self.clients[client].floor[key];
        self.load(client, key, self.now, floor);
    }

    pub(super) fn load(&mut self, client: usize, key: usize, began: Time, floor: u32) {
        let hash = self.origin.hashes[key];
        match self.clients[client].load(self.now, key, hash, self.config.delta, self.config.mutant) {
            Decision::Return(version) => {
                self.report.from_browser += 1;
                self.check(client, key, version, began, floor);
            }
            Decision::Ask { mode, must } => self.ask(client, key, mode, must, began, floor),
        }
    }

    pub(super) fn ask(&mut self, client: usize, key: usize, mode: Mode, must: bool, began: Time, floor: u32) {
        if self.is_lost() {
            return;
        }
        let n_filters = self.clients[client].n_filters;
        let request = self.requests.add(Request {
            client,
            key,
            mode,
            must,
            began,
            floor,
            sent: self.now,
            n_filters,
        });
        self.later(Event::AtEdge(request));
    }

    pub(super) fn at_edge(&mut self, id: RequestId) {
        let request = *self.requests.get(id);
        let edge = self.clients[request.client].edge;
        if request.mode != Mode::Bypass {
            if let Some((version, ttl)) = self.edges[edge].find(self.now, request.key) {
                self.report.from_edge += 1;
                return self.later(Event::AtClient {
                    request: id,
                    version,
                    ttl,
                });
            }
            if let Some(fetch) = self.edges[edge].under_way(request.key) {
                self.fetches.get(fetch).waiting.push(id);
                return;
            }
        }
        let fetch = self.fetches.add(Fetch {
            edge,
            key: request.key,
            mode: request.mode,
            waiting: vec![id],
            sent: self.now,
            fence: 0,
            boot: self.origin.boot,
            ttl: 0,
            until: 0,
            version: 0,
        });
        let fence = self.edges[edge].sent(request.key, fetch);
        self.fetches.get(fetch).fence = fence;
        self.later(Event::AtOrigin(fetch));
    }

    /// Ends requests that get no answer; their clients may read again.
    pub(super) fn drop_fetch(&mut self, id: FetchId) {
        let fetch = self.fetches.take(id);
        self.edges[fetch.edge].ended(fetch.key, id);
        for request in fetch.waiting {
            self.requests.take(request);
        }
    }

    pub(super) fn at_origin(&mut self, id: FetchId) {
        if self.origin.sketch.is_none() || self.is_lost() {
            return self.drop_fetch(id);
        }
        let ttl = self.rng.between(self.config.ttl.0, self.config.ttl.1);
        let now = self.now;
        let fetch = self.fetches.get(id);
        fetch.boot = self.origin.boot;
        fetch.ttl = ttl;
        fetch.until = match self.config.mutant {
            Some(Mutant::RegisterAfterRead) => 0,
            Some(Mutant::RevalidationUnregistered) if fetch.mode != Mode::Default => now + ttl,
            Some(Mutant::ShortRegistration) => {
                self.origin.register(fetch.key, now, ttl / 2);
                now + ttl
            }
            _ => self.origin.register(fetch.key, now, ttl),
        };
        self.later(Event::Select(id));
    }

    pub(super) fn select(&mut self, id: FetchId) {
        let fetch = self.fetches.get(id);
        fetch.version = self.origin.version(fetch.key);
        self.later(Event::Respond(id));
    }

    pub(super) fn respond(&mut self, id: FetchId) {
        let (now, mutant) = (self.now, self.config.mutant);
        let fetch = self.fetches.get(id);
        if fetch.boot != self.origin.boot {
            return self.drop_fetch(id);
        }
        if mutant == Some(Mutant::RegisterAfterRead) {
            fetch.until = self.origin.register(fetch.key, now, fetch.ttl);
        }
        let left = fetch.until.saturating_sub(now);
        // What the sketch cut off stays cut off.
        fetch.ttl = if mutant == Some(Mutant::LifetimeRecomputed) && left > self.config.unlogged {
            fetch.ttl
        } else {
            left
        };
        self.later(Event::BackAtEdge(id));
    }

    pub(super) fn back_at_edge(&mut self, id: FetchId) {
        let ignores_fence = self.is(Mutant::EdgeStoresAcrossPurge);
        let counts_from_arrival = self.is(Mutant::LifetimeFromArrival);
        let fetch = self.fetches.take(id);
        let edge = &mut self.edges[fetch.edge];
        edge.ended(fetch.key, id);
        let fence = (!ignores_fence).then_some(fetch.fence);
        let counted_from = if counts_from_arrival { self.now } else { fetch.sent };
        let ttl = edge.keep(self.now, fetch.key, (fetch.version, fetch.ttl), counted_from, fence);
        for request in fetch.waiting {
            self.report.from_origin += 1;
            self.later(Event::AtClient {
                request,
                version: fetch.version,
                ttl,
            });
        }
    }

    pub(super) fn at_client(&mut self, id: RequestId, version: u32, ttl: Time) {
        let Request {
            client,
            key,
            must,
            began,
            floor,
            sent,
            n_filters,
            ..
        } = self.requests.take(id);
        let hash = self.origin.hashes[key];
        let answer = (version, ttl);
        let mutant = self.config.mutant;
        if self.clients[client].answered(self.now, key, hash, answer, sent, must, n_filters, mutant) {
            self.check(client, key, version, began, floor);
        } else {
            self.ask(client, key, Mode::Bypass, must, began, floor);
        }
    }

    pub(super) fn check(&mut self, client: usize, key: usize, version: u32, began: Time, floor: u32) {
        let config = &self.config;
        let report = &mut self.report;
        report.reads += 1;
        let seen = &mut self.clients[client].floor[key];
        *seen = version.max(*seen);
        if version < floor {
            report.session_violations += 1;
            report.first.get_or_insert_with(|| {
                format!("client {client} saw version {floor} of key {key} before {began}, and then {version}")
            });
        }
        let overdue_since = self.origin.overdue_since(key, version);
        if overdue_since >= began {
            return;
        }
        let staleness = began - overdue_since;
        let filter_age = match self.clients[client].counts_age {
            true => config.delta,
            false => config.delta + config.micro_cache + config.refresh_min,
        };
        let mut bound = filter_age + filter_age * config.drift_ppm as Time / 1_000_000 + 1;
        if config.mutant != Some(Mutant::PurgeBelievedImmediate) {
            bound += config.purge_max;
        }
        if is_query(key) {
            bound += config.inv_max;
        }
        report.stale_reads += 1;
        report.max_staleness = report.max_staleness.max(staleness);
        report.used_permille = report.used_permille.max(staleness * 1000 / bound);
        if staleness > bound {
            report.violations += 1;
            report.first.get_or_insert_with(|| {
                format!("client {client} read version {version} of key {key} at {began}: overdue for {staleness} µs, bound {bound}")
            });
        }
    }

    pub(super) fn filter_at_edge(&mut self, client: usize, sent: Time) {
        let edge = self.clients[client].edge;
        match self.edges[edge].find_filter(self.now, self.config.micro_cache) {
            Some(filter) => self.later(Event::FilterAtClient { client, sent, filter }),
            None => self.later(Event::FilterAtOrigin {
                client,
                sent,
                edge_sent: self.now,
            }),
        }
    }

    pub(super) fn filter_at_origin(&mut self, client: usize, sent: Time, edge_sent: Time) {
        let Some(snapshot) = self.origin.snapshot(self.now) else {
            return;
        };
        let generation = snapshot.generation().as_micros();
        let mut filter = Sent {
            snapshot,
            generation,
            age: self.now - generation,
        };
        if self.is(Mutant::GenerationAfterCopy) {
            let copy = self.slow_copy.get_or_insert(filter.clone());
            if self.now - copy.generation > 3 * SECOND {
                *copy = filter;
            }
            filter = Sent {
                generation: self.now,
                age: 0,
                ..copy.clone()
            };
        }
        self.later(Event::FilterBackAtEdge {
            client,
            sent,
            edge_sent,
            filter,
        });
    }
}
