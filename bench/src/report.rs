//! What a run found, as table for a terminal, as Markdown, and as JSON.

mod processes;

use serde::Serialize;

use crate::{
    edge::EdgeRound,
    environment::Environment,
    functions::{ManyApps, Runaways},
    launch::Idle,
    logins::LoginsBeside,
    measure::Sample,
    run::Settings,
    scenarios::{Scenario, Yardstick},
    table::{Format, Table},
    targets::{COLD, Figure, IDLE_MEMORY, START_TIME, Target},
};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) environment: Environment,
    pub(crate) settings: Settings,
    /// The first write load, 100,000 inserts into an empty collection.
    pub(crate) fill: Option<Sample>,
    pub(crate) idle: Option<Idle>,
    pub(crate) memory: Option<Memory>,
    pub(crate) many_apps: Option<ManyApps>,
    pub(crate) comparisons: Vec<Comparison>,
    /// Every figure that has a target.
    pub(crate) verdicts: Vec<Verdict>,
}

/// Resident memory of a server that has worked, in MB.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    /// After the objects were loaded.
    pub(crate) after_fill_mb: f64,
    /// At the end of the run.
    pub(crate) after_run_mb: f64,
}

/// A yardstick and, beside it, Freshbase in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// `None` when yardsticks were measured alone.
    pub(crate) scenario: Option<Scenario>,
    /// Name of what Freshbase is compared with.
    pub(crate) yardstick: &'static str,
    /// Medians of the yardstick's rounds.
    pub(crate) reference: Sample,
    /// The yardstick's rounds in the order of the run.
    pub(crate) reference_rounds: Vec<Sample>,
    /// Medians of Freshbase's rounds.
    pub(crate) freshbase: Option<Sample>,
    /// Freshbase's rounds in the order of the run.
    pub(crate) freshbase_rounds: Vec<Sample>,
    /// Logins that went on during Freshbase's rounds, if that is what the scenario is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) logins_beside: Vec<LoginsBeside>,
    /// Calls of another app that went on during Freshbase's rounds, if that is what the scenario is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) runaways: Vec<Runaways>,
    /// Where the answers of Freshbase's rounds came from, if an edge gave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) edge_rounds: Vec<EdgeRound>,
}

impl Comparison {
    /// Combines the rounds of a yardstick and of Freshbase, the latter empty without a scenario.
    pub(crate) fn new(
        scenario: Option<Scenario>,
        yardstick: Yardstick,
        reference_rounds: Vec<Sample>,
        freshbase_rounds: Vec<Sample>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            scenario,
            yardstick: yardstick.name(),
            reference: Sample::median_of(&reference_rounds)?,
            reference_rounds,
            freshbase: scenario.map(|_| Sample::median_of(&freshbase_rounds)).transpose()?,
            freshbase_rounds,
            logins_beside: Vec::new(),
            runaways: Vec::new(),
            edge_rounds: Vec::new(),
        })
    }

    /// Freshbase's throughput divided by the yardstick's.
    fn throughput_ratio(&self) -> Option<f64> {
        self.freshbase
            .map(|sample| sample.ops_per_second / self.reference.ops_per_second)
    }

    /// Freshbase's CPU per operation divided by the yardstick's.
    fn cpu_ratio(&self) -> Option<f64> {
        self.freshbase
            .map(|sample| sample.cpu_us_per_op / self.reference.cpu_us_per_op)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let Some(scenario) = self.scenario else {
            return Vec::new();
        };
        let judge = |target: &Target| {
            let value = match target.figure {
                Figure::ThroughputRatio => self.throughput_ratio(),
                Figure::CpuRatio => self.cpu_ratio(),
                Figure::CpuMicros => self.freshbase.map(|sample| sample.cpu_us_per_op),
                Figure::TailRatio => self.freshbase.map(|sample| sample.p99_ms / self.reference.p99_ms),
                Figure::IdleMegabytes | Figure::StartMillis | Figure::ColdMillis => None,
            };
            value.map(|value| Verdict::new(scenario, *target, value))
        };
        scenario.targets().iter().filter_map(judge).collect()
    }
}

/// A figure held against its target.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) scenario: Scenario,
    /// The target as text, such as `op/s ≥ 0.60×`.
    pub(crate) target: String,
    pub(crate) value: f64,
    pub(crate) met: bool,
}

impl Verdict {
    fn new(scenario: Scenario, target: Target, value: f64) -> Self {
        Self {
            scenario,
            target: target.text(),
            value,
            met: target.is_met_by(value),
        }
    }

    fn text(&self) -> String {
        format!("{} {}", if self.met { '✓' } else { '✗' }, self.target)
    }
}

