//! All parts, and what happens between them.

use super::client::{Client, Decision, Mode};
use super::edge::Edge;
use super::events::{Agenda, Event, FetchId, RequestId, Sent, Slab, Write};
use super::origin::Origin;
use super::{Config, MILLI, Mutant, N_KEYS, Report, Rng, SECOND, Time, is_query, moment};

/// Longest step of a request; longer ones count as lost.
const STEP_MAX: Time = 3 * SECOND;
const REFRESH_TIMEOUT: Time = 8 * SECOND;

#[derive(Debug)]
pub struct World {
    config: Config,
    now: Time,
    rng: Rng,
    agenda: Agenda,
    origin: Origin,
    edges: Vec<Edge>,
    clients: Vec<Client>,
    requests: Slab<Request>,
    fetches: Slab<Fetch>,
    flushed: Time,
    slow_copy: Option<Sent>,
    report: Report,
}

/// Of a client.
#[derive(Debug, Clone, Copy)]
struct Request {
    client: usize,
    key: usize,
    mode: Mode,
    must: bool,
    began: Time,
    /// What the client must at least see.
    floor: u32,
    /// Of this request; `began` may be that of an earlier one for the same read.
    sent: Time,
    n_filters: u64,
}

/// Of an edge.
#[derive(Debug)]
struct Fetch {
    edge: usize,
    key: usize,
    mode: Mode,
    waiting: Vec<RequestId>,
    sent: Time,
    fence: u64,
    boot: u64,
    ttl: Time,
    until: Time,
    version: u32,
}

