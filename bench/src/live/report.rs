//! What a run about live queries found, as table and as JSON.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Live, LiveSettings, load::Yield};
use crate::{
    environment::Environment,
    measure::{Sample, median},
    table::{Format, Table},
};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(crate) struct LiveReport {
    environment: Environment,
    seconds: f64,
    n_rounds: usize,
    /// Anything but 1 is a trial: there are no verdicts.
    share: f64,
    /// In the order of the run.
    pub(crate) rounds: Vec<Figures>,
    /// Medians over the rounds of each scenario.
    medians: Vec<Figures>,
    /// Inserts beside another binary.
    pub(crate) nobody: Option<Against>,
    verdicts: Vec<Verdict>,
}

/// One round of a scenario. Times in milliseconds, CPU in microseconds of the server process, all threads.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    scenario: Live,
    subscriptions: usize,
    sockets: usize,
    /// Writes per second, as planned.
    planned_rate: f64,
    /// Writes per second, as made.
    write_rate: f64,
    /// Events that were received per second.
    event_rate: f64,
    /// Megabytes that subscribers received per second.
    megabytes_per_second: f64,
    /// All CPU by events.
    cpu_us_per_event: f64,
    /// All CPU of a server that does nothing but send the same bytes, by events.
    bare_cpu_us_per_event: Option<f64>,
    /// And when its last events came.
    bare_last_p99_ms: Option<f64>,
    /// All CPU by writes.
    cpu_us_per_write: f64,
    /// The same writes, nobody subscribed, the same sockets open.
    cpu_us_per_write_alone: f64,
    /// From sending a write to each event.
    event_p50_ms: f64,
    event_p99_ms: f64,
    /// From sending a write to its last event.
    last_p50_ms: f64,
    last_p99_ms: f64,
    /// From the answer of a write to each event.
    behind_answer_p50_ms: f64,
    behind_answer_p99_ms: f64,
    /// From sending a write to its answer.
    answer_p50_ms: f64,
    answer_p99_ms: f64,
    /// Writes of which an event came before the answer: there should be none.
    early: f64,
    /// Until all subscriptions had their first message.
    subscribing_s: f64,
    /// Memory that each subscription takes, in KB.
    kb_per_subscription: f64,
    /// Memory that each open socket takes, in KB.
    kb_per_socket: f64,
    /// Resident memory at the end, in MB.
    memory_mb: f64,
    /// Share of a core that the client used.
    client_busy: f64,
}

/// Resident memory of the server in MB, and how it grew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// By opening all sockets.
    pub(crate) all_sockets: f64,
    /// By all subscriptions.
    pub(crate) all_subscriptions: f64,
    /// At the end.
    pub(crate) at_end: f64,
}

impl Figures {
    #[expect(clippy::too_many_arguments, reason = "what a round found, taken apart at once")]
    pub(crate) fn new(
        scenario: Live,
        subscriptions: usize,
        sockets: usize,
        planned_rate: f64,
        alone: &Yield,
        told: &Yield,
        subscribing: Duration,
        memory: Memory,
    ) -> Self {
        let seconds = told.elapsed.as_secs_f64();
        let micros = |cpu: Duration, n: u64| cpu.as_secs_f64() * 1e6 / n.max(1) as f64;
        let ms = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let kb = |mb: f64, n: usize| mb * 1000.0 / n.max(1) as f64;
        Self {
            scenario,
            subscriptions,
            sockets,
            planned_rate,
            write_rate: told.writes as f64 / seconds,
            event_rate: told.events as f64 / seconds,
            megabytes_per_second: told.bytes as f64 / 1e6 / seconds,
            cpu_us_per_event: micros(told.server_cpu, told.events),
            bare_cpu_us_per_event: None,
            bare_last_p99_ms: None,
            cpu_us_per_write: micros(told.server_cpu, told.writes),
            cpu_us_per_write_alone: micros(alone.server_cpu, alone.writes),
            event_p50_ms: ms(&told.event, 0.5),
            event_p99_ms: ms(&told.event, 0.99),
            last_p50_ms: ms(&told.last, 0.5),
            last_p99_ms: ms(&told.last, 0.99),
            behind_answer_p50_ms: ms(&told.behind_answer, 0.5),
            behind_answer_p99_ms: ms(&told.behind_answer, 0.99),
            answer_p50_ms: ms(&told.answer, 0.5),
            answer_p99_ms: ms(&told.answer, 0.99),
            early: told.early as f64,
            subscribing_s: subscribing.as_secs_f64(),
            kb_per_subscription: kb(memory.all_subscriptions, subscriptions),
            kb_per_socket: kb(memory.all_sockets, sockets),
            memory_mb: memory.at_end,
            client_busy: told.client_cpu.as_secs_f64() / seconds,
        }
    }

