//! An edge between client and server: what it answers from memory, and what that costs it.
//!
//! The server behind it is one of its own, with 2,000 objects. What is measured is the edge's process. That it answered by
//! itself is looked up in its figures and in those of the server, and seen in single answers before and after each round.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{
    api::{Api, Line, Reply},
    caching,
    client::{self, Target, Workload},
    dataset::Dataset,
    freshbase::Freshbase,
    http::RequestHeaders,
    launch,
    report::Comparison,
    run::{Settings, progress},
    scenarios::Scenario,
    server::Server,
    workload::{self, FreshbaseLoad},
    yardsticks::Yardsticks,
};

/// Objects that are asked for.
const HOT: u64 = 1_000;
/// How the server knows the edge. Both are this program's children, on the loopback interface.
pub(crate) const SECRET: (&str, &str) = ("FRESHBASE_EDGE_SECRET", "0123456789abcdef0123456789abcdef");
/// An edge that does not get ready, or does not keep an answer, within this time has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Smallest share of answers from memory, and largest share of requests that the server may get.
const HITS: f64 = 0.99;
/// Answers that are looked at before and after each round.
const VERIFIED: u64 = 20;

/// Where the answers of one round came from, warm-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct EdgeRound {
    /// Requests to the edge.
    pub(crate) sent: u64,
    /// Those that it answered from memory, by its own figures.
    pub(crate) hits: u64,
    /// Requests that the server answered meanwhile, by its own figures.
    pub(crate) at_origin: u64,
}

impl EdgeRound {
    /// Several rounds as one.
    pub(crate) fn sum(rounds: &[Self]) -> Self {
        rounds.iter().fold(Self::default(), |sum, round| Self {
            sent: sum.sent + round.sent,
            hits: sum.hits + round.hits,
            at_origin: sum.at_origin + round.at_origin,
        })
    }

    fn check(self) -> Result<()> {
        let sent = self.sent as f64;
        ensure!(
            self.hits as f64 >= HITS * sent && self.at_origin as f64 <= (1.0 - HITS) * sent,
            "of {} requests the edge answered {} from memory, and the server got {}: that measures something else",
            self.sent,
            self.hits,
            self.at_origin
        );
        Ok(())
    }
}

/// Measures `scenarios` at an edge of `binary`.
pub(crate) fn compare(
    binary: &Path,
    dir: &Path,
    scenarios: &[Scenario],
    settings: Settings,
) -> Result<Vec<Comparison>> {
    progress("starting a server and an edge");
    let world = World::start(binary, dir, settings)?;
    let mut yardsticks = Yardsticks::start(dir, settings)?;
    let mut compared = Vec::new();
    for scenario in scenarios {
        let comparison = world
            .compare_one(*scenario, &mut yardsticks, settings)
            .with_context(|| format!("scenario {}", scenario.name()))?;
        compared.push(comparison);
    }
    world.edge.stop().context("ending the edge")?;
    world.origin.stop()?;
    Ok(compared)
}

/// Starts an edge in front of a server that has [`SECRET`], and waits until it follows; and calls for its figures.
pub(crate) fn start(binary: &Path, dir: &Path, origin: SocketAddr) -> Result<(Server, Api)> {
    let mut command = Command::new(launch::program_path(binary)?);
    command
        .args(["edge", "--listen", "127.0.0.1:0", "--figures-listen", "127.0.0.1:0"])
        .args(["--origin", &format!("http://{origin}")])
        .envs([SECRET])
        // Away from the working directory, whose configuration it would read.
        .current_dir(dir)
        .stdin(Stdio::null());
    let edge = Server::start(&mut command, &dir.join("edge.log")).context("starting the edge")?;
    let figures = edge.address_behind("figures: ");
    let figures = Api::new(figures.context("the edge does not say where its figures are")?);
    wait_for("the edge to follow the purges", || {
        Ok(sum_of(&figures, "freshbase_edge_intact")? == 1)
    })?;
    Ok((edge, figures))
}

struct World {
    edge: Server,
    figures: Api,
    origin: Freshbase,
    origin_api: Api,
    /// What is asked for.
    hot: Dataset,
}

impl World {
    fn start(binary: &Path, dir: &Path, settings: Settings) -> Result<Self> {
        let data = Dataset {
            seed: settings.seed,
            objects: caching::IN_FILTER,
        };
        let origin = Freshbase::start_as(binary, dir, "origin", data, &[SECRET]).context("starting the server")?;
        origin.fill(settings.connections).context("loading the objects")?;
        let origin_address = origin.target(1).address;

        let (edge, figures) = start(binary, dir, origin_address)?;
        Ok(Self {
            edge,
            figures,
            origin,
            origin_api: Api::new(origin_address),
            hot: Dataset { objects: HOT, ..data },
        })
    }

