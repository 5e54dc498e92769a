//! The second table: what does not compare with a yardstick.

use super::{Report, Verdict};
use crate::{
    edge::EdgeRound,
    logins::LoginsBeside,
    scenarios::Scenario,
    table::Table,
    targets::{COLD, IDLE_MEMORY, START_TIME, Target},
};

impl Report {
    /// Memory, times, and what went on beside a load.
    pub(super) fn process_table(&self) -> Table {
        let mut table = Table::new(&["process", "figure", "target"]);
        let verdict = |target: Target| {
            let text = target.text();
            let of_idle = self
                .verdicts
                .iter()
                .filter(|verdict| matches!(verdict.scenario, Scenario::Idle | Scenario::FunctionApps));
            of_idle
                .filter(|verdict| verdict.target == text)
                .map(Verdict::text)
                .collect::<String>()
        };
        if let Some(idle) = &self.idle {
            let figures = [
                (
                    "first start until it answers",
                    format!("{:.0} ms", idle.first_start_ms),
                    verdict(START_TIME),
                ),
                (
                    "start on existing data",
                    format!("{:.0} ms", idle.restart_ms),
                    String::new(),
                ),
                (
                    "memory, idle",
                    format!("{:.1} MB", idle.memory_mb),
                    verdict(IDLE_MEMORY),
                ),
            ];
            for (name, figure, target) in figures {
                table.push(vec![name.to_owned(), figure, target]);
            }
        }
        if let Some(memory) = &self.memory {
            let objects = self.settings.objects;
            table.push(vec![
                format!("memory after loading {objects} objects"),
                format!("{:.1} MB", memory.after_fill_mb),
                String::new(),
            ]);
            table.push(vec![
                "memory after the run".into(),
                format!("{:.1} MB", memory.after_run_mb),
                String::new(),
            ]);
        }
        for comparison in self.comparisons.iter().filter(|item| !item.logins_beside.is_empty()) {
            let LoginsBeside {
                seconds,
                answered,
                refused,
            } = LoginsBeside::sum(&comparison.logins_beside);
            let name = comparison.scenario.map_or("", Scenario::name);
            let per_second = answered as f64 / seconds;
            let asked = answered + refused;
            table.push(vec![
                format!("logins beside {name}"),
                format!("{per_second:.0} op/s, {refused} of {asked} refused (503)"),
                String::new(),
            ]);
        }
        for comparison in self.comparisons.iter().filter(|item| !item.runaways.is_empty()) {
            let name = comparison.scenario.map_or("", Scenario::name);
            let (stopped, refused) = comparison
                .runaways
                .iter()
                .fold((0, 0), |sum, one| (sum.0 + one.stopped, sum.1 + one.refused));
            table.push(vec![
                format!("calls without end beside {name}"),
                format!("{stopped} stopped, {refused} refused"),
                String::new(),
            ]);
        }
        for comparison in self.comparisons.iter().filter(|item| !item.edge_rounds.is_empty()) {
            let EdgeRound { sent, hits, at_origin } = EdgeRound::sum(&comparison.edge_rounds);
            let name = comparison.scenario.map_or("", Scenario::name);
            let share = hits as f64 / sent as f64 * 100.0;
            table.push(vec![
                format!("answers of {name} from the edge's memory"),
                format!("{share:.2} % of {sent}; {at_origin} requests at the server"),
                String::new(),
            ]);
        }
        if let Some(many) = &self.many_apps {
            let apps = many.apps;
            for (name, figure, target) in [
                (
                    "first call of an app, p50",
                    format!("{:.2} ms", many.cold.p50_ms),
                    verdict(COLD),
                ),
                (
                    "first call of an app, p99",
                    format!("{:.2} ms", many.cold.p99_ms),
                    String::new(),
                ),
                (
                    "memory of an app, awake",
                    format!("{:.0} KB", many.awake_kb),
                    String::new(),
                ),
                (
                    "memory of a waiting instance",
                    format!("{:.0} KB", many.instance_kb),
                    String::new(),
                ),
                (
                    "memory of an app, asleep again",
                    format!("{:.0} KB", many.asleep_kb),
                    String::new(),
                ),
            ] {
                table.push(vec![format!("{name}, of {apps}"), figure, target]);
            }
        }
        if let Some(fill) = &self.fill {
            let figure = format!("{:.0} op/s, {:.0} µs CPU/op", fill.ops_per_second, fill.cpu_us_per_op);
            table.push(vec!["loading by single inserts".into(), figure, String::new()]);
        }
        table
    }
}
