//! The course of a run: start everything, take rounds in turn, collect.

use std::{path::Path, process, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{
    client::{self, Limit},
    dataset::{Dataset, GROUP_SIZE},
    edge,
    environment::Environment,
    freshbase::Freshbase,
    functions::{self, InsertLoad},
    kept, launch, logins,
    private::PER_OWNER,
    report::{Comparison, Memory, Report},
    scenarios::{Place, Scenario, Yardstick},
    yardsticks::Yardsticks,
};

/// Starts of a server that idle figures are the median of.
const IDLE_STARTS: usize = 5;

/// Apps of `function-apps`.
const MANY_APPS: u64 = 1000;

/// Connections of `function-neighbour`: the tail is what counts, not how many the server can answer.
const NEIGHBOUR_CONNECTIONS: usize = 8;

/// What decides the length and weight of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    /// Keep-alive connections to a server, and client threads of the SQLite writer.
    pub(crate) connections: usize,
    /// Length of a measured window in seconds.
    pub(crate) seconds: f64,
    /// Rounds of each side; medians are taken over them.
    pub(crate) rounds: usize,
    /// Objects loaded before measuring.
    pub(crate) objects: u64,
    /// Private objects that `own-page` and `own-count` find their own among.
    pub(crate) private: u64,
    /// Decides every object and every choice.
    pub(crate) seed: u64,
}

impl Settings {
    /// The objects that are loaded.
    pub(crate) fn data(self) -> Dataset {
        Dataset {
            seed: self.seed,
            objects: self.objects,
        }
    }

    /// Length of a measured window.
    pub(crate) fn measured(self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// A fifth of the window, at most a second.
    pub(crate) fn warm_up(self) -> Duration {
        (self.measured() / 5).min(Duration::from_secs(1))
    }

    /// A warm-up and a measured window.
    pub(crate) fn limit(self) -> Limit {
        Limit::Time {
            warm_up: self.warm_up(),
            measured: self.measured(),
        }
    }

    fn check(self) -> Result<()> {
        ensure!(
            self.connections > 0 && self.rounds > 0,
            "--connections and --rounds must be at least 1"
        );
        ensure!(
            self.seconds > 0.0 && self.seconds <= 3600.0,
            "--seconds must lie between 0 and 3600"
        );
        let smallest = 100 * GROUP_SIZE;
        ensure!(
            self.objects >= smallest && self.objects.is_multiple_of(GROUP_SIZE),
            "--objects must be a multiple of {GROUP_SIZE} and at least {smallest}"
        );
        ensure!(
            self.private >= 10 * PER_OWNER && self.private.is_multiple_of(PER_OWNER),
            "--private must be a multiple of {PER_OWNER} and at least {}",
            10 * PER_OWNER
        );
        Ok(())
    }
}

/// Measures `scenarios` of the Freshbase in `binary`; data goes to a new directory inside `dir`.
pub(crate) fn compare(binary: &Path, dir: &Path, scenarios: &[Scenario], settings: Settings) -> Result<Report> {
    settings.check()?;
    let dir = scratch_dir(dir)?;
    let mut report = empty_report(dir.path(), settings)?;

    if scenarios.contains(&Scenario::Idle) {
        progress("idle: five starts");
        report.idle = Some(launch::measure_idle(binary, dir.path(), IDLE_STARTS).context("measuring idle")?);
    }
    let at = |place: Place| -> Vec<Scenario> {
        let there = scenarios.iter().copied();
        there.filter(|scenario| scenario.place() == place).collect()
    };
    let (at_one_server, at_edge, at_two_servers) = (at(Place::Server), at(Place::Edge), at(Place::TwoServers));
    if !at_one_server.is_empty() {
        let freshbase = Freshbase::start(binary, dir.path(), settings.data()).context("starting Freshbase")?;
        compare_under_load(freshbase, &at_one_server, dir.path(), settings, &mut report)?;
    }
    if !at_edge.is_empty() {
        let compared = edge::compare(binary, dir.path(), &at_edge, settings).context("measuring an edge")?;
        report.comparisons.extend(compared);
    }
    if !at_two_servers.is_empty() {
        let compared = kept::compare(binary, dir.path(), &at_two_servers, settings)
            .context("measuring a server with caching and one without")?;
        report.comparisons.extend(compared);
    }
    if scenarios.contains(&Scenario::FunctionApps) {
        progress("function-apps: creating apps takes a minute, falling asleep another one");
        report.many_apps =
            Some(functions::measure_many(binary, dir.path(), MANY_APPS).context("scenario function-apps")?);
    }
    report.judge();
    Ok(report)
}

/// Measures the yardsticks alone.
pub(crate) fn references(dir: &Path, settings: Settings) -> Result<Report> {
    settings.check()?;
    let dir = scratch_dir(dir)?;
    let mut report = empty_report(dir.path(), settings)?;
    let mut yardsticks = Yardsticks::start(dir.path(), settings)?;
    for yardstick in Yardstick::ALL {
        progress(yardstick.name());
        let rounds = (0..settings.rounds)
            .map(|_| yardsticks.round(yardstick))
            .collect::<Result<Vec<_>>>()?;
        report
            .comparisons
            .push(Comparison::new(None, yardstick, rounds, Vec::new())?);
    }
    Ok(report)
}

fn compare_under_load(
    mut freshbase: Freshbase,
    scenarios: &[Scenario],
    dir: &Path,
    settings: Settings,
    report: &mut Report,
) -> Result<()> {
    progress("loading objects");
    report.fill = Some(freshbase.fill(settings.connections).context("loading the objects")?);
    let after_fill_mb = freshbase.memory_mb()?;
    freshbase.verify().context("verifying what was loaded")?;

    let mut yardsticks = Yardsticks::start(dir, settings)?;
    for scenario in scenarios {
        let comparison = compare_one(&mut freshbase, *scenario, &mut yardsticks, settings)
            .with_context(|| format!("scenario {}", scenario.name()))?;
        report.comparisons.push(comparison);
    }
    report.memory = Some(Memory {
        after_fill_mb,
        after_run_mb: freshbase.memory_mb()?,
    });
    freshbase.stop()
}

/// Yardstick, Freshbase, yardstick, …: whatever else the box does meets both sides.
fn compare_one(
    freshbase: &mut Freshbase,
    scenario: Scenario,
    yardsticks: &mut Yardsticks,
    settings: Settings,
) -> Result<Comparison> {
    let yardstick = scenario
        .yardstick()
        .context("this scenario puts no load on the server")?;
    match (scenario, yardstick) {
        (_, Yardstick::Alone) => return compare_with_alone(freshbase, scenario, settings),
        (_, Yardstick::Quiet) => return compare_with_quiet(freshbase, scenario, settings),
        (_, Yardstick::FirstPage) => return compare_lists(freshbase, settings),
        (_, Yardstick::NoHandler) => return compare_inserts(freshbase, settings),
        (_, Yardstick::Undisturbed) => return compare_neighbours(freshbase, settings),
        (Scenario::Function, _) => return compare_functions(freshbase, yardstick, yardsticks, settings),
        (Scenario::Login, _) => return compare_logins(freshbase, yardstick, yardsticks, settings),
        _ => {}
    }
    if matches!(scenario, Scenario::Page | Scenario::PageConfirmed) {
        return compare_pages(freshbase, scenario, yardstick, yardsticks, settings);
    }
    let mut workload = freshbase.workload(scenario)?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        reference_rounds.push(yardsticks.round(yardstick).context("measuring the yardstick")?);
        let target = freshbase.target(settings.connections);
        freshbase_rounds.push(client::drive(target, settings.limit(), &mut workload)?);
    }
    if scenario == Scenario::Insert {
        freshbase
            .verify_count(workload.objects_expected())
            .context("counting what was inserted")?;
    }
    Comparison::new(Some(scenario), yardstick, reference_rounds, freshbase_rounds)
}