impl World {
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed);
        let edges = (0..config.edges)
            .map(|_| Edge::new(&mut rng, config.drift_ppm))
            .collect();
        let clients = (0..config.clients)
            .map(|client| Client::new(&mut rng, client % config.edges, config.drift_ppm, client % 2 == 0))
            .collect();
        let mut agenda = Agenda::default();
        for client in 0..config.clients {
            agenda.at(rng.below(SECOND), Event::Read { client });
        }
        for key in 0..N_KEYS {
            agenda.at(rng.below(config.write_gap), Event::Write { key, writer: 0 });
        }
        agenda.at(SECOND, Event::TakeRecords);
        agenda.at(SECOND, Event::Tick);
        if config.crash_every > 0 {
            agenda.at(config.crash_every, Event::Crash);
        }
        Self {
            now: 0,
            rng,
            agenda,
            origin: Origin::new(&config),
            edges,
            clients,
            requests: Slab::default(),
            fetches: Slab::default(),
            flushed: 0,
            slow_copy: None,
            report: Report::default(),
            config,
        }
    }

    /// Runs until so many reads are done, or the first violation if a rule is broken on purpose.
    pub fn run(mut self) -> Report {
        while self.report.reads < self.config.reads {
            if self.config.mutant.is_some() && !self.report.is_clean() {
                break;
            }
            let Some((time, event)) = self.agenda.next() else { break };
            self.now = time;
            self.on(event);
        }
        self.report.simulated = self.now;
        self.report
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.config.mutant == Some(mutant)
    }

    fn step(&mut self) -> Time {
        let mean = if self.rng.chance(2) {
            10 * self.config.step
        } else {
            self.config.step
        };
        self.rng.exponential(mean).min(STEP_MAX)
    }

    fn after(&mut self, delay: Time, event: Event) {
        self.agenda.at(self.now + delay, event);
    }

    fn later(&mut self, event: Event) {
        let delay = self.step();
        self.after(delay, event);
    }

    fn is_lost(&mut self) -> bool {
        self.rng.below(500) == 0
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Read { client } => self.read(client),
            Event::AtEdge(request) => self.at_edge(request),
            Event::AtOrigin(fetch) => self.at_origin(fetch),
            Event::Select(fetch) => self.select(fetch),
            Event::Respond(fetch) => self.respond(fetch),
            Event::BackAtEdge(fetch) => self.back_at_edge(fetch),
            Event::AtClient { request, version, ttl } => self.at_client(request, version, ttl),
            Event::FilterAtEdge { client, sent } => self.filter_at_edge(client, sent),
            Event::FilterAtOrigin {
                client,
                sent,
                edge_sent,
            } => self.filter_at_origin(client, sent, edge_sent),
            Event::FilterBackAtEdge {
                client,
                sent,
                edge_sent,
                filter,
            } => {
                let edge = self.clients[client].edge;
                self.edges[edge].keep_filter(filter.clone(), edge_sent);
                let passed = self.edges[edge].clock.read(self.now) - self.edges[edge].clock.read(edge_sent);
                let filter = Sent {
                    age: filter.age + passed,
                    ..filter
                };
                self.later(Event::FilterAtClient { client, sent, filter });
            }
            Event::FilterAtClient { client, sent, filter } => {
                self.report.filters += 1;
                self.clients[client].take_filter(self.now, sent, filter, self.config.mutant);
            }
            Event::RefreshTimeout { client, sent } => self.clients[client].refresh_failed(sent),
            Event::Write { key, .. } => self.write(key),
            Event::Commit(write) => self.commit(write),
            Event::Report(write) => self.report_write(write),
            Event::Acknowledge(write) => self.acknowledge(write),
            Event::Acknowledged(write, stamp) => {
                let client = &mut self.clients[write.writer];
                client.wrote(write.key, write.version, stamp);
                client.floor[write.key] = client.floor[write.key].max(write.version);
            }
            Event::Purge { edge, key } => self.edges[edge].purge(key),
            Event::Flush { edge, connected } => self.edges[edge].flush(connected),
            Event::TakeRecords => self.take_records(),
            Event::OnDisk { boot, records } => self.origin.on_disk(boot, &records),
            Event::Tick => {
                if let Some(sketch) = &self.origin.sketch {
                    sketch.tick(moment(self.now));
                }
                self.after(SECOND, Event::Tick);
            }
            Event::Crash => self.crash(),
            Event::Restart => self.restart(),
        }
    }

    // Reads

    fn read(&mut self, client: usize) {
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

    fn load(&mut self, client: usize, key: usize, began: Time, floor: u32) {
        let hash = self.origin.hashes[key];
        match self.clients[client].load(self.now, key, hash, self.config.delta, self.config.mutant) {
            Decision::Return(version) => {
                self.report.from_browser += 1;
                self.check(client, key, version, began, floor);
            }
            Decision::Ask { mode, must } => self.ask(client, key, mode, must, began, floor),
        }
    }

    fn ask(&mut self, client: usize, key: usize, mode: Mode, must: bool, began: Time, floor: u32) {
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

    fn at_edge(&mut self, id: RequestId) {
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
    fn drop_fetch(&mut self, id: FetchId) {
        let fetch = self.fetches.take(id);
        self.edges[fetch.edge].ended(fetch.key, id);
        for request in fetch.waiting {
            self.requests.take(request);
        }
    }

    fn at_origin(&mut self, id: FetchId) {
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

    fn select(&mut self, id: FetchId) {
        let fetch = self.fetches.get(id);
        fetch.version = self.origin.version(fetch.key);
        self.later(Event::Respond(id));
    }

    fn respond(&mut self, id: FetchId) {
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

    fn back_at_edge(&mut self, id: FetchId) {
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

    fn at_client(&mut self, id: RequestId, version: u32, ttl: Time) {
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

    fn check(&mut self, client: usize, key: usize, version: u32, began: Time, floor: u32) {
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

    // Filters

    fn filter_at_edge(&mut self, client: usize, sent: Time) {
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

    fn filter_at_origin(&mut self, client: usize, sent: Time, edge_sent: Time) {
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

    // Writes

    fn write(&mut self, key: usize) {
        let gap = self.rng.exponential(self.config.write_gap);
        let writer = self.rng.below(self.config.clients as u64) as usize;
        self.after(gap, Event::Write { key, writer });
        let write = Write {
            key,
            version: 0,
            writer,
            boot: self.origin.boot,
            reported: 0,
        };
        self.later(Event::Commit(write));
    }

    fn commit(&mut self, mut write: Write) {
        if self.origin.sketch.is_none() {
            return;
        }
        write.boot = self.origin.boot;
        if self.is(Mutant::ReportBeforeCommit) && write.reported == 0 {
            self.tell_edges_if(write.key);
            write.reported = self.now;
            return self.later(Event::Commit(write));
        }
        self.report.writes += 1;
        write.version = self.origin.commit(write.key, self.now);
        if is_query(write.key) || self.is(Mutant::ReportAfterAck) || write.reported > 0 {
            self.later(Event::Acknowledge(write));
        } else {
            self.later(Event::Report(write));
        }
    }

    fn tell_edges_if(&mut self, key: usize) {
        if self.origin.report(key, self.now, self.config.mutant) {
            self.tell_edges(key);
        }
    }

    fn tell_edges(&mut self, key: usize) {
        for edge in 0..self.edges.len() {
            if self.rng.below(100) == 0 {
                if !self.is(Mutant::EdgeIgnoresLostStream) {
                    let delay = self.rng.below(self.config.purge_max);
                    self.after(delay, Event::Flush { edge, connected: true });
                }
                continue;
            }
            let delay = self.rng.below(self.config.purge_max);
            self.after(delay, Event::Purge { edge, key });
        }
    }

    fn report_write(&mut self, mut write: Write) {
        if write.boot != self.origin.boot {
            return;
        }
        self.tell_edges_if(write.key);
        write.reported = self.now;
        if !is_query(write.key) && !self.is(Mutant::ReportAfterAck) {
            self.later(Event::Acknowledge(write));
        }
    }

    fn acknowledge(&mut self, write: Write) {
        if write.boot != self.origin.boot {
            return;
        }
        self.origin.acknowledge(write.key, write.version, self.now);
        let mut stamp = write.reported;
        if write.reported == 0 {
            let wait = if self.is(Mutant::ReportAfterAck) {
                3 * SECOND
            } else {
                self.config.inv_max
            };
            stamp = self.now + wait;
            let delay = self.rng.below(wait);
            self.after(delay, Event::Report(write));
        }
        self.later(Event::Acknowledged(write, stamp));
    }

    // Disk, crashes

    fn take_records(&mut self) {
        self.after(SECOND, Event::TakeRecords);
        let Some(sketch) = &self.origin.sketch else { return };
        let records = sketch.take_records();
        if self.is(Mutant::RecordsTrustedEarly) {
            sketch.written_down(&records);
        }
        let event = Event::OnDisk {
            boot: self.origin.boot,
            records,
        };
        // A slow disk, and a crash may come first.
        let delay = if self.is(Mutant::RecordsTrustedEarly) {
            20 * SECOND
        } else {
            SECOND
        };
        let delay = self.rng.below(delay);
        self.after(delay, event);
    }

    fn crash(&mut self) {
        self.report.crashes += 1;
        let in_good_order = self.rng.chance(20);
        self.origin.stop(in_good_order);
        for edge in 0..self.edges.len() {
            let delay = self.rng.below(self.config.purge_max);
            self.flushed = self.flushed.max(self.now + delay);
            if !self.is(Mutant::EdgeIgnoresLostStream) {
                self.after(delay, Event::Flush { edge, connected: false });
            }
        }
        let delay = self.rng.between(10 * MILLI, 3 * SECOND);
        self.after(delay, Event::Restart);
    }

    fn restart(&mut self) {
        let has_journal = self.rng.chance(75);
        let changed = self.origin.start(&self.config, self.now, has_journal);
        for key in changed {
            self.tell_edges(key);
        }
        for edge in 0..self.edges.len() {
            let delay = self.rng.below(self.config.purge_max);
            self.agenda.at(
                (self.now + delay).max(self.flushed + 1),
                Event::Flush { edge, connected: true },
            );
        }
        let gap = self.rng.exponential(self.config.crash_every);
        self.after(gap, Event::Crash);
    }
}