impl Report {
    /// Holds every figure against its target.
    pub(crate) fn judge(&mut self) {
        let cold = self.many_apps.as_ref().map(|many| many.cold.p50_ms);
        self.verdicts = self.comparisons.iter().flat_map(Comparison::verdicts).collect();
        if let Some(idle) = &self.idle {
            self.verdicts
                .push(Verdict::new(Scenario::Idle, IDLE_MEMORY, idle.memory_mb));
            self.verdicts
                .push(Verdict::new(Scenario::Idle, START_TIME, idle.first_start_ms));
        }
        self.verdicts
            .extend(cold.map(|cold| Verdict::new(Scenario::FunctionApps, COLD, cold)));
    }

    /// Whether no target was missed.
    pub(crate) fn all_met(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.met)
    }

    /// The whole report for a reader.
    pub(crate) fn render(&self, format: Format) -> String {
        let mut out = self.heading();
        if !self.comparisons.is_empty() {
            out.push('\n');
            out.push_str(&self.comparison_table().render(format));
        }
        let process_table = self.process_table();
        if !process_table.is_empty() {
            out.push('\n');
            out.push_str(&process_table.render(format));
        }
        if !self.verdicts.is_empty() {
            let met = self.verdicts.iter().filter(|verdict| verdict.met).count();
            out.push_str(&format!("\n{met} of {} targets met.\n", self.verdicts.len()));
        }
        out
    }

    fn heading(&self) -> String {
        let Settings {
            connections,
            seconds,
            rounds,
            objects,
            ..
        } = self.settings;
        let Environment {
            cores,
            syncs_per_second,
            in_memory,
        } = self.environment;
        let mut text = format!(
            "{objects} objects, {connections} connections, median of {rounds} rounds of {seconds} s each in turn, \
             on {cores} cores shared by load client and server; {syncs_per_second:.0} fdatasync/s.\n"
        );
        if in_memory {
            text.push_str("The data lies in memory (tmpfs): syncing is free and write figures mean little.\n");
        }
        text
    }

    fn comparison_table(&self) -> Table {
        let mut table = Table::new(&[
            "scenario",
            "server",
            "op/s",
            "p50 ms",
            "p99 ms",
            "CPU µs/op",
            "client",
            "op/s ×",
            "CPU ×",
            "target",
        ]);
        for comparison in &self.comparisons {
            let name = comparison.scenario.map_or("", Scenario::name);
            table.push(sample_cells(name, comparison.yardstick, &comparison.reference));
            if let Some(sample) = &comparison.freshbase {
                let mut cells = sample_cells("", "freshbase", sample);
                cells.push(comparison.throughput_ratio().map(ratio).unwrap_or_default());
                cells.push(comparison.cpu_ratio().map(ratio).unwrap_or_default());
                cells.push(verdict_cell(&comparison.verdicts()));
                table.push(cells);
            }
        }
        table
    }
}

fn sample_cells(scenario: &str, server: &str, sample: &Sample) -> Vec<String> {
    vec![
        scenario.to_owned(),
        server.to_owned(),
        format!("{:.0}", sample.ops_per_second),
        format!("{:.2}", sample.p50_ms),
        format!("{:.2}", sample.p99_ms),
        format!("{:.1}", sample.cpu_us_per_op),
        sample
            .client_busy
            .map(|share| format!("{:.0} %", share * 100.0))
            .unwrap_or_default(),
    ]
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

fn verdict_cell(verdicts: &[Verdict]) -> String {
    verdicts.iter().map(Verdict::text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ops_per_second: f64, cpu_us_per_op: f64) -> Sample {
        Sample {
            ops_per_second,
            p50_ms: 1.0,
            p99_ms: 2.0,
            cpu_us_per_op,
            client_busy: Some(0.5),
        }
    }

    fn report(ops_per_second: f64) -> Report {
        let yardstick = Scenario::Get.yardstick().unwrap();
        let (reference, freshbase) = (vec![sample(50_000.0, 10.0)], vec![sample(ops_per_second, 15.0)]);
        let comparison = Comparison::new(Some(Scenario::Get), yardstick, reference, freshbase).unwrap();
        let mut report = Report {
            environment: Environment {
                cores: 2,
                syncs_per_second: 8000.0,
                in_memory: false,
            },
            settings: Settings {
                connections: 64,
                seconds: 5.0,
                rounds: 1,
                objects: 1000,
                private: 1_000_000,
                seed: 1,
            },
            fill: None,
            idle: None,
            memory: None,
            many_apps: None,
            comparisons: vec![comparison],
            verdicts: Vec::new(),
        };
        report.judge();
        report
    }

    #[test]
    fn a_missed_target_is_marked_and_remembered() {
        let missed = report(20_000.0);
        assert!(!missed.all_met());
        assert!(missed.render(Format::Text).contains("✗ op/s ≥ 0.60×, ✓ CPU ≤ 2.00×"));
        assert!(report(30_000.0).all_met());
    }

    #[test]
    fn markdown_rows_have_as_many_cells_as_the_header() {
        let text = report(30_000.0).render(Format::Markdown);
        let pipes: Vec<usize> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.matches('|').count())
            .collect();
        assert_eq!(pipes, [11; 4]);
        assert!(text.contains("0.60 |"), "{text}");
    }
}