/// The same requests to the class that holds one owner's objects alone, and to that of all owners.
fn compare_with_alone(freshbase: &mut Freshbase, scenario: Scenario, settings: Settings) -> Result<Comparison> {
    progress(&format!("{}: loading private objects", scenario.name()));
    let [mut shared, mut alone] = freshbase.own_workloads(scenario, settings.private)?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        let target = freshbase.target(settings.connections);
        reference_rounds.push(client::drive(target, settings.limit(), &mut alone)?);
        freshbase_rounds.push(client::drive(target, settings.limit(), &mut shared)?);
    }
    Comparison::new(Some(scenario), Yardstick::Alone, reference_rounds, freshbase_rounds)
}

/// A page of a website, or the word that a copy of it is good.
fn compare_pages(
    freshbase: &mut Freshbase,
    scenario: Scenario,
    yardstick: Yardstick,
    yardsticks: &mut Yardsticks,
    settings: Settings,
) -> Result<Comparison> {
    let mut load = freshbase.page_load(scenario)?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        reference_rounds.push(yardsticks.round(yardstick).context("measuring the yardstick")?);
        freshbase_rounds.push(load.round(freshbase.target(settings.connections), settings.limit())?);
    }
    Comparison::new(Some(scenario), yardstick, reference_rounds, freshbase_rounds)
}

/// Pages anywhere in a long list of files, and the first one.
fn compare_lists(freshbase: &mut Freshbase, settings: Settings) -> Result<Comparison> {
    let scenario = Scenario::ListFiles;
    progress(&format!("{}: uploading 100,000 files", scenario.name()));
    let [mut anywhere, mut first] = freshbase.list_loads()?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        let target = freshbase.target(settings.connections);
        reference_rounds.push(first.round(target, settings.limit())?);
        freshbase_rounds.push(anywhere.round(target, settings.limit())?);
    }
    Comparison::new(Some(scenario), Yardstick::FirstPage, reference_rounds, freshbase_rounds)
}

