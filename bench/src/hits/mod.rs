//! Hit ratios: what share of reads clients answer from copies of their own, and what share they could have answered at best.
//!
//! Reads and writes by popularity (Zipf), through clients that each have a cache and follow lifetimes and filter. Afterwards an
//! oracle that knows every write goes through what was recorded.

mod client;
mod filter;
mod oracle;
mod plan;
mod report;
mod trace;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use serde_json::json;

pub(crate) use self::report::HitsReport;
use self::{
    client::{Deeds, Manner},
    plan::{Extent, MEMBERS, Plan},
};
use crate::{
    api::Api,
    edge,
    environment::Environment,
    freshbase, launch, process,
    run::{self, progress},
    server::Server,
};

/// Classes that objects and queries are in.
const CLASSES: usize = 10;
/// Objects that are imported with one request.
const IMPORTED_AT_ONCE: usize = 5_000;

/// What decides a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HitsSettings {
    #[serde(skip)]
    pub(crate) server: PathBuf,
    pub(crate) clients: usize,
    /// Operations per second of all clients.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    /// In seconds; clients fetch the filter as often.
    pub(crate) staleness: u32,
    /// Whether there is an edge between clients and server.
    pub(crate) edge: bool,
    /// Objects of each class.
    pub(crate) objects: usize,
    /// Queries of all classes.
    pub(crate) queries: usize,
    pub(crate) seed: u64,
}

impl HitsSettings {
    /// A third of the time: caches are empty at first.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.seconds / 3.0)
    }

    /// What a shared cache may add to the age of answers, in seconds.
    fn edge_staleness(&self) -> u32 {
        u32::from(self.edge)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.clients > 0 && self.rate > 0.0 && self.seconds > 0.0 && self.seconds <= 3_600.0,
            "--clients, --rate and --seconds must be above 0, and --seconds at most 3600"
        );
        ensure!(
            self.staleness > self.edge_staleness(),
            "--staleness must be more than {} s",
            self.edge_staleness()
        );
        let per_class = self.queries.div_ceil(CLASSES) * MEMBERS;
        ensure!(
            self.queries > 0 && per_class * 2 <= self.objects,
            "with {} queries --objects must be at least {}",
            self.queries,
            per_class * 2
        );
        Ok(())
    }
}

/// Runs clients against a server on an empty directory inside `dir`.
pub(crate) fn run(settings: &HitsSettings, dir: &Path) -> Result<HitsReport> {
    settings.check()?;
    let dir = run::scratch_dir(dir)?;
    let environment = Environment::probe(dir.path())?;
    let extent = Extent {
        classes: CLASSES,
        per_class: settings.objects,
        queries: settings.queries,
    };
    let plan = Plan::new(extent, settings.seed);
    let mut command = launch::command(&settings.server, &dir.path().join("data"))?;
    let server = Server::start(command.envs([edge::SECRET]), &dir.path().join("server.log"))?;
    server.wait_until_healthy(launch::HEALTH_PATH)?;
    progress("loading objects");
    let admin = Api::with_token(server.address(), &freshbase::log_in(server.address())?);
    load(&admin, &plan, settings).context("loading the objects")?;

    let edge = match settings.edge {
        true => Some(edge::start(&settings.server, dir.path(), server.address())?.0),
        false => None,
    };
    let address = edge.as_ref().unwrap_or(&server).address();

    progress(&format!("{} clients for {} s", settings.clients, settings.seconds));
    let cpu_before = process::cpu_time(server.pid())?;
    let (clients, elapsed) = run_clients(&plan, address, settings)?;
    let cpu = process::cpu_time(server.pid())?.saturating_sub(cpu_before);
    let figures = admin.get("/v1/caching")?.json()?;

    progress("asking the oracle");
    let (filters, same_filters) = clients
        .iter()
        .fold((0, 0), |sum, deeds| (sum.0 + deeds.filters, sum.1 + deeds.same_filters));
    let events: Vec<_> = clients.into_iter().map(|deeds| deeds.events).collect();
    let is_operation = |event: &&trace::Event| event.what != trace::What::Member;
    let operations = events.iter().flatten().filter(is_operation).count() as f64;
    let warm_up = settings.warm_up().as_micros() as u32;
    let outcome = oracle::replay(&plan, &events, warm_up, settings.staleness * 1_000_000)?;
    if let Some(edge) = edge {
        edge.stop().context("ending the edge")?;
    }
    server.stop()?;
    Ok(HitsReport {
        environment,
        settings: settings.clone(),
        outcome,
        rate: operations / elapsed.as_secs_f64(),
        filters,
        same_filters,
        known_copies: figures["keys"].as_u64().unwrap_or_default(),
        in_filter: figures["stale"].as_u64().unwrap_or_default(),
        false_positives: figures["falsePositives"].as_f64().unwrap_or_default(),
        cpu_us_per_operation: cpu.as_secs_f64() * 1e6 / operations.max(1.0),
    })
}

fn load(admin: &Api, plan: &Plan, settings: &HitsSettings) -> Result<()> {
    for class in 0..CLASSES {
        let fields = [("group", "/db/String"), ("n", "/db/Integer"), ("text", "/db/String")];
        let fields: serde_json::Map<String, serde_json::Value> = fields
            .into_iter()
            .enumerate()
            .map(|(order, (name, r#type))| (name.to_owned(), json!({ "name": name, "type": r#type, "order": order })))
            .collect();
        let definition = json!({
            "class": format!("/db/Zipf{class}"), "superClass": "/db/Object", "acl": {}, "metadata": {}, "fields": fields,
        });
        admin.post("/v1/schema", &json!([definition]))?;
        let index = json!({ "unique": false, "keys": [{ "group": "asc" }], "drop": false });
        admin.post(&format!("/v1/index/Zipf{class}"), &index)?;
        let (path, lines) = (format!("/v1/db/Zipf{class}"), plan.lines(class));
        let lines: Vec<&str> = lines.lines().collect();
        for chunk in lines.chunks(IMPORTED_AT_ONCE) {
            let answer = admin.put_text(&path, &chunk.join("\n"))?.json()?;
            ensure!(
                answer["count"] == chunk.len(),
                "{} objects were sent to {path}, the server answers {answer}",
                chunk.len()
            );
        }
    }
    // Every client follows the filter, so copies may live for longer than the staleness.
    let caching =
        json!({ "staleness": settings.staleness, "edgeStaleness": settings.edge_staleness(), "maxLifetime": 3_600 });
    let no_limit = json!({ "requests": 0, "seconds": 1 });
    let config = json!({ "caching": caching, "rateLimit": no_limit });
    admin.put_text("/v1/config", &config.to_string())?;
    Ok(())
}

fn run_clients(plan: &Plan, address: SocketAddr, settings: &HitsSettings) -> Result<(Vec<Deeds>, Duration)> {
    let manner = Manner {
        address,
        rate: settings.rate / settings.clients as f64,
        begin: Instant::now(),
        duration: Duration::from_secs_f64(settings.seconds),
        refresh: Duration::from_secs(u64::from(settings.staleness - settings.edge_staleness())),
    };
    let deeds = thread::scope(|scope| {
        let clients: Vec<_> = (0..settings.clients)
            .map(|n| {
                let seed = settings.seed.wrapping_mul(1_000).wrapping_add(n as u64 + 1);
                scope.spawn(move || client::run(plan, manner, seed))
            })
            .collect();
        let joined = clients.into_iter().map(|client| client.join());
        let joined = joined.map(|outcome| outcome.map_err(|_| anyhow!("a client panicked"))?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    Ok((deeds, manner.begin.elapsed()))
}