    /// The same with what a bare sender took.
    pub(crate) fn beside(self, bare: &Yield) -> Self {
        Self {
            bare_cpu_us_per_event: Some(bare.server_cpu.as_secs_f64() * 1e6 / bare.events.max(1) as f64),
            bare_last_p99_ms: Some(bare.last.value_at_quantile(0.99) as f64 / 1000.0),
            ..self
        }
    }

    fn median_of(rounds: &[Self]) -> Result<Self> {
        let first = rounds.first().context("no rounds")?;
        let by_if = |figure: fn(&Self) -> Option<f64>| match first.bare_cpu_us_per_event {
            Some(_) => median(rounds.iter().filter_map(figure).collect()).map(Some),
            None => Ok(None),
        };
        let by = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Ok(Self {
            write_rate: by(|f| f.write_rate)?,
            event_rate: by(|f| f.event_rate)?,
            megabytes_per_second: by(|f| f.megabytes_per_second)?,
            cpu_us_per_event: by(|f| f.cpu_us_per_event)?,
            bare_cpu_us_per_event: by_if(|f| f.bare_cpu_us_per_event)?,
            bare_last_p99_ms: by_if(|f| f.bare_last_p99_ms)?,
            cpu_us_per_write: by(|f| f.cpu_us_per_write)?,
            cpu_us_per_write_alone: by(|f| f.cpu_us_per_write_alone)?,
            event_p50_ms: by(|f| f.event_p50_ms)?,
            event_p99_ms: by(|f| f.event_p99_ms)?,
            last_p50_ms: by(|f| f.last_p50_ms)?,
            last_p99_ms: by(|f| f.last_p99_ms)?,
            behind_answer_p50_ms: by(|f| f.behind_answer_p50_ms)?,
            behind_answer_p99_ms: by(|f| f.behind_answer_p99_ms)?,
            answer_p50_ms: by(|f| f.answer_p50_ms)?,
            answer_p99_ms: by(|f| f.answer_p99_ms)?,
            early: by(|f| f.early)?,
            subscribing_s: by(|f| f.subscribing_s)?,
            kb_per_subscription: by(|f| f.kb_per_subscription)?,
            kb_per_socket: by(|f| f.kb_per_socket)?,
            memory_mb: by(|f| f.memory_mb)?,
            client_busy: by(|f| f.client_busy)?,
            ..*first
        })
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let at_most = |what, value, limit| Verdict {
            scenario: self.scenario,
            what,
            value,
            limit,
            met: value <= limit,
        };
        let sustained = Verdict {
            met: self.write_rate >= 0.98 * self.planned_rate,
            scenario: self.scenario,
            what: "writes/s ≥ 98 % of",
            value: self.write_rate,
            limit: self.planned_rate,
        };
        match self.scenario {
            Live::Fanout | Live::FanoutUsers => vec![
                at_most("CPU µs/event ≤", self.cpu_us_per_event, 8.0),
                at_most("p99 of last event ms ≤", self.last_p99_ms, 10.0),
            ],
            Live::Pressure => vec![sustained],
            Live::OwnFilter => vec![sustained, at_most("CPU µs/write ≤", self.cpu_us_per_write, 100.0)],
            Live::Many => vec![
                sustained,
                at_most("p50 ms ≤", self.event_p50_ms, 2.0),
                at_most("p99 ms ≤", self.event_p99_ms, 15.0),
            ],
            Live::Nobody => Vec::new(),
        }
    }
}

