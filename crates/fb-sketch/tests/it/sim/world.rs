//! All parts, and what happens between them.

use super::client::{Client, Mode};
use super::edge::Edge;
use super::events::{Agenda, Event, RequestId, Sent, Slab};
use super::origin::Origin;
use super::{Config, Mutant, N_KEYS, Report, Rng, SECOND, Time, moment};

/// Longest step of a request; longer ones count as lost.
const STEP_MAX: Time = 3 * SECOND;

mod reads;
mod writes;

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
}
