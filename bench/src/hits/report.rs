//! What a run of `hits` found.

use serde::Serialize;

use crate::{
    environment::Environment,
    hits::{
        HitsSettings,
        oracle::{Outcome, Tally},
    },
    table::{Format, Table},
};

/// Smallest share of reads that a client's copies answer.
const HITS: f64 = 0.90;
/// Smallest part of what the oracle answers so.
const OF_ORACLE: f64 = 0.95;

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct HitsReport {
    pub(crate) environment: Environment,
    pub(crate) settings: HitsSettings,
    pub(crate) outcome: Outcome,
    /// Operations per second that were done.
    pub(crate) rate: f64,
    /// Fetches of the filter, and those of them that confirmed it.
    pub(crate) filters: u64,
    pub(crate) same_filters: u64,
    /// What the server knew at the end: copies, and those in the filter.
    pub(crate) known_copies: u64,
    pub(crate) in_filter: u64,
    pub(crate) false_positives: f64,
    /// CPU time of the server by operation, hits included, in microseconds.
    pub(crate) cpu_us_per_operation: f64,
}

impl HitsReport {
    fn all(&self) -> Tally {
        self.outcome.objects.and(&self.outcome.queries)
    }

    /// The share of hits, and what part of the oracle's that is.
    fn figures(&self) -> [f64; 2] {
        let all = self.all();
        [all.hit_ratio(), all.hit_ratio() / all.oracle_ratio()]
    }

    /// Whether no target was missed.
    pub(crate) fn all_met(&self) -> bool {
        let [hits, of_oracle] = self.figures();
        hits >= HITS && of_oracle >= OF_ORACLE
    }

    /// The whole report for a reader.
    pub(crate) fn render(&self, format: Format) -> String {
        let HitsSettings {
            clients,
            rate,
            seconds,
            staleness,
            edge,
            ..
        } = self.settings;
        let mut out = format!(
            "{clients} clients with caches of their own{}, {:.0} operations/s of {rate:.0} planned, {seconds} s of which the first {:.0} do \
             not count, staleness {staleness} s, on {} cores shared by clients and server.\n",
            if edge { " at one edge" } else { "" },
            self.rate,
            self.settings.warm_up().as_secs_f64(),
            self.environment.cores,
        );
        if self.rate < 0.98 * rate {
            out.push_str("The rate was not kept: the box is too slow for it, or did something else.\n");
        }
        for table in [self.hits_table(), self.requests_table(), self.server_table()] {
            out.push('\n');
            out.push_str(&table.render(format));
        }
        out
    }

    fn rows(&self) -> [(&'static str, Tally); 3] {
        let Outcome { objects, queries, .. } = &self.outcome;
        [
            ("objects", objects.clone()),
            ("queries", queries.clone()),
            ("all", self.all()),
        ]
    }

    fn hits_table(&self) -> Table {
        let mut table = Table::new(&[
            "reads of",
            "reads",
            "hits",
            "of them current",
            "oracle",
            "of the oracle",
            "stale oracle",
            "of it",
            "without the server",
            "target",
        ]);
        for (name, tally) in self.rows() {
            let ratio = tally.hit_ratio() / tally.oracle_ratio();
            table.push(vec![
                name.to_owned(),
                tally.reads.to_string(),
                percent(tally.hit_ratio()),
                percent(tally.current_ratio()),
                percent(tally.oracle_ratio()),
                format!("{ratio:.3}"),
                percent(tally.stale_oracle_ratio()),
                format!("{:.3}", tally.hit_ratio() / tally.stale_oracle_ratio()),
                if self.settings.edge {
                    percent(tally.near_ratio())
                } else {
                    String::new()
                },
                if name == "all" {
                    self.verdict(&tally)
                } else {
                    String::new()
                },
            ]);
        }
        table
    }

    fn verdict(&self, all: &Tally) -> String {
        let [hits, of_oracle] = self.figures();
        let mark = |is_met| if is_met { '✓' } else { '✗' };
        let beyond = match all.oracle_ratio() < HITS {
            true => " (the oracle misses it too)",
            false => "",
        };
        format!(
            "{} hits ≥ {:.0} %{beyond}, {} ≥ {OF_ORACLE:.2} of the oracle",
            mark(hits >= HITS),
            HITS * 100.0,
            mark(of_oracle >= OF_ORACLE)
        )
    }

    fn requests_table(&self) -> Table {
        let mut table = Table::new(&[
            "requests, share of reads",
            "no copy",
            "lifetime over",
            "confirmed",
            "named by the filter",
            "confirmed",
            "objects of a result",
        ]);
        for (name, tally) in self.rows() {
            let share = |count: u64| percent(count as f64 / tally.reads.max(1) as f64);
            let [absent, ended, named, members] = tally.requests;
            table.push(vec![
                name.to_owned(),
                share(absent),
                share(ended),
                share(tally.confirmed[1]),
                share(named),
                share(tally.confirmed[2]),
                share(members),
            ]);
        }
        table
    }

    fn server_table(&self) -> Table {
        let mut table = Table::new(&["server", "figure"]);
        let ids = self.outcome.ids as f64 / self.outcome.queries.reads.max(1) as f64;
        for (name, figure) in [
            ("writes", self.outcome.writes.to_string()),
            ("results that were arrays of ids", percent(ids)),
            (
                "fetches of the filter",
                format!("{}, {} unchanged", self.filters, self.same_filters),
            ),
            ("copies known at the end", self.known_copies.to_string()),
            (
                "of them in the filter",
                format!("{}, {} false positives", self.in_filter, percent(self.false_positives)),
            ),
            ("CPU per operation", format!("{:.1} µs", self.cpu_us_per_operation)),
        ] {
            table.push(vec![name.to_owned(), figure]);
        }
        table
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