/// Inserts with two binaries in turn.
#[derive(Debug, Serialize)]
pub(crate) struct Against {
    own: Sample,
    other: Sample,
    own_rounds: Vec<Sample>,
    other_rounds: Vec<Sample>,
}

impl Against {
    /// Combines the rounds of both.
    pub(crate) fn new(own_rounds: Vec<Sample>, other_rounds: Vec<Sample>) -> Result<Self> {
        Ok(Self {
            own: Sample::median_of(&own_rounds)?,
            other: Sample::median_of(&other_rounds)?,
            own_rounds,
            other_rounds,
        })
    }

    fn throughput_ratio(&self) -> f64 {
        self.own.ops_per_second / self.other.ops_per_second
    }

    fn cpu_ratio(&self) -> f64 {
        self.own.cpu_us_per_op / self.other.cpu_us_per_op
    }
}

/// A figure that has a target.
#[derive(Debug, Clone, Copy, Serialize)]
struct Verdict {
    scenario: Live,
    what: &'static str,
    value: f64,
    limit: f64,
    met: bool,
}

impl Verdict {
    fn text(&self) -> String {
        format!("{} {} {}", if self.met { '✓' } else { '✗' }, self.what, self.limit)
    }
}

impl LiveReport {
    /// A report without figures.
    pub(crate) fn new(environment: Environment, settings: &LiveSettings) -> Self {
        Self {
            environment,
            seconds: settings.seconds,
            n_rounds: settings.rounds,
            share: settings.share,
            rounds: Vec::new(),
            medians: Vec::new(),
            nobody: None,
            verdicts: Vec::new(),
        }
    }

    /// Combines rounds, and compares what has a target with it.
    pub(crate) fn judge(&mut self) -> Result<()> {
        let mut scenarios: Vec<Live> = self.rounds.iter().map(|figures| figures.scenario).collect();
        scenarios.dedup();
        for scenario in scenarios {
            let of_scenario = self.rounds.iter().filter(|figures| figures.scenario == scenario);
            self.medians
                .push(Figures::median_of(&of_scenario.copied().collect::<Vec<_>>())?);
        }
        if self.share == 1.0 {
            self.verdicts = self.medians.iter().flat_map(Figures::verdicts).collect();
            if let Some(against) = &self.nobody {
                let (throughput, cpu) = (against.throughput_ratio(), against.cpu_ratio());
                let of = |what, value, limit, met| Verdict {
                    scenario: Live::Nobody,
                    what,
                    value,
                    limit,
                    met,
                };
                self.verdicts.push(of("op/s × ≥", throughput, 0.97, throughput >= 0.97));
                self.verdicts.push(of("CPU × ≤", cpu, 1.03, cpu <= 1.03));
            }
        }
        Ok(())
    }