    fn compare_one(&self, scenario: Scenario, yardsticks: &mut Yardsticks, settings: Settings) -> Result<Comparison> {
        let yardstick = scenario.yardstick().context("a scenario at an edge has a yardstick")?;
        if scenario == Scenario::EdgeFilter {
            progress(&format!("{}: getting objects into the filter", scenario.name()));
            let data = Dataset {
                objects: caching::IN_FILTER,
                ..self.hot
            };
            caching::fill_filter(&self.origin.admin()?, data).context("getting objects into the filter")?;
            caching::verify_filter(&self.api())?;
        }
        let headers = RequestHeaders::new(&self.edge.address().to_string(), None);
        let mut load = Counted {
            load: FreshbaseLoad::new(scenario, self.hot, headers),
            sent: 0,
        };
        let target = Target {
            address: self.edge.address(),
            pid: self.edge.pid(),
            connections: settings.connections,
        };
        let (mut reference_rounds, mut freshbase_rounds, mut edge_rounds) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=settings.rounds {
            progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
            reference_rounds.push(yardsticks.round(yardstick).context("measuring the yardstick")?);
            // Again before each round: what the edge has may have ended while the yardstick was measured.
            self.warm(scenario).context("having the edge keep what is asked for")?;
            self.verify(scenario).context("before the round")?;
            let before = self.counts(&load)?;
            freshbase_rounds.push(client::drive(target, settings.limit(), &mut load)?);
            let after = self.counts(&load)?;
            let passed = EdgeRound {
                sent: after.sent - before.sent,
                hits: after.hits - before.hits,
                at_origin: after.at_origin - before.at_origin,
            };
            passed.check()?;
            self.verify(scenario).context("after the round")?;
            edge_rounds.push(passed);
        }
        let mut comparison = Comparison::new(Some(scenario), yardstick, reference_rounds, freshbase_rounds)?;
        comparison.edge_rounds = edge_rounds;
        Ok(comparison)
    }

    fn api(&self) -> Api {
        Api::new(self.edge.address())
    }

    fn path(&self, scenario: Scenario, number: u64) -> String {
        if scenario == Scenario::EdgeFilter {
            return "/v1/bloomfilter".to_owned();
        }
        let mut path = String::new();
        workload::object_path(self.hot, number, &mut path);
        path
    }

    /// Asks for everything until all of it comes from memory. The first answers for an object live for a moment only, until the
    /// server has written down that there are copies. The edge keeps what is asked for twice in a row.
    fn warm(&self, scenario: Scenario) -> Result<()> {
        let mut line = Line::open(self.edge.address())?;
        let headers = RequestHeaders::new(&self.edge.address().to_string(), None);
        wait_for("all answers to come from memory", || {
            let mut is_all = true;
            for number in 0..HOT {
                let mut request = Vec::new();
                headers.write_get(&mut request, &self.path(scenario, number));
                for _ in 0..3 {
                    if is_hit(&line.exchange(&request)?) {
                        break;
                    }
                    is_all = false;
                }
            }
            Ok(is_all)
        })
    }

    /// Checks that answers come from memory and are what the server says.
    fn verify(&self, scenario: Scenario) -> Result<()> {
        let api = self.api();
        for number in (0..HOT).step_by((HOT / VERIFIED) as usize) {
            let path = self.path(scenario, number);
            let answer = match scenario {
                Scenario::EdgeConfirmed => api.get_with(&path, "if-none-match: \"1\"\r\n")?,
                _ => api.get(&path)?,
            };
            let expected = if scenario == Scenario::EdgeConfirmed { 304 } else { 200 };
            let way = answer.header("cache-status").unwrap_or("no Cache-Status");
            ensure!(
                answer.status == expected && is_hit(&answer),
                "{path} is answered with status {} and “{way}” instead of {expected} from memory",
                answer.status
            );
            // The filter is made anew all the time.
            if scenario == Scenario::EdgeHit {
                ensure!(
                    answer.header("age").is_some() && answer.body() == self.origin_api.get(&path)?.body(),
                    "{path} is something else at the edge than at the server"
                );
            }
        }
        Ok(())
    }

    fn counts(&self, load: &Counted) -> Result<EdgeRound> {
        Ok(EdgeRound {
            sent: load.sent,
            hits: sum_of(&self.figures, "freshbase_edge_hits_total")?,
            at_origin: sum_of(&self.origin_api, "freshbase_requests_total")?,
        })
    }
}

/// A load that knows how many requests it has sent.
struct Counted {
    load: FreshbaseLoad,
    sent: u64,
}

impl Workload for Counted {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        self.sent += 1;
        self.load.write_next(out);
    }

    fn min_body(&self) -> usize {
        self.load.min_body()
    }
}

/// Whether an edge gave this answer from memory.
pub(crate) fn is_hit(answer: &Reply) -> bool {
    answer
        .header("cache-status")
        .is_some_and(|status| status.ends_with("; hit"))
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_there()? {
        ensure!(began.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The sum of a figure over its labels.
fn sum_of(api: &Api, name: &str) -> Result<u64> {
    let reply = api.get("/metrics").context("asking for figures")?;
    Ok(sum_in(&String::from_utf8_lossy(reply.body()), name))
}

fn sum_in(text: &str, name: &str) -> u64 {
    let of_name = text.lines().filter_map(|line| line.strip_prefix(name));
    of_name
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_their_labels() {
        let text = "# TYPE a_total counter\na_total{b=\"c d\"} 3\na_total{b=\"e\"} 4\na_total_more 9\nb 1\n";
        assert_eq!(
            (sum_in(text, "a_total"), sum_in(text, "b"), sum_in(text, "c")),
            (7, 1, 0)
        );
    }

    #[test]
    fn a_round_with_less_than_99_percent_hits_is_none() {
        let round = |hits, at_origin| EdgeRound {
            sent: 1_000,
            hits,
            at_origin,
        };
        assert!(round(990, 10).check().is_ok());
        assert!(round(989, 10).check().is_err() && round(1_000, 11).check().is_err());
    }
}