/// Calls of a module that answers a constant.
fn compare_functions(
    freshbase: &mut Freshbase,
    yardstick: Yardstick,
    yardsticks: &mut Yardsticks,
    settings: Settings,
) -> Result<Comparison> {
    let scenario = Scenario::Function;
    let mut load = freshbase.constant_load()?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        reference_rounds.push(yardsticks.round(yardstick).context("measuring the yardstick")?);
        let target = freshbase.target(settings.connections);
        freshbase_rounds.push(client::drive(target, settings.limit(), &mut load)?);
    }
    Comparison::new(Some(scenario), yardstick, reference_rounds, freshbase_rounds)
}

/// Inserts with a handler before them, and without.
fn compare_inserts(freshbase: &mut Freshbase, settings: Settings) -> Result<Comparison> {
    let scenario = Scenario::InsertHandler;
    let [mut guarded, mut unguarded]: [InsertLoad; 2] = freshbase.insert_loads()?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        let target = freshbase.target(settings.connections);
        reference_rounds.push(client::drive(target, settings.limit(), &mut unguarded)?);
        freshbase_rounds.push(client::drive(target, settings.limit(), &mut guarded)?);
    }
    Comparison::new(Some(scenario), Yardstick::NoHandler, reference_rounds, freshbase_rounds)
}

/// Calls of one app while the code of another one computes without end, and while it does nothing.
fn compare_neighbours(freshbase: &mut Freshbase, settings: Settings) -> Result<Comparison> {
    let scenario = Scenario::FunctionNeighbour;
    let mut load = freshbase.constant_load()?;
    freshbase.prepare_runaway()?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    let mut runaways = Vec::new();
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        let target = freshbase.target(NEIGHBOUR_CONNECTIONS);
        reference_rounds.push(client::drive(target, settings.limit(), &mut load)?);
        let (sample, beside) =
            functions::beside_runaways(target.address, || client::drive(target, settings.limit(), &mut load))?;
        freshbase_rounds.push(sample);
        runaways.push(beside);
    }
    let mut comparison = Comparison::new(
        Some(scenario),
        Yardstick::Undisturbed,
        reference_rounds,
        freshbase_rounds,
    )?;
    comparison.runaways = runaways;
    Ok(comparison)
}

/// Logins, as many at once as `logins` says.
fn compare_logins(
    freshbase: &mut Freshbase,
    yardstick: Yardstick,
    yardsticks: &mut Yardsticks,
    settings: Settings,
) -> Result<Comparison> {
    let scenario = Scenario::Login;
    progress(&format!("{}: registering users", scenario.name()));
    let mut workload = freshbase.logins()?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        reference_rounds.push(yardsticks.round(yardstick).context("measuring the yardstick")?);
        let target = freshbase.target(logins::CONNECTIONS);
        freshbase_rounds.push(client::drive(target, settings.limit(), &mut workload)?);
    }
    Comparison::new(Some(scenario), yardstick, reference_rounds, freshbase_rounds)
}

/// The same requests while nobody logs in, and beside more logins than the hasher takes.
fn compare_with_quiet(freshbase: &mut Freshbase, scenario: Scenario, settings: Settings) -> Result<Comparison> {
    let users = freshbase.logins()?;
    let mut workload = freshbase.workload(scenario)?;
    let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
    let mut logins_beside = Vec::new();
    for round in 1..=settings.rounds {
        progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
        let target = freshbase.target(settings.connections);
        reference_rounds.push(client::drive(target, settings.limit(), &mut workload)?);
        let seed = settings.seed + round as u64 * 1000;
        let (sample, logins) = logins::beside(target.address, &users, seed, || {
            client::drive(target, settings.limit(), &mut workload)
        })?;
        freshbase_rounds.push(sample);
        logins_beside.push(logins);
    }
    let mut comparison = Comparison::new(Some(scenario), Yardstick::Quiet, reference_rounds, freshbase_rounds)?;
    comparison.logins_beside = logins_beside;
    Ok(comparison)
}

fn empty_report(dir: &Path, settings: Settings) -> Result<Report> {
    Ok(Report {
        environment: Environment::probe(dir)?,
        settings,
        fill: None,
        idle: None,
        memory: None,
        many_apps: None,
        comparisons: Vec::new(),
        verdicts: Vec::new(),
    })
}

/// A directory inside of `dir` that is removed at the end.
pub(crate) fn scratch_dir(dir: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("fb-bench-{}-", process::id()))
        .tempdir_in(dir)
        .with_context(|| format!("creating a directory in {}", dir.display()))
}

/// Standard error, so that standard output holds the report alone.
pub(crate) fn progress(text: &str) {
    eprintln!("· {text}");
}