    /// Whether no target was missed.
    pub(crate) fn all_met(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.met)
    }

    /// The whole report for a reader.
    pub(crate) fn render(&self, format: Format) -> String {
        let Environment {
            cores,
            syncs_per_second,
            in_memory,
        } = self.environment;
        let mut out = format!(
            "Median of {} rounds of {} s each, a server of its own each, on {cores} cores shared by load client and server; \
             {syncs_per_second:.0} fdatasync/s.\n",
            self.n_rounds, self.seconds
        );
        if in_memory {
            out.push_str("The data lies in memory (tmpfs): syncing is free and write figures mean little.\n");
        }
        if self.share != 1.0 {
            out.push_str(&format!("A trial with {} of all numbers: no targets.\n", self.share));
        }
        if !self.medians.is_empty() {
            for table in [self.cost_table(), self.time_table()] {
                out.push('\n');
                out.push_str(&table.render(format));
            }
        }
        if let Some(against) = &self.nobody {
            out.push('\n');
            out.push_str(&self.nobody_table(against).render(format));
        }
        if !self.verdicts.is_empty() {
            let met = self.verdicts.iter().filter(|verdict| verdict.met).count();
            out.push_str(&format!("\n{met} of {} targets met.\n", self.verdicts.len()));
        }
        out
    }

    fn verdict_cell(&self, scenario: Live) -> String {
        let of_scenario = self.verdicts.iter().filter(|verdict| verdict.scenario == scenario);
        of_scenario.map(Verdict::text).collect::<Vec<_>>().join(", ")
    }

    fn cost_table(&self) -> Table {
        let mut table = Table::new(&[
            "scenario",
            "queries × sockets",
            "writes/s",
            "events/s",
            "MB/s",
            "CPU µs/event",
            "bare send",
            "event ×",
            "CPU µs/write",
            "nobody subscribed",
            "KB/subscription",
            "KB/socket",
            "MB at the end",
            "client",
            "target",
        ]);
        for f in &self.medians {
            table.push(vec![
                name(f.scenario),
                format!("{} on {}", f.subscriptions, f.sockets),
                format!("{:.0}", f.write_rate),
                format!("{:.0}", f.event_rate),
                format!("{:.1}", f.megabytes_per_second),
                format!("{:.1}", f.cpu_us_per_event),
                optional(f.bare_cpu_us_per_event, 1),
                optional(f.bare_cpu_us_per_event.map(|bare| f.cpu_us_per_event / bare), 2),
                format!("{:.1}", f.cpu_us_per_write),
                format!("{:.1}", f.cpu_us_per_write_alone),
                format!("{:.1}", f.kb_per_subscription),
                format!("{:.1}", f.kb_per_socket),
                format!("{:.1}", f.memory_mb),
                format!("{:.0} %", f.client_busy * 100.0),
                self.verdict_cell(f.scenario),
            ]);
        }
        table
    }

    fn time_table(&self) -> Table {
        let mut table = Table::new(&[
            "scenario",
            "write to event p50 ms",
            "p99",
            "to last event p50",
            "p99",
            "bare p99",
            "answer to event p50",
            "p99",
            "write to answer p50",
            "p99",
            "before the answer",
            "subscribing s",
        ]);
        for f in &self.medians {
            let ms = |value: f64| format!("{value:.2}");
            table.push(vec![
                name(f.scenario),
                ms(f.event_p50_ms),
                ms(f.event_p99_ms),
                ms(f.last_p50_ms),
                ms(f.last_p99_ms),
                optional(f.bare_last_p99_ms, 2),
                ms(f.behind_answer_p50_ms),
                ms(f.behind_answer_p99_ms),
                ms(f.answer_p50_ms),
                ms(f.answer_p99_ms),
                format!("{:.0}", f.early),
                ms(f.subscribing_s),
            ]);
        }
        table
    }

    fn nobody_table(&self, against: &Against) -> Table {
        let mut table = Table::new(&[
            "nobody",
            "op/s",
            "p50 ms",
            "p99 ms",
            "CPU µs/op",
            "op/s ×",
            "CPU ×",
            "target",
        ]);
        for (server, sample) in [("--baseline-server", &against.other), ("--server", &against.own)] {
            let mut cells = vec![
                server.to_owned(),
                format!("{:.0}", sample.ops_per_second),
                format!("{:.2}", sample.p50_ms),
                format!("{:.2}", sample.p99_ms),
                format!("{:.1}", sample.cpu_us_per_op),
            ];
            if server == "--server" {
                cells.push(format!("{:.3}", against.throughput_ratio()));
                cells.push(format!("{:.3}", against.cpu_ratio()));
                cells.push(self.verdict_cell(Live::Nobody));
            }
            table.push(cells);
        }
        table
    }
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.digits$}"))
}

fn name(scenario: Live) -> String {
    clap::ValueEnum::to_possible_value(&scenario).map_or_else(String::new, |value| value.get_name().to_owned())
}
